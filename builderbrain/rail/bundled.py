"""The rail that comes with the bundled base, and is served with it until another one is live."""

from __future__ import annotations

from pathlib import Path

from builderbrain.hosts.load import NANO

BUNDLED_RAIL = Path(__file__).resolve().parents[1] / "bundled" / "nano_rail"


def bundled_rail_of(base: str) -> Path | None:
    """Folder of the rail that is served with a base when nothing else was said; None for bases that bring none."""
    return BUNDLED_RAIL if base == NANO and BUNDLED_RAIL.is_dir() else None
