"""What is told of each token: right, the same whatever runs beside it, and without a trace in what is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from bbkernels.governed_loss import governed_loss
from builderbrain.decode.base import Generation, SamplingParameters, TokenDetails
from builderbrain.decode.generate import Decoding
from builderbrain.decode.host_model import HostModel
from builderbrain.decode.model import TokenModel
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail
from builderbrain.rail.model import RailModel
from builderbrain.rail.pair import Pair
from builderbrain.rail.rail import BuilderRail
from tests.rail.test_jumping import compiled, host, jump, run, schema

GOAL = "Goal: search for the gate and then open it\nPlan:\n"


@pytest.fixture(scope="module")
def rail() -> BuilderRail:
    return load_rail(BUNDLED_RAIL)


def asked(
    model: TokenModel, *, details: bool = True, constraint: CompiledConstraint | None = None, jumps: bool = False, **more: Any
) -> Decoding:
    parameters = SamplingParameters(**{"max_tokens": 20, "seed": 3, "token_details": details, **more})
    prompt = model.tokenizer.encode(GOAL)
    return Decoding(model, prompt, parameters, constraint, jump=jump() if jumps else None)


def alone(model: TokenModel, **more: Any) -> Generation:
    if isinstance(model, BatchedModel):
        return run(model.batcher, [asked(model, **more)])[0]
    decoding = asked(model, **more)
    while decoding.step() is not None:
        pass
    return decoding.result()


def numbers(details: Sequence[TokenDetails]) -> torch.Tensor:
    """float64 [T, 3]: divergence, gates and energy of drawn tokens."""
    rows = [
        (each.influence.divergence, each.influence.alpha, each.grammar_energy)
        for each in details
        if each.influence is not None and each.grammar_energy is not None
    ]
    return torch.tensor(rows, dtype=torch.float64)


def test_they_are_what_training_means_by_them(rail: BuilderRail) -> None:
    batcher = Batcher(host(), num_pages=64, max_tokens=24)
    found = alone(BatchedModel(batcher, rail))
    pair, prompt = Pair(host(), rail), host().tokenizer.encode(GOAL)
    with torch.no_grad():
        output = pair.forward(torch.tensor([[*prompt, *found.tokens]]))
        rows = range(len(prompt) - 1, len(prompt) - 1 + len(found.tokens))
        fused, base = (host().final_norm(states[0, rows]) for states in (output.fused, output.states.taps[-1]))
        wanted = governed_loss(fused, base, host().output_head(), torch.full((len(rows),), -1))
    assert output.rail is not None
    told = numbers(found.details)
    assert len(told) == len(found.tokens) == 20
    assert float(told[:, 0].max()) > 0.1
    torch.testing.assert_close(told[:, 0].float(), wanted.divergence.float(), atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(told[:, 1].float(), rail.gates()[-1].mean().detach().expand(20))
    assert not told[:, 2].any()
    taken = [rail.book.in_row(row) for row in output.rail.choice.skill[0, rows].tolist()]
    assert [record.name for record in taken if record] == [
        each.influence.skill_name for each in found.details if each.influence
    ]
    assert [record.id for record in taken if record] == [each.influence.skill for each in found.details if each.influence]


def test_the_native_step_pytorch_and_one_sequence_alone_tell_the_same(
    rail: BuilderRail, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher = Batcher(host(), num_pages=64)
    native = BatchedModel(batcher, rail)
    with monkeypatch.context() as patched:
        patched.setattr("builderbrain.rail.batched_model.why_not_native", lambda rail, host: "a test")
        plain = BatchedModel(batcher, rail)
    assert (native.native is None, plain.native is None) == (False, True)
    one, two, three = (alone(model) for model in (native, plain, RailModel(host(), rail)))
    assert one.tokens == two.tokens == three.tokens
    for other in (two, three):
        torch.testing.assert_close(numbers(other.details), numbers(one.details), atol=2e-3, rtol=2e-3)
        assert [each.influence and each.influence.skill_name for each in other.details] == [
            each.influence and each.influence.skill_name for each in one.details
        ]


def test_a_base_alone_is_moved_by_nobody() -> None:
    batcher = Batcher(host(), num_pages=64)
    for model in (BatchedModel(batcher, None), HostModel(host())):
        found = alone(model)
        told = [each.influence for each in found.details]
        assert len(told) == len(found.tokens)
        assert {(each.divergence, each.alpha, each.skill, each.skill_name) for each in told if each} == {(0, 0, None, None)}


def test_closed_gates_move_nothing(rail: BuilderRail) -> None:
    shut = load_rail(BUNDLED_RAIL)
    shut.gates.set_budget(0.0)
    for model in (BatchedModel(Batcher(host(), num_pages=64), shut), RailModel(host(), shut)):
        assert not numbers(alone(model).details)[:, :2].any()


@pytest.mark.parametrize("most", [5, 64])
def test_asking_changes_no_token_and_neighbours_change_no_detail(rail: BuilderRail, most: int) -> None:
    """Three builders in one batch, every other output asks; cut prompts, pages taken over, outputs set back."""
    batcher = Batcher(host(), num_pages=9, max_tokens=most)
    models = [BatchedModel(batcher, load_rail(BUNDLED_RAIL)), BatchedModel(batcher, None), BatchedModel(batcher, rail)]
    seeds = range(6)
    plain = run(batcher, [asked(models[seed % 3], seed=seed, details=False) for seed in seeds])
    mixed = run(batcher, [asked(models[seed % 3], seed=seed, details=seed % 2 == 0) for seed in seeds])
    assert batcher.counts.set_back > 0
    assert batcher.counts.reused > 0
    assert [each.tokens for each in mixed] == [each.tokens for each in plain]
    assert [bool(each.details) for each in mixed] == [seed % 2 == 0 for seed in seeds]
    for seed in (0, 2, 4):
        quiet = Batcher(host(), num_pages=64, reuse=False)
        model = BatchedModel(quiet, models[seed % 3].rail)
        assert alone(model, seed=seed).details == mixed[seed].details  # to the last bit


def test_who_does_not_ask_pays_for_no_further_product(rail: BuilderRail, monkeypatch: pytest.MonkeyPatch) -> None:
    batcher = Batcher(host(), num_pages=64)
    model = BatchedModel(batcher, rail)
    calls: list[int] = []
    logits = host().ragged_logits
    monkeypatch.setattr(host(), "ragged_logits", lambda states: (calls.append(len(states)), logits(states))[1])
    run(batcher, [asked(model, seed=seed, details=False) for seed in range(2)])
    assert len(calls) == 20
    calls.clear()
    run(batcher, [asked(model, seed=seed, details=seed == 1) for seed in range(2)])
    assert sorted(calls) == [1] * 20 + [2] * 20


def test_forced_tokens_are_marked_and_nothing_else_changes(rail: BuilderRail) -> None:
    batcher = Batcher(host(), num_pages=128)
    model = BatchedModel(batcher, rail)
    more = {"constraint": schema(), "jumps": True, "max_tokens": 200, "temperature": 1.2}
    plain = alone(model, details=False, **more)
    passes = batcher.counts.passes
    steps, decoding = [], asked(model, **more)
    while True:
        while not decoding.ready():
            batcher.run()
        if (step := decoding.step()) is None:
            break
        steps.append(step)
    found = decoding.result()
    assert replace(found, details=(), cached_tokens=0) == replace(plain, cached_tokens=0)
    assert batcher.counts.passes - passes <= passes
    assert tuple(each.token for each in found.details) == found.tokens
    assert tuple(each for step in steps for each in step.details) == found.details
    forced = [each for each in found.details if each.forced]
    assert 0 < len(forced) < len(found.details)
    assert {(each.influence, each.grammar_energy) for each in forced} == {(None, None)}
    drawn = [each for each in found.details if not each.forced]
    assert len(numbers(drawn)) == len(drawn)
    assert float(numbers(drawn)[:, 2].max()) > 0.1, "the base knows little of JSON"


def test_energy_is_that_of_the_legal_tokens() -> None:
    batcher = Batcher(host(), num_pages=64)
    wanted = compiled("choice", '["a", "b"]')
    decoding = asked(BatchedModel(batcher, None), constraint=wanted)
    [found] = run(batcher, [decoding])
    assert decoding.allowed_log_masses[0] < -1
    assert found.details[0].grammar_energy == -decoding.allowed_log_masses[0]


def test_what_is_forced_from_end_to_end_is_told_in_one_step() -> None:
    batcher = Batcher(host(), num_pages=64)
    decoding = asked(BatchedModel(batcher, None), constraint=schema({"const": {"name": ["é😀", 1]}}), jumps=True, max_tokens=60)
    assert decoding.ready()
    step = decoding.step()
    assert step is not None
    assert [each.token for each in step.details] == list(decoding.result().tokens)
    assert all(each.forced for each in step.details)
    assert decoding.step() is None
