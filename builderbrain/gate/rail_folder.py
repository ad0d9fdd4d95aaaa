"""What a version is made from: a folder with a trained rail."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from builderbrain.errors import ConfigError
from builderbrain.storage import (
    MANIFEST_NAME,
    SIGNATURE_NAME,
    FileEntry,
    FileSource,
    Manifest,
    read_verified_directory,
    sha256_file,
)

REQUIRED_FILES = ("config.json", "rail.safetensors")
ALLOWED_SUFFIXES = (".safetensors", ".json", ".sha256")


@dataclass(frozen=True, kw_only=True)
class RailFolder:
    """Files to copy by name, and what the folder's own manifest records beside them."""

    files: Mapping[str, Path]
    information: Mapping[str, Any]

    def content_hash(self) -> str:
        """sha256 over names and digests, as the version's manifest will have it."""
        entries = {name: FileEntry(sha256=sha256_file(path), size=path.stat().st_size) for name, path in self.files.items()}
        return Manifest(files=entries).content_hash()

    def sources(self) -> dict[str, FileSource]:
        """For `write_directory_atomic`."""
        return {name: partial(_copy, path) for name, path in self.files.items()}


def read_rail_folder(folder: Path) -> RailFolder:
    """Look at a folder, and check it against its manifest when it has one.

    Raises:
        ConfigError: a required file is missing, or one is a link or of a kind that versions do not hold.
        CheckpointError: the folder does not match its manifest.
    """
    if not folder.is_dir():
        raise ConfigError(f"expected a folder with {' and '.join(REQUIRED_FILES)}, got {folder}", field="folder")
    information: Mapping[str, Any] = {}
    if (folder / MANIFEST_NAME).exists():
        information = read_verified_directory(folder, ignore=frozenset({SIGNATURE_NAME})).information
    files = {path.name: path for path in sorted(folder.iterdir()) if path.name not in {MANIFEST_NAME, SIGNATURE_NAME}}
    for name in REQUIRED_FILES:
        if name not in files:
            raise ConfigError(f"expected {name} in {folder}, got {sorted(files)}; train a rail first", field=name)
    for name, path in files.items():
        if path.is_symlink() or not path.is_file() or path.suffix not in ALLOWED_SUFFIXES:
            raise ConfigError(f"{path} is not a regular {' or '.join(ALLOWED_SUFFIXES)} file; remove it", field=name)
    return RailFolder(files=files, information=information)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target, follow_symlinks=False)
