"""What no operation can compute with is refused: the error names the argument, what was expected and what came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from bbkernels.cached_attention import paged_attention, slotted_attention
from bbkernels.cross_attention import cross_attention, packed_cross_attention
from bbkernels.gated_fusion import gated_fusion
from bbkernels.governed_loss import OutputHead, governed_loss
from bbkernels.masked_sample import Penalties, Truncation, masked_sample
from bbkernels.nf4_linear import Nf4Weight, mxfp4_linear, nf4_linear
from bbkernels.nf4_linear.reference import NF4
from bbkernels.page_write import write_pages
from bbkernels.ragged_attention import ragged_attention
from bbkernels.skill_adapter import reference as skill_reference
from bbkernels.skill_adapter import skill_adapter

INT, WORD, BYTE = torch.int64, torch.int32, torch.uint8


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


def integers(*values: int, dtype: torch.dtype = INT) -> Tensor:
    return torch.tensor(values, dtype=dtype)


@dataclass(frozen=True)
class Operation:
    """A function of the arguments in `right`, what else must be refused by the argument's name, and which may be None."""

    run: Callable[..., Any]
    right: dict[str, Any]
    wrong: list[tuple[str, Any]] = field(default_factory=list)
    optional: tuple[str, ...] = ()


def lose(fused: Any, base: Any, labels: Any, bitmask: Any, **head: Any) -> Any:
    names = {name.removeprefix("head."): value for name, value in head.items() if name != "head"}
    return governed_loss(fused, base, head["head"] if "head" in head else OutputHead(**names), labels, bitmask)


def sample(logits: Any, **arguments: Any) -> Any:
    cuts = {name: arguments.pop(name) for name in ("min_p", "top_k", "top_p")}
    names = ("repetition", "presence", "frequency", "prompt_counts", "output_counts")
    strengths = {name: arguments.pop(name) for name in names}
    parts = {"truncation": Truncation(**cuts), "penalties": Penalties(**strengths)}
    return masked_sample(logits, **(parts | arguments))


def multiply(x: Any, bias: Any, weight: Any = None, **parts: Any) -> Any:
    return nf4_linear(x, Nf4Weight(**parts) if weight is None else weight, bias)


NEVER = [0.0, -1.0, torch.nan, torch.inf, "1"]
ATTENTION: dict[str, Any] = {"memory": zeros(2, 3, 1, 8), "memory_lengths": integers(3, 0), "theta": 10_000.0}
UNKNOWN = [("memory_lengths", integers(4, 0)), ("memory_lengths", integers(0, -1)), *(("theta", value) for value in NEVER)]
CACHED = {"query": zeros(2, 2, 8), "lengths": integers(6, 1, dtype=WORD), **ATTENTION}
LENGTHS = [("lengths", integers(6, wrong, dtype=WORD)) for wrong in (0, -1, 9)]
SAMPLED = {
    "temperature": torch.ones(2), "seed": zeros(2, dtype=INT), "position": zeros(2, dtype=INT),
    "bitmask": zeros(2, 3, dtype=WORD), "illegal_penalty": zeros(2), "min_p": zeros(2), "top_k": zeros(2, dtype=INT),
    "top_p": torch.ones(2), "repetition": torch.ones(2), "presence": zeros(2), "frequency": zeros(2),
    "prompt_counts": zeros(2, 70, dtype=WORD), "output_counts": zeros(2, 70, dtype=WORD),
}  # fmt: skip
NESTED = {"nested_absmax": zeros(1), "nested_code": zeros(256), "offset": zeros(1)}
OPERATIONS = {
    "gated_fusion": Operation(
        gated_fusion,
        {"base": zeros(3, 8), "update": zeros(3, 8), "alpha": zeros(8), "norm_weight": zeros(8), "norm_epsilon": 1e-6},
        [("norm_epsilon", value) for value in (-1e-6, torch.nan, "1")],
        optional=("norm_weight",),
    ),
    "cross_attention": Operation(
        cross_attention,
        {"query": zeros(2, 4, 2, 8), "latent": zeros(2, 5, 1, 8), **ATTENTION, "offset": 1},
        [
            *UNKNOWN, *(("offset", value) for value in (-1, 1.0, None)), ("latent", zeros(1, 5, 1, 8)),
            ("latent", zeros(2, 5, 0, 8)), ("latent", zeros(2, 6, 1, 8)), ("query", zeros(2, 4, 2, 0)),
            ("query", zeros(2, 4, 2, 7)),
        ],
    ),
    "packed_cross_attention": Operation(
        packed_cross_attention,
        {
            "query": zeros(4, 2, 8), "latent": zeros(6, 1, 8), **ATTENTION, "query_starts": integers(0, 3, 4, dtype=WORD),
            "key_starts": integers(0, 4, 6, dtype=WORD), "max_queries": 3, "max_keys": 4,
        },
        [
            *UNKNOWN, ("latent", zeros(6, 0, 8)),
            ("query_starts", integers(0, 5, 4, dtype=WORD)), ("query_starts", integers(1, 3, 4, dtype=WORD)),
            ("key_starts", integers(0, 4, 5, dtype=WORD)), ("key_starts", integers(0, 2, 6, dtype=WORD)),
            ("max_queries", 2), ("max_queries", -1), ("max_keys", 3), ("max_keys", 4.0),
        ],
    ),
    "slotted_attention": Operation(
        slotted_attention, {**CACHED, "cache": zeros(2, 8, 1, 8)}, [*UNKNOWN, *LENGTHS, ("cache", zeros(2, 8, 0, 8))]
    ),
    "paged_attention": Operation(
        paged_attention,
        {**CACHED, "pages": zeros(3, 4, 1, 8), "table": integers(0, 2, 1, 9, dtype=WORD).view(2, 2)},
        [
            *UNKNOWN, *LENGTHS, ("pages", zeros(3, 4, 0, 8)),
            *(("table", integers(0, page, 1, 0, dtype=WORD).view(2, 2)) for page in (3, -1)),
        ],
    ),
    "ragged_attention": Operation(
        ragged_attention,
        {
            "query": zeros(3, 2, 8), "keys": zeros(3, 4, 1, 8), "values": zeros(3, 4, 1, 8),
            "table": integers(0, 2, 1, 9, dtype=WORD).view(2, 2), "starts": integers(0, 1, 3, dtype=WORD),
            "lengths": integers(6, 2, dtype=WORD), "scale": 0.3, "window": 2, "soft_cap": 30.0, "sinks": zeros(2),
        },
        [
            *((name, value) for name in ("scale", "soft_cap") for value in NEVER), ("window", 0), ("window", 1.5),
            ("keys", zeros(3, 4, 0, 8)), ("keys", zeros(3, 0, 1, 8)), ("lengths", integers(9, 2, dtype=WORD)),
            ("lengths", integers(6, 1, dtype=WORD)), ("starts", integers(0, 2, 4, dtype=WORD)),
            ("starts", integers(0, 2, 1, dtype=WORD)), ("table", integers(0, 3, 1, 9, dtype=WORD).view(2, 2)),
        ],
        optional=("window", "soft_cap", "sinks"),
    ),
    "write_pages": Operation(
        write_pages,
        {
            "keys": zeros(3, 1, 8), "values": zeros(3, 1, 8), "key_pages": zeros(2, 4, 1, 8),
            "value_pages": zeros(2, 4, 1, 8), "slots": integers(7, -1, 0),
        },
        [("slots", integers(8, 0, 1))],
    ),
    "masked_sample": Operation(
        sample,
        {"logits": zeros(2, 70), **SAMPLED},
        [("logits", zeros(2, 0)), ("truncation", 0.9), ("penalties", {}), ("bitmask", None)],
        optional=("illegal_penalty", "bitmask"),
    ),
    "governed_loss": Operation(
        lose,
        {
            "fused": zeros(5, 8), "base": zeros(5, 8), "head.weight": zeros(70, 8), "head.bias": zeros(70), "head.scale": 1.0,
            "head.soft_cap": 30.0, "head.vocab_size": 69, "labels": zeros(5, dtype=INT), "bitmask": zeros(5, 3, dtype=WORD),
        },
        [
            *(("head.soft_cap", value) for value in NEVER), ("head.scale", torch.inf), ("head.vocab_size", 0),
            ("head.vocab_size", 71), ("head.vocab_size", 1.5), ("head", zeros(70, 8)), ("head.weight", zeros(8, 70).T),
        ],
        optional=("head.bias", "bitmask", "base"),
    ),
    "nf4_linear": Operation(
        multiply,
        {
            "x": zeros(2, 64), "bias": zeros(3), "packed": zeros(96, dtype=BYTE), "absmax": zeros(3, dtype=BYTE),
            "code": torch.tensor(NF4), **NESTED, "out_features": 3, "in_features": 64,
        },
        [
            ("out_features", -3), ("in_features", -64), ("out_features", 3.0), ("weight", zeros(3, 64)),
            ("packed", zeros(97, dtype=BYTE)),
        ],
        optional=("bias",),
    ),
    "mxfp4_linear": Operation(
        mxfp4_linear,
        {"x": zeros(2, 32), "blocks": zeros(4, 1, 16, dtype=BYTE), "scales": zeros(4, 1, dtype=BYTE), "bias": zeros(4)},
        optional=("bias",),
    ),
    "skill_adapter": Operation(
        skill_adapter,
        {"x": zeros(5, 8), "skill": zeros(5, dtype=INT), "down": zeros(3, 8, 2), "up": zeros(3, 2, 8)},
        [("down", zeros(0, 8, 2)), ("down", zeros(3, 8, 0))],
    ),
}  # fmt: skip


def unusable(value: Tensor) -> Iterator[tuple[str, Any]]:
    """What can be wrong with a tensor, each with a word for it."""
    yield "a number", 1.5
    yield "None", None
    if value.numel() > 1:
        yield "no dimension", value.new_zeros(())
    yield "elsewhere", value.to("meta")
    if value.is_floating_point():
        yield "integers", value.to(torch.int64)
        yield "8-bit floats", value.to(torch.float8_e4m3fn)
    else:
        yield "floats", value.to(torch.float32)
        yield "other integers", value.to(torch.int16)


def refusals() -> Iterator[tuple[str, str, str, Any]]:
    for operation, about in OPERATIONS.items():
        first = next(iter(about.right))
        for name, value in about.right.items():
            for word, wrong in unusable(value) if isinstance(value, Tensor) else ():
                if (word == "None" and name in about.optional) or (word == "elsewhere" and name == first):
                    continue
                yield operation, name, word, wrong
        for place, (name, wrong) in enumerate(about.wrong):
            yield operation, name, f"case {place}", wrong


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_right_is_taken(operation: str) -> None:
    with torch.no_grad():
        OPERATIONS[operation].run(**OPERATIONS[operation].right)


@pytest.mark.parametrize(
    ("operation", "name", "word", "wrong"), refusals(), ids=["-".join(case[:3]).replace(" ", "_") for case in refusals()]
)
def test_what_is_wrong_is_named(operation: str, name: str, word: str, wrong: Any) -> None:
    about = OPERATIONS[operation]
    with torch.no_grad(), pytest.raises((TypeError, ValueError), match=rf"expected .*\b{name}\b.*, got .+"):
        about.run(**about.right | {name: wrong})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_rows_that_do_not_agree_are_named(operation: str) -> None:
    about = OPERATIONS[operation]
    for name, value in about.right.items():
        if name == "x" and "linear" in operation:
            continue  # takes any number of rows
        if isinstance(value, Tensor) and value.ndim and value.shape[0] > 1:
            with torch.no_grad(), pytest.raises(ValueError, match=r"expected [a-z_.]+\b.*, got .+"):
                about.run(**about.right | {name: value[1:]})


@pytest.mark.parametrize("wrong", [-1, 5])
@pytest.mark.parametrize(("rows", "rank", "gathered"), [(9, 2, 0), (3, 30, 2**20), (9, 30, 0)])
def test_a_skill_that_is_none_is_refused_in_the_same_words_whatever_the_sizes(
    wrong: int, rows: int, rank: int, gathered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skill_reference, "_GATHERED", gathered)
    skill = torch.zeros(rows, dtype=INT)
    skill[1] = wrong
    with pytest.raises(IndexError, match=rf"expected skill in 0\.\.4, got {wrong} in row 1"):
        skill_adapter(zeros(rows, 4), skill, zeros(5, 4, rank), zeros(5, rank, 4))


def test_graphs_and_devices_are_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at values would make the host wait for a device; a tensor without values stands for one on it."""
    about = OPERATIONS["slotted_attention"]
    given = {name: value.to("meta") if isinstance(value, Tensor) else value for name, value in about.right.items()}
    given["lengths"] = integers(0, 99, dtype=WORD).to("meta")
    assert slotted_attention(**given).shape == (2, 2, 8)
