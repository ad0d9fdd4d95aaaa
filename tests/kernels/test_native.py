"""Building and loading the native libraries: what is absent, stale or broken is refused by name, and nothing is half there."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from bbkernels import native
from tests.repository.tree import ROOT


@pytest.fixture
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_native", ROOT / "scripts/build_native.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder in which libraries are looked for."""
    monkeypatch.setattr(native, "LIBRARIES", tmp_path)
    native._load.cache_clear()
    yield tmp_path
    native._load.cache_clear()


def compiler(folder: Path, script: str) -> str:
    """A program in the place of a compiler; its script finds the output's path in $out."""
    program = folder / "compiler"
    program.write_text(f'#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nout=$2\n{script}\n', encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def test_the_library_of_these_sources_is_loaded_once(native_cpu: None) -> None:
    library = native.cpu_library()
    assert library is not None
    assert library is native.cpu_library()
    assert library.bb_cpu_level() in (0, 1, 2)
    assert "interface" in native.native_status("cpu")


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_an_absent_library_is_none_and_the_reason_says_what_to_do(folder: Path, kind: native.Kind) -> None:
    assert (native.cpu_library if kind == "cpu" else native.cuda_library)() is None
    assert f"libbuilderbrain_{kind}.so" in native.native_status(kind)
    assert "python scripts/build_native.py" in native.native_status(kind)


def test_a_library_of_other_sources_is_refused(folder: Path, native_cpu: None) -> None:
    built = (ROOT / "bbkernels/lib" / "libbuilderbrain_cpu.so").read_bytes()
    now = native.source_hash("cpu").encode()
    assert now in built
    native.library_path("cpu").write_bytes(built.replace(now, b"0" * len(now)))
    assert native.cpu_library() is None
    assert "built from other sources" in native.native_status("cpu")


def test_a_library_of_another_interface_is_refused(folder: Path, native_cpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "bbkernels/lib" / "libbuilderbrain_cpu.so", folder)
    monkeypatch.setattr(native, "INTERFACE_VERSION", 99)
    assert native.cpu_library() is None
    assert "expected interface 99" in native.native_status("cpu")


@pytest.mark.parametrize(("says", "usable"), [("nullptr", True), ('"driver too old"', False)])
def test_a_cuda_library_that_the_driver_cannot_use_is_refused_with_one_warning(
    folder: Path, says: str, usable: bool, recwarn: pytest.WarningsRecorder
) -> None:
    program = shutil.which("g++") or shutil.which("clang++")
    if program is None:
        pytest.skip("no C++ compiler")
    source = folder / "library.cpp"
    source.write_text(
        f'#include "{ROOT}/csrc/interface.h"\nBB_DEFINE_VERSION\n'
        f"BB_EXPORT const char* bb_cuda_status(void) {{ return {says}; }}\n",
        encoding="utf-8",
    )
    defined = f'-DBB_SOURCE_HASH="{native.source_hash("cuda")}"'
    subprocess.run([program, "-shared", "-fPIC", defined, source, "-o", native.library_path("cuda")], check=True)
    assert [native.cuda_library() is not None for _ in range(3)] == [usable] * 3
    said = [str(warning.message) for warning in recwarn if warning.category is RuntimeWarning]
    assert said == ([] if usable else [native.native_status("cuda")])
    assert usable or "driver too old" in said[0]


def test_a_file_that_is_no_library_is_refused(folder: Path) -> None:
    native.library_path("cpu").write_bytes(b"not a library")
    assert native.cpu_library() is None
    assert "cannot be loaded" in native.native_status("cpu")


def test_without_compilers_nothing_is_built_and_nothing_fails(
    builder: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    for arguments in ([], ["--check"]):
        assert builder.main(arguments) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.startswith("skipped: native") for line in lines] == [True, True]
        assert "g++ or clang++ is not on the PATH" in lines[0]
        assert "nvcc is not on the PATH" in lines[1]
    assert list(folder.iterdir()) == []


def test_a_refusal_of_the_compiler_is_passed_on_and_leaves_nothing(builder: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "lib/library.so"
    complaint = builder.build("cpu", compiler(tmp_path, "echo half > $out; echo no such instruction; exit 1"), target)
    assert complaint == "no such instruction"
    assert list(target.parent.iterdir()) == []


def test_two_builds_at_once_never_show_half_a_library(builder: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "lib/library.so"
    program = compiler(tmp_path, "printf ha > $out; sleep 0.1; printf lf >> $out")
    complaints: list[str] = []
    threads = [threading.Thread(target=lambda: complaints.append(builder.build("cpu", program, target))) for _ in range(2)]
    for thread in threads:
        thread.start()
    seen = set()
    while any(thread.is_alive() for thread in threads):
        seen.add(target.read_bytes() if target.exists() else None)
    for thread in threads:
        thread.join()
    assert complaints == ["", ""]
    assert seen <= {None, b"half"}
    assert [path.name for path in target.parent.iterdir()] == ["library.so"]
    assert target.read_bytes() == b"half"
