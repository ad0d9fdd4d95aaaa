"""Traces of sessions as tensors: one row a session, one column a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from builderbrain.data.read_trace import read_traces
from builderbrain.data.split import SplitConfig, split_of
from builderbrain.data.trace import Trace
from builderbrain.errors import DataError
from builderbrain.world.decision import ACTS
from builderbrain.world.encoding import ACTIONS, FIELDS, LISTEN, action_number, observe


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """N sessions of at most T steps, F fields.

    Args:
        actions: int64 [N, T], what was done.
        observations: int64 [N, T, F], what came of it.
        rewards: float32 [N, T], the utility of an act; 0 elsewhere.
        harmful: float32 [N, T], 1 where an act did harm.
        acted: bool [N, T], where an act was done.
        present: bool [N, T], False beyond the end of a session.
    """

    actions: Tensor
    observations: Tensor
    rewards: Tensor
    harmful: Tensor
    acted: Tensor
    present: Tensor

    def __len__(self) -> int:
        return len(self.actions)

    def rows(self, index: Tensor) -> Sequences:
        """Some of the sessions, int64 [M], without the columns in which none of them has a step."""
        length = int(self.present[index].sum(1).max())
        return Sequences(**{field.name: getattr(self, field.name)[index, :length] for field in fields(self)})

    def to(self, device: torch.device) -> Sequences:
        """On a device."""
        return Sequences(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def load_sequences(path: Path, split: SplitConfig) -> tuple[Sequences, Sequences]:
    """The sessions of a file for training, and those held out (the split `validation`).

    Raises:
        DataError: a row is no session of a decision domain, or one of the two is empty.
    """
    traces = read_traces(path)
    if not traces:
        raise DataError(f"expected sessions in {path}, got none; `decisions` writes some", field="data")
    sequences = to_sequences(traces)  # of all: what is no session is said before how few there are
    splits = [split_of(trace, split) for trace in traces]
    parts = {name: [row for row, one in enumerate(splits) if one == name] for name in ("train", "validation")}
    for name, rows in parts.items():
        if not rows:
            raise DataError(f"expected sessions for {name} in {path}, got none of {len(traces)}; make more", field="data")
    return sequences.rows(torch.tensor(parts["train"])), sequences.rows(torch.tensor(parts["validation"]))


def to_sequences(traces: Sequence[Trace]) -> Sequences:
    """Encode traces.

    Raises:
        DataError: a call without a state, or of a tool that its domain does not have.
    """
    width, length = len(FIELDS), max(len(trace.calls) for trace in traces)
    shape = (len(traces), length)
    actions, observations = torch.zeros(shape, dtype=torch.int64), torch.zeros(*shape, width, dtype=torch.int64)
    rewards, harmful = torch.zeros(shape), torch.zeros(shape)
    acted, present = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)
    for row, trace in enumerate(traces):
        before = trace.state_before
        if not trace.calls:
            raise _no_session(trace, "no calls")
        for column, call in enumerate(trace.calls):
            try:
                after = call.state_after
                if before is None or after is None:
                    raise ValueError(f"call {call.id} lacks a state around it")
                actions[row, column] = action_number(trace.domain, call.tool)
                seen = observe(trace.domain, call.tool, ok=bool(call.ok), before=before, after=after)
                if call.tool in ACTS:
                    rewards[row, column] = float(call.result["utility"])
                    harmful[row, column] = float(call.result["harmful"])
            except (ValueError, KeyError, TypeError) as error:
                raise _no_session(trace, error) from error
            observations[row, column] = torch.tensor(seen)
            acted[row, column], present[row, column] = call.tool in ACTS, True
            before = after
    return Sequences(actions=actions, observations=observations, rewards=rewards, harmful=harmful, acted=acted, present=present)


def _no_session(trace: Trace, reason: object) -> DataError:
    return DataError(f"trace {trace.id}: expected a session as `decisions` writes it, got: {reason}", field="data")


def marginal_entropy(sequences: Sequences) -> float:
    """Nats a step that the fields have on their own, given the kind of step: what is lost on them by knowing nothing else.

    The kind of a step is whether it listened, looked something up or acted, which is no news to anyone.
    """
    kinds = torch.tensor([0 if action == LISTEN else 2 if action in ACTS else 1 for action in ACTIONS])
    total = 0.0
    for kind in range(3):
        chosen = sequences.present & (kinds[sequences.actions] == kind)
        seen = sequences.observations[chosen]
        for index in range(seen.shape[-1]):
            share = torch.bincount(seen[:, index]).double() / max(1, len(seen))
            total += len(seen) * float(-(share * share.clamp(min=1e-12).log()).sum())
    return total / int(sequences.present.sum())


def history(sequences: Sequences, row: int, end: int) -> list[tuple[int, tuple[int, ...]]]:
    """The first `end` steps of a session as the gate takes them."""
    return [
        (int(action), tuple(seen))
        for action, seen in zip(sequences.actions[row, :end], sequences.observations[row, :end].tolist(), strict=True)
    ]
