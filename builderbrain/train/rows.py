"""Training rows as tokens: what the rail reads and what it has to say.

A row is a goal, tokenised once: prompt, plan, end token, labels for the policy heads and for every token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from builderbrain.decode.plan_prompt import AFTER_GOAL, BEFORE_GOAL
from builderbrain.hosts.base import Tokenizer
from builderbrain.plan import parse_text
from builderbrain.plan.skeleton import EDGES, skeleton_of
from builderbrain.rail.config import RailConfig
from builderbrain.train.goal import Goal, NamedRange
from builderbrain.train.pins import pins_of

IGNORED = -1
"""Label of what is not known; it has no loss."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One goal. Spans are half-open token ranges of the prompt, None where there is none.

    `unscored` is the half-open range of answer tokens that have no loss: a step that the goal does not ask for.
    `token_labels` are per token slot the labels of all tokens, those of the answer's end token excepted. `nodes` and `edges`
    (i, j, kind) are the plan's skeleton as the plan head numbers it, empty without that head or when the plan has more steps
    than it foresees. `environment` is what the row was told in: a skin or layout, with a step of another goal or without.
    `pins` are the skills that the answer's tokens are pinned to, IGNORED where they are free; empty without pinned skills.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    intent: int = IGNORED
    actions: tuple[int, ...] = ()
    spans: Mapping[str, tuple[int, int] | None] = field(default_factory=dict)
    choices: tuple[int, ...] = ()
    token_labels: tuple[tuple[int, ...], ...] = ()
    unscored: tuple[int, int] = (0, 0)
    nodes: tuple[int, ...] = ()
    edges: tuple[tuple[int, int, int], ...] = ()
    environment: str = "plain"
    pins: tuple[int, ...] = ()


def row_of(goal: Goal, tokenizer: Tokenizer, config: RailConfig, *, wrong_step: tuple[int, str] | None = None) -> Row:
    """Tokenise a goal and its labels.

    `wrong_step` (index, call) stands in the plan in place of that step, and has no loss. What comes after it then cannot be
    told from the plan so far, only from the goal (Bowman et al. 2016 drop words of a decoder's input for the same reason).

    The prompt is tokenised as it will be at run time; a span takes in every token that has a character of it.
    """
    before, after = tokenizer.encode(BEFORE_GOAL), tokenizer.encode(AFTER_GOAL)
    ids, offsets = tokenizer.encode_with_offsets(goal.text)

    def tokens_of(start: int, end: int) -> tuple[int, int]:
        inside = [i for i, (first, last) in enumerate(offsets, len(before)) if first < end and last > start]
        return inside[0], inside[-1] + 1

    spans = {slot: span if span is not None and _has_tokens(offsets, span) else None for slot, span in goal.spans.items()}
    steps = goal.plan.split("\n")
    unscored = (0, 0)
    if wrong_step is not None:
        index, call = wrong_step
        steps[index] = f"s{index + 1}={call}"
        edges = [len(tokenizer.encode("\n".join(steps[:end]) + "\n" * (end > 0))) for end in (index, index + 1)]
        unscored = (edges[0], edges[1])
    answer = tokenizer.encode("\n".join(steps))
    labels: dict[str, list[int]] = {}
    known = dict(config.token_slots).get("clause", ())  # a trunk may have learned the labels of another domain
    for slot, options in config.token_slots if goal.clauses and all(kind in known for *_, kind in goal.clauses) else ():
        mine = [0] * (len(before) + len(ids) + len(after) + len(answer))
        for start, end, option in goal.token_ranges(slot):
            if slot == "name" and not _known(option, options):
                continue
            first, last = tokens_of(start, end)
            mine[first:last] = [1 + options.index(option)] * (last - first)
            if slot == "name":
                mine[first] = _beginning(option, options)
        labels[slot] = mine
    if labels:
        literals = goal.literals if wrong_step is None else _moved(goal, wrong_step[0], steps[wrong_step[0]])
        _label_answer(labels, tokenizer, goal, "\n".join(steps), literals, config)
    nodes, graph_edges = _graph_of(goal.plan, config)
    numbers = [1 + config.actions.index(action) for action in goal.actions[: config.max_actions]]
    whole = (*answer, tokenizer.eos_token_id)
    pins = [IGNORED if unscored[0] <= at < unscored[1] else pin for at, pin in enumerate(pins_of(whole, tokenizer, config))]
    return Row(
        prompt=(*before, *ids, *after),
        answer=whole,
        intent=config.intents.index(goal.intent),
        actions=tuple(numbers + [0] * (config.max_actions - len(numbers))),
        spans={slot: None if span is None else tokens_of(*span) for slot, span in spans.items()},
        choices=tuple(options.index(goal.pick) for _, options in config.choice_slots),
        token_labels=tuple(tuple(mine) for mine in labels.values()),
        unscored=unscored,
        nodes=nodes,
        edges=graph_edges,
        pins=tuple(pins),
        environment=goal.environment if wrong_step is None else f"{goal.environment}, wrong step",
    )


def _has_tokens(offsets: Sequence[tuple[int, int]], span: tuple[int, int]) -> bool:
    """Whether a token has a character of the span; blanks may have none."""
    return any(first < span[1] and last > span[0] for first, last in offsets)


def _graph_of(text: str, config: RailConfig) -> tuple[tuple[int, ...], tuple[tuple[int, int, int], ...]]:
    """Numbers of the skeleton's nodes and edges; skills and needs can be read without the tables of the plan's domain."""
    if not config.plan_nodes:
        return (), ()
    skeleton = skeleton_of(parse_text(text))
    if len(skeleton.skills) > config.plan_nodes:
        return (), ()
    nodes = tuple(1 + config.actions.index(skill) for skill in skeleton.skills)
    return nodes, tuple((i, j, EDGES.index(kind)) for (i, j), kind in skeleton.edges.items())


def _moved(goal: Goal, index: int, line: str) -> tuple[NamedRange, ...]:
    """The literals of a plan where another line stands in place of a step, which then has none."""
    lines = goal.plan.split("\n")
    start = sum(len(before) + 1 for before in lines[:index])
    end, by = start + len(lines[index]), len(line) - len(lines[index])
    before = [literal for literal in goal.literals if literal[1] <= start]
    return (*before, *((first + by, last + by, name) for first, last, name in goal.literals if first >= end))


def _label_answer(
    labels: dict[str, list[int]],
    tokenizer: Tokenizer,
    goal: Goal,
    plan: str,
    literals: Sequence[NamedRange],
    config: RailConfig,
) -> None:
    """The tokens of a step say which clause it is for, and the token before a name which name has to begin."""
    options = dict(config.token_slots)
    answer, offsets = tokenizer.encode_with_offsets(plan)
    first = len(labels["step"]) - len(answer)
    steps = goal.step_numbers or range(1, 2 + plan.count("\n"))
    at_step = 0
    for at, token in enumerate(answer, first):
        at_step += token in config.line_tokens
        labels["step"][at] = steps[at_step]
    for start, _, name in literals if goal.step_numbers else _arguments(plan, options["name"]):
        if not _known(name, options["name"]):
            continue
        inside = next(at for at, (_, last) in enumerate(offsets, first) if last > start)
        labels["name"][inside - 1] = _beginning(name, options["name"])


def _known(name: str, options: Sequence[str]) -> bool:
    """Whether a rail has labels for a name; of the values of a domain it may know those alone that plans compare."""
    return name in options or f"{name} begins" in options


def _beginning(name: str, options: Sequence[str]) -> int:
    """Label of the first token of a name; a digit is whole with its first."""
    begins = f"{name} begins"
    return 1 + options.index(begins if begins in options else name)


def _arguments(plan: str, options: Sequence[str]) -> list[NamedRange]:
    """Literals of a plan that are called like an option."""
    return [(match.end(), match.end(), match[1]) for match in re.finditer(r'(\w+)="', plan) if match[1] in options]


def split_by_length(rows: Sequence[Row], parts: int) -> list[list[Row]]:
    """At most `parts` parts of equal size (or one more), each of rows of like length."""
    ordered = sorted(rows, key=lambda row: len(row.prompt) + len(row.answer))
    cuts = [round(i * len(rows) / parts) for i in range(parts + 1)]
    return [ordered[start:end] for start, end in pairwise(cuts) if end > start]
