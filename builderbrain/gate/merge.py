"""Two skills of the live version become one: a new version like any other, which the gate has to pass before it is served.

A merge only adds a candidate. It carries no right to go live: `evaluate` and `promote` treat it as they treat a training run's,
its try spends alpha, and its manifest and the audit log say which skills of which version it came from. On a schedule it is due
after so many promotions since the last one. The base is never merged into: rails lie beside it, and a base that somebody has
merged an adapter into is another base, which the judge and the rails refuse.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from builderbrain.errors import ConfigError
from builderbrain.gate.audit import AuditEntry
from builderbrain.gate.reader import PROMOTION
from builderbrain.gate.registry import Registry
from builderbrain.rail.checkpoint import load_rail, save_rail
from builderbrain.train.lifecycle.operations import merge


def merge_is_due(entries: Sequence[AuditEntry], every: int) -> bool:
    """Whether at least `every` promotions lie behind the last merge, or behind the beginning.

    Raises:
        ConfigError: `every` is below 1.
    """
    if every < 1:
        raise ConfigError(f"expected 1 promotion or more between merges, got {every}", field="--if-due")
    since = 0
    for entry in entries:
        if entry.event == PROMOTION[1]:
            since += 1
        elif entry.event == "added" and entry.details.get("merge"):
            since = 0
    return since >= every


def merge_skills(registry: Registry, *, keep: int, give: int) -> str:
    """Merge skill `give` of the live version into `keep`, and add what comes out as a candidate; returns its id.

    Raises:
        VersionNotFoundError, TamperedVersionError: nothing is live, or a file of it was altered.
        SkillError: a skill is unknown, rests, or they are one and the same.
    """
    source = registry.live_path()
    rail = load_rail(source)
    merge(rail, keep=keep, give=give)
    with tempfile.TemporaryDirectory(prefix="builderbrain-merge-") as scratch:
        folder = Path(scratch) / "rail"
        save_rail(rail, folder)
        return registry.add(folder, parent=source.name, information={"merge": {"of": source.name, "keep": keep, "give": give}})
