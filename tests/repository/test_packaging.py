"""The package, its locks and its commands, as someone meets them who has only the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repository.tree import PACKAGES, ROOT, files, imports, python_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMPORT_NAMES = {
    "huggingface_hub": "huggingface-hub",
    "jsonschema_rs": "jsonschema-rs",
    "mcp_types": "mcp",  # the protocol's messages, which mcp re-exports in part
    "prometheus_client": "prometheus-client",
    "pydantic_core": "pydantic",  # pydantic's own core, whose errors it raises
    "starlette": "fastapi",  # fastapi's own foundation, which it re-exports
    "yaml": "pyyaml",
}
"""Distribution by import name, where they differ."""


def lock(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def requirements(*extras: str) -> list[Requirement]:
    """The project's requirements with these extras, an extra of itself unfolded."""
    found = [Requirement(line) for line in PROJECT["dependencies"]]
    for extra in extras:
        for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
            found += requirements(*requirement.extras) if requirement.name == PROJECT["name"] else [requirement]
    return found


@pytest.mark.parametrize(("name", "extras"), [("core", ()), ("dev", ("dev",))])
def test_the_lock_satisfies_every_range(name: str, extras: tuple[str, ...]) -> None:
    locked = lock(name)
    wrong = [
        f"{requirement} but {locked.get(canonicalize_name(requirement.name))}"
        for requirement in requirements(*extras)
        if not requirement.specifier.contains(locked.get(canonicalize_name(requirement.name), "0"))
    ]
    assert wrong == [], "run make lock"


def test_every_range_has_both_ends() -> None:
    # A release of somebody else must not break an installation.
    found = requirements(*PROJECT["optional-dependencies"])
    assert [str(requirement) for requirement in found if "<" not in str(requirement.specifier)] == []


def test_both_locks_fit_one_environment() -> None:
    core, development = lock("core"), lock("dev")
    assert {name: version for name, version in core.items() if development.get(name) != version} == {}


def test_locks_hold_public_versions_and_no_cuda_packages() -> None:
    for name, version in (lock("core") | lock("dev")).items():
        assert re.fullmatch(r"[0-9]+(\.[0-9]+)*(\.post[0-9]+)?", version), (name, version)
        assert not name.startswith(("nvidia-", "cuda-")), name


def test_every_imported_package_is_declared() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in requirements(*PROJECT["optional-dependencies"])}
    core = {canonicalize_name(requirement.name) for requirement in requirements()}
    missing = []
    for path in python_files(*PACKAGES):
        for found in imports(path):
            package = found.module.partition(".")[0]
            if package in sys.stdlib_module_names or package in PACKAGES:
                continue
            eager = found.eager and not path.name.endswith("kernel.py")  # device code is imported when it is launched
            if canonicalize_name(IMPORT_NAMES.get(package, package)) not in (core if eager else declared):
                missing.append(f"{path.relative_to(ROOT)}: {package}")
    assert missing == []


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("folder", ["schemas", "grammars"])
def test_the_wheel_holds_the_assets(wheel_names: set[str], folder: str) -> None:
    assets = [path for path in files() if path.is_relative_to(ROOT / folder)]
    assert assets
    expected = {f"builderbrain/_assets/{path.relative_to(ROOT)}" for path in assets}
    assert expected - wheel_names == set()


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel_names: set[str]) -> None:
    expected = {str(path.relative_to(ROOT)) for path in files() if path.relative_to(ROOT).parts[0] in PACKAGES}
    assert expected - wheel_names == set()
    surplus = {
        name for name in wheel_names - expected if not name.startswith("builderbrain/_assets/") and ".dist-info/" not in name
    }
    assert surplus == set()


@pytest.mark.parametrize("model", ["nano", "nano_rail", "domain_rails/robot_cell"])
def test_the_wheel_holds_the_bundled_weights(wheel_names: set[str], model: str) -> None:
    assert any(name.startswith(f"builderbrain/bundled/{model}/") and name.endswith(".safetensors") for name in wheel_names)


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_make_alone_lists_the_commands() -> None:
    listing = make().stdout
    assert re.findall(r"^  make (\w+)", listing, re.MULTILINE) == ["help", "serve", "test", "bench", "install", "lock", "clean"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (None, r"not found. Install Python 3.11 or newer"),
        ('[ "$1" = --version ] && echo Python 3.9.1; exit 1', r"needs Python 3.11 or newer; .* is Python 3.9.1"),
        ('case "$2" in *venv*) exit 1;; esac', r"has no venv module"),
    ],
    ids=["no interpreter", "old interpreter", "no venv"],
)
def test_make_says_what_is_wrong_with_the_interpreter(tmp_path: Path, script: str | None, message: str) -> None:
    python = tmp_path / "python"
    if script is not None:
        python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        python.chmod(0o755)
    result = make("install", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}")
    assert result.returncode != 0
    assert re.search(message, result.stdout + result.stderr)
    assert not (tmp_path / "venv").exists()


def test_nothing_is_installed_when_nothing_changed(tmp_path: Path) -> None:
    for stamp in (".created", ".core", ".dev"):
        (tmp_path / stamp).touch()
    assert make("--question", f"{tmp_path}/.core", f"{tmp_path}/.dev", f"VENV={tmp_path}").returncode == 0
    os.utime(tmp_path / ".core", (0, 0))
    assert make("--question", f"{tmp_path}/.core", f"VENV={tmp_path}").returncode == 1
