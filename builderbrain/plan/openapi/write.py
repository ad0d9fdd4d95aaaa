"""Writes the domain schema of an OpenAPI file into `schemas/`. A released version is never written over."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from builderbrain.errors import SchemaError
from builderbrain.plan.assets import asset_root
from builderbrain.plan.openapi.document import MAX_DOCUMENT_BYTES, Document, read_document
from builderbrain.plan.openapi.domain_file import domain_source
from builderbrain.plan.openapi.operations import LeftOut
from builderbrain.storage import write_atomic


@dataclass(frozen=True, kw_only=True)
class Written:
    """`path` is relative to the source tree."""

    path: str
    changed: bool
    left_out: tuple[LeftOut, ...]


def open_document(path: Path) -> Document:
    """The document of a file.

    Raises:
        SchemaError: as `read_document`, or it cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_DOCUMENT_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"expected an OpenAPI file at {path}: {error}", field="file") from error
    return read_document(text)


def write_domain(path: Path, *, domain: str, version: int, root: Path | None = None) -> Written:
    """Write `schemas/<domain>.v<version>.yaml`.

    Args:
        root: the source tree; by default the one this package lies in.

    Raises:
        SchemaError: the file cannot be said in a domain, or this version was released otherwise.
    """
    folder = root or asset_root()
    shown = path.resolve()
    inside = shown.is_relative_to(folder.resolve())
    origin = shown.relative_to(folder.resolve()).as_posix() if inside else path.name
    source, left = domain_source(open_document(path), domain=domain, version=version, origin=origin)
    name = f"{domain}.v{version}.yaml"
    target = folder / "schemas" / name
    before = target.read_text(encoding="utf-8") if target.is_file() else None
    released = folder / "schemas" / "released.json"
    if before not in (None, source) and released.is_file() and name in json.loads(released.read_text(encoding="utf-8")):
        raise SchemaError(f"{name} was released and would change; write the next version with --version", field="version")
    if before != source:
        write_atomic(target, source.encode())
    return Written(path=f"schemas/{name}", changed=before != source, left_out=left)
