"""What training has to be told of a tool graph: its rows, its folder, what is left out and how much is made up."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from builderbrain.config import check_bounds
from builderbrain.data.tool_chains import ToolChains, is_cut_off, read_chains
from builderbrain.data.tool_graph import TOOL_FILE, ToolGraph, load_tool_graph
from builderbrain.errors import ConfigError, DataError
from builderbrain.storage import sha256_file

DOMAIN = "toolgraph"


@dataclass(frozen=True, kw_only=True)
class ToolGraphSection:
    """`rows`: file of rows; `graph`: folder of the tools and links, by default that of the rows.

    `cut` and `cut_seed` are those of `python -m builderbrain.eval toolgraph`: the requests that it would ask are not trained
    on; with a cut of 0 all are. `joined` and `walked`: shares of the requests that are made up, see `requests.py`.
    """

    rows: str = ""
    graph: str = ""
    cut: float = 0.0
    cut_seed: int = 0
    joined: float = 0.15
    walked: float = 0.2

    def __post_init__(self) -> None:
        check_bounds(
            self, {"cut": (0, 0.9), "cut_seed": (-(2**31), 2**31 - 1), **dict.fromkeys(("joined", "walked"), (0.0, 1.0))}
        )
        if self.joined + self.walked > 1:
            raise ConfigError(f"expected joined + walked of at most 1, got {self.joined} + {self.walked}", field="walked")


@dataclass(frozen=True, kw_only=True)
class GraphRows:
    """The graph, the chains to train on, and how many rows were left out: none along the links, and the cut.

    `digest` names all of it but the cut: sha256 of the rows' file, the tools and the links.
    """

    graph: ToolGraph
    chains: ToolChains
    cut_off: int
    digest: str

    def __str__(self) -> str:
        return (
            f"{len(self.chains.chains)} requests over {len(self.graph.tools)} tools and {len(self.graph.links)} links; "
            f"left out: {self.chains.others} that are no chain of legal links, {self.cut_off} of the validation cut"
        )


def read_graph_rows(section: ToolGraphSection) -> GraphRows:
    """Read the files of a section.

    Raises:
        ConfigError: no rows are named.
        DataError: a file is missing or malformed, or no row is left.
    """
    if not section.rows:
        raise ConfigError("expected tool_graph.rows=FILE of rows in TaskBench's layout, got none", field="tool_graph.rows")
    path = Path(section.rows)
    if not path.is_file():
        raise DataError(f"expected a file of rows, got {path}; mend tool_graph.rows", field="tool_graph.rows")
    folder = Path(section.graph) if section.graph else path.parent
    if not (folder / TOOL_FILE).is_file():
        raise DataError(f"expected {TOOL_FILE} in {folder}; name the folder with tool_graph.graph", field="tool_graph.graph")
    graph = load_tool_graph(folder)
    chains = read_chains(path, graph, DOMAIN)
    kept = tuple(chain for chain in chains.chains if not is_cut_off(chain.request, share=section.cut, seed=section.cut_seed))
    if not kept:
        raise DataError(f"expected requests beside the cut of {section.cut} of {path}, got none", field="tool_graph.cut")
    left = len(chains.chains) - len(kept)
    return GraphRows(
        graph=graph, chains=ToolChains(chains=kept, others=chains.others), cut_off=left, digest=_digest(path, graph)
    )


def _digest(path: Path, graph: ToolGraph) -> str:
    text = json.dumps([sha256_file(path), list(graph.tools), sorted(graph.links)])
    return hashlib.sha256(text.encode()).hexdigest()
