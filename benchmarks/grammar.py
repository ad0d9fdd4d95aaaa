"""Time to the first mask and time of a mask, over a synthetic byte-level vocabulary of 50,000 tokens.

`python -m benchmarks.grammar --json benchmarks/results/2026-11-29-grammar.json` measures the served engine (a library for
each constraint) and each library alone, over the schemas of the syntax suite. Texts are `documents`: instances of each schema
with words of the project in their strings, in the tokenizer's own tokens; and `walk`: legal tokens drawn at random. First
masks are of schemas not seen before, as a client sends them: limits, validator, choice, trial in the child where one is due,
compilation, one mask. Targets of the served engine: first mask p50 <= 1.5 ms, mask p50 <= 3 us and p99 <= 120 us. Other
programs share the cores: every single time is the least of three rounds with fresh engines, which do the same steps; masks
and tokens are in processor time, first masks in wall time.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from builderbrain.errors import BuilderBrainError, GrammarRefusedError, MaskEmptyError
from builderbrain.eval.schema_corpus import schema_corpus
from builderbrain.grammar.base import CompiledConstraint, Constraint, Matcher
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.llguidance_engine import LLGuidanceEngine
from builderbrain.grammar.matching import new_bitmask
from builderbrain.grammar.subschemas import resolve
from builderbrain.grammar.validate import check_json, validator_for
from builderbrain.grammar.xgrammar_engine import XGrammarEngine

ROOT = Path(__file__).resolve().parent.parent
VOCAB_SIZE = 50_000
ROUNDS = 3
JOINED_WORDS = 60_000
WALK_STEPS = 60
DOCUMENTS = 10
"""For each schema."""
SOURCES = ("builderbrain/**/*.py", "tests/**/*.py", "bbkernels/**/*.py", "docs/*.md", "*.md", "csrc/**/*", "schemas/**/*")
ENGINES: dict[str, Callable[..., GrammarEngine]] = {
    "served": GrammarEngine,
    "llguidance": LLGuidanceEngine,
    "xgrammar": XGrammarEngine,
}


class SyntheticTokenizer:
    """Byte-level BPE over the project's files; see `builderbrain.hosts.base.Tokenizer`."""

    def __init__(self) -> None:
        self.backend = Tokenizer(models.BPE())
        self.backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=VOCAB_SIZE,
            min_frequency=1,
            special_tokens=["<|end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        self.backend.train_from_iterator(project_texts(), trainer)
        self.vocab_size = self.backend.get_vocab_size()
        self.eos_token_id = 0

    def encode(self, text: str) -> list[int]:
        return list(self.backend.encode(text).ids)

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        encoding = self.backend.encode(text)
        return list(encoding.ids), list(encoding.offsets)

    def decode(self, token_ids: Sequence[int]) -> str:
        return str(self.backend.decode(list(token_ids)))


def project_texts() -> list[str]:
    """Texts of the project's files in a fixed order, and words of theirs in pairs: without them there are too few to merge."""
    paths = sorted({path for pattern in SOURCES for path in ROOT.glob(pattern) if path.is_file()})
    texts = [path.read_text(encoding="utf-8", errors="ignore") for path in paths]
    words = sorted({word for text in texts for word in re.findall(r"[A-Za-z]{4,9}", text)})
    rng = np.random.default_rng(0)
    joined = [words[first] + words[second] for first, second in rng.integers(len(words), size=(JOINED_WORDS, 2))]
    return [*texts, " ".join(joined)]


class Documents:
    """Draws instances of a schema: every property, arrays of up to five items, strings of words, as far as they are valid."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._words = re.findall(r"[A-Za-z]{2,12}", (ROOT / "README.md").read_text(encoding="utf-8"))

    def valid(self, source: str, count: int) -> list[str]:
        """Texts of up to `count` valid instances; fewer for schemas that this simple a draw seldom meets."""
        schema = json.loads(source)
        validator = validator_for(schema)
        drawn = [self._draw(schema, schema) for _ in range(2 * count)] if isinstance(schema, dict) else []
        spacing = [(",", ":"), (", ", ": ")]
        texts = [json.dumps(value, ensure_ascii=False, separators=spacing[index % 2]) for index, value in enumerate(drawn)]
        return [text for text in texts if check_json(text, validator) is None][:count]

    def _draw(self, node: Any, root: Any, depth: int = 0) -> Any:
        if not isinstance(node, dict) or depth > 8:
            return None
        if "$ref" in node:
            return self._draw(resolve(root, node["$ref"]), root, depth + 1)
        for keyword in ("anyOf", "oneOf", "allOf"):
            if keyword in node:
                return self._draw(node[keyword][self._rng.integers(len(node[keyword]))], root, depth + 1)
        if "const" in node or "enum" in node:
            values = node.get("enum", [node.get("const")])
            return values[self._rng.integers(len(values))]
        kinds = node.get("type", "string")
        kind = kinds if isinstance(kinds, str) else kinds[self._rng.integers(len(kinds))]
        if kind == "object":
            return {name: self._draw(part, root, depth + 1) for name, part in node.get("properties", {}).items()}
        if kind == "array":
            least = node.get("minItems", 0)
            first = node.get("prefixItems", [])
            count = max(least, len(first), int(self._rng.integers(least, min(node.get("maxItems", 5), least + 5) + 1)))
            return [self._draw(first[at] if at < len(first) else node.get("items", {}), root, depth + 1) for at in range(count)]
        if kind in ("integer", "number"):
            return int(self._rng.integers(int(node.get("minimum", -1000)), int(node.get("maximum", 1000)) + 1))
        if kind == "boolean":
            return bool(self._rng.integers(2))
        return None if kind == "null" else self._sentence(node)

    def _sentence(self, node: dict[str, Any]) -> str:
        least, most = node.get("minLength", 0), node.get("maxLength", 200)
        length, text = int(self._rng.integers(least, most + 1)), ""
        while len(text) < length:
            text += " " * bool(text) + self._words[self._rng.integers(len(self._words))]
        return text[:length]


def quantiles(seconds: Sequence[float], unit: float) -> dict[str, float]:
    """p50, p90, p99 and the maximum in units of `unit` seconds."""
    values = np.percentile(np.array(seconds) / unit, [50, 90, 99, 100])
    return {name: round(float(value), 3) for name, value in zip(("p50", "p90", "p99", "max"), values, strict=True)}


def first_masks(engine: GrammarEngine, sources: Sequence[Constraint]) -> list[float]:
    """Seconds from a constraint to its first mask; refused ones count too. `engine` has not seen them."""
    seconds = []
    for constraint in sources:
        bitmask = new_bitmask(VOCAB_SIZE)
        start = time.perf_counter()
        with suppress(BuilderBrainError):  # a refusal is an answer, and it takes its time
            engine.compile(constraint).matcher().fill_mask(bitmask)
        seconds.append(time.perf_counter() - start)
    return seconds


class Steps:
    """Collects the seconds of masks and of accepted tokens."""

    def __init__(self) -> None:
        self.masks: list[float] = []
        self.accepts: list[float] = []
        self.bitmask = new_bitmask(VOCAB_SIZE)

    def mask(self, matcher: Matcher) -> None:
        start = time.thread_time()
        matcher.fill_mask(self.bitmask)
        self.masks.append(time.thread_time() - start)

    def accept(self, matcher: Matcher, token: int) -> None:
        start = time.thread_time()
        matcher.accept(token)
        self.accepts.append(time.thread_time() - start)


def follow(steps: Steps, compiled: CompiledConstraint, tokens: Sequence[int]) -> None:
    """Mask and accept along a known output, as far as it is legal."""
    matcher = compiled.matcher()
    for token in tokens:
        try:
            steps.mask(matcher)
            steps.accept(matcher, token)
        except (GrammarRefusedError, MaskEmptyError):
            return


def walk(steps: Steps, compiled: CompiledConstraint, seed: int, end: int) -> None:
    """Mask and accept along legal tokens drawn uniformly: mostly long strings, the worst case of a mask."""
    rng, matcher = np.random.default_rng(seed), compiled.matcher()
    for _ in range(WALK_STEPS):
        try:
            steps.mask(matcher)
        except MaskEmptyError:
            return
        legal = np.flatnonzero(np.unpackbits(steps.bitmask.numpy().view(np.uint8), bitorder="little"))
        token = int(legal[rng.integers(len(legal))])
        try:
            steps.accept(matcher, token)
        except GrammarRefusedError:
            return
        if token == end:
            return


def one_round(
    name: str, tokenizer: SyntheticTokenizer, constraints: Sequence[Constraint], documents: Sequence[Sequence[list[int]]]
) -> dict[str, list[float]]:
    """Every time of one round, in seconds, in a fixed order."""
    engine = ENGINES[name](tokenizer, VOCAB_SIZE)
    engine.warm_up()
    engine.compile(Constraint(kind="json_object", source="{}"))  # loads the validator
    first = first_masks(engine, constraints)
    steps, walks = Steps(), Steps()
    gc.disable()
    for seed, (constraint, texts) in enumerate(zip(constraints, documents, strict=True)):
        try:
            compiled = engine.compile(constraint)
        except BuilderBrainError:
            continue
        for tokens in texts:
            follow(steps, compiled, tokens)
        walk(walks, compiled, seed, tokenizer.eos_token_id)
    gc.enable()
    engine.close()
    return {
        "first_mask_ms": first,
        "document_mask_us": steps.masks,
        "document_accept_us": steps.accepts,
        "walk_mask_us": walks.masks,
    }


def measure(name: str, tokenizer: SyntheticTokenizer, constraints: Sequence[Constraint]) -> dict[str, Any]:
    """Quantiles over the least times of the rounds."""
    source = Documents(0)
    documents = [[tokenizer.encode(text) for text in source.valid(one.source, DOCUMENTS)] for one in constraints]
    rounds = [one_round(name, tokenizer, constraints, documents) for _ in range(ROUNDS)]
    report: dict[str, Any] = {"schemas": len(constraints), "documents": sum(map(len, documents))}
    for key in rounds[0]:
        least = [min(times) for times in zip(*(one[key] for one in rounds), strict=True)]
        report[key] = quantiles(least, 1e-3 if key.endswith("ms") else 1e-6) | {"count": len(least)}
    return report


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grammar", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", metavar="FILE", type=Path, required=True, help="write the report here")
    options = parser.parse_args()
    tokenizer = SyntheticTokenizer()
    constraints = [Constraint(kind="json_schema", source=named.source) for named in schema_corpus()]
    report: dict[str, Any] = {
        "suite": "grammar speed",
        "command": f"python -m benchmarks.grammar --json {options.json}",
        "vocabulary": tokenizer.vocab_size,
        "schemas": len(constraints),
        "device": "cpu",
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in ("llguidance", "xgrammar", "torch", "tokenizers")},
    }
    for name, stride in (("served", 1), ("llguidance", 1), ("xgrammar", 8)):  # xgrammar alone takes a quarter of a second each
        report[name] = measure(name, tokenizer, constraints[::stride])
        print(name, json.dumps(report[name]))
    options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
