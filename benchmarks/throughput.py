"""Sixteen JSON-schema requests at once: this engine beside `transformers`' `generate` with xgrammar's mask, and its batching.

`python -m benchmarks.throughput [--requests 16] [--rounds 3] [--json FILE]`; with `--rail-cost` this engine alone, with a
rail and without one in turn, and what the rail costs.

One base, one tokenizer, one thread, the same prompts, schemas and temperature; sides in turn, so that what else the machine
does meets both. The peer runs all requests as one left-padded batch, each under its own matcher, until the last one has ended;
only tokens up to a request's own end count, for both. Compiled grammars and loaded weights are there before the clock runs.

Three rates, per second of processor time: tokens as they were made; tokens of the text that was said, as the tokenizer gives
them, since a base that spells a forced word letter by letter makes more of the former out of the same text; and requests.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from builderbrain.decode.base import SamplingParameters
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.jump import JumpForward
from builderbrain.grammar.vocabulary import vocabulary_for
from builderbrain.hosts.base import RaggedHost
from builderbrain.hosts.load import NANO, load_host
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail
from builderbrain.serve.engine import Engine
from builderbrain.serve.generation import OutputRequest, generate
from builderbrain.serve.model_backend import ModelBackend, TokenizerFacts

MAX_TOKENS = 96


def _record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _text(most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most}


def _number(most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": most}


SCHEMAS: tuple[dict[str, Any], ...] = (
    _record(
        name=_text(24), quantity=_number(999), unit={"enum": ["piece", "kilogram", "litre"]}, available={"type": "boolean"}
    ),
    _record(path=_text(32), kind={"enum": ["file", "folder", "link"]}, size=_number(99999), readable={"type": "boolean"}),
    _record(tool={"enum": ["search", "read", "list"]}, arguments=_record(pattern=_text(24), limit=_number(50))),
    _record(sentiment={"enum": ["positive", "neutral", "negative"]}, score=_number(100), reason=_text(40)),
    _record(title=_text(32), start=_record(hour=_number(23), minute=_number(59)), participants=_number(20)),
    {"type": "array", "items": _record(id=_number(999), tag={"enum": ["red", "green", "blue"]}), "minItems": 2, "maxItems": 3},
)
"""What is asked of such servers most: records of short texts, bounded numbers, choices and flags. A base that knows nothing of
JSON ends all of them, because each is bounded."""
PROMPTS = (
    "search for the promotion gate and describe it as JSON: ",
    "list the files of this folder and say of each what it is: ",
    "read the first path and give its numbers: ",
)


@dataclass(frozen=True)
class Side:
    """A name and what runs all requests once; returns the tokens of each output."""

    name: str
    run: Callable[[int], list[list[int]]]


def engine_side(
    host: RaggedHost, constraints: list[CompiledConstraint | None], rail: bool, count: int, *, ends: bool = True
) -> Side:
    """This engine, in the process: no HTTP. Without `ends` no token is the last one, so that free outputs are of one length."""
    batcher = Batcher(host, num_pages=count * 16, max_tokens=1024, reuse=False)
    model = BatchedModel(batcher, load_rail(BUNDLED_RAIL) if rail else None)
    if not ends:
        model.eos_token_id = -1
    backend = ModelBackend(
        {"model": model}, root=NANO, mask_engine=GrammarEngine(host.tokenizer, host.vocab_size),
        facts=TokenizerFacts(special_tokens={}, prefix=()), description="benchmark",
        jump=JumpForward(host.tokenizer, vocabulary_for(host.tokenizer, host.vocab_size)),
    )  # fmt: skip
    engine = Engine(max_running=count, max_waiting=count, deadline_seconds=600.0, run_model=batcher.run)
    engine.start()

    def run(seed: int) -> list[list[int]]:
        works = [
            generate(
                backend,
                OutputRequest(
                    model="model",
                    prompt=tuple(host.tokenizer.encode(PROMPTS[place % len(PROMPTS)])),
                    parameters=SamplingParameters(max_tokens=MAX_TOKENS, temperature=1.0, seed=seed * 1000 + place),
                    constraint=constraints[place],
                ),
            )
            for place in range(count)
        ]
        tickets = engine.submit_all(works, [None] * count)
        return [list(ticket.future.result(600).tokens) for ticket in tickets]

    name = f"engine, {'rail' if rail else 'base'}, {'free' if constraints[0] is None else 'grammar'}"
    return Side(name, run)


def generate_side(host: Any, count: int) -> Side:
    """`generate` over one padded batch, xgrammar's logits processor per row."""
    import xgrammar
    from transformers import LogitsProcessor, LogitsProcessorList

    model, tokenizer = host.model, host.tokenizer.backend
    info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=host.vocab_size)
    compiler = xgrammar.GrammarCompiler(info)
    compiled = [
        compiler.compile_json_schema(json.dumps(schema), any_whitespace=False, separators=(",", ":")) for schema in SCHEMAS
    ]
    rows = [host.tokenizer.encode(PROMPTS[place % len(PROMPTS)]) for place in range(count)]
    longest = max(map(len, rows))
    pad = host.tokenizer.eos_token_id
    tokens = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    processor_type: Any = xgrammar.contrib.hf.LogitsProcessor
    assert issubclass(processor_type, LogitsProcessor)

    def run(seed: int) -> list[list[int]]:
        torch.manual_seed(seed)
        processor = processor_type([compiled[place % len(compiled)] for place in range(count)])
        with torch.no_grad():
            out = model.generate(
                input_ids=tokens, attention_mask=mask, do_sample=True, temperature=1.0, top_k=0, max_new_tokens=MAX_TOKENS,
                pad_token_id=pad, eos_token_id=pad, logits_processor=LogitsProcessorList([processor]),
            )  # fmt: skip
        rows = out[:, longest:].tolist()
        return [row[: row.index(pad)] if pad in row else row for row in rows]

    return Side("transformers generate, base, grammar", run)


def continuous_side(host: Any, count: int) -> Side:
    """`transformers`' own continuous batching, which takes no grammar; its manager and pages stay from round to round."""
    from transformers import GenerationConfig
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    model, end = host.model, host.tokenizer.eos_token_id
    pages = ContinuousBatchingConfig(page_size=32, num_blocks=16 * count, max_batch_tokens=1024)
    asked = GenerationConfig(
        max_new_tokens=MAX_TOKENS, do_sample=True, temperature=1.0, top_k=0, eos_token_id=end, pad_token_id=end
    )
    rows = [host.tokenizer.encode(PROMPTS[place % len(PROMPTS)]) for place in range(count)]

    def run(seed: int) -> list[list[int]]:
        torch.manual_seed(seed)
        found = model.generate_batch(
            inputs=rows, generation_config=asked, continuous_batching_config=pages, progress_bar=False, persistent_manager=True
        )
        return [[token for token in output.generated_tokens if token != end] for output in found.values()]

    return Side("transformers continuous batching, base, free", run)


def first_token_seconds(host: RaggedHost, length: int, rounds: int) -> tuple[float, float]:
    """Processor seconds to the logits after a prompt: seen for the first time, and seen before (medians)."""
    batcher = Batcher(host, num_pages=(rounds + 2) * (length // 16 + 2), max_tokens=512)
    model = BatchedModel(batcher, load_rail(BUNDLED_RAIL))
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        prompt = [(7 * place + 31 * turn) % (host.vocab_size - 1) + 1 for place in range(length)]
        for seconds in found:
            spent = time.process_time()
            state = model.start(prompt)
            while not state.ready:
                batcher.run()
            state.logits()
            if turn:
                seconds.append(time.process_time() - spent)
            state.close()
    return median(found[0]), median(found[1])


def rail_cost(sides: Sequence[Side], rounds: int) -> dict[str, dict[str, float]]:
    """What a rail costs: `sides` are pairs, a base and the same under a rail. Medians over rounds.

    A round runs both of a pair one after the other, so that both meet the same machine; what is lost is taken per round.
    """
    table: dict[str, dict[str, float]] = {}
    for base, rail in zip(sides[::2], sides[1::2], strict=True):
        found: list[tuple[float, float]] = []
        for turn in range(rounds + 1):
            rates = []
            for side in (base, rail) if turn % 2 else (rail, base):
                spent = time.process_time()
                made = sum(map(len, side.run(turn)))
                rates.append(made / (time.process_time() - spent))
            if turn:
                found.append((rates[0], rates[1]) if turn % 2 else (rates[1], rates[0]))
        alone, beside = (median(column) for column in zip(*found, strict=True))
        lost = median(1.0 - slower / faster for faster, slower in found)
        table[rail.name] = {"base_tokens_per_cpu_second": alone, "rail_tokens_per_cpu_second": beside, "share_lost": lost}
        print(
            f"{rail.name}: {beside:.0f} tokens per second of processor time, {alone:.0f} without, {lost:.1%} lost", flush=True
        )
    return table


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prefix", type=int, default=1024, help="tokens of the prompt that is asked twice (default: 1024)")
    parser.add_argument("--rail-cost", action="store_true", help="only what a rail costs this engine, over --rounds pairs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    host: Any = load_host(NANO, tap_points=load_rail(BUNDLED_RAIL).config.tap_points)
    engine = GrammarEngine(host.tokenizer, host.vocab_size)
    compiled = [engine.compile(Constraint(kind="json_schema", source=json.dumps(schema)), trusted=True) for schema in SCHEMAS]
    grammars: list[CompiledConstraint | None] = [compiled[place % len(compiled)] for place in range(options.requests)]
    free: list[CompiledConstraint | None] = [None] * options.requests
    engines = [
        engine_side(host, kind, rail, options.requests, ends=kind is grammars or not options.rail_cost)
        for kind in (grammars, free)
        for rail in (False, True)
    ]
    if options.rail_cost:
        cost = rail_cost(engines, options.rounds)
        if options.json is not None:
            options.json.write_text(
                json.dumps({"requests": options.requests, "rounds": options.rounds, "rail": cost}, indent=1) + "\n"
            )
        return
    sides = [generate_side(load_host(NANO), options.requests), continuous_side(load_host(NANO), options.requests), *engines]
    rates: dict[str, list[tuple[float, float, float]]] = {side.name: [] for side in sides}
    for turn in range(options.rounds + 1):
        for side in sides:
            begin, spent = time.perf_counter(), time.process_time()
            outputs = side.run(turn)
            seconds, used = time.perf_counter() - begin, time.process_time() - spent
            made = sum(map(len, outputs))
            # The tokens that the tokenizer gives for what was said, however a side had spelled it.
            said = sum(len(host.tokenizer.encode(host.tokenizer.decode(tokens))) for tokens in outputs)
            if turn:
                rates[side.name].append((made / used, said / used, len(outputs) / used))
            print(
                f"{turn} {side.name}: {made} tokens, {said} of text, {seconds:.2f} s, {used:.2f} s of processor time",
                flush=True,
            )
    names = ("tokens", "tokens_of_text", "requests")
    middle = {side: [median(column) for column in zip(*found, strict=True)] for side, found in rates.items()}
    first = middle[sides[0].name]
    table = {
        side: {f"{name}_per_cpu_second": value for name, value in zip(names, found, strict=True)}
        | {f"{name}_over_generate": value / base for name, value, base in zip(names, found, first, strict=True)}
        for side, found in middle.items()
    }
    for side, found in middle.items():
        parts = [f"{value:.0f} {name} ({value / base:.2f}x)" for name, value, base in zip(names, found, first, strict=True)]
        print(f"{side}: per second of processor time {', '.join(parts)}".replace("_", " "))
    cold, repeated = first_token_seconds(host, options.prefix, options.rounds)
    prefix = {"tokens": options.prefix, "cold_ms": cold * 1e3, "repeated_ms": repeated * 1e3, "share": repeated / cold}
    print(
        f"first token after {options.prefix}: {cold * 1e3:.1f} ms cold, {repeated * 1e3:.1f} ms repeated, {repeated / cold:.3f}"
    )
    if options.json is not None:
        options.json.write_text(
            json.dumps({"requests": options.requests, "rounds": options.rounds, "sides": table, "prefix": prefix}, indent=1)
            + "\n"
        )


if __name__ == "__main__":
    main()
