"""Grammar masks that are made on threads while the model runs: the same outputs as with masks made before, and failures that
stay with their output."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor

from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.generate import Decoding
from builderbrain.decode.mask_threads import MaskThreads
from builderbrain.errors import MaskEmptyError
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher
from tests.rail.test_jumping import batcher, host, output, run, schema

COLOURS = {"enum": ["red", "reddish", "green"]}


def said(found: list[Generation]) -> list[Any]:
    return [(one.tokens, one.text, one.finish_reason, one.constraint) for one in found]


def outputs(model: BatchedModel) -> list[Decoding]:
    """Of all kinds: with jumps and without, cut short anywhere, greedy, free, and some that end where nothing else may."""
    some = [output(model, seed, jumps=bool(seed % 2)) for seed in range(6)]
    some += [output(model, most, most=most, jumps=bool(most % 3)) for most in range(1, 26, 2)]
    for seed in range(8):
        parameters = SamplingParameters(max_tokens=12 if seed else 6, temperature=float(seed > 2), seed=seed)
        some.append(Decoding(model, [5, 6, 7], parameters, None if seed == 4 else schema(COLOURS)))
    return some


@pytest.mark.parametrize("reuse", [True, False])
def test_outputs_are_the_same_whenever_masks_are_made(reuse: bool) -> None:
    found = []
    for meanwhile in (False, True):
        runs = batcher(masks_meanwhile=meanwhile, reuse=reuse, max_tokens=40)
        found.append(said(run(runs, outputs(BatchedModel(runs, None)))))
    assert found[0] == found[1]
    assert {reason for _, _, reason, _ in found[0]} == {"stop", "length"}


def test_masks_are_made_on_other_threads_while_the_model_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = batcher(masks_meanwhile=True)
    model = BatchedModel(runs, None)
    asked = [output(model, seed, jumps=False) for seed in range(3)]
    for one in asked:
        one.ready()
    made, threads = threading.Semaphore(0), set()
    fill, forward = Decoding._fill, host().forward_ragged

    def fill_and_tell(decoding: Decoding) -> Tensor:
        mask = fill(decoding)
        threads.add(threading.current_thread().name.partition("_")[0])
        made.release()
        return mask

    def run_behind_the_masks(*arguments: Any) -> Any:
        for _ in asked:
            assert made.acquire(timeout=10), "expected masks to be made while the pass is under way"
        return forward(*arguments)

    monkeypatch.setattr(Decoding, "_fill", fill_and_tell)
    monkeypatch.setattr(host(), "forward_ragged", run_behind_the_masks)
    runs.run()
    assert all(one.ready() for one in asked)
    assert threads == {"builderbrain-masks"}


@pytest.mark.parametrize("error", [MaskEmptyError("expected a legal token, got none"), RuntimeError("a broken matcher")])
def test_a_mask_that_fails_ends_its_own_output_alone(error: Exception) -> None:
    runs = batcher(masks_meanwhile=True)
    model = BatchedModel(runs, None)
    asked = [output(model, seed, jumps=False) for seed in range(4)]

    def refuse(bitmask: Tensor) -> None:
        raise error

    asked[2]._matcher.fill_mask = refuse  # type: ignore[union-attr, method-assign]
    for one in asked:
        assert not one.ready()
    runs.run()
    assert all(one.ready() for one in asked)
    with pytest.raises(type(error), match=str(error)):
        asked[2].step()
    asked[2].close()
    left = [one for place, one in enumerate(asked) if place != 2]
    alone = batcher(masks_meanwhile=False)
    wanted = run(alone, [output(BatchedModel(alone, None), seed, jumps=False) for seed in (0, 1, 3)])
    assert said(run(runs, left)) == said(wanted)


def test_a_pass_that_fails_waits_for_its_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = batcher(masks_meanwhile=True)
    asked = output(BatchedModel(runs, None), 1, jumps=False)
    asked.ready()
    begun, go_on = threading.Event(), threading.Event()
    fill = Decoding._fill

    def slow(decoding: Decoding) -> Tensor:
        begun.set()
        assert go_on.wait(10)
        return fill(decoding)

    def fail(*arguments: Any) -> Any:
        assert begun.wait(10)
        threading.Timer(0.05, go_on.set).start()
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Decoding, "_fill", slow)
    monkeypatch.setattr(host(), "forward_ragged", fail)
    runs.run()
    assert go_on.is_set(), "nobody may touch the output while its mask is being made"
    with pytest.raises(RuntimeError, match="out of memory"):
        asked.step()
    asked.close()
    assert runs.pool.available == runs.pool.num_pages


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_masks_come_back_in_the_order_they_were_asked_for(threads: int) -> None:
    made = MaskThreads(threads)
    for count in (1, 2, 3, 7, 20):

        def fill(place: int) -> Tensor:
            if place % 5 == 4:
                raise MaskEmptyError(str(place))
            return torch.tensor(place)

        found = made.begin([lambda place=place: fill(place) for place in range(count)]).results()
        assert [str(one) if isinstance(one, MaskEmptyError) else f"{int(one)}" for one in found] == [
            str(p) for p in range(count)
        ]


def test_masks_wait_for_no_model_on_a_cpu_unless_told() -> None:
    assert Batcher(host(), num_pages=8).masks is None
    assert Batcher(host(), num_pages=8, masks_meanwhile=True).masks is not None
