"""A small working root with a secret beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from builderbrain.tools.base import ToolContext
from builderbrain.tools.registry import tools_of
from builderbrain.tools.root import WorkingRoot

SECRET = "the-secret-outside"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The folder of the root; `secret.txt` lies beside it."""
    (tmp_path / "secret.txt").write_text(SECRET + "\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET + "\n")
    root = tmp_path / "root"
    files = {
        "README.md": "# Sample\n\nThe promotion gate decides.\n",
        "src/gate.py": '"""The promotion gate."""\n\n\ndef promotion_gate():\n    return 1\n',
        "src/other.py": "value = 'promotion gate'\n",
        "tests/test_gate.py": "def test_promotion_gate(): pass\n# promotion gate\n# promotion gate\n",
        "docs/a.txt": "alpha\n",
        "docs/b.txt": "beta",
        ".hidden": "promotion gate\n",
        ".git/config": "promotion gate\n",
        "node_modules/x.js": "promotion gate\n",
        "logs/run.log": "promotion gate\n",
        ".gitignore": "logs/\n",
        "empty.txt": "",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "binary.bin").write_bytes(b"promotion gate\0\xff")
    return root


@pytest.fixture
def root(tree: Path) -> WorkingRoot:
    return WorkingRoot(tree)


def run_tool(root: WorkingRoot, skill: str, timeout_seconds: float = 20.0, **arguments: Any) -> Mapping[str, Any]:
    context = ToolContext(root=root, timeout_seconds=timeout_seconds)
    return anyio.run(tools_of("repo_assistant", 1)[skill].run, context, arguments)
