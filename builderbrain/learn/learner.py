"""The learner: from traces to a candidate, and through the gate.

One thread walks through it, `turn` by turn; whatever asks for the model it hands to the gaps of decoding (`serve.background`),
so that it never stands in the way of an output. Each turn looks first at what was taken back since, by the canary or by a
person: what such a version learned from is never learned from again.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from builderbrain.errors import BuilderBrainError, DataError, NotReadyError, VersionNotFoundError
from builderbrain.gate.battery import prompt_hash
from builderbrain.gate.commands import TRAINING_HASHES
from builderbrain.gate.reader import ROLLBACK
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.hosts.base import Host
from builderbrain.learn.candidate import Candidate, Trained
from builderbrain.learn.config import LearnConfig
from builderbrain.learn.defences import Trusted, sift_by_model, sift_by_words
from builderbrain.learn.gating import GapGate
from builderbrain.learn.jobs import FineTuningJobs, Made, Prepared
from builderbrain.learn.ledger import CandidateLedger
from builderbrain.learn.rows import LiveRow, live_rows, replay_of
from builderbrain.learn.traces import Example, Traces
from builderbrain.plan import parse_text, plan_to_json
from builderbrain.serve.attached import Watch
from builderbrain.serve.background import Background
from builderbrain.serve.repeated import Repeated
from builderbrain.storage import canonical_json
from builderbrain.train.goals import REPO_ASSISTANT
from builderbrain.train.mixed_rows import MixedRows

logger = logging.getLogger(__name__)

Phase = Literal["collecting", "sifting", "training", "gating", "promoting"]
POLL_SECONDS = 1.0
EVENTS = 256
TOLD = frozenset({"dropped", "evaluated", "promoted", "rolled back"})
"""Events that the server's log shows."""


class Pointer(Protocol):
    """Moves what is served; see `VersionPointer`."""

    def live(self) -> str | None: ...
    def promote(self, version: str, *, expected_live: str) -> float: ...


@dataclass(frozen=True, kw_only=True)
class LearnEvent:
    """What happened, for people and for `/metrics`. `seconds` since the epoch."""

    at: float
    name: str
    details: Mapping[str, Any]


@dataclass(kw_only=True)
class LearnCounts:
    """Since the start: decisions on candidates by name, examples taken away by reason, failures, rollbacks."""

    candidates: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    rollbacks: int = 0
    steps: int = 0
    tokens: int = 0
    swap_seconds: float = 0.0


class RailLearner:
    """Learns one rail's goals.

    Args:
        folder: of candidates in the making and the ledger.
        pointer: moves what is served.
        gate: evaluates candidates over the registry.
        watch: over what was promoted; None where nobody watches.
        battery_hashes: `prompt_hash` of every prompt of the gate.
    """

    def __init__(
        self,
        folder: Path,
        config: LearnConfig,
        *,
        host: Host,
        grammar: CompiledConstraint,
        background: Background,
        traces: Traces,
        gate: GapGate,
        watch: Watch | None,
        pointer: Pointer,
        battery_hashes: frozenset[str],
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.config, self.traces, self.gate, self.watch, self.background = config, traces, gate, watch, background
        self.counts = LearnCounts()
        self.events: deque[LearnEvent] = deque(maxlen=EVENTS)
        self.phase: Phase = "collecting"
        self.waits_for = "examples"
        self._folder, self._host, self._grammar, self._pointer, self._battery = folder, host, grammar, pointer, battery_hashes
        self._ledger = CandidateLedger(folder / "candidates.json", config)
        self._listeners: list[Callable[[LearnEvent], None]] = []
        self.jobs: FineTuningJobs | None = None
        """Run between candidates, where somebody sets it."""
        self._examples: list[Example] = []
        self._read_at = -1
        self._sequence = -1
        self._repeated = Repeated("learner", self._look, seconds=poll_seconds)
        self._turn = threading.Lock()

    def start(self) -> None:
        """Begin to look."""
        self._repeated.start()

    def stop(self) -> None:
        """Look no more; what waits for the engine has failed by then."""
        self._repeated.stop()

    def on_event(self, listener: Callable[[LearnEvent], None]) -> None:
        """Hear of every event, on the learner's thread."""
        self._listeners.append(listener)

    def turn(self) -> None:
        """Look once: at what was taken back, then whether a candidate is due, and make it.

        Raises:
            BuilderBrainError, OSError: what came in between; the next turn begins anew.
        """
        with self._turn:
            try:
                self._heed_rollbacks()
                self._perhaps_candidate()
                while self.jobs is not None and self.jobs.run_next():
                    self._heed_rollbacks()
            finally:
                self.phase = "collecting"

    def fine_tune(self, prepared: Prepared, say: Callable[[str], None], cancelled: Callable[[], bool]) -> Made:
        """A candidate from a file that an administrator named, evaluated and never promoted; see `jobs.Make`."""
        live = self._pointer.live()
        if live is None:
            raise VersionNotFoundError("nothing is live to train on from; promote a version first", field="model")
        candidate = Candidate(self._host, self.gate.registry.root / live, self._grammar, prepared.config, seed=prepared.seed)
        outside = [one for one in prepared.examples if prompt_hash(one.text) not in self._battery]
        rows, unfit = self._rows(outside, candidate)
        removed = {"battery": ["" for _ in range(len(prepared.examples) - len(outside))], "unfit": unfit}
        say(f"{len(rows)} rows are trained on; {len(removed['battery'])} are of the battery, {len(unfit)} do not fit the rail.")
        if not rows:
            raise DataError("expected rows to train on, got none that fit the live rail", field="training_file")
        self.phase = "training"
        future = self.background.submit(lambda: candidate.train(self._mixed(candidate, rows)))
        while True:
            try:
                trained = future.result(0.2)
                break
            except TimeoutError:
                if cancelled():
                    future.cancel()
                    raise CancelledError from None
        say(f"Trained {trained.steps} steps over {trained.tokens} tokens; the loss is {trained.loss:.3f}.")
        number = f"{prepared.information['trained_by']}"
        version, hashes = self._add(candidate, number, live, rows, removed, trained, prepared.information)
        self.phase = "gating"
        report = self.gate.evaluate(version, live, hashes)
        verdict = report["verdict"]
        return Made(version=version, decision=verdict["decision"], reasons=tuple(verdict["reasons"]), trained=trained)

    def _look(self) -> None:
        try:
            self.turn()
        except NotReadyError:
            return  # the server shuts down
        except Exception as error:  # noqa: BLE001  (the boundary: learning that fails must not end the learner or the server)
            self.counts.failures += 1
            said = error.message if isinstance(error, BuilderBrainError) else type(error).__name__
            logger.error("learning failed: %s", said)
            self._event("failed", {"error": said})

    def _heed_rollbacks(self) -> None:
        registry = self.gate.registry
        live = registry.live()
        if live is None or live.sequence == self._sequence:  # else the pointer has moved, and the log says how
            return
        for entry in registry.audit_entries():
            version = str(entry.details.get("from"))
            if entry.event != ROLLBACK[0] or self._ledger.heard_of(version):
                continue
            traces: list[str] = []
            if version in registry.versions():
                traces = list(registry.verify(version).information.get("traces", []))
            self._ledger.condemn(version, traces)
            self.counts.rollbacks += 1
            self._event("rolled back", {"version": version, "live": entry.details["version"], "examples": len(traces)})
            self._read_at = -1
        self._sequence = live.sequence

    def _perhaps_candidate(self) -> None:
        standing = self.gate.registry.live()
        if self.watch is not None and standing is not None and standing.previous:
            readings = self.watch.readings(standing.version)
            if readings < self.config.canary_observations:
                self.waits_for = f"{readings} canary readings of {self.config.canary_observations}"
                return
        outcomes = self.traces.outcomes
        if outcomes != self._read_at:  # else the log need not be read again
            self._examples, self._read_at = self._ledger.allowed(self.traces.examples()), outcomes
        examples = self._examples
        waits = self._ledger.waits_for(examples)
        live = self._pointer.live()
        if waits is not None or live is None:
            self.waits_for = waits or "a live version"
            return
        self.waits_for = ""
        self._ledger.begin(examples)
        self._candidate(examples[-self.config.most_rows :], live)

    def _candidate(self, examples: Sequence[Example], live: str) -> None:
        number = f"{int(time.time()):010}-{hashlib.sha256(str(sorted(one.id for one in examples)).encode()).hexdigest()[:8]}"
        self._event("began", {"candidate": number, "live": live, "examples": len(examples)})
        self.phase = "sifting"
        candidate = Candidate(
            self._host, self.gate.registry.root / live, self._grammar, self.config, seed=self.config.seed + len(self.events)
        )
        kept, removed = self._sift(candidate, examples)
        self.counts.removed.update({reason: len(ids) for reason, ids in removed.items()})
        self._event("sifted", {"kept": len(kept), "removed": {reason: len(ids) for reason, ids in removed.items()}})
        if len(kept) < max(1, self.config.least_rows // 2):
            self.counts.candidates["too few examples"] += 1
            self._event("dropped", {"candidate": number, "reason": f"{len(kept)} examples are left after the defences"})
            return
        self.phase = "training"
        trained = self.background.run(lambda: candidate.train(self._mixed(candidate, kept)))
        self.counts.steps += trained.steps
        self.counts.tokens += trained.tokens
        candidate.pull_back(self.config.keep)
        self._event("trained", {"candidate": number, "keep": self.config.keep, **asdict(trained)})
        version, hashes = self._add(candidate, number, live, kept, removed, trained)
        self._gate(version, live, hashes)

    def _sift(self, candidate: Candidate, examples: Sequence[Example]) -> tuple[list[LiveRow], dict[str, list[str]]]:
        """The rows to learn from, and the ids of the others by reason."""
        config = self.config
        by_words = sift_by_words(examples, self._battery, config.defences)
        removed = {reason: list(ids) for reason, ids in by_words.removed.items()}
        tokenizer = self._host.tokenizer
        rows, unfit = self._rows(by_words.kept, candidate)
        if unfit:
            removed["unfit"] = unfit
        if not rows:
            return [], removed
        replay = replay_of(tokenizer, candidate.rail.config, REPO_ASSISTANT, seed=config.seed)
        trusted_rows = replay.held_out(config.trusted)
        losses = self.background.run(lambda: candidate.losses([*trusted_rows, *(one.row for one in rows)]))
        middle = len(trusted_rows)
        texts = [tokenizer.decode(row.prompt) for row in (*trusted_rows, *(one.row for one in rows))]
        states = np.asarray(self.gate.features(texts))
        trusted = Trusted(
            losses=np.array(losses[:middle]),
            states=states[:middle],
            skills=tuple(_skills_of_row(tokenizer.decode(row.answer[:-1])) for row in trusted_rows),
        )
        by_model = sift_by_model([one.example for one in rows], losses[middle:], states[middle:], trusted, config.defences)
        removed |= {reason: list(ids) for reason, ids in by_model.removed.items()}
        kept = {one.id for one in by_model.kept}
        return [one for one in rows if one.example.id in kept], removed

    def _rows(self, examples: Sequence[Example], candidate: Candidate) -> tuple[list[LiveRow], list[str]]:
        return live_rows(
            examples,
            REPO_ASSISTANT,
            tokenizer=self._host.tokenizer,
            config=candidate.rail.config,
            grammar=self._grammar,
            max_length=self._host.max_length,
        )

    def _mixed(self, candidate: Candidate, rows: Sequence[LiveRow]) -> MixedRows:
        seed = candidate.config.seed
        replay = replay_of(self._host.tokenizer, candidate.rail.config, REPO_ASSISTANT, seed=seed)
        return MixedRows([one.row for one in rows], replay, own_share=self.config.live_share, seed=seed)

    def _add(
        self,
        candidate: Candidate,
        number: str,
        live: str,
        kept: Sequence[LiveRow],
        removed: Mapping[str, Sequence[str]],
        trained: Trained,
        more: Mapping[str, Any] | None = None,
    ) -> tuple[str, frozenset[str]]:
        """The candidate as a version of the registry, with what it was made of; and the hashes of its requests."""
        hashes = sorted({prompt_hash(one.example.text) for one in kept})
        content = [[one.example.text, plan_to_json(one.example.plan)] for one in kept]
        information = {
            "trained_by": "learner",
            "parent": live,
            "data_sha256": hashlib.sha256(canonical_json({"rows": content})).hexdigest(),
            "traces": [one.example.id for one in kept],
            "sources": dict(Counter(one.example.source for one in kept)),
            "removed": {reason: len(ids) for reason, ids in removed.items()},
            "seed": candidate.config.seed,
            "training": asdict(trained),
            "config": asdict(candidate.learning),
            **(more or {}),
        }
        folder = self._folder / "candidates" / number
        files = {TRAINING_HASHES: "".join(f"{one}\n" for one in hashes).encode()}
        candidate.save(folder, information, files)
        version = self.gate.registry.add(folder, parent=live, information=information)
        shutil.rmtree(folder, ignore_errors=True)  # the registry has it
        return version, frozenset(hashes)

    def _gate(self, version: str, live: str, hashes: frozenset[str]) -> None:
        self.phase = "gating"
        report = self.gate.evaluate(version, live, hashes)
        verdict = report["verdict"]
        self.counts.candidates[verdict["decision"]] += 1
        self._event(
            "evaluated",
            {
                "version": version,
                "live": live,
                "decision": verdict["decision"],
                "reasons": verdict["reasons"],
                "seconds": report["seconds"],
            },
        )
        if verdict["decision"] != "promote" or not self.config.promote:
            return
        self.phase = "promoting"
        seconds = self._pointer.promote(version, expected_live=live)
        self.counts.swap_seconds = seconds
        self._event("promoted", {"version": version, "from": live, "seconds": seconds})

    def _event(self, name: str, details: Mapping[str, Any]) -> None:
        event = LearnEvent(at=time.time(), name=name, details=details)
        self.events.append(event)
        logger.log(logging.WARNING if name in TOLD else logging.INFO, "learner: %s %s", name, details)
        for listener in self._listeners:
            listener(event)


def _skills_of_row(plan: str) -> tuple[str, ...]:
    """Of a generated goal's plan."""
    return tuple(step.skill for step in parse_text(plan).steps)
