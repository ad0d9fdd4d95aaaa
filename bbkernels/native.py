"""The native libraries of `csrc/`: loaded when first asked for, once; absent ones are no error, and the reason is kept.

`scripts/build_native.py` puts them into `bbkernels/lib/`. Operations take what `cpu_library()` or `cuda_library()` gives, and
their Triton or PyTorch form where it gives None. A library is refused when its interface is of another version than this
file's, or when it was built from other sources than those beside the package: calling it would read the wrong arguments. One
that the driver or the device cannot use is refused as well, with a warning, because somebody built it in order to use it.
"""

from __future__ import annotations

import ctypes
import hashlib
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

INTERFACE_VERSION = 5
"""`BB_INTERFACE_VERSION` of csrc/interface.h; raised with every change of a signature."""

Library = ctypes.CDLL
"""What operations call; nobody but `native` modules needs to know that ctypes does it."""

Kind = Literal["cpu", "cuda"]
SOURCES = Path(__file__).resolve().parent.parent / "csrc"
LIBRARIES = Path(__file__).resolve().parent / "lib"
_BUILD = "run `python scripts/build_native.py` in a source checkout"


@dataclass(frozen=True)
class Native:
    """A library, or why there is none."""

    library: Library | None
    status: str


def cpu_library() -> Library | None:
    """The library of csrc/cpu, None where it is absent."""
    return _load("cpu").library


def cuda_library() -> Library | None:
    """The library of csrc/cuda, None where it is absent."""
    return _load("cuda").library


def native_status(kind: Kind) -> str:
    """One line for people: which library is loaded, or why none is and what to do."""
    return _load(kind).status


def library_path(kind: Kind) -> Path:
    """Where the library is when it was built."""
    return LIBRARIES / f"libbuilderbrain_{kind}.so"


def source_files(kind: Kind) -> list[Path]:
    """The files that are compiled, headers left out; empty without sources, as in an installed wheel."""
    return sorted((SOURCES / kind).glob("*.cpp" if kind == "cpu" else "*.cu"))


def source_hash(kind: Kind) -> str:
    """Hash of everything that the library is made from."""
    digest = hashlib.sha256()
    for path in sorted([*SOURCES.glob("*.h"), *(SOURCES / kind).iterdir()]):
        digest.update(f"{path.relative_to(SOURCES)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def _load(kind: Kind) -> Native:
    path = library_path(kind)
    if not path.is_file():
        return Native(None, f"no native {kind} library: expected {path.name} in {path.parent}; {_BUILD}")
    try:
        library = ctypes.CDLL(str(path))
        library.bb_interface_version.restype = ctypes.c_int
        library.bb_source_hash.restype = ctypes.c_char_p
        if kind == "cuda":
            library.bb_cuda_status.restype = ctypes.c_char_p
        version, built_from = library.bb_interface_version(), library.bb_source_hash().decode().partition("=")[2]
    except (OSError, AttributeError) as error:
        return Native(None, f"no native {kind} library: {path.name} cannot be loaded ({error}); {_BUILD}")
    if version != INTERFACE_VERSION:
        return Native(
            None, f"no native {kind} library: expected interface {INTERFACE_VERSION}, {path.name} has {version}; {_BUILD}"
        )
    if source_files(kind) and built_from != source_hash(kind):
        return Native(None, f"no native {kind} library: {path.name} was built from other sources; {_BUILD}")
    if kind == "cuda" and (complaint := library.bb_cuda_status()):
        status = f"no native cuda library: CUDA cannot use {path.name} here ({complaint.decode()}); Triton serves in its place"
        warnings.warn(status, RuntimeWarning, stacklevel=3)  # once: what this returns is kept
        return Native(None, status)
    return Native(library, f"native {kind} library {path.name}, interface {version}")
