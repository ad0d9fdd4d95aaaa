"""A forked matcher stands where its origin does, and the two go their own ways from there."""

from __future__ import annotations

import json

import numpy as np
import pytest

from builderbrain.errors import GrammarRefusedError
from builderbrain.grammar.base import CompiledConstraint, Constraint, Matcher
from builderbrain.grammar.matching import new_bitmask
from builderbrain.grammar.native import ENGINES, EngineName
from builderbrain.serve.turn_constraint import TurnConstraint
from tests.grammar.toys import VOCAB_SIZE, toy_engine_of, toy_tokenizer

SCHEMA = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 6}, "maxProperties": 3}
END = toy_tokenizer().eos_token_id


def legal(matcher: Matcher) -> list[int]:
    bitmask = new_bitmask(VOCAB_SIZE)
    matcher.fill_mask(bitmask)
    return list(np.flatnonzero(np.unpackbits(bitmask.numpy().view(np.uint8), bitorder="little")))


def compiled(name: EngineName, *, turn: bool) -> CompiledConstraint:
    inner = toy_engine_of(name).compile(Constraint(kind="json_schema", source=json.dumps(SCHEMA)), trusted=True)
    if not turn:
        return inner
    return TurnConstraint(inner=inner, eos_token_id=END, stop_tokens=frozenset([END, 1]), declared=())


@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize("name", ENGINES)
def test_a_fork_goes_its_own_way(name: EngineName, turn: bool) -> None:
    rng = np.random.default_rng(1)
    matcher = compiled(name, turn=turn).matcher()
    ways = 0
    for _ in range(40):
        before = legal(matcher)
        assert legal(matcher.fork()) == before
        forks = []
        for token in rng.choice(before, size=min(4, len(before)), replace=False):
            forked = matcher.fork()
            try:
                forked.accept(int(token))
            except GrammarRefusedError:
                continue
            forks.append(forked)
        assert legal(matcher) == before  # nothing that a fork accepted has moved it
        if all(forked.is_complete() for forked in forks):
            break
        masks = [legal(forked) for forked in forks if not forked.is_complete()]
        assert masks == [legal(forked) for forked in forks if not forked.is_complete()]
        ways += len({tuple(mask) for mask in masks}) > 1
        matcher = next(forked for forked in forks if not forked.is_complete())
    assert ways > 1


@pytest.mark.parametrize("name", ENGINES)
def test_a_fork_of_a_finished_output_is_finished(name: EngineName) -> None:
    matcher = compiled(name, turn=False).matcher()
    matcher.accept_text(b"{}")
    open_ended = matcher.fork()
    matcher.accept(END)
    assert matcher.fork().is_complete()
    assert not open_ended.is_complete()
