"""What a person does not mean by "the files here": version control, environments, caches, build output."""

from __future__ import annotations

SKIPPED_FOLDERS = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        "node_modules",
        "__pycache__",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".hypothesis",
        ".import_linter_cache",
        ".benchmarks",
        ".tox",
        ".nox",
        ".cache",
        ".idea",
        "build",
        "dist",
        ".eggs",
    }
)
"""Names of folders that search, list and the finding of files by name pass over."""


def is_skipped(name: str) -> bool:
    """Whether a folder of this name is passed over."""
    return name in SKIPPED_FOLDERS or name.endswith(".egg-info")
