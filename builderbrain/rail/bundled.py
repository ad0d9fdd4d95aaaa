"""The rails that come with the bundled base: one that is served with it until another one is live, and one for each domain."""

from __future__ import annotations

from pathlib import Path

from builderbrain.hosts.load import NANO

BUNDLED_RAIL = Path(__file__).resolve().parents[1] / "bundled" / "nano_rail"
BUNDLED_DOMAIN_RAILS = BUNDLED_RAIL.parent / "domain_rails"
"""A folder for each domain, of its name."""


def bundled_rail_of(base: str) -> Path | None:
    """Folder of the rail that is served with a base when nothing else was said; None for bases that bring none."""
    return BUNDLED_RAIL if base == NANO and BUNDLED_RAIL.is_dir() else None


def bundled_domain_rails_of(base: str) -> dict[str, Path]:
    """Folders of the rails that come with a base, by the domain whose goals they make plans of; empty for other bases."""
    if base != NANO or not BUNDLED_DOMAIN_RAILS.is_dir():
        return {}
    return {folder.name: folder for folder in sorted(BUNDLED_DOMAIN_RAILS.iterdir()) if folder.is_dir()}
