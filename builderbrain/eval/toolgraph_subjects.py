"""Subjects of the toolgraph suite. A further one is a class with `name` and `plan`, and an entry in `SUBJECTS`.

None of the three here holds a model: oracle and saboteur prove the harness, nearest is the floor that every model must beat.
Models are named by their folders, see `builderbrain.eval.toolgraph_models`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from builderbrain.errors import SubjectError
from builderbrain.eval.nearest_text import NearestText
from builderbrain.eval.toolgraph_task import ToolGraphTask
from builderbrain.hosts.load import NANO
from builderbrain.plan import Plan


class GraphSubject(Protocol):
    """Answers every request by itself; nothing is carried from one request to the next."""

    name: str

    def plan(self, request: str) -> Plan | None:
        """The plan for a request; None when there is none, which scores as an empty one."""
        ...


@runtime_checkable
class ManyPlans(Protocol):
    """A subject that is quicker when it is asked everything at once; its answers are those of one after another."""

    name: str

    def plans(self, requests: Sequence[str], on_item: Callable[[], None]) -> list[Plan | None]:
        """The plan for each request; `on_item` is told of each one that is done."""
        ...


class NearestPlan:
    """Copies the plan of the most similar training request: cosine of TF-IDF word vectors, ties to the earlier row."""

    name = "nearest"

    def __init__(self, task: ToolGraphTask) -> None:
        self._plans = [row.plan for row in task.train]
        self._requests = NearestText([row.request for row in task.train])

    def plan(self, request: str) -> Plan:
        """The copied plan."""
        return self._plans[self._requests.index(request)]


class GraphOracle:
    """Knows the references; scores 1.0, or the suite is wrong."""

    name = "oracle"

    def __init__(self, task: ToolGraphTask) -> None:
        self._plans = {row.request: row.plan for row in task.test}

    def plan(self, request: str) -> Plan:
        """The reference."""
        return self._plans[request]


class GraphSaboteur:
    """Gives every request the reference of a row half the test away; scores far below any that reads the request."""

    name = "saboteur"

    def __init__(self, task: ToolGraphTask) -> None:
        half = max(1, len(task.test) // 2)
        rotated = task.test[half:] + task.test[:half]
        self._plans = {row.request: other.plan for row, other in zip(task.test, rotated, strict=True)}

    def plan(self, request: str) -> Plan:
        """Another request's plan."""
        return self._plans[request]


SUBJECTS: Mapping[str, Callable[[ToolGraphTask], GraphSubject]] = {
    "nearest": NearestPlan,
    "oracle": GraphOracle,
    "saboteur": GraphSaboteur,
}


def make_subject(name: str, task: ToolGraphTask, *, model: str = NANO, device: str | None = None) -> GraphSubject | ManyPlans:
    """The subject, made of the task's training rows, or a trained model for `FOLDER` or `LABEL=FOLDER`.

    Args:
        model: base of a trained model.

    Raises:
        SubjectError: there is no such subject, or the model is not for this graph.
    """
    if name in SUBJECTS:
        return SUBJECTS[name](task)
    label, folder = split_label(name)
    if not folder.is_dir():
        raise SubjectError(
            f"expected a subject, one of {', '.join(SUBJECTS)} or the folder of a rail or a LoRA, got {name!r}", field="subject"
        )
    from builderbrain.eval.toolgraph_models import load_graph_model  # brings torch

    return load_graph_model(label, folder, task.tools, model=model, device=device)


def split_label(name: str) -> tuple[str, Path]:
    """`LABEL=FOLDER`, or a folder, which then is its own label."""
    label, found, folder = name.partition("=")
    return (label, Path(folder)) if found else (name, Path(name))
