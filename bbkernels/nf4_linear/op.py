"""Public entries of `nf4_linear` and `mxfp4_linear`: checks, operators, launches.

Forward only: the base is frozen, and nothing trains through it. A caller who needs a gradient gets an error, not a wrong one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bbkernels.checks import FLOATING, UINT8, expect_same_dtype, expect_tensor, expect_type
from bbkernels.dispatch import interprets, launches_kernels, native_library, operator
from bbkernels.nf4_linear import native, plan
from bbkernels.nf4_linear.reference import MX_GROUP, linear_reference, mxfp4_dequantise, nf4_dequantise
from bbkernels.nf4_linear.weight import GROUP, Nf4Weight


def nf4_linear(x: Tensor, weight: Nf4Weight, bias: Tensor | None = None) -> Tensor:
    """`y = x W^T + b` with W in bitsandbytes' NF4 storage, used as it is.

    Args:
        x: [..., K], float32, float16 or bfloat16 (float64 for proofs).
        weight: [N, K] in four bits; see `Nf4Weight`.
        bias: [N] in the dtype of `x`, None for none.

    Returns:
        [..., N] in the dtype of `x`, accumulated in float32.

    Raises:
        TypeError: an argument is no tensor, or the weight of another class.
        ValueError: shapes, dtypes or devices do not agree, or a gradient is asked for: the operation is forward only.
    """
    expect_type("weight", weight, Nf4Weight)
    _check("nf4_linear", x, weight.in_features, weight.out_features, weight.packed, bias)
    if not torch.compiler.is_compiling():
        return _compute_nf4(x, weight, bias)  # the operator is for graphs: its dispatch costs more than a small product
    y: Tensor = torch.ops.bbkernels.nf4_linear(
        x, weight.packed, weight.absmax, weight.code, weight.nested_absmax, weight.nested_code, weight.offset, bias,
        weight.out_features,
    )  # fmt: skip
    return y


def mxfp4_linear(x: Tensor, blocks: Tensor, scales: Tensor, bias: Tensor | None = None) -> Tensor:
    """`y = x W^T + b` with W in MXFP4 as gpt-oss stores one expert's matrix.

    Args:
        x: [..., K], float32, float16 or bfloat16 (float64 for proofs).
        blocks: uint8 [N, K / 32, 16], two weights a byte, the earlier one in the low half.
        scales: uint8 [N, K / 32], exponents with a bias of 127; 255 is NaN.
        bias: [N] in the dtype of `x`, None for none.

    Returns:
        [..., N] in the dtype of `x`, accumulated in float32.

    Raises:
        TypeError: an argument is no tensor.
        ValueError: shapes, dtypes or devices do not agree, or a gradient is asked for: the operation is forward only.
    """
    expect_tensor("blocks", blocks, UINT8, ("N", "K / 32", 16))
    expect_tensor("scales", scales, UINT8, blocks.shape[:2], beside=("blocks", blocks))
    _check("mxfp4_linear", x, scales.shape[1] * MX_GROUP, scales.shape[0], blocks, bias)
    y: Tensor = torch.ops.bbkernels.mxfp4_linear(x, blocks.contiguous(), scales.contiguous(), bias)
    return y


def _check(operation: str, x: Tensor, width: int, outputs: int, weight: Tensor, bias: Tensor | None) -> None:
    expect_tensor("x", x, FLOATING, ("...", width), beside=("the weight", weight))
    if bias is not None:
        expect_tensor("bias", bias, FLOATING, (outputs,), beside=("x", x))
        expect_same_dtype("bias", bias, "x", x)
    if torch.is_grad_enabled() and (x.requires_grad or (bias is not None and bias.requires_grad)):
        raise ValueError(
            f"{operation} is forward only, for a frozen base: expected x and bias without gradients, got one with; "
            "call it under torch.no_grad(), or unpack the weight for training through it"
        )


@operator("bbkernels::nf4_linear")
def _nf4(
    x: Tensor, packed: Tensor, absmax: Tensor, code: Tensor, nested_absmax: Tensor | None, nested_code: Tensor | None,
    offset: Tensor | None, bias: Tensor | None, outputs: int,
) -> Tensor:  # fmt: skip
    return _compute_nf4(x, Nf4Weight(packed, absmax, code, outputs, x.shape[-1], nested_absmax, nested_code, offset), bias)


@_nf4.register_fake
def _(
    x: Tensor, packed: Tensor, absmax: Tensor, code: Tensor, nested_absmax: Tensor | None, nested_code: Tensor | None,
    offset: Tensor | None, bias: Tensor | None, outputs: int,
) -> Tensor:  # fmt: skip
    return x.new_empty(*x.shape[:-1], outputs)


@operator("bbkernels::mxfp4_linear")
def _mxfp4(x: Tensor, blocks: Tensor, scales: Tensor, bias: Tensor | None) -> Tensor:
    rows = _rows(x)
    bias = None if bias is None else bias.contiguous()
    if launches_kernels(x):
        y = _launch(rows, _Packed.of_mxfp4(blocks, scales), bias)
    else:
        y = linear_reference(rows, mxfp4_dequantise(blocks, scales), bias)
    return y.view(*x.shape[:-1], blocks.shape[0])


@_mxfp4.register_fake
def _(x: Tensor, blocks: Tensor, scales: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(*x.shape[:-1], blocks.shape[0])


def _compute_nf4(x: Tensor, weight: Nf4Weight, bias: Tensor | None) -> Tensor:
    rows = _rows(x)
    bias = None if bias is None else bias.contiguous()
    with torch.cuda.device_of(rows):  # an eager call is not the operator's, which would see to it
        y = _on_cuda(rows, weight, bias) if rows.is_cuda else _on_cpu(rows, weight, bias)
        if y is None and launches_kernels(x):
            y = _launch(rows, _Packed.of_nf4(weight), bias)
        if y is None:
            y = linear_reference(rows, nf4_dequantise(weight), bias)
    return y.view(*x.shape[:-1], weight.out_features)


def _rows(x: Tensor) -> Tensor:
    """[R, K] with neighbouring values in a row; a view where the strides allow one."""
    flat = x.reshape(-1, x.shape[-1]) if x.numel() else x.new_empty(x.shape[:-1].numel(), x.shape[-1])
    return flat if flat.stride(-1) == 1 or flat.shape[-1] == 1 else flat.contiguous()


def _on_cpu(x: Tensor, weight: Nf4Weight, bias: Tensor | None) -> Tensor | None:
    """The product by the native CPU library; None where it does not serve."""
    if x.dtype not in native.CPU_DTYPES or weight.in_features % GROUP or not x.numel():
        return None
    library = native_library(x)
    if library is None:
        return None
    if x.shape[0] <= native.CPU_ROWS:
        return native.multiply_on_cpu(library, x.contiguous(), weight, bias)
    return native.multiply_many_on_cpu(library, x, weight, bias)


def _on_cuda(x: Tensor, weight: Nf4Weight, bias: Tensor | None) -> Tensor | None:
    """The product of few rows by the native CUDA library; None where it does not serve."""
    library = native_library(x)
    if library is None or not native.serves_on_cuda(x, weight):
        return None
    return native.multiply_on_cuda(library, x, weight, bias, torch.cuda.current_stream().cuda_stream)


@dataclass(frozen=True)
class _Packed:
    """A weight [N, K] as the kernels take it."""

    packed: Tensor
    scales: Tensor
    code: Tensor | None
    nested: tuple[Tensor | None, Tensor | None, Tensor | None]
    outputs: int
    width: int
    group: int
    kind: str

    @classmethod
    def of_nf4(cls, weight: Nf4Weight) -> _Packed:
        nested = (weight.nested_absmax, weight.nested_code, weight.offset)
        kind = "plain" if weight.offset is None else "nested"
        shape = (weight.out_features, weight.in_features)
        return cls(weight.packed, weight.absmax, weight.code, nested, *shape, GROUP, kind)

    @classmethod
    def of_mxfp4(cls, blocks: Tensor, scales: Tensor) -> _Packed:
        shape = (scales.shape[0], scales.shape[1] * MX_GROUP)
        return cls(blocks, scales, None, (None, None, None), *shape, MX_GROUP, "power")


def _launch(x: Tensor, weight: _Packed, bias: Tensor | None) -> Tensor:
    rows = x.shape[0]
    if not rows or not weight.outputs:
        return x.new_empty(rows, weight.outputs)
    if not weight.width or weight.width % weight.group or plan.expands(rows, x.dtype):
        return torch.nn.functional.linear(x, _expanded(weight, x.dtype), bias)
    return _multiplied(x, weight, bias)


def _multiplied(x: Tensor, weight: _Packed, bias: Tensor | None) -> Tensor:
    import triton
    import triton.language as tl

    from bbkernels.nf4_linear.kernel import four_bit_product, sum_parts

    rows, outputs, groups = x.shape[0], weight.outputs, weight.width // weight.group
    tile = plan.tile_for(rows)
    across, down = triton.cdiv(outputs, tile.block_n), triton.cdiv(rows, tile.block_m)
    parts = plan.parts_for(across * down, groups, _programs(x.device))
    part_groups = triton.cdiv(groups, parts)
    parts = triton.cdiv(groups, part_groups)
    out = x.new_empty(rows, outputs)
    target = out if parts == 1 else x.new_empty(parts, rows, outputs, dtype=torch.float32)
    # numpy, which the interpreter computes with, has no bfloat16: there the rounded operands are widened again.
    operand = (
        tl.float32 if interprets() or x.dtype == torch.float32 else tl.bfloat16 if x.dtype == torch.bfloat16 else tl.float16
    )
    four_bit_product[(across, down, parts)](
        x, weight.packed, weight.scales, weight.code, *weight.nested, bias, target,
        rows, outputs, groups, weight.width // 2, x.stride(0), part_groups,
        weight.group, weight.kind, bias is not None and parts == 1, operand,
        tile.block_m, tile.block_n, tile.unroll, num_warps=tile.num_warps,
    )  # fmt: skip
    if parts > 1:
        sum_parts[(triton.cdiv(out.numel(), plan.SUM_BLOCK),)](
            target, bias, out, parts, rows, outputs, bias is not None, plan.SUM_BLOCK
        )
    return out


def _expanded(weight: _Packed, dtype: torch.dtype) -> Tensor:
    """W [N, K], rounded once to `dtype`."""
    import triton

    from bbkernels.nf4_linear.kernel import expand

    out = torch.empty(weight.outputs, weight.width, dtype=dtype, device=weight.packed.device)
    size = out.numel()
    if size:
        expand[(triton.cdiv(size, weight.group * plan.EXPAND_GROUPS),)](
            weight.packed, weight.scales, weight.code, *weight.nested, out,
            size, weight.group, weight.kind, size % weight.group == 0, plan.EXPAND_GROUPS,
        )  # fmt: skip
    return out


def _programs(device: torch.device) -> int:
    """How many programs a product should have at least: four per multiprocessor."""
    if device.type != "cuda":
        return 3  # the interpreter: so few that both whole and split products come up on small shapes
    return 4 * torch.cuda.get_device_properties(device).multi_processor_count
