"""Outputs that run together: each gets what it gets alone, however prompts are cut, shared and set back."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from builderbrain.decode.model import TokenState
from builderbrain.hosts.base import Host
from builderbrain.hosts.load import load_host
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail
from builderbrain.rail.model import RailModel
from builderbrain.rail.rail import BuilderRail

GOAL = 'search for "needle in hay" under src/app and read the first.\ns1=search(pattern="needle in hay",path="src/app")\n'
OTHERS = ("list docs", 'open the last file that has "x" in it and say hello', GOAL + 's2=read(path="s1.1")')


@pytest.fixture(scope="module")
def nano() -> tuple[Host, BuilderRail]:
    return load_host("builderbrain-nano"), load_rail(BUNDLED_RAIL)


def run(batcher: Batcher, state: TokenState) -> Tensor:
    for _ in range(100):
        if state.ready:
            return state.logits()
        batcher.run()
    raise AssertionError("expected logits within a hundred passes")


def follow(batcher: Batcher, model: BatchedModel, prompt: Sequence[int], tokens: Sequence[int]) -> list[Tensor]:
    """Logits after the prompt and after each token."""
    state = model.start(prompt)
    found = [run(batcher, state)]
    for token in tokens:
        state.append(token)
        found.append(run(batcher, state))
    state.close()
    return found


def alone(host: Host, rail: BuilderRail, prompt: Sequence[int], tokens: Sequence[int]) -> list[Tensor]:
    state = RailModel(host, rail).start(prompt)
    found = [state.logits()]
    for token in tokens:
        state.append(token)
        found.append(state.logits())
    return found


def near(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    torch.testing.assert_close(torch.stack(list(found)), torch.stack(list(wanted)), atol=2e-3, rtol=1e-4)


def test_a_batched_rail_says_what_it_says_alone(nano: tuple[Host, BuilderRail]) -> None:
    host, rail = nano
    batcher = Batcher(host, num_pages=64, max_tokens=24)
    model = BatchedModel(batcher, rail)
    prompt = host.tokenizer.encode(GOAL)
    tokens = host.tokenizer.encode('s2=read(path="s1.1")')
    near(follow(batcher, model, prompt, tokens), alone(host, rail, prompt, tokens))


def test_rails_and_the_base_alone_share_a_pass(nano: tuple[Host, BuilderRail]) -> None:
    host, rail = nano
    batcher = Batcher(host, num_pages=128, max_tokens=512)
    models = [BatchedModel(batcher, rail), BatchedModel(batcher, None), BatchedModel(batcher, load_rail(BUNDLED_RAIL))]
    prompts = [host.tokenizer.encode(text) for text in OTHERS]
    states = [model.start(prompt) for model, prompt in zip(models, prompts, strict=True)]
    batcher.run()
    assert batcher.counts.passes == 1
    for model, prompt, state in zip(models, prompts, states, strict=True):
        assert state.ready
        single = Batcher(host, num_pages=64)
        near([state.logits()], follow(single, BatchedModel(single, model.rail), prompt, []))


@pytest.mark.parametrize("seed", range(4))
def test_what_runs_beside_it_and_how_it_is_cut_change_nothing(nano: tuple[Host, BuilderRail], seed: int) -> None:
    host, rail = nano
    rng = random.Random(seed)
    batcher = Batcher(host, num_pages=40, max_tokens=rng.choice([7, 16, 33, 100]), reuse=rng.random() < 0.7)
    model = BatchedModel(batcher, rail)
    texts = [host.tokenizer.encode(rng.choice(OTHERS)) for _ in range(6)]
    after = [host.tokenizer.encode("s1=list(path=")[: rng.randint(1, 6)] for _ in texts]
    open_states: dict[int, TokenState] = {}
    said: dict[int, list[Tensor]] = {row: [] for row in range(len(texts))}
    waiting = list(range(len(texts)))
    for _ in range(400):
        if waiting and rng.random() < 0.5:
            row = waiting.pop()
            open_states[row] = model.start(texts[row])
        batcher.run()
        for row, state in list(open_states.items()):
            if state.ready and rng.random() < 0.8:
                said[row].append(state.logits())
                if len(said[row]) > len(after[row]):
                    open_states.pop(row).close()
                else:
                    state.append(after[row][len(said[row]) - 1])
        if not waiting and not open_states:
            break
    assert not open_states
    assert batcher.pool.available == 40
    for row, prompt in enumerate(texts):
        near(said[row], alone(host, rail, prompt, after[row]))


def test_bits_do_not_depend_on_what_runs_beside_it_on_the_cut_or_on_pages_taken_over(nano: tuple[Host, BuilderRail]) -> None:
    host, rail = nano
    prompt, tokens = host.tokenizer.encode(GOAL), host.tokenizer.encode('s2=read(path="s1.1")')
    quiet = Batcher(host, num_pages=64, reuse=False)
    wanted = follow(quiet, BatchedModel(quiet, rail), prompt, tokens)
    for size in (1, 7, 16, 40):
        busy = Batcher(host, num_pages=200, max_tokens=size * 9)
        model = BatchedModel(busy, rail)
        others = [model.start(host.tokenizer.encode(text) * (1 + place % 2)) for place, text in enumerate(OTHERS * 3)]
        busy.run()
        for other in others[:4]:
            other.append(5)
        found = follow(busy, model, prompt, tokens)
        assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
        again = follow(busy, model, prompt, tokens)
        assert busy.counts.reused > 0
        assert all(torch.equal(one, other) for one, other in zip(again, wanted, strict=True))


def test_a_prompt_that_began_alike_is_not_run_again(nano: tuple[Host, BuilderRail]) -> None:
    host, rail = nano
    batcher = Batcher(host, num_pages=64)
    model = BatchedModel(batcher, rail)
    prompt = host.tokenizer.encode(GOAL)
    first = follow(batcher, model, prompt, [])
    run_before = batcher.counts.tokens
    longer = [*prompt, *host.tokenizer.encode("s2=read(")]
    again = follow(batcher, model, longer, [])
    assert batcher.counts.reused == len(prompt) // 16 * 16
    assert batcher.counts.tokens - run_before == len(longer) - batcher.counts.reused
    near(again, alone(host, rail, longer, []))
    near(follow(batcher, model, prompt, []), first)


def test_a_prompt_that_the_base_was_asked_first_is_right_for_a_rail_and_then_taken_over(nano: tuple[Host, BuilderRail]) -> None:
    host, rail = nano
    batcher = Batcher(host, num_pages=64, max_tokens=512)
    base, railed, other = (
        BatchedModel(batcher, None),
        BatchedModel(batcher, rail),
        BatchedModel(batcher, load_rail(BUNDLED_RAIL)),
    )
    prompt = host.tokenizer.encode(GOAL)
    follow(batcher, base, prompt, ())
    first, *rest = [follow(batcher, model, prompt, ())[0] for model in (railed, other, railed, other, railed)]
    assert [torch.equal(first, logits) for logits in rest] == [True] * 4
    near([first], alone(host, rail, prompt, ()))
    assert batcher.counts.reused == 3 * ((len(prompt) - 1) // 16 * 16)


def test_pages_that_a_rail_wrote_are_taken_over_until_they_are_given_away(nano: tuple[Host, BuilderRail]) -> None:
    host, rail = nano
    batcher = Batcher(host, num_pages=8, max_tokens=512)
    base, railed = BatchedModel(batcher, None), BatchedModel(batcher, rail)
    prompts = [host.tokenizer.encode(text) for text in (GOAL, *OTHERS)]
    wanted = [alone(host, rail, prompt, ())[0] for prompt in prompts]
    draw = random.Random(7)
    for _ in range(40):
        place = draw.randrange(len(prompts))
        follow(batcher, base, prompts[draw.randrange(len(prompts))], ())
        near(follow(batcher, railed, prompts[place], ()), [wanted[place]])
        assert len(railed.snapshots) <= batcher.pool.num_pages
    assert batcher.pool.available == batcher.pool.num_pages
    assert batcher.counts.reused > 0


def test_another_version_of_the_weights_takes_over_no_state_of_this_one(nano: tuple[Host, BuilderRail]) -> None:
    host, rail = nano
    batcher = Batcher(host, num_pages=64)
    prompt = host.tokenizer.encode(GOAL)
    follow(batcher, BatchedModel(batcher, rail, weight_version="one"), prompt, [])
    near(
        follow(batcher, BatchedModel(batcher, load_rail(BUNDLED_RAIL), weight_version="two"), prompt, []),
        alone(host, rail, prompt, []),
    )
    assert batcher.counts.reused == 0
    follow(batcher, BatchedModel(batcher, None), prompt, [])
    assert batcher.counts.reused > 0, "the base's pages stay whatever the rail"


def test_without_pages_the_newest_is_set_back_and_still_answered(nano: tuple[Host, BuilderRail]) -> None:
    host, rail = nano
    prompt = host.tokenizer.encode(GOAL)
    needed = -(-(len(prompt) + 8) // 16)
    batcher = Batcher(host, num_pages=needed + 2, reuse=False)
    model = BatchedModel(batcher, rail)
    states = [model.start(prompt[: 20 + place]) for place in range(3)]
    said: list[list[Tensor]] = [[], [], []]
    extra = prompt[23:]
    for _ in range(200):
        batcher.run()
        for place, state in enumerate(states):
            if state.ready and len(said[place]) < 12:
                said[place].append(state.logits())
                if len(said[place]) < 12:
                    state.append(extra[len(said[place]) - 1])
                else:
                    state.close()
        if all(len(row) == 12 for row in said):
            break
    for place, row in enumerate(said):
        near(row, alone(host, rail, prompt[: 20 + place], extra[:11]))
    assert batcher.pool.available == needed + 2
    assert batcher.num_open == 0


def test_a_failing_pass_is_told_to_those_in_it_and_ends_nobody_else(nano: tuple[Host, BuilderRail]) -> None:
    host, rail = nano
    batcher = Batcher(host, num_pages=64)
    model = BatchedModel(batcher, rail)
    broken = model.start([10**9])
    batcher.run()
    assert broken.ready
    with pytest.raises(RuntimeError, match="a pass of the model failed"):
        broken.logits()
    broken.close()
    prompt = host.tokenizer.encode(GOAL)
    near(follow(batcher, model, prompt, []), alone(host, rail, prompt, []))
    assert batcher.pool.available == 64


def test_a_rail_without_a_native_form_says_the_same_and_shares_no_pages(
    nano: tuple[Host, BuilderRail], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, rail = nano
    monkeypatch.setattr("builderbrain.rail.batched_model.why_not_native", lambda rail, host: "a test")
    batcher = Batcher(host, num_pages=64, max_tokens=24)
    model = BatchedModel(batcher, rail)
    assert model.native is None
    prompt, tokens = host.tokenizer.encode(GOAL), host.tokenizer.encode("s2=read(")
    near(follow(batcher, model, prompt, tokens), alone(host, rail, prompt, tokens))
    near(follow(batcher, model, prompt, tokens), alone(host, rail, prompt, tokens))
    assert batcher.counts.reused == 0
