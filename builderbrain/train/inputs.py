"""Digests of the files that a run reads, so that a run that goes on notices when one of them has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from builderbrain.data import open_dataset
from builderbrain.data.tool_graph import GRAPH_FILE, TOOL_FILE
from builderbrain.errors import ConfigError, DataError
from builderbrain.rail.checkpoint import BOOK_NAME, CONFIG_NAME, WEIGHTS_NAME
from builderbrain.storage import sha256_file
from builderbrain.train.config import TrainConfig

GENERATED = (
    "repo_assistant",
    "repo_assistant_2",
    "scan",
    "robot_cell",
    "phone_flow",
    "ui_macro",
    "chat_social",
    "api_json",
    "spoken",
    "toolgraph",
)
"""What `data` may name beside a file or a folder."""


def inputs_of(config: TrainConfig) -> dict[str, str]:
    """sha256 by configuration key, hexadecimal, of the data's rows, the graph's files and the rail to start from.

    Raises:
        DataError: a file of data cannot be read.
        ConfigError: there is no rail to start from.
    """
    found = {}
    if config.data == "toolgraph":
        rows = Path(config.tool_graph.rows)
        folder = Path(config.tool_graph.graph) if config.tool_graph.graph else rows.parent
        found["tool_graph.rows"] = _digest([rows, folder / TOOL_FILE, folder / GRAPH_FILE])
    elif config.data not in GENERATED:
        path = Path(config.data)
        found["data"] = open_dataset(path).content_hash if path.is_dir() else _digest([path])
    if config.start:
        found["start"] = rail_digest(config.start)
    return found


def rail_digest(start: str) -> str:
    """sha256 over the files of a rail, hexadecimal.

    Raises:
        ConfigError: there is no rail in the folder.
    """
    folder = Path(start)
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        if not (folder / name).is_file():
            raise ConfigError(
                f"expected start=FOLDER of a rail, got {start!r}, which holds no {name}; a run leaves its rail in OUTPUT/rail",
                field="start",
            )
    return _digest([folder / name for name in (WEIGHTS_NAME, CONFIG_NAME, BOOK_NAME) if (folder / name).is_file()])


def _digest(paths: list[Path]) -> str:
    try:
        digests = [sha256_file(path) for path in paths]
    except OSError as error:
        raise DataError(f"expected a readable file at {error.filename}, got: {error.strerror}", field="data") from error
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
