"""The Triton kernels of masked sampling: the tokens of the reference, to the bit, and its log-probabilities in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bbkernels.masked_sample import Penalties, SampleResult, SampleStatus, Truncation, masked_sample, unpack_bitmask
from bbkernels.masked_sample.reference import masked_sample_reference
from tests.kernels.conftest import DTYPES, assert_within_budget
from tests.kernels.test_masked_sample import pack

pytestmark = [
    pytest.mark.usefixtures("interpreted"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # logs of 0 and overflows, as on a GPU, but NumPy says so
]
OFF: dict[str, Any] = {"bitmask": None, "illegal_penalty": None, "truncation": None, "penalties": None}


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def batch(vocab_size: int, dtype: torch.dtype, *, spread: float = 3.0, seed: int = 0) -> tuple[Tensor, dict[str, Any]]:
    """Eight rows, each with its own way of being sampled."""
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.randn(8, vocab_size, generator=generator) * spread).to(dtype)
    allowed = torch.rand(8, vocab_size, generator=generator) < 0.6
    allowed[:, 0] = True
    arguments: dict[str, Any] = {
        "temperature": column(0.0, 1.0, 1.4, 1.0, 0.8, 1.2, 1.0, 0.3),
        "seed": torch.randint(-(1 << 62), 1 << 62, (8,), generator=generator),
        "position": torch.arange(8) * 1000,
        "bitmask": pack(allowed),
        "illegal_penalty": column(torch.inf, 2.0, torch.inf, 1.0, torch.inf, 0.0, torch.inf, 4.0),
        "truncation": Truncation(
            min_p=column(0, 0, 0, 0, 0.05, 0, 0.001, 0),
            top_k=torch.tensor([3, 0, 5, 0, 0, 40, 0, vocab_size + 9]),
            top_p=column(1, 1, 1, 0.6, 1, 0.9, 0.97, 1),
        ),
        "penalties": Penalties(
            repetition=column(1.2, 0.8, 1, 1.3, 2, 1, 1.1, 1),
            presence=column(0, 0.5, -0.5, 0.1, 1, 0, 0, 0),
            frequency=column(0.3, 0, 0.2, -0.2, 0, 0.1, 0, 0),
            prompt_counts=torch.randint(0, 2, (8, vocab_size), generator=generator, dtype=torch.int32),
            output_counts=torch.randint(0, 3, (8, vocab_size), generator=generator, dtype=torch.int32),
        ),
    }
    return logits, arguments


def first_rows(count: int, logits: Tensor, arguments: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    """The batch without its later rows."""

    def cut(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value[:count]
        return value if value is None else replace(value, **{f.name: cut(getattr(value, f.name)) for f in fields(value)})

    return logits[:count], {name: cut(value) for name, value in arguments.items()}


def compare(logits: Tensor, arguments: dict[str, Any]) -> SampleResult:
    got = masked_sample(logits, **arguments)
    judge(got, masked_sample_reference(logits, **OFF | arguments), logits, arguments)
    return got


def judge(got: SampleResult, reference: SampleResult, logits: Tensor, arguments: dict[str, Any]) -> None:
    """Status and token are the reference's; log-probabilities are as near to float64 as the reference's."""
    assert got.status.tolist() == reference.status.tolist(), "error: status"
    assert got.token.tolist() == reference.token.tolist(), "error: token"
    logits, mask = logits.double(), arguments.get("bitmask")
    allowed = torch.ones_like(logits, dtype=torch.bool) if mask is None else unpack_bitmask(mask, logits.shape[1])
    penalty = (
        torch.full((len(logits),), torch.inf) if arguments.get("illegal_penalty") is None else arguments["illegal_penalty"]
    )
    softened = torch.where(allowed, logits, logits - penalty.double()[:, None])
    fine = reference.status == SampleStatus.OK
    logprob = softened.log_softmax(-1).gather(1, reference.token.clamp(min=0)[:, None])[:, 0]
    mass = logits.masked_fill(~allowed, -torch.inf).logsumexp(-1) - logits.logsumexp(-1)
    finite = fine & mass.isfinite()
    assert_within_budget("logprob", got.logprob[fine], reference.logprob[fine], logprob[fine])
    assert_within_budget("allowed_log_mass", got.allowed_log_mass[finite], reference.allowed_log_mass[finite], mass[finite])
    assert torch.equal(got.logprob.isnan(), ~fine), "error: logprob of rows without a token"
    for special in (torch.isnan, torch.isinf):
        assert torch.equal(special(got.allowed_log_mass), special(reference.allowed_log_mass)), "error: special masses"


@pytest.mark.parametrize(
    ("vocab_size", "dtype"),
    [
        (1, torch.float32),
        (31, torch.float16),
        (33, torch.bfloat16),
        *((2_080, dtype) for dtype in DTYPES),
        (4_999, torch.float32),
    ],
)
def test_tokens_are_those_of_the_reference(vocab_size: int, dtype: torch.dtype) -> None:
    compare(*batch(vocab_size, dtype))


@pytest.mark.parametrize("spread", [0.0, 200.0])
def test_flat_rows_with_ties_and_steep_ones(spread: float) -> None:
    compare(*batch(4_500, torch.float32, spread=spread, seed=1))  # more candidates than are held at once, when flat


@pytest.mark.parametrize(
    "off", [("bitmask", "illegal_penalty", "penalties"), ("illegal_penalty",), ("truncation",), tuple(OFF)]
)
def test_every_part_can_be_left_out(off: tuple[str, ...]) -> None:
    logits, arguments = batch(2_100, torch.float32, seed=2)
    compare(logits, arguments | dict.fromkeys(off))


def test_many_rows_draw_what_the_reference_draws() -> None:
    torch.manual_seed(3)
    logits, many = torch.randn(60, 65) * 2, torch.arange(60)
    compare(logits, {"temperature": torch.ones(60), "seed": many * 7, "position": many})


def test_logits_at_the_ends_of_their_range() -> None:
    torch.manual_seed(4)
    logits = torch.randn(6, 70)
    logits[0] *= 1e37
    logits[1, 1:] = -torch.inf
    logits[2] = -1e30
    logits[3, ::2], logits[3, 1::2] = 0.0, -0.0
    logits[4] = logits[4] * 1e-30
    logits[5, :60] = -torch.inf
    cut = Truncation(
        min_p=column(0, 0, 0, 0, 0.5, 0), top_k=torch.tensor([3, 2, 1, 2, 0, 20]), top_p=column(1, 1, 0.5, 0.5, 1, 1)
    )
    for temperature in (1e-6, 1e30):
        more = {"temperature": torch.full((6,), temperature), "seed": torch.arange(6), "position": torch.arange(6)}
        compare(logits, more)
        compare(logits, more | {"truncation": cut})


def test_rows_without_a_token_say_why() -> None:
    logits, arguments = batch(40, torch.float32, seed=5)
    allowed = unpack_bitmask(arguments["bitmask"], 40)
    arguments["illegal_penalty"] = column(torch.inf, 2.0, torch.inf, torch.inf, -1.0, torch.nan, torch.inf, 1.0)
    allowed[0] = False
    allowed[1] = False  # soft: it has a token nonetheless
    logits[2, 7], allowed[2, 7] = torch.inf, False
    logits[3, 5] = torch.nan
    logits[7] = -torch.inf
    got = compare(logits, arguments | {"bitmask": pack(allowed)})
    assert got.status.tolist() == [1, 0, 2, 2, 3, 3, 0, 1]
    assert got.allowed_log_mass[1] == -torch.inf


@pytest.mark.parametrize(
    ("group", "name", "values"),
    [
        (None, "temperature", (-1.0, torch.nan, torch.inf)),
        ("truncation", "min_p", (-0.1, 1.1, torch.nan)),
        ("truncation", "top_p", (0.0, 1.1, torch.nan)),
        ("truncation", "top_k", (-1, -(1 << 40))),
        ("penalties", "repetition", (0.0, torch.inf, torch.nan)),
        ("penalties", "presence", (torch.inf, torch.nan)),
        ("penalties", "frequency", (-torch.inf, torch.nan)),
    ],
)
def test_a_parameter_out_of_range_is_the_rows_own_fault(group: str | None, name: str, values: tuple[float, ...]) -> None:
    logits, arguments = batch(33, torch.float32, seed=6)
    tensor = arguments[name] if group is None else getattr(arguments[group], name)
    tensor[: len(values)] = torch.tensor(values, dtype=tensor.dtype)
    got = compare(*first_rows(4, logits, arguments))
    assert got.status.tolist() == [SampleStatus.INVALID] * len(values) + [SampleStatus.OK] * (4 - len(values))


def test_a_row_draws_the_same_alone() -> None:
    logits, arguments = batch(2_080, torch.float32, seed=7)
    arguments = arguments | dict.fromkeys(("truncation", "penalties"))
    together = masked_sample(logits, **arguments)
    for row in (1, 6):
        one = {name: value if value is None else value[row : row + 1] for name, value in arguments.items()}
        assert masked_sample(logits[row : row + 1], **one).token.item() == together.token[row].item()


def test_rows_and_columns_with_gaps_and_one_mask_for_all_are_read_where_they_are() -> None:
    wide = torch.randn(6, 200, generator=torch.Generator().manual_seed(8))
    allowed = pack(torch.arange(66)[None] % 3 > 0).expand(3, -1)
    more = {"temperature": torch.ones(6)[::2], "seed": torch.arange(6)[::2], "position": torch.arange(3), "bitmask": allowed}
    for logits in (wide[::2, :66], wide[:3, 1:67], wide[:3, ::3][:, :66]):
        compare(logits, more)


def test_without_rows_there_is_nothing_to_do() -> None:
    empty = torch.zeros(0, dtype=torch.int64)
    assert masked_sample(torch.zeros(0, 5), temperature=torch.zeros(0), seed=empty, position=empty).token.shape == (0,)


def test_the_operator_is_registered_as_pytorch_wants_it_and_compiles() -> None:
    logits, arguments = first_rows(2, *batch(40, torch.float32))
    cut, penalties = arguments["truncation"], arguments["penalties"]
    flat = [logits, *(arguments[name] for name in ("temperature", "seed", "position", "bitmask", "illegal_penalty"))]
    strengths = [
        penalties.repetition,
        penalties.presence,
        penalties.frequency,
        penalties.prompt_counts,
        penalties.output_counts,
    ]
    for more in ([cut.min_p, cut.top_k, cut.top_p, *strengths], [None] * 8):
        torch.library.opcheck(torch.ops.bbkernels.masked_sample.default, (*flat, *more))

    def draw(x: Tensor) -> Tensor:
        return masked_sample(x * 2, **arguments).token + 1

    compiled = torch.compile(draw, fullgraph=True, backend="eager")
    assert torch.equal(compiled(logits), draw(logits))


# A line and what breaks it without leaving the arrays, which would end the interpreter.
MUTANTS = [
    ("((bits[:, None] >> lanes) & 1) != 0", "((bits[:, None] >> lanes) & 1) == 0"),
    ("masked = tl.where(allowed, x, x - illegal)", "masked = x"),
    ("(output > 0) | (prompt > 0), again", "output > 0, again"),
    ("scores - frequent * output.to(tl.float32)", "scores - frequent"),
    ("tl.minimum(tl.maximum(scores * inverse", "tl.minimum(tl.maximum(scores"),
    ("(highest == best) & (first < token)", "(highest == best) & (first > token)"),
    ('(x != x) | (x == float("inf"))', "x != x"),
    ("best + exact_log(least)", "best + 0.1 * exact_log(least)"),
    (
        "tl.where(count >= k, middle, low), tl.where(count >= k, high, middle)",
        "tl.where(count >= 1, middle, low), tl.where(count >= 1, high, middle)",
    ),
    ("wanted = p.to(tl.float64)", "wanted = (1.0 - p).to(tl.float64)"),
    ("order_of(best + tl.log(share)", "order_of(best + 0.3 * tl.log(share)"),
    ("log_add(allowed, other - illegal)", "log_add(allowed, other)"),
    ("tl.sum(sums * tl.exp(maxima - shift))", "tl.sum(sums)"),
    ("(columns + 1).to(tl.uint64)", "columns.to(tl.uint64)"),
    ("tl.where(exponent == 0, -w, f)", "tl.where(exponent == 0, w, f)"),
]


@pytest.mark.parametrize(("line", "wrong"), MUTANTS)
def test_a_broken_kernel_is_caught(line: str, wrong: str, mutate: Callable[[str, str, str], None]) -> None:
    mutate("masked_sample", line, wrong)

    def compare_all() -> None:
        compare(*first_rows(2, *batch(2_080, torch.float32)))
        test_rows_without_a_token_say_why()
        compare(*batch(2_080, torch.float32))
        for spread in (0.0, 0.05):
            compare(*batch(4_500, torch.float32, spread=spread, seed=1))

    with pytest.raises(AssertionError, match="error"):
        compare_all()
