"""A small working root with a secret beside it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from builderbrain.tools import process as process_module
from builderbrain.tools.base import ToolContext
from builderbrain.tools.process import Finished, run_process
from builderbrain.tools.registry import tools_of
from builderbrain.tools.root import WorkingRoot
from builderbrain.tools.sandbox.choose import Sandbox, this_machine
from builderbrain.tools.sandbox.confinement import Confinement, Limits
from tests.tools.confined import PYTHON, Run

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


@pytest.fixture(params=["landlock", "bubblewrap"])
def sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Each kind that works here."""
    found = this_machine()
    if request.param == "bubblewrap":
        program = found.bubblewrap or shutil.which("bwrap")
        if program is None:
            pytest.skip("this machine has no bubblewrap")
        chosen = replace(found, bubblewrap=program)
    else:
        chosen = replace(found, bubblewrap=None)
        if chosen.gaps:
            pytest.skip(f"this machine cannot confine without bubblewrap: {chosen.gaps}")
    monkeypatch.setattr(process_module, "this_machine", lambda: chosen)
    return chosen


@pytest.fixture
def run(sandbox: Sandbox, tree: Path) -> Run:
    """Runs a Python script in the root of `tree`."""

    def running(
        script: str, *, writes: bool = False, network: bool = False, seconds: float = 30.0, limits: Limits | None = None
    ) -> Finished:
        confinement = Confinement(root=tree, writes=writes, network=network, limits=limits or Limits())

        async def main() -> Finished:
            return await run_process(
                [*PYTHON, script],
                folder=str(tree),
                timeout_seconds=seconds,
                max_output_bytes=1 << 20,
                confinement=confinement,
            )

        return anyio.run(main)

    return running


def run_tool(root: WorkingRoot, skill: str, timeout_seconds: float = 20.0, **arguments: Any) -> Mapping[str, Any]:
    context = ToolContext(root=root, timeout_seconds=timeout_seconds)
    return anyio.run(tools_of("repo_assistant", 1)[skill].run, context, arguments)
