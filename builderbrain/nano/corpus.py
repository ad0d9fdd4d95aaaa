"""The text of the bundled base: Python's standard library (PSF licence) and text that this project generates.

The standard library is read from the running interpreter, so that the recipe needs no download. Its digest goes into
the model's report: another interpreter version gives another corpus, and the report says so.

Every 50th file is held out by the hash of its name; held-out bits per byte are measured there.
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builderbrain.train.base_text import synthetic_documents

_SKIPPED_FOLDERS = {
    "site-packages",
    "__pycache__",
    "encodings",
    "idlelib",
    "lib2to3",
    "turtledemo",
    "ensurepip",
    "test",
    "tests",
}
_HELD_OUT_MODULUS = 50


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Documents for training, those held out by kind ("standard library", "generated"), and the sha256 over all in order."""

    train: tuple[str, ...]
    held_out: Mapping[str, tuple[str, ...]]
    digest: str


def standard_library_files(root: Path | None = None) -> Iterator[Path]:
    """Source and text files of the standard library in a fixed order, tests and tables left out."""
    root = root or Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*")):
        if path.suffix in {".py", ".rst", ".txt"} and not _SKIPPED_FOLDERS & set(path.relative_to(root).parts):
            yield path


def build_corpus(*, synthetic_documents_count: int, seed: int = 0, root: Path | None = None) -> Corpus:
    """Read and generate the whole corpus.

    Args:
        synthetic_documents_count: generated documents (about 900 bytes each), one in 50 held out.
        seed: of the generator.
        root: folder to read instead of the interpreter's standard library.
    """
    train: list[str] = []
    held_out: dict[str, list[str]] = {}
    digest = hashlib.sha256()
    named = ((path.name, path.read_text(encoding="utf-8", errors="replace")) for path in standard_library_files(root))
    generated = ((f"generated-{i}", text) for i, text in enumerate(synthetic_documents(synthetic_documents_count, seed=seed)))
    for kind, source in (("standard library", named), ("generated", generated)):
        held_out[kind] = []
        for name, text in source:
            digest.update(text.encode())
            bucket = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
            (held_out[kind] if bucket % _HELD_OUT_MODULUS == 0 else train).append(text)
    kept = {kind: tuple(documents) for kind, documents in held_out.items()}
    return Corpus(train=tuple(train), held_out=kept, digest=digest.hexdigest())
