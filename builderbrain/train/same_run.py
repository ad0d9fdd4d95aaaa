"""Whether a folder's run is the one that a command asks for: the same kind, the same configuration, the same inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builderbrain.errors import CheckpointError

KIND, INPUTS = "kind of run", "inputs"
RAIL_RUN, CHAIN_RUN, WORLD_RUN, POLICY_RUN = "train", "train chain", "train world", "train policy"
"""Kinds of runs, by the command that makes them."""
_OF_A_KIND = {"micro_batches": RAIL_RUN, "epochs": CHAIN_RUN, "held_out": WORLD_RUN}
"""Keys that tell the kind of a run from before kinds were noted."""


def check_same_run(output: Path, mine: Mapping[str, Any], theirs: Mapping[str, Any], *, advice: str = "") -> None:
    """Compare what a run is with what a folder says of its own.

    Args:
        mine, theirs: the keys of the configuration, with KIND and with digests of files by name under INPUTS.
        advice: what else may be done about another configuration.

    Raises:
        CheckpointError: names what differs.
    """
    theirs = {KIND: next((kind for key, kind in _OF_A_KIND.items() if key in theirs), None), INPUTS: {}, **theirs}
    if mine[KIND] != theirs[KIND]:
        raise CheckpointError(
            f"{output} holds a run of `{theirs[KIND]}`, but this one is of `{mine[KIND]}`; choose another output folder",
            field="output",
        )
    for name in sorted(mine):
        if name != INPUTS and mine[name] != theirs.get(name):
            raise CheckpointError(
                f"{output} holds a run with {name}={theirs.get(name)!r}, but this one has {mine[name]!r}; "
                f"choose another output folder or the same configuration{advice}",
                field=name,
            )
    for name, digest in mine[INPUTS].items():
        was = theirs[INPUTS].get(name)
        if was != digest:
            now = "of an earlier version, which did not note" if was is None else f"over another content (sha256 {was[:12]}) of"
            raise CheckpointError(
                f"{output} holds a run {now} what {name} names, which is now sha256 {digest[:12]}; put back what it was, or "
                "choose another output folder",
                field=name,
            )
