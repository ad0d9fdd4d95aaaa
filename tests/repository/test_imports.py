"""What importing costs and touches: each case in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.repository.tree import PACKAGES, ROOT, module_name, python_files


def run(program: str, *arguments: str) -> str:
    """Standard output of a program in a fresh interpreter that writes no byte code."""
    result = subprocess.run([sys.executable, "-B", "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def modules_after(module: str) -> set[str]:
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    return set(json.loads(run(program).splitlines()[-1]))


@pytest.mark.parametrize("module", ["builderbrain", "builderbrain.plan", "builderbrain.errors", "builderbrain.cli"])
def test_light_modules_load_no_heavy_package(module: str) -> None:
    heavy = {"torch", "transformers", "numpy", "xgrammar", "fastapi", "peft", "bitsandbytes", "networkx"}
    assert modules_after(module) & heavy == set()


def test_serving_loads_no_training() -> None:
    loaded = modules_after("builderbrain.serve.__main__")
    assert "builderbrain.serve" in loaded
    assert {name for name in loaded if name.startswith("builderbrain.train")} == set()


IMPORT_ALL = """
import importlib, json, os, sys
import torch  # what torch itself touches is not ours
touched = []
EFFECTS = {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.fork", "os.mkdir"}

def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and path != os.devnull:
            touched.append(f"{event} {path}")
    elif event in EFFECTS:
        touched.append(f"{event} {arguments!r:.80}")

before = dict(os.environ)
sys.addaudithook(watch)
for name in sys.argv[1:]:
    start = len(touched)
    importlib.import_module(name)
    touched[start:] = [f"{name}: {one}" for one in touched[start:]]
if torch.cuda.is_initialized():
    touched.append("the GPU")
changed = sorted(key for key in before.keys() | os.environ.keys() if before.get(key) != os.environ.get(key))
print(json.dumps(touched + changed))
"""


def test_no_import_touches_gpu_network_environment_or_disk() -> None:
    modules = sorted(module_name(path) for path in python_files(*PACKAGES, generated=True))
    assert len(modules) > 50
    assert json.loads(run(IMPORT_ALL, *modules).splitlines()[-1]) == []
