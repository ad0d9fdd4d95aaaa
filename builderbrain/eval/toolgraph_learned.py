"""Which of the asked requests a trained model has learned: a score on those says what it remembers, not what it can do.

A model keeps a record of its rows beside it: the digest of the file and the graph, and the cut that was left out. The rows
themselves are not kept, so they are looked for among the files that the suite is given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from builderbrain.data.split import request_key
from builderbrain.errors import BuilderBrainError
from builderbrain.eval.toolgraph_task import ToolGraphTask
from builderbrain.storage import read_manifest
from builderbrain.train.tool_graph.section import ToolGraphSection, read_graph_rows

KEY = "tool_graph"
"""Of the record in a rail's manifest, and in what a LoRA's training left."""
TRAINING_FILE = "training.json"


def learned_record(section: ToolGraphSection) -> dict[str, Any]:
    """What a model keeps of the rows that it was trained on.

    Raises:
        ConfigError, DataError: as `read_graph_rows`.
    """
    return {"digest": read_graph_rows(section).digest, "cut": section.cut, "cut_seed": section.cut_seed}


def learned_of_asked(folder: Path, task: ToolGraphTask) -> int | None:
    """Of the task's requests, how many the model of a folder was trained on; None when that cannot be told: it has no record,
    or its rows are none of the task's files."""
    record = _record(folder)
    if record is None:
        return None
    for path in task.files:
        try:
            section = ToolGraphSection(
                rows=str(path),
                graph="" if task.graph is None else str(task.graph),
                cut=record["cut"],
                cut_seed=record["cut_seed"],
            )
            rows = read_graph_rows(section)
        except BuilderBrainError:
            continue  # no file that a model was trained on
        same = rows.digest == record["digest"] if "digest" in record else path.resolve() == Path(record["rows"]).resolve()
        if same:
            learned = {request_key(chain.request) for chain in rows.chains.chains}
            return sum(request_key(row.request) in learned for row in task.test)
    return None


def _record(folder: Path) -> Mapping[str, Any] | None:
    """The record beside a model; for a rail without one the configuration of its run, if that is still there."""
    for found in _records(folder):
        if found is not None:
            return found
    return None


def _records(folder: Path) -> Iterator[Mapping[str, Any] | None]:
    from builderbrain.train.checkpoint import load_checkpoint

    with suppress(BuilderBrainError):  # a LoRA has no manifest
        yield read_manifest(folder).information.get(KEY)
    with suppress(OSError, ValueError):  # a rail has no such file
        yield json.loads((folder / TRAINING_FILE).read_bytes()).get(KEY)
    checkpoint = load_checkpoint(folder.parent / "checkpoints")
    if checkpoint is not None:
        config = checkpoint.values.get("config", {})
        section = config.get(KEY, {})
        if section.get("rows"):
            digest = config.get("rows and graph")
            yield section if digest is None else {**section, "digest": digest}
