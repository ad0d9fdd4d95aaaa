"""A rail's step on a CPU as one native call (`csrc/cpu/rail_step.cpp`): many sequences' new tokens at once, over pages.

It is for serving: no gradients, no memory tokens, no ablated skills, and only what the base's logits depend on. What a row
gives does not depend on the rows beside it, to the last bit.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from bbkernels.native import cpu_library
from bbkernels.native_kept import kept_arrays
from builderbrain.errors import ConfigError, UnsupportedModelError
from builderbrain.hosts.base import BaseStates, Host
from builderbrain.hosts.ragged import RaggedBatch
from builderbrain.rail.block import BuilderBlock
from builderbrain.rail.rail import BuilderRail

BEST_LEVEL = 2
"""The highest of csrc/cpu/level.h; the library takes what the machine has."""
_LANES = 16
_POINTER, _LONG, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "bb_rail_new": (_POINTER, [_POINTER] * 4 + [_FLOAT, _FLOAT]),
    "bb_rail_free": (None, [_POINTER]),
    "bb_rail_record": (_LONG, [_POINTER]),
    "bb_rail_state_new": (_POINTER, []),
    "bb_rail_state_copy": (_POINTER, [_POINTER]),
    "bb_rail_state_free": (None, [_POINTER]),
    "bb_rail_step": (
        None,
        [
            _POINTER,
            _POINTER,
            _LONG,
            *[_POINTER] * 4,
            _LONG,
            *[_POINTER] * 4,
            _LONG,
            *[_POINTER] * 3,
            _LONG,
            _POINTER,
            _INT,
            _INT,
        ],
    ),
}


class RailState:
    """What a sequence carries from step to step beside its pages. Used by one; `copy` it where another begins alike."""

    def __init__(self, pointer: int | None = None) -> None:
        self.pointer: int = _function("bb_rail_state_new")() if pointer is None else pointer
        weakref.finalize(self, _function("bb_rail_state_free"), self.pointer)

    def copy(self) -> RailState:
        """The same state again."""
        return RailState(_function("bb_rail_state_copy")(self.pointer))


@dataclass(frozen=True, kw_only=True)
class RailRows:
    """What a rail makes of N tokens: `fused` [1, N, d] in the base's dtype, `skill` int64 [N] the skill of each, and the states
    that were asked for."""

    fused: Tensor
    skill: Tensor
    kept: tuple[RailState, ...]


class NativeRail:
    """A rail's weights as the library reads them. Some are copied: later changes of the rail may be seen or not.

    Used by one thread at a time; it remembers what follows from each token that it has seen.
    """

    def __init__(self, rail: BuilderRail, host: Host) -> None:
        """Hand the weights over.

        Raises:
            UnsupportedModelError: there is no native library, the rail is not on the CPU in float32, its heads or the base's
                width are no multiples of 16, or a skill is ablated.
        """
        refusal = why_not_native(rail, host)
        if refusal:
            raise UnsupportedModelError(f"expected a rail for the native step, got {refusal}", field="rail")
        config = rail.config
        self.rail = rail
        floats, integers, kinds = _weights(rail)
        sizes = [] if rail.labels is None else list(rail.labels.sizes)
        first = cast(BuilderBlock, rail.blocks[0])
        numbers = [
            config.num_taps, config.d_model, config.width, config.head_size, config.self_heads, config.reading_heads,
            config.query_heads, config.latent_heads, first.mlp.down.in_features, config.num_skills, config.skill_rank,
            config.proposal_rank, config.reading_window, config.reading_match, config.reading_width, config.word_slots,
            config.word_width, config.num_routes, sum(sizes), len(sizes), len(kinds), host.max_length + 2, *sizes,
        ]  # fmt: skip
        self._kept = (floats, integers, kinds)
        shape = torch.tensor(numbers, dtype=torch.int64)
        self.pointer: int = _function("bb_rail_new")(
            shape.data_ptr(),
            _addresses(floats),
            _addresses(integers),
            _addresses([kinds]),
            torch.finfo(torch.float32).eps,
            config.rope_theta,
        )
        weakref.finalize(self, _function("bb_rail_free"), self.pointer)
        self.record: int = _function("bb_rail_record")(self.pointer)

    @property
    def prepared(self) -> dict[str, Tensor]:
        """What the library reads, by names of their own: some are the rail's tensors, others were made of several of them, and
        the arrays of its own are copies."""
        floats, integers, kinds = self._kept
        held = {f"prepared.{place:03d}": tensor for place, tensor in enumerate((*floats, *integers, kinds))}
        own = enumerate(kept_arrays("bb_rail_kept", self.pointer))
        return {**held, **{f"prepared.own.{place:03d}": array for place, array in own}}

    def new_pages(self, num_pages: int, page_size: int) -> Tensor:
        """float32 [P, record * L]: what the rail keeps of each position; numbered as the base's pages are.

        Raises:
            ConfigError: `page_size` L is no power of two, or below 16.
        """
        if page_size < _LANES or page_size & (page_size - 1):
            raise ConfigError(
                f"expected pages of a power of two positions, {_LANES} or more, beside a rail, got {page_size}",
                field="page_size",
            )
        return torch.zeros(num_pages, self.record * page_size)

    def step(
        self,
        batch: RaggedBatch,
        states: BaseStates,
        sequences: Sequence[RailState],
        pages: Tensor,
        *,
        keep: Sequence[int] = (),
        level: int = BEST_LEVEL,
    ) -> RailRows:
        """The new tokens of S sequences.

        Args:
            states: of the base over the batch, [1, N, d] each.
            sequences: S states, which move on.
            pages: of `new_pages`; written at the batch's slots.
            keep: rows, rising, behind which a copy of their sequence's state is kept: K of them give K states.
        """
        inputs = [_plain(state) for state in (states.embedding, states.unembedding, *states.taps)]
        fused, skill = torch.empty_like(inputs[0]), torch.empty(len(batch.tokens), dtype=torch.int64)
        shift = (pages.shape[1] // self.record).bit_length() - 1
        pointers = (_POINTER * len(sequences))(*[state.pointer for state in sequences])
        kept_rows, kept = (_LONG * len(keep))(*keep), (_POINTER * len(keep))()
        _function("bb_rail_step")(
            self.pointer, pointers, len(sequences), batch.tokens.data_ptr(), batch.starts.data_ptr(), batch.lengths.data_ptr(),
            batch.table.data_ptr(), batch.table.shape[1], inputs[0].data_ptr(), inputs[1].data_ptr(), _addresses(inputs[2:]),
            pages.data_ptr(), shift, fused.data_ptr(), skill.data_ptr(), kept_rows, len(keep), kept, level,
            torch.get_num_threads(),
        )  # fmt: skip
        return RailRows(fused=fused.to(states.embedding.dtype), skill=skill, kept=tuple(RailState(pointer) for pointer in kept))


def why_not_native(rail: BuilderRail, host: Host) -> str | None:
    """What keeps a rail from the native step; None when nothing does."""
    config = rail.config
    if cpu_library() is None:
        return "no native library; run `python scripts/build_native.py`"
    if host.device.type != "cpu" or any(p.dtype != torch.float32 or p.device.type != "cpu" for p in rail.parameters()):
        return "a base on a GPU, or weights that are not float32 on the CPU"
    if config.head_size % _LANES or config.d_model % _LANES or config.head_size > 512:
        return f"heads of {config.head_size} beside a width of {config.d_model}, not both multiples of {_LANES}"
    return "a rail with ablated skills" if rail.ablated_skills else None


@torch.no_grad()
def _weights(rail: BuilderRail) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """The arrays in the library's order; weights of norms go into the matrices behind them."""

    def after(norm: nn.RMSNorm, *layers: nn.Linear) -> Tensor:
        return torch.cat([layer.weight for layer in layers]) * norm.weight

    copying = rail.copying
    floats = [
        after(rail.enter_norm, rail.enter, rail.enter_previous, rail.reading.project),
        rail.words.enter.weight,
        rail.reading.enter.weight,
        after(rail.router.norm, rail.router.score),
        after(cast(BuilderBlock, rail.blocks[-1]).leave_norm, cast(BuilderBlock, rail.blocks[-1]).leave),
        after(copying.norm, copying.query, copying.key, copying.follow, copying.gate),
        rail.words.words.weight,
        rail.words.pairs.weight,
        rail.reading.length.weight,
        rail.gates()[-1],
    ]
    for part in rail.blocks:
        block = cast(BuilderBlock, part)
        own, cross, skills = block.self_attention, block.cross_attention, block.skills
        floats += [
            after(own.norm, own.query_key_value, own.follow),
            own.output.weight,
            after(cross.norm, cross.query),
            after(cross.base_norm, cross.latent),
            cross.own.weight,
            cross.output.weight,
            after(block.mlp.norm, block.mlp.gate_up),
            block.mlp.down.weight,
            (skills.down * skills.norm.weight[:, None]).transpose(1, 2),
            skills.up,
        ]
    if rail.labels is not None:
        labels = rail.labels
        floats += [after(labels.norm, labels.score), labels.enter.weight, labels.score.bias, labels.pairs, labels.away]
    if rail.proposal_skills is not None:
        skills = rail.proposal_skills
        floats += [(skills.down * skills.norm.weight[:, None]).transpose(1, 2), skills.up]
    leads = rail.book.leads()
    answers = torch.tensor([-1 if lead is None else lead for lead in leads], dtype=torch.int64)
    kinds = torch.zeros(len(rail.words.spelling), dtype=torch.uint8)
    kinds[rail.reading.quote] |= 1
    kinds[rail.reading.line] |= 2
    return (
        [value.detach().to(torch.float32).contiguous() for value in floats],
        [rail.words.spelling.contiguous(), answers],
        kinds,
    )


def _plain(state: Tensor) -> Tensor:
    """As the library reads it. A test costs less than a call that changes nothing, and every pass makes ten."""
    return state if state.dtype == torch.float32 and state.is_contiguous() else state.float().contiguous()


def _addresses(tensors: Sequence[Tensor]) -> Any:
    return (_POINTER * len(tensors))(*[tensor.data_ptr() for tensor in tensors])


@cache
def _function(name: str) -> Any:
    function = getattr(cpu_library(), name)
    function.restype, function.argtypes = _SIGNATURES[name]
    return function
