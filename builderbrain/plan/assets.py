"""Where the schemas and grammars lie: beside the package in a source tree, inside it in a wheel (`builderbrain/_assets`)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from builderbrain.errors import SchemaError

_PACKAGE = Path(__file__).resolve().parents[1]


def asset_root() -> Path:
    """The folder that holds `schemas/` and `grammars/`.

    Raises:
        SchemaError: neither a source tree nor packaged assets are there.
    """
    for folder in (_PACKAGE / "_assets", _PACKAGE.parent):
        if (folder / "schemas").is_dir() and (folder / "grammars").is_dir():
            return folder
    raise SchemaError(
        f"expected the folders schemas/ and grammars/ in {_PACKAGE / '_assets'} or {_PACKAGE.parent}, found neither; "
        "reinstall builderbrain, or run from a source tree",
        field="schemas",
    )


def schema_paths() -> tuple[Path, ...]:
    """Every domain schema, by name."""
    return tuple(sorted((asset_root() / "schemas").glob("*.v*.yaml")))


def grammar_path(domain: str, version: int) -> Path:
    """The generated grammar of a domain version; the caller has checked that the domain exists."""
    return asset_root() / "grammars" / f"{domain}.v{version}.ebnf"


@lru_cache(maxsize=32)
def read_grammar(domain: str, version: int) -> str:
    """Text of a generated grammar."""
    return grammar_path(domain, version).read_text(encoding="utf-8")
