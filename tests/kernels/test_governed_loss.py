"""The governed loss, in blocks on the CPU and as interpreted kernels, against whole logits in float64: values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bbkernels.governed_loss import GovernedLoss, OutputHead, blocked, governed_loss, narrow
from bbkernels.governed_loss.reference import governed_loss_reference
from tests.kernels.conftest import DTYPES, assert_within_budget

# The interpreter computes with numpy, which warns where masked columns are -inf.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
SHAPES = [(1, 3, 1), (5, 37, 6), (18, 133, 20)]
Loss = Callable[[Tensor, Tensor, OutputHead, Tensor, Tensor | None], GovernedLoss]


@pytest.fixture(params=["blocked", "kernels"], autouse=True)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways, in blocks so small that small inputs take several."""
    monkeypatch.setattr(blocked, "_ROWS", 7)
    monkeypatch.setattr(blocked, "_COLUMNS", 64)
    if request.param == "kernels":
        request.getfixturevalue("interpreted")
    return str(request.param)


def pack(legal: Tensor) -> Tensor:
    """bool [N, V] to int32 [N, ceil(V / 32)]."""
    rows, vocab = legal.shape
    padded = F.pad(legal.long(), (0, -vocab % 32)).view(rows, (vocab + 31) // 32, 32)
    words = (padded << torch.arange(32)).sum(-1)
    return torch.where(words >= 2**31, words - 2**32, words).int()


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Arguments of the loss, and the upstream gradient [3, N] of its readings."""

    fused: Tensor
    base: Tensor
    head: OutputHead
    labels: Tensor
    bitmask: Tensor | None
    upstream: Tensor

    def to(self, dtype: torch.dtype) -> Inputs:
        bias = None if self.head.bias is None else self.head.bias.to(dtype)
        head = replace(self.head, weight=self.head.weight.to(dtype), bias=bias)
        return replace(self, fused=self.fused.to(dtype), base=self.base.to(dtype), head=head)


def inputs(rows: int, size: int, width: int, *, capped: bool = False) -> Inputs:
    """Capped: also with a bias and with the last two rows of the head as padding; else without."""
    generator = torch.Generator().manual_seed(rows)
    fused, base, weight = (torch.randn(n, width, generator=generator) for n in (rows, rows, size))
    head = OutputHead(weight=weight, scale=0.7)
    if capped:
        head = replace(head, bias=torch.randn(size, generator=generator), soft_cap=5.0, vocab_size=max(1, size - 2))
    legal = torch.rand(rows, size, generator=generator) < 0.4
    legal[:, 0] = True
    labels = torch.randint(-1, head.vocab_size or size, (rows,), generator=generator)
    upstream = torch.rand(3, rows, generator=generator) - 0.3
    return Inputs(fused=fused, base=base, head=head, labels=labels, bitmask=pack(legal), upstream=upstream)


def run(loss: Loss, given: Inputs, wanted: tuple[int, ...] = (0, 1, 2)) -> list[Tensor]:
    """The readings, and the gradient of the weighted sum of those that are wanted."""
    fused = given.fused.clone().requires_grad_()
    out = loss(fused, given.base, given.head, given.labels, given.bitmask)
    readings = [out.cross_entropy, out.divergence, out.energy]
    terms = [(given.upstream[i].to(readings[i].dtype) * readings[i]).sum() for i in wanted]
    torch.stack(terms).sum().backward()
    assert fused.grad is not None
    return [*(reading.detach() for reading in readings), fused.grad]


def compare(given: Inputs, dtype: torch.dtype, wanted: tuple[int, ...] = (0, 1, 2)) -> None:
    given = given.to(dtype)
    got = run(governed_loss, given, wanted)
    same, truth = (run(governed_loss_reference, given.to(kind), wanted) for kind in (dtype, torch.float64))
    for name, *values in zip(("cross-entropy", "divergence", "energy", "gradient"), got, same, truth, strict=True):
        assert_within_budget(name, *values)


@pytest.mark.parametrize("capped", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_whole_logits(shape: tuple[int, int, int], dtype: torch.dtype, capped: bool) -> None:
    compare(inputs(*shape, capped=capped), dtype)


@pytest.fixture(params=["native", "plain"])
def narrow_products(path: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """As on a processor that multiplies bfloat16 in hardware, with the native library if it was built, and without; there rows
    are taken two at a time."""
    if path == "kernels":
        pytest.skip("for a CPU alone")
    if request.param == "plain":
        monkeypatch.setattr(narrow, "native_library", lambda tensor: None)
    monkeypatch.setattr(narrow, "multiplies_bfloat16", lambda tensor: tensor.dtype == torch.bfloat16)
    monkeypatch.setattr(narrow, "_TILE", 200)


@pytest.mark.usefixtures("narrow_products")
@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize("capped", [False, True])
@pytest.mark.parametrize("shape", [*SHAPES, (40, 700, 64)])
def test_products_in_bfloat16_are_as_right_as_whole_logits_in_it(
    shape: tuple[int, int, int], capped: bool, wanted: tuple[int, ...]
) -> None:
    given = inputs(*shape, capped=capped)
    assert narrow.takes(given.to(torch.bfloat16).fused.requires_grad_(), given.to(torch.bfloat16).head)
    assert not narrow.takes(given.fused.requires_grad_(), given.head)
    given.fused.requires_grad_(False)
    compare(given, torch.bfloat16, wanted)
    if wanted != (2,):
        compare(replace(given, bitmask=None), torch.bfloat16, wanted)


@pytest.mark.usefixtures("narrow_products")
def test_in_bfloat16_a_small_difference_from_the_base_keeps_its_size() -> None:
    given = inputs(16, 500, 32).to(torch.bfloat16)
    near = given.base + (0.02 * torch.randn(16, 32, generator=torch.Generator().manual_seed(1))).bfloat16()
    given = replace(given, fused=near, bitmask=None)
    got, plain = (run(loss, given, (1,)) for loss in (governed_loss, governed_loss_reference))
    truth = run(governed_loss_reference, given.to(torch.float64), (1,))
    torch.testing.assert_close(got[1].double(), truth[1], rtol=0.05, atol=1e-5)
    for mine, theirs, right in zip((got[1], got[3]), (plain[1], plain[3]), (truth[1], truth[3]), strict=True):
        assert (mine.double() - right).norm() < 0.5 * (theirs.double() - right).norm()
    equal = run(governed_loss, replace(given, fused=given.base), (1,))
    torch.testing.assert_close(equal[1], torch.zeros(16), atol=2e-6, rtol=0)


@pytest.mark.usefixtures("narrow_products")
def test_in_bfloat16_rows_that_have_no_slope_have_none() -> None:
    given = inputs(5, 40, 6, capped=True).to(torch.bfloat16)
    assert given.bitmask is not None
    given.bitmask[2] = 0
    given.labels[:] = torch.tensor([3, 39, 4, -1, 5])  # the second is padding, the fourth none
    cross_entropy, _, energy, gradient = run(governed_loss, given, (0, 2))
    assert cross_entropy.isinf().tolist() == [False, True, False, False, False]
    assert energy.isinf().tolist() == [False, False, True, False, False]
    assert cross_entropy[3] == 0.0
    assert gradient.isfinite().all()
    assert not run(governed_loss, given, (0,))[3][[1, 3]].any()
    assert not run(governed_loss, given, (2,))[3][2].any()


@pytest.mark.usefixtures("narrow_products")
def test_in_bfloat16_nan_and_infinity_stay_in_their_row() -> None:
    given = inputs(5, 40, 6).to(torch.bfloat16)
    given.fused[1, 2], given.base[3, 0] = torch.nan, torch.inf
    cross_entropy, divergence, _, gradient = run(governed_loss, given)
    assert gradient.isfinite().all(1).tolist() == [True, False, True, False, True]
    assert cross_entropy.isnan().tolist() == [False, True, False, False, False]
    assert divergence[[1, 3]].isnan().all()


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 2)])
def test_readings_that_the_loss_does_not_use_leave_no_trace(wanted: tuple[int, ...]) -> None:
    compare(inputs(5, 69, 6), torch.float32, wanted)


def test_without_a_mask_there_is_no_energy_and_no_gradient_of_it() -> None:
    given = replace(inputs(5, 69, 6), bitmask=None)
    compare(given, torch.float32)
    assert not run(governed_loss, given)[2].any()


@pytest.mark.parametrize("capped", [False, True])
@pytest.mark.parametrize("size", [40, 100])
def test_text_without_labels_has_a_divergence_alone(size: int, capped: bool) -> None:
    given = replace(inputs(9, size, 6, capped=capped), bitmask=None)
    given.labels[:] = -100
    compare(given, torch.float32)


def test_equal_states_have_no_divergence_and_full_masks_no_energy() -> None:
    given = inputs(5, 40, 6)
    given = replace(given, base=given.fused, bitmask=pack(torch.ones(5, 40).bool()))
    _, divergence, energy, _ = run(governed_loss, given)
    torch.testing.assert_close(divergence, torch.zeros(5), atol=2e-7, rtol=0)
    torch.testing.assert_close(energy, torch.zeros(5), atol=1e-6, rtol=0)


def test_a_mask_that_allows_nothing_is_infinite_energy_without_a_gradient() -> None:
    given = inputs(5, 40, 6)
    assert given.bitmask is not None
    given.bitmask[2] = 0
    energy, gradient = run(governed_loss, given, (2,))[2:]
    assert energy.isinf().tolist() == [False, False, True, False, False]
    assert gradient.isfinite().all()
    assert gradient.any(1).tolist() == [True, True, False, True, True]


def test_a_legal_set_with_hardly_any_mass_keeps_its_energy() -> None:
    given = inputs(3, 70, 2)
    given.fused[:] = 1.0
    given.head.weight[:] = 0.0
    given.head.weight[:, 1] = 0.01 * torch.arange(70)
    given.head.weight[3] = 200.0
    legal = torch.zeros(3, 70, dtype=torch.bool)
    legal[:, 40:45] = True
    given = replace(given, bitmask=pack(legal))
    compare(given, torch.float32)
    assert (run(governed_loss, given)[2] > 250.0).all()


def test_a_label_that_is_padding_is_impossible_and_has_no_gradient() -> None:
    given = inputs(5, 40, 6, capped=True)
    given.labels[1] = 39
    cross_entropy, *_, gradient = run(governed_loss, given, (0,))
    assert cross_entropy.isinf().nonzero().flatten().tolist() == [1]
    assert not gradient[1].any()
    assert gradient.isfinite().all()


def test_rows_with_gaps_between_them_and_columns_far_apart_are_read_where_they_are() -> None:
    given = inputs(6, 70, 8)
    assert given.bitmask is not None
    expected = run(governed_loss, given)
    wide = F.pad(given.head.weight, (0, 3), value=torch.nan)[:, :8]
    spaced = torch.stack([given.bitmask, torch.full_like(given.bitmask, -1)], -1).flatten(1)[:, ::2]
    got = run(
        governed_loss,
        replace(given, base=given.base.T.contiguous().T, head=replace(given.head, weight=wide), bitmask=spaced,
                labels=given.labels.repeat_interleave(2)[::2]),
    )  # fmt: skip
    for mine, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_without_rows_there_is_nothing_to_do() -> None:
    *readings, gradient = run(governed_loss, inputs(0, 40, 6))
    assert [reading.shape for reading in readings] == [(0,)] * 3
    assert gradient.shape == (0, 6)


def test_nan_and_infinity_stay_in_their_row() -> None:
    given = inputs(5, 40, 6)
    clean = run(governed_loss, given)
    given.fused[1, 2], given.base[3, 0] = torch.nan, torch.inf
    cross_entropy, divergence, energy, gradient = run(governed_loss, given)
    for mine, theirs in zip((cross_entropy, divergence, energy, gradient), clean, strict=True):
        torch.testing.assert_close(mine[[0, 2, 4]], theirs[[0, 2, 4]])
    assert divergence[[1, 3]].isnan().all()
    assert cross_entropy.isnan().tolist() == energy.isnan().tolist() == [False, True, False, False, False]


def test_nothing_is_kept_for_a_backward_pass_that_will_not_come() -> None:
    given = inputs(5, 40, 6)
    out = governed_loss(given.fused, given.base, given.head, given.labels, given.bitmask)
    assert not out.divergence.requires_grad
    arguments = (given.fused, given.base, given.head.weight, None, given.labels, given.bitmask, 1.0, None, False)
    assert torch.ops.bbkernels.governed_loss_blocked(*arguments)[3].shape == (3, 0, 6)


@pytest.mark.parametrize("cap", [None, 5.0])
def test_without_a_base_the_other_readings_and_gradients_are_the_same(cap: float | None) -> None:
    given = inputs(5, 2100, 6)
    head = replace(given.head, soft_cap=cap)
    found = []
    for base in (given.base, None):
        fused = given.fused.detach().requires_grad_()
        out = governed_loss(fused, base, head, given.labels, given.bitmask)
        (out.cross_entropy + 2.0 * out.energy).where(out.energy.isfinite(), 0.0).sum().backward()
        assert fused.grad is not None
        found.append((out, fused.grad))
    (whole, slope), (part, same) = found
    torch.testing.assert_close(part.cross_entropy, whole.cross_entropy)
    torch.testing.assert_close(part.energy, whole.energy)
    torch.testing.assert_close(same, slope)
    assert not part.divergence.any()
    assert whole.divergence.any()


def test_a_compiled_loss_is_one_graph() -> None:
    given = inputs(3, 40, 4)
    compiled = torch.compile(governed_loss, fullgraph=True, backend="aot_eager")
    for mine, theirs in zip(run(compiled, given), run(governed_loss, given), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_wrong_arguments_are_named() -> None:
    given = inputs(2, 40, 6)
    wrong = {
        "bitmask as int32": replace(given, bitmask=torch.zeros(2, 1, dtype=torch.int32)),
        "labels as int64": replace(given, labels=torch.tensor([0])),
        "vocab_size in 1..40": replace(given, head=replace(given.head, vocab_size=41)),
        "head.bias as": replace(given, head=replace(given.head, bias=torch.zeros(39))),
        "neighbouring values": replace(given, head=OutputHead(weight=torch.zeros(6, 40).T)),
        r"base as floating \[2, 6\]": replace(given, base=torch.zeros(2, 5)),
    }
    for message, arguments in wrong.items():
        with pytest.raises(ValueError, match=message):
            run(governed_loss, arguments)
