"""Training while serving: what it costs those who wait for tokens, and how much of the training that the gaps allow is kept.

`python -m benchmarks.coserving [--seconds 20] [--rounds 3] [--json FILE]`; on a GPU the same with `--model`, `--rail`.

Goals arrive at random (Poisson) at three shares of what the engine can take, and are planned under the plan grammar. In turn,
so that what else the machine does meets all alike: training **alone**, serving **off** (no training), serving **on** (training
in the gaps), with the same arrivals off and on. For each load:

    stretch    99th percentile of the times between tokens, on / off                                         contract: <= 1.1
    kept       training tokens/s on, of (tokens/s alone) x (share of time off in which no output ran)        contract: >= 0.9

Both again in processor time of the engine's thread, which other work on the machine does not stretch: `stretch_cpu`, and
`efficiency`, trained tokens for each second of micro-steps, on / alone.

Percentiles are over all rounds of a load together. One base, one engine, one thread, in this process, without HTTP.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from builderbrain.decode.base import SamplingParameters, Step
from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.jump import JumpForward
from builderbrain.grammar.vocabulary import vocabulary_for
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.load import NANO, load_host
from builderbrain.learn.candidate import Candidate
from builderbrain.learn.config import LearnConfig
from builderbrain.learn.rows import replay_of
from builderbrain.plan import load_grammar
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail
from builderbrain.serve.background import Background, Job, LatencyBudget
from builderbrain.serve.engine import Engine, Work
from builderbrain.serve.generation import OutputRequest, generate
from builderbrain.serve.model_backend import ModelBackend, TokenizerFacts
from builderbrain.train.goals import REPO_ASSISTANT

SHARES = (0.25, 0.5, 0.75)
MAX_TOKENS = 96
PERCENTILES = (50, 90, 99)
RUNNING = 16


@dataclass
class Times:
    """An `EngineObserver` that keeps every time, in seconds."""

    first: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)
    failures: int = 0

    def first_step(self, seconds: float) -> None:
        self.first.append(seconds)

    def next_step(self, seconds: float) -> None:
        self.between.append(seconds)

    def ended(self, seconds: float, failure: BaseException | None) -> None:
        self.failures += failure is not None


class TimedBackground(Background):
    """Counts the processor time of micro-steps too."""

    cpu_seconds = 0.0

    def step(self, *, busy: bool) -> bool:
        """See `Background.step`."""
        started = time.thread_time()
        done = super().step(busy=busy)
        self.cpu_seconds += time.thread_time() - started if done else 0.0
        return done


class Trainer:
    """One candidate's training that is taken up and laid down again, in the middle of a step where that is."""

    def __init__(self, candidate: Candidate, source: Any) -> None:
        self.candidate = candidate
        self._pieces: Generator[None, None, Any] = candidate.train(source)
        self._on = False

    def begin(self, background: Background) -> Future[None]:
        """Train until `end`."""
        self._on = True
        return background.submit(self._job)

    def end(self) -> None:
        self._on = False

    def _job(self) -> Job[None]:
        while self._on:
            next(self._pieces)
            yield


@dataclass(frozen=True)
class Stand:
    """What is measured: an engine with a batcher, the work of a goal, and a training."""

    engine: Engine
    background: TimedBackground
    times: Times
    trainer: Trainer
    works: list[Work]


def stand(model: str, rail_folder: Path, *, device: str | None, quantization: Any, micro_step: float, rows: int) -> Stand:
    rail = load_rail(rail_folder)
    host = load_host(model, tap_points=rail.config.tap_points, device=device, quantization=quantization)
    if host.device.type == "cpu":
        torch.set_num_threads(1)
    masks = GrammarEngine(host.tokenizer, host.vocab_size)
    source = Constraint(kind="grammar", source=load_grammar("repo_assistant"))
    grammar = masks.compile(source, trusted=True)
    batcher = Batcher(host, num_pages=16 * 64, max_tokens=256)  # type: ignore[arg-type]
    backend = ModelBackend(
        {"rail": BatchedModel(batcher, rail)},
        root=model,
        mask_engine=masks,
        facts=TokenizerFacts(special_tokens={}, prefix=()),
        description=model,
        jump=JumpForward(host.tokenizer, vocabulary_for(host.tokenizer, host.vocab_size)),
    )
    times, background = Times(), TimedBackground(LatencyBudget(micro_step_seconds=micro_step))
    engine = Engine(
        max_running=RUNNING,
        max_waiting=4096,
        deadline_seconds=3600,
        observer=times,
        run_model=batcher.run,
        background=background,
    )
    parameters = SamplingParameters(max_tokens=MAX_TOKENS, temperature=0.0, seed=0)
    prompts = [tuple(plan_prompt(host.tokenizer, goal.text)) for goal in islice(REPO_ASSISTANT.goals(7), 64)]
    works = [
        generate(backend, OutputRequest(model="rail", prompt=prompt, parameters=parameters, constraint=grammar))
        for prompt in prompts
    ]
    own = XGrammarEngine(host.tokenizer, host.vocab_size).compile(source, trusted=True)
    config = LearnConfig(
        steps=1 << 20, rows_per_step=rows, micro_step_seconds=micro_step, learning_rate=0, muon_learning_rate=0
    )
    candidate = Candidate(host, rail_folder, own, config, seed=0)
    replay = replay_of(host.tokenizer, candidate.rail.config, REPO_ASSISTANT, seed=1)
    return Stand(engine, background, times, Trainer(candidate, replay), works)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What a phase showed: trained tokens/s and in all, seconds of processor time of micro-steps, share of the time in which
    outputs ran, first and further times in seconds, and the further ones in processor time."""

    trained: float
    tokens: int
    cpu_seconds: float
    decoding: float
    between_cpu: list[float]
    first: list[float]
    between: list[float]


def phase(found: Stand, seconds: float, *, rate: float, training: bool, seed: int) -> Phase:
    """Arrivals at `rate` a second for so long, 0 for none; then all of them are waited for, uncounted."""
    found.times.first, found.times.between = [], []
    rng = random.Random(seed)
    job = found.trainer.begin(found.background) if training else None
    cpu: list[float] = []
    cpu_before = found.background.cpu_seconds
    tokens, decoding = found.trainer.candidate.tokens, found.background.counts.decoding_seconds
    started, tickets = time.monotonic(), []
    due = started + (rng.expovariate(rate) if rate else seconds)
    while due < started + seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        tickets.append(found.engine.submit(found.works[rng.randrange(len(found.works))], between_in(cpu)))
        due += rng.expovariate(rate)
    time.sleep(max(0.0, started + seconds - time.monotonic()))
    took = time.monotonic() - started
    shown = Phase(
        trained=(found.trainer.candidate.tokens - tokens) / took,
        tokens=found.trainer.candidate.tokens - tokens,
        cpu_seconds=found.background.cpu_seconds - cpu_before,
        between_cpu=list(cpu),
        decoding=(found.background.counts.decoding_seconds - decoding) / took,
        first=list(found.times.first),
        between=list(found.times.between),
    )
    for ticket in tickets:
        ticket.future.result(600)
    if job is not None:
        found.trainer.end()
        job.result(600)
    return shown


def between_in(found: list[float]) -> Callable[[Step], None]:
    """A listener of one output that notes the processor time between its tokens."""
    last: list[float] = []

    def heard(_: Step) -> None:
        now = time.thread_time()
        if last:
            found.append(now - last[0])
        last[:] = [now]

    return heard


def capacity(found: Stand, seconds: float) -> float:
    """Goals a second where there are always enough."""
    done, started, open_tickets = 0, time.monotonic(), []
    number = 0
    while time.monotonic() < started + seconds:
        while len(open_tickets) < RUNNING:
            open_tickets.append(found.engine.submit(found.works[number % len(found.works)]))
            number += 1
        open_tickets.pop(0).future.result(600)
        done += 1
    rate = done / (time.monotonic() - started)
    for ticket in open_tickets:
        ticket.future.result(600)
    return rate


def measure(found: Stand, *, seconds: float, rounds: int) -> dict[str, Any]:
    """All loads, round by round."""
    phase(found, min(seconds, 3.0), rate=0, training=True, seed=0)  # parts are cut to size, caches are warm
    most = capacity(found, seconds)
    loads = []
    for share in SHARES:
        alone, off, on = [], [], []
        for number in range(rounds):
            alone.append(phase(found, seconds, rate=0, training=True, seed=0))
            off.append(phase(found, seconds, rate=share * most, training=False, seed=number))
            on.append(phase(found, seconds, rate=share * most, training=True, seed=number))
        gaps = 1.0 - float(np.mean([one.decoding for one in off]))
        speed, kept = (float(np.mean([one.trained for one in some])) for some in (alone, on))
        row = {
            "share": share,
            "goals_per_second": share * most,
            "decoding_share_off": 1.0 - gaps,
            "training_tokens_per_second": {"alone": speed, "on": kept, "attainable": speed * gaps},
            "kept": kept / (speed * gaps),
            "between_tokens_ms": {"off": percentiles(off, "between"), "on": percentiles(on, "between")},
            "first_token_ms": {"off": percentiles(off, "first"), "on": percentiles(on, "first")},
            "tokens": {"off": sum(len(one.between) for one in off), "on": sum(len(one.between) for one in on)},
        }
        row["between_tokens_cpu_ms"] = {"off": percentiles(off, "between_cpu"), "on": percentiles(on, "between_cpu")}
        row["stretch"] = row["between_tokens_ms"]["on"]["p99"] / row["between_tokens_ms"]["off"]["p99"]
        row["stretch_cpu"] = row["between_tokens_cpu_ms"]["on"]["p99"] / row["between_tokens_cpu_ms"]["off"]["p99"]
        row["efficiency"] = per_cpu_second(on) / per_cpu_second(alone)
        loads.append(row)
        print(line(row), flush=True)
    counts = asdict(found.background.counts)
    return {"capacity_goals_per_second": most, "loads": loads, "failures": found.times.failures, "gaps": counts}


def per_cpu_second(phases: list[Phase]) -> float:
    return sum(one.tokens for one in phases) / sum(one.cpu_seconds for one in phases)


def percentiles(phases: list[Phase], name: str) -> dict[str, float]:
    values = np.array([value for one in phases for value in getattr(one, name)]) * 1e3
    return {f"p{number}": float(np.percentile(values, number)) for number in PERCENTILES} if len(values) else {}


def line(row: dict[str, Any]) -> str:
    between, first = row["between_tokens_ms"], row["first_token_ms"]
    return (
        f"load {row['share']:.0%} ({row['goals_per_second']:.2f} goals/s): between tokens p99 "
        f"{between['off']['p99']:.1f} -> {between['on']['p99']:.1f} ms, x{row['stretch']:.3f}; first token p99 "
        f"{first['off']['p99']:.0f} -> {first['on']['p99']:.0f} ms; training kept {row['kept']:.1%}; in processor time "
        f"x{row['stretch_cpu']:.3f}, efficiency {row['efficiency']:.1%}"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coserving", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=NANO, help="the base")
    parser.add_argument("--rail", type=Path, default=BUNDLED_RAIL, help="folder of its rail, trained on repo_assistant")
    parser.add_argument("--device", default=None, help="of the base, e.g. cuda")
    parser.add_argument("--quantization", default="none", help="of the base")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each phase (default: 20)")
    parser.add_argument("--rounds", type=int, default=3, help="of each load (default: 3)")
    parser.add_argument("--micro-step", type=float, default=0.02, help="seconds that a micro-step is cut to (default: 0.02)")
    parser.add_argument("--rows", type=int, default=12, help="of a training step (default: 12)")
    parser.add_argument("--json", type=Path, default=None, help="file for the result")
    options = parser.parse_args(arguments)
    found = stand(
        options.model,
        options.rail,
        device=options.device,
        quantization=options.quantization,
        micro_step=options.micro_step,
        rows=options.rows,
    )
    load = os.getloadavg()[0]
    found.engine.start()
    try:
        shown = measure(found, seconds=options.seconds, rounds=options.rounds)
    finally:
        found.engine.stop()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() and options.device != "cpu" else platform.processor()
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": options.model,
        "device": device or platform.machine(),
        "torch": torch.__version__,
        "load_average_before": load,
        "options": {**vars(options), "rail": options.rail.name, "json": None},
        **shown,
    }
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    good = all(row["stretch"] <= 1.1 and row["kept"] >= 0.9 for row in shown["loads"])
    print("the contract holds" if good else "the contract does not hold", f"(load average before: {load:.1f})")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
