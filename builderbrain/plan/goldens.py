"""Golden plans of a domain: valid ones that must stay accepted, invalid ones that must stay refused.

They lie in `schemas/golden/<domain>.v<version>/{valid,invalid}/*.json`. A golden may say `granted`, the safety levels it is
checked for; without, all are granted. A released golden that changes its verdict means that the schema needs a new version.
Stage 0 of training and the promotion gate run them.
"""

from __future__ import annotations

import json

from builderbrain.plan.assets import asset_root
from builderbrain.plan.check import check
from builderbrain.plan.domain import SAFETY_LEVELS
from builderbrain.plan.registry import get_domain


def check_goldens(domain: str, version: int | None = None) -> tuple[str, ...]:
    """Run all goldens of a domain, by default of the version in use.

    Returns:
        One line per golden with the wrong verdict; a kind without any golden counts as one as well.

    Raises:
        SchemaError: there is no such domain or version.
    """
    found = get_domain(domain, version)
    folder = asset_root() / "schemas" / "golden" / f"{found.name}.v{found.version}"
    failures: list[str] = []
    for kind in ("valid", "invalid"):
        paths = sorted((folder / kind).glob("*.json"))
        if not paths:
            failures.append(f"no {kind} goldens in {folder.name}")
        for path in paths:
            value = json.loads(path.read_text(encoding="utf-8"))
            verdict = check(value.get("plan", value), granted=frozenset(value.get("granted", SAFETY_LEVELS)))
            if verdict.accepted != (kind == "valid"):
                reason = f": {verdict.faults[0].message}" if verdict.faults else ""
                failures.append(f"{kind} golden {path.name} is {'accepted' if verdict.accepted else 'refused'}{reason}")
    return tuple(failures)
