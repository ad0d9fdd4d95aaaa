"""What the package brings for the gate."""

from __future__ import annotations

from pathlib import Path

JUDGE = Path(__file__).parent / "judge"
"""Folder of the risk judge that was fitted on the bundled base."""
