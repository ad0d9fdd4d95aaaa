"""The files of the repository and the imports of its modules, for the tests of the rules."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bbkernels", "builderbrain")


@cache
def files() -> tuple[Path, ...]:
    """Every file that is committed or would be: git's own list, so that ignored folders are left out."""
    listing = subprocess.run(
        # A continuous integration user is often not the owner of the clone, which git would refuse.
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = (ROOT / name for name in listing.split("\0") if name)
    return tuple(path for path in found if path.is_file())


def python_files(*folders: str, generated: bool = False) -> tuple[Path, ...]:
    """Python files of the repository, of these top-level folders when any is given."""
    return tuple(
        path
        for path in files()
        if path.suffix == ".py"
        and (not folders or path.relative_to(ROOT).parts[0] in folders)
        and (generated or "_generated" not in path.parts)
    )


@cache
def syntax(path: Path) -> ast.Module:
    """Syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@dataclass(frozen=True, kw_only=True)
class Import:
    """An absolute import: the dotted module, and whether it runs when the file is imported."""

    module: str
    eager: bool


def imports(path: Path) -> Iterator[Import]:
    """Absolute imports of a file; those inside functions and under TYPE_CHECKING are not eager."""

    def walk(node: ast.AST, eager: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(module=alias.name, eager=eager) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.level == 0 and child.module:
                yield Import(module=child.module, eager=eager)
            in_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            yield from walk(child, eager and not in_function and not for_types)

    yield from walk(syntax(path), True)


def module_name(path: Path) -> str:
    """Dotted name of a package file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def call_name(node: ast.Call) -> str:
    """Dotted name of what a call calls; empty when it is not a plain name."""
    return ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""
