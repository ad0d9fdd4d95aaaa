"""Trained models as subjects of the toolgraph suite: a rail with a chain head, and whatever writes plan text, a LoRA for one.

A chain head answers from the prompt, many prompts in a pass. Plan text is decoded greedily under the grammar of the graph's
chains. Both give chains along the graph's links and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from builderbrain.data.tool_graph import VERSION, ToolGraph
from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.errors import PlanSyntaxError, SubjectError
from builderbrain.eval.folders import LoadedModel, load_model
from builderbrain.eval.toolgraph_subjects import ManyPlans
from builderbrain.eval.toolgraph_task import DOMAIN
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.plan import Plan, Step
from builderbrain.plan.chain_text import chain_grammar, parse_chain
from builderbrain.rail.chain_head import ChainHead
from builderbrain.rail.config import RailConfig
from builderbrain.rail.greedy import decode_greedily
from builderbrain.rail.pair import Pair

LONGEST = 6
"""Steps of the longest plan text, as in training."""
_TOKENS_A_STEP = 48
_ROWS = 32


class HeadChains:
    """A rail whose chain head answers."""

    def __init__(self, name: str, pair: Pair, head: ChainHead) -> None:
        self.name, self._pair, self._head = name, pair, head

    def plans(self, requests: Sequence[str], on_item: Callable[[], None]) -> list[Plan | None]:
        """A chain for every request; of a prompt beyond the base's context the beginning is read."""
        host = self._pair.host
        prompts = [plan_prompt(host.tokenizer, request)[: host.max_length] for request in requests]
        order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
        plans: list[Plan | None] = [None] * len(prompts)
        for first in range(0, len(order), _ROWS):
            rows = order[first : first + _ROWS]
            lengths = torch.tensor([len(prompts[row]) for row in rows])
            tokens = torch.full((len(rows), int(lengths.max())), host.tokenizer.eos_token_id, dtype=torch.int64)
            for at, row in enumerate(rows):
                tokens[at, : len(prompts[row])] = torch.tensor(prompts[row])
            tokens, lengths = tokens.to(host.device), lengths.to(host.device)
            states = None if self._head.base is None else host.forward(tokens, lengths=lengths)
            for row, found in zip(rows, self._head.chains(states, tokens, lengths), strict=True):
                plans[row] = chain_plan(found.tools)
                on_item()
        return plans


class TextChains:
    """A model that writes plans as text, decoded under the graph's grammar."""

    def __init__(self, name: str, pair: Pair, graph: ToolGraph) -> None:
        self.name, self._pair, self._tools = name, pair, tuple(graph.tools)
        engine = XGrammarEngine(pair.host.tokenizer, pair.host.vocab_size)
        source = chain_grammar(self._tools, graph.links, longest=LONGEST)
        self._grammar = engine.compile(Constraint(kind="grammar", source=source), trusted=True)

    def plans(self, requests: Sequence[str], on_item: Callable[[], None]) -> list[Plan | None]:
        """A chain for every request; None where the text does not end."""
        tokenizer = self._pair.host.tokenizer
        prompts = [plan_prompt(tokenizer, request) for request in requests]

        def on_rows(count: int) -> None:
            for _ in range(count):
                on_item()

        texts = decode_greedily(self._pair, prompts, self._grammar, max_tokens=LONGEST * _TOKENS_A_STEP, on_rows=on_rows)
        return [self._plan(tokenizer.decode(list(text.tokens))) if text.finished else None for text in texts]

    def _plan(self, text: str) -> Plan | None:
        try:
            return chain_plan(parse_chain(text, self._tools))
        except PlanSyntaxError:
            return None


def chain_plan(tools: Sequence[str]) -> Plan:
    """The plan of a chain: each step needs the one before."""
    steps = [Step(f"s{at}", tool, {}, () if at == 1 else (f"s{at - 1}",)) for at, tool in enumerate(tools, 1)]
    return Plan(DOMAIN, VERSION, tuple(steps))


def load_graph_model(name: str, folder: Path, graph: ToolGraph | None, *, model: str, device: str | None = None) -> ManyPlans:
    """The subject of a folder.

    Raises:
        SubjectError: the folder holds no model, its rail was trained on another graph, or plan text is to be written and
            there is no graph.
    """
    loaded: LoadedModel = load_model(folder, model, device=device)
    rail = loaded.pair.rail
    if rail is not None and graph is not None:
        _check_graph(rail.config, graph, folder)
    if rail is not None and rail.chain is not None:
        return HeadChains(name, loaded.pair, rail.eval().chain)  # type: ignore[arg-type]
    if graph is None:
        raise SubjectError(
            f"expected the graph whose plans {folder} writes, got none; name its folder with --graph", field="graph"
        )
    return TextChains(name, loaded.pair, graph)


def _check_graph(config: RailConfig, graph: ToolGraph, folder: Path) -> None:
    """A rail answers for the graph that it was trained on."""
    links = {(config.actions[source], config.actions[target]) for source, target in config.chain_links}
    mine: set[object] = {*config.actions, *links} if config.chain_width else set(config.actions)
    theirs: set[object] = {*graph.tools, *graph.links} if config.chain_width else set(graph.tools)
    if mine != theirs:
        extra, lacking = sorted(map(_shown, mine - theirs)), sorted(map(_shown, theirs - mine))
        found = f"the rail knows {extra[0]}, which the graph lacks" if extra else f"the rail lacks {lacking[0]}"
        raise SubjectError(
            f"expected a rail trained on this graph of {len(graph.tools)} tools and {len(graph.links)} links, got {folder}, "
            f"trained on {len(config.actions)} and {len(links)}: {found} ({len(extra)} and {len(lacking)} such differences); "
            "train one with `python -m builderbrain.train chain tool_graph.rows=FILE`, or name its graph with --graph",
            field="subject",
        )


def _shown(one: object) -> str:
    return " -> ".join(one) if isinstance(one, tuple) else repr(one)
