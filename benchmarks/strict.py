"""Ten thousand strict outputs under everything that could break one, through the server's engine: how many are invalid?

`OMP_NUM_THREADS=1 python -m benchmarks.strict [--outputs 10000] [--json FILE]`

Schemas of the `syntax` suite, patterns and choices, at temperatures up to 2 and schedules of them, with stop strings and stop
tokens that occur in JSON, biases that pull at quotes, braces and the end, penalties, cuts, least lengths, several choices of
one request, prompts that begin alike, builders side by side, and lengths that cut outputs off. One request in six is a beam
search, whose choices count as outputs. What is handed out as finished is judged by `json` and `jsonschema`, which neither masks
nor the server's validator use. An output may also be cut off, which it says, or be refused with an error; both are counted,
since refusing everything would pass as well.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import torch

from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.beam_scores import BeamParameters
from builderbrain.decode.temperature import TemperatureSchedule
from builderbrain.errors import ConstraintViolatedError, MaskEmptyError
from builderbrain.eval.schema_corpus import schema_corpus
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.jump import JumpForward
from builderbrain.grammar.vocabulary import vocabulary_for
from builderbrain.hosts.load import NANO, load_host
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail
from builderbrain.serve.engine import Engine
from builderbrain.serve.generation import ATTEMPTS, OutputRequest, choices, several
from builderbrain.serve.model_backend import ModelBackend, TokenizerFacts

RUNNING = 32
PATTERNS = ("[a-f0-9]{4}(-[a-f0-9]{2}){1,3}", "(yes|no|maybe)( (yes|no))*!", "[A-Z][a-zé]{1,8} [1-9][0-9]{0,3}")
CHOICES = (["red", "green", "reddish"], ["日本", "日", "é"], ["yes", "yes, but", "no"])
STOPS: tuple[tuple[str, ...], ...] = ((), (), (), ("}",), ('"', "e"), ("1", ","), ("zzz",), ("\n",), (":", "null"))
SCHEDULES = (
    TemperatureSchedule(start=2.0, end=0.0, tokens=20),
    TemperatureSchedule(start=0.0, end=2.0, tokens=9, shape="cosine"),
)
PULLED = ('"', "{", "}", "]", ",", ":", "e", "1", " ", "\n", "\\")
"""Texts whose tokens a bias pulls at, or makes an end of."""
PROMPTS = ("answer: ", "search for the promotion gate and describe it as JSON: ", "list the files of this folder. ")


def unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without a key that stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def refuse_constant(name: str) -> Any:
    """JSON has no NaN and no infinity."""
    raise ValueError(f"{name} is no JSON")


def fault(constraint: Constraint, text: str) -> str | None:
    """What is wrong with a finished text; None when nothing is."""
    if constraint.kind == "choice":
        return None if text in json.loads(constraint.source) else "none of the choices"
    if constraint.kind == "regex":
        return None if re.fullmatch(constraint.source, text, re.ASCII) else "no match"
    try:
        value = json.loads(text, object_pairs_hook=unique_pairs, parse_constant=refuse_constant)
        jsonschema.Draft202012Validator(json.loads(constraint.source)).validate(value)
    except (ValueError, jsonschema.ValidationError) as error:
        return str(error).splitlines()[0]
    return None


def parameters(rng: random.Random, pulled: list[int]) -> SamplingParameters:
    """What one request asks for. `pulled` are tokens that a bias may pull at."""
    penalised, stop = rng.random() < 0.2, rng.choice(STOPS)
    biased = rng.sample(pulled, rng.choice((0, 0, 0, 1, 4)))
    return SamplingParameters(
        max_tokens=rng.choice((3, 30, 90, 200, 200)),
        temperature=rng.choice((0.0, 0.3, 1.0, 1.5, 2.0, *SCHEDULES)),
        top_p=rng.choice((1.0, 1.0, 0.9, 0.5)),
        top_k=rng.choice((0, 0, 50, 3)),
        min_p=rng.choice((0.0, 0.0, 0.05)),
        repetition_penalty=rng.choice((0.7, 1.6)) if penalised else 1.0,
        presence_penalty=rng.choice((-2.0, 2.0)) if penalised else 0.0,
        seed=rng.getrandbits(60),
        stop=stop,
        stop_token_ids=tuple(rng.sample(pulled, rng.choice((0, 0, 0, 0, 1)))),
        min_tokens=0 if stop else rng.choice((0, 0, 3)),  # until then a text may hold a stop string
        logit_bias=tuple((token, rng.choice((-100.0, 5.0, 100.0))) for token in biased),
        logprobs=rng.choice((None, None, None, 3)),
    )


def beams(rng: random.Random) -> BeamParameters:
    """A search that a request asks for."""
    width = rng.choice((2, 4, 8))
    return BeamParameters(
        width=width,
        count=rng.randint(1, width),
        length_penalty=rng.choice((0.0, 1.0, 1.0, 2.0, -1.0)),
        diversity_penalty=rng.choice((0.0, 0.0, 1.0)),
        grammar_weight=rng.choice((0.0, 0.0, 0.3, 1.0)),
        early_stopping=rng.random() < 0.3,
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strict", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--outputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--beams", type=float, default=1 / 6, help="share of the requests that are beam searches")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rail = load_rail(BUNDLED_RAIL)
    host: Any = load_host(NANO, tap_points=rail.config.tap_points)
    masks = GrammarEngine(host.tokenizer, host.vocab_size)
    sources = [Constraint(kind="json_schema", source=named.source) for named in schema_corpus()]
    sources += [Constraint(kind="regex", source=pattern) for pattern in PATTERNS]
    sources += [Constraint(kind="choice", source=json.dumps(choices)) for choices in CHOICES]
    compiled = [masks.compile(source, trusted=True) for source in sources]
    # Pages for a third of what runs, or for one search at its longest: outputs are set back and run again all the time.
    batcher = Batcher(host, num_pages=RUNNING * 6, max_tokens=64)
    backend = ModelBackend(
        {"rail": BatchedModel(batcher, rail), "base": BatchedModel(batcher, None)}, root=NANO, mask_engine=masks,
        facts=TokenizerFacts(special_tokens={}, prefix=()), description="benchmark",
        jump=JumpForward(host.tokenizer, vocabulary_for(host.tokenizer, host.vocab_size)),
    )  # fmt: skip
    engine = Engine(max_running=RUNNING, max_waiting=8 * RUNNING, deadline_seconds=3600.0, run_model=batcher.run)
    engine.start()
    rng = random.Random(options.seed)
    pulled = [ids[0] for text in PULLED if len(ids := host.tokenizer.encode(text)) == 1] + [host.tokenizer.eos_token_id]
    counts: Counter[str] = Counter()
    of_beams: Counter[str] = Counter()
    examples: list[dict[str, str]] = []
    made = 0
    while made < options.outputs:
        asked: list[tuple[Constraint, OutputRequest]] = []
        while len(asked) < min(4 * RUNNING, options.outputs - made):
            place = rng.randrange(len(sources))
            prompt = host.tokenizer.encode(rng.choice(PROMPTS) * rng.randint(1, 4))
            output = OutputRequest(
                model=rng.choice(("rail", "base")), prompt=tuple(prompt),
                parameters=parameters(rng, pulled), constraint=compiled[place], attempts=ATTEMPTS,
            )  # fmt: skip
            if rng.random() < options.beams:
                asked_for = replace(output.parameters, logit_bias=(), min_tokens=0)  # which a search refuses
                output = replace(output, parameters=asked_for, beams=beams(rng))
            asked += [(sources[place], each) for each in several(output, rng.choice((1, 1, 2, 4)))]
        tickets = engine.submit_all([choices(backend, output) for _, output in asked], [None] * len(asked))
        for (constraint, output), ticket in zip(asked, tickets, strict=True):
            for ending in judged(constraint, output, ticket.future):
                made += 1
                counts[ending[0]] += 1
                of_beams[ending[0]] += output.beams is not None
                if ending[0] == "invalid" and len(examples) < 20:
                    examples.append({"kind": constraint.kind, "source": constraint.source, "text": ending[1], "why": ending[2]})
        print(f"{made}: {dict(counts)}, {batcher.counts.set_back} set back, {batcher.counts.reused} tokens reused", flush=True)
    engine.stop()
    left = batcher.num_open, batcher.pool.num_pages - batcher.pool.available
    print(f"{made} outputs: {dict(counts)}; of beams: {dict(of_beams)}; sequences and pages still held: {left}")
    if options.json is not None:
        report = {
            "outputs": made,
            "counts": dict(counts),
            "of_beams": dict(of_beams),
            "set_back": batcher.counts.set_back,
            "held": left,
            "invalid": examples,
        }
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def judged(constraint: Constraint, output: OutputRequest, future: Any) -> list[tuple[str, str, str]]:
    """How each output of a request ended, its text, and what is wrong with it."""
    try:
        found: list[Generation] = future.result(3600)
    except MaskEmptyError as error:
        ends = output.parameters.stop or output.parameters.stop_token_ids
        return [("refused: a dead end" + (", with stop strings or tokens" if ends else ""), "", error.message)]
    except ConstraintViolatedError as error:
        return [("refused: by the validator", "", error.message)]
    return [judged_text(constraint, output.parameters, each) for each in found]


def judged_text(constraint: Constraint, asked: SamplingParameters, found: Generation) -> tuple[str, str, str]:
    """One output of these."""
    if found.finish_reason == "length":
        return ("length", found.text, "") if len(found.tokens) >= asked.max_tokens else ("invalid", found.text, "cut")
    if any(stop in found.text for stop in asked.stop):
        return "invalid", found.text, "holds a stop string"
    why = fault(constraint, found.text)
    return ("valid", found.text, "") if why is None else ("invalid", found.text, why)


if __name__ == "__main__":
    main()
