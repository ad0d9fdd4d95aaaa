"""Which library makes the masks of a constraint: the one that the engine table knows to be right most often.

`engine_table.json` is derived from the conformance corpus (`python -m builderbrain.eval.grammar_conformance`), and a test
derives it again. A feature's row has, for each library, the shares of instances that its mask wrongly allows and wrongly
refuses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from builderbrain.grammar.native import EngineName

TABLE = Path(__file__).with_name("engine_table.json")


@cache
def engine_table() -> dict[str, dict[str, dict[str, Any]]]:
    """Row by feature, counts by library."""
    rows: dict[str, dict[str, dict[str, Any]]] = json.loads(TABLE.read_text(encoding="utf-8"))["features"]
    return rows


def wrong_shares(counts: dict[str, Any]) -> tuple[float, float]:
    """Shares of invalid instances that the mask allowed and of valid ones that it refused; 0 where there were none."""
    allowed = counts["wrongly_allowed"] / counts["invalid"] if counts["invalid"] else 0.0
    refused = counts["wrongly_refused"] / counts["valid"] if counts["valid"] else 0.0
    return allowed, refused


def order_engines(features: Iterable[str], engines: tuple[EngineName, ...]) -> tuple[EngineName, ...]:
    """The libraries in the order in which to try them.

    First comes the one whose worst share of wrongly allowed instances over the features is smallest, then the one whose worst
    share of wrongly refused ones is; a tie keeps the order of `engines`. Features without a row say nothing.
    """
    rows = [row for feature in features if (row := engine_table().get(feature)) is not None]

    def worst(engine: EngineName) -> tuple[float, float]:
        shares = [wrong_shares(row[engine]) for row in rows]
        return max((share[0] for share in shares), default=0.0), max((share[1] for share in shares), default=0.0)

    return tuple(sorted(engines, key=worst))


def is_loose(feature: str, engine: EngineName) -> bool:
    """Whether the library's mask wrongly allows an instance of the feature in the corpus although nothing was left out."""
    row = engine_table().get(feature)
    return row is not None and row[engine]["undeclared"] > 0
