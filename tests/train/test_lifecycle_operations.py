"""What can be done to a skill: nothing is lost, ids keep their meaning, and all of it can be taken back bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from builderbrain.errors import SkillError
from builderbrain.rail.rail import BuilderRail
from builderbrain.train.lifecycle.functions import cosines, record_states
from builderbrain.train.lifecycle.measure import measure
from builderbrain.train.lifecycle.operations import Change, bear, distil, merge, pack, rename, retire, take_back
from builderbrain.train.lifecycle.rows import skill_tensors
from builderbrain.train.trainer import Trainer
from tests.train.lifecycle_runs import copy_row, trainer, used


@pytest.fixture
def run(base: Path, tmp_path: Path) -> Trainer:
    """A run whose rail does something in every row."""
    made = trainer(base, tmp_path / "run", "rail.proposal_rank=2", "skills.watch=true")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.rail.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    made.rail.eval()
    return made


def outputs(run: Trainer, rail: BuilderRail | None = None) -> torch.Tensor:
    pair = run.pair if rail is None else type(run.pair)(run.pair.host, rail.eval())
    with torch.no_grad():
        return pair.forward(run.held_out.batch.tokens, lengths=run.held_out.batch.lengths).fused


def all_of(run: Trainer) -> dict[str, Callable[[], Change]]:
    first, second = used(run)[:2]
    return {
        "birth": lambda: bear(run.rail, parent=first, step=3, seed=1),
        "merge": lambda: merge(run.rail, keep=first, give=second),
        "retire": lambda: retire(run.rail, first),
        "distil": lambda: distil(run.rail, [second, first], record_states(run.pair, run.held_out.batch)),
        "name": lambda: rename(run.rail, first, "walks"),
    }


@pytest.mark.parametrize("kind", ["birth", "merge", "retire", "distil", "name"])
def test_every_operation_is_taken_back_bit_for_bit(kind: str, run: Trainer) -> None:
    retire(run.rail, used(run)[-1])  # leaves a free row
    book, before = run.rail.book, outputs(run)
    weights = {name: tensor.clone() for name, tensor in run.rail.state_dict().items()}
    change = all_of(run)[kind]()
    assert change.kind == kind
    assert run.rail.book != book
    if kind in ("merge", "retire", "distil"):
        assert not torch.equal(outputs(run), before)
    take_back(run.rail, change)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in run.rail.state_dict().items())
    assert torch.equal(outputs(run), before)
    assert run.rail.book.records[:6] == book.records
    assert [record.state for record in run.rail.book.records[6:]] == ["withdrawn"] * len(change.created)


def test_an_id_is_never_given_twice(run: Trainer) -> None:
    rail, names = run.rail, used(run)
    retire(rail, names[-1])
    take_back(rail, bear(rail, parent=names[0], step=1, seed=0))
    second = bear(rail, parent=names[0], step=2, seed=0)
    assert second.created == (7,)
    row = rail.book.row_of(7)
    retire(rail, 7)
    assert bear(rail, parent=names[0], step=3, seed=0).created == (8,)
    assert rail.book.row_of(8) == row
    assert [rail.book[skill].state for skill in (names[-1], 6, 7, 8)] == ["retired", "withdrawn", "retired", "live"]
    with pytest.raises(SkillError, match=r"raise rail\.num_skills"):
        bear(rail, parent=names[0], step=4, seed=0)


def test_a_newborn_writes_what_its_parent_writes_and_shares_its_tokens(run: Trainer) -> None:
    parent = used(run)[0]
    retire(run.rail, used(run)[-1])
    before, usage = measure(run.pair, run.held_out.batch), record_states(run.pair, run.held_out.batch, most=4096).taken
    born = bear(run.rail, parent=parent, step=7, seed=1).created[0]
    row = run.rail.book.row_of(born)
    for name, tensor in skill_tensors(run.rail).items():
        assert torch.equal(tensor[row], tensor[parent]) == (not name.startswith("router")), name
    assert measure(run.pair, run.held_out.batch).loss == pytest.approx(before.loss, abs=0.05)
    taken = record_states(run.pair, run.held_out.batch, most=4096).taken
    assert 0 < int((taken == row).sum()) < int((usage == parent).sum())
    assert float((usage[taken == row] == parent).float().mean()) > 0.8
    assert (run.rail.book[born].parents, run.rail.book[born].born) == ((parent,), 7)


def test_one_born_from_zero_writes_nothing(run: Trainer) -> None:
    retire(run.rail, used(run)[-1])
    born = bear(run.rail, parent=used(run)[0], step=7, seed=1, start="zero").created[0]
    row = run.rail.book.row_of(born)
    for name, tensor in skill_tensors(run.rail).items():
        assert bool(tensor[row].any()) == (not name.endswith("up")), name
    assert not cosines(run.rail, record_states(run.pair, run.held_out.batch))[row].any()


def test_merging_two_equal_skills_changes_no_output(run: Trainer) -> None:
    first, second = used(run)[:2]
    copy_row(run.rail, first, second)
    assert cosines(run.rail, record_states(run.pair, run.held_out.batch))[first, second] == pytest.approx(1.0)
    before = outputs(run)
    merge(run.rail, keep=first, give=second)
    torch.testing.assert_close(outputs(run), before, rtol=1e-5, atol=1e-5)
    usage = measure(run.pair, run.held_out.batch).usage
    assert usage[second] == 0
    assert run.rail.book.resolve(second).id == first


def test_cosines_see_the_function_and_not_how_it_is_written(run: Trainer) -> None:
    first, second = used(run)[:2]
    recorded = record_states(run.pair, run.held_out.batch)
    assert abs(float(cosines(run.rail, recorded)[first, second])) < 0.9
    copy_row(run.rail, first, second)
    with torch.no_grad():
        for name, tensor in skill_tensors(run.rail).items():
            if name.endswith("down"):
                tensor[second] = tensor[second].flip(-1)
            elif name.endswith("up"):
                tensor[second] = 3.0 * tensor[second].flip(0)
    found = cosines(run.rail, recorded)
    assert found[first, second] == pytest.approx(1.0)
    torch.testing.assert_close(found, found.T, rtol=1e-4, atol=1e-5)


def test_distilling_equal_skills_loses_nothing_and_different_ones_come_near(run: Trainer) -> None:
    first, second = used(run)[:2]
    plain = outputs(run)
    change = distil(run.rail, [first, second], record_states(run.pair, run.held_out.batch, most=4096))
    fitted = (outputs(run) - plain).square().mean()
    take_back(run.rail, change)
    merge(run.rail, keep=first, give=second)
    assert fitted < (outputs(run) - plain).square().mean(), "a fit beats handing the tokens over"
    take_back(run.rail, Change(kind="merge", ids=(), created=(), records=change.records, rows=(), saved=_no_rows(run.rail)))
    copy_row(run.rail, first, second)
    before = outputs(run)
    made = distil(run.rail, [first, second], record_states(run.pair, run.held_out.batch, most=4096)).created[0]
    torch.testing.assert_close(outputs(run), before, rtol=1e-2, atol=1e-2)
    assert [run.rail.book.resolve(skill).id for skill in (first, second)] == [made, made]
    assert run.rail.book[made].parents == (first, second)


def _no_rows(rail: BuilderRail) -> dict[str, torch.Tensor]:
    return {name: tensor.detach()[:0].clone() for name, tensor in skill_tensors(rail).items()}


def test_packing_leaves_out_parameters_and_no_output(run: Trainer) -> None:
    first, second, *_, last = used(run)
    merge(run.rail, keep=first, give=second)
    retire(run.rail, last)
    before = outputs(run)
    weights = {name: tensor.clone() for name, tensor in run.rail.state_dict().items()}
    small, change = pack(run.rail)
    assert (small.config.num_skills, small.config.aliases) == (4, 1)
    torch.testing.assert_close(outputs(run, small), before, rtol=1e-5, atol=1e-5)
    assert sum(tensor.numel() for tensor in small.parameters()) < sum(tensor.numel() for tensor in run.rail.parameters())
    assert small.book.resolve(second).id == first
    whole = take_back(small, change)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in whole.state_dict().items())
    assert whole.book == run.rail.book
    assert whole.config == run.rail.config
    assert torch.equal(outputs(run, whole), before)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda rail: retire(rail, 0), "pinned to nothing"),
        (lambda rail: merge(rail, keep=5, give=1), "pinned to nothing"),
        (lambda rail: rename(rail, 0, "other"), "pinned to nothing"),
        (lambda rail: merge(rail, keep=4, give=4), "got 4 twice"),
        (lambda rail: merge(rail, keep=9, give=4), r"0\.\.5, got 9"),
        (lambda rail: distil(rail, [4], None), "two or more"),
        (lambda rail: rename(rail, 4, "next"), "no skill of this rail has"),
        (lambda rail: [retire(rail, 4), retire(rail, 4)], "which is retired"),
    ],
)
def test_what_may_not_be_done_is_refused_by_name(
    operation: Callable[[BuilderRail], object], message: str, base: Path, tmp_path: Path
) -> None:
    rail = trainer(base, tmp_path, "rail.pinned=true").rail
    assert rail.config.pinned_skills == ("next", "do", "then", "follows")
    with pytest.raises(SkillError, match=message):
        operation(rail)
