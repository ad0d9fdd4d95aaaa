"""The storage of 4-bit linear layers, their reference, and the native CPU form, without Triton."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from bbkernels.native import cpu_library
from bbkernels.nf4_linear import Nf4Weight, mxfp4_linear, native, nf4_linear
from bbkernels.nf4_linear.native import multiply_on_cpu, unpack_on_cpu
from bbkernels.nf4_linear.reference import linear_reference, mxfp4_dequantise, nf4_dequantise
from tests.kernels.conftest import assert_within_budget
from tests.kernels.four_bit import mxfp4_weight, nf4_weight, rows_of

functional = pytest.importorskip("bitsandbytes.functional")
SHAPES = [(1, 64), (3, 128), (5, 7), (7, 96), (1, 1), (64, 33), (300, 64), (33, 1024)]


def quantised(shape: tuple[int, int], nested: bool, **options: Any) -> tuple[Tensor, Any]:
    plain = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    settings = {"blocksize": 64, "quant_type": "nf4", "compress_statistics": nested} | options
    packed, state = functional.quantize_4bit(plain, **settings)
    return packed, state


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_unpacking_is_that_of_bitsandbytes(shape: tuple[int, int], nested: bool) -> None:
    packed, state = quantised(shape, nested)
    # One row of all its nibbles: the CPU kernel of bitsandbytes starts a new block with every row, and wants an even number.
    state.shape = torch.Size([1, 2 * packed.numel()])
    theirs = functional.dequantize_4bit(packed, state).flatten()[: shape[0] * shape[1]].view(shape)
    state.shape = torch.Size(shape)
    assert torch.equal(nf4_dequantise(Nf4Weight.from_bitsandbytes(packed, state)), theirs)


def test_nothing_of_the_storage_is_copied() -> None:
    packed, state = quantised((8, 64), True)
    weight = Nf4Weight.from_bitsandbytes(packed, state)
    pairs = [(weight.packed, packed), (weight.absmax, state.absmax), (weight.nested_absmax, state.state2.absmax)]
    assert [mine.data_ptr() == theirs.data_ptr() for mine, theirs in pairs if mine is not None] == [True] * 3


def test_bytes_kept_in_another_dtype_are_the_same_bytes() -> None:
    packed, state = quantised((8, 64), False)
    other, other_state = quantised((8, 64), False, quant_storage=torch.bfloat16)
    expected = nf4_dequantise(Nf4Weight.from_bitsandbytes(packed, state))
    assert torch.equal(nf4_dequantise(Nf4Weight.from_bitsandbytes(other, other_state)), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"blocksize": 128}, "blocksize 64, got 128"), ({"quant_type": "fp4"}, "quant_type 'nf4', got 'fp4'")],
)
def test_other_storage_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Nf4Weight.from_bitsandbytes(*quantised((8, 256), False, **options))


def test_weights_reordered_by_bitsandbytes_are_refused() -> None:
    packed, state = quantised((8, 64), False)
    state.packing_format_for_cpu = True
    with pytest.raises(ValueError, match="packing_format_for_cpu"):
        Nf4Weight.from_bitsandbytes(packed, state)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("packed", torch.zeros(3, dtype=torch.uint8), "expected packed as 256 contiguous values"),
        ("absmax", torch.zeros(8, dtype=torch.float16), "expected absmax"),
        ("absmax", torch.zeros(8), "nested_absmax with uint8 absmax and only then"),
        ("code", torch.zeros(17), "expected code as 16"),
        ("code", torch.zeros(16, 2)[:, 0], "expected code as 16 contiguous"),
        ("nested_code", None, "expected nested_code"),
        ("offset", torch.zeros(2), "expected offset as 1"),
        ("in_features", 65, "expected packed as 260"),
    ],
)
def test_tensors_that_do_not_belong_together_are_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(nf4_weight(8, 64, nested=True), **{field: value})


def test_mxfp4_values_are_those_of_the_format() -> None:
    nibbles = torch.arange(32, dtype=torch.uint8) % 16
    blocks = (nibbles[::2] | nibbles[1::2] << 4).expand(4, 1, 16)
    scales = torch.tensor([[127], [128], [0], [255]], dtype=torch.uint8)
    values = mxfp4_dequantise(blocks, scales)
    magnitudes = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    assert values[0, :16].tolist() == magnitudes + [-value for value in magnitudes]
    assert torch.equal(values[1], 2 * values[0])
    assert torch.equal(values[2], values[0] * 2.0**-127)
    assert values[3].isnan().all()


@pytest.mark.parametrize("rows", [1, 2, 3, 16, 17])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("outputs", "width"), [(1, 64), (37, 192), (9, 8192)])
def test_every_level_of_the_native_form_is_within_the_budget(
    outputs: int, width: int, dtype: torch.dtype, rows: int, native_cpu: None
) -> None:
    library = cpu_library()
    assert library is not None
    weight = nf4_weight(outputs, width, nested=rows % 2 == 1)
    x, bias = rows_of(rows, width).to(dtype), rows_of(1, outputs)[0].to(dtype)
    plain = nf4_dequantise(weight)
    truth = linear_reference(x.double(), plain.double(), bias.double())
    for level in range(library.bb_cpu_level() + 1):
        unpacked = torch.full((outputs, width), torch.nan, dtype=dtype)
        unpack_on_cpu(library, weight, 0, unpacked, level)
        assert torch.equal(unpacked, plain.to(dtype)), f"level {level}"
        if rows <= 16:
            got = multiply_on_cpu(library, x, weight, bias, level)
            assert_within_budget(f"level {level}", got, linear_reference(x, plain, bias), truth)
    assert_within_budget("operation", nf4_linear(x, weight, bias), linear_reference(x, plain, bias), truth)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_weight_that_is_unpacked_in_several_parts(dtype: torch.dtype, native_cpu: None) -> None:
    weight, x, bias = nf4_weight(37, 65536, nested=True), rows_of(17, 65536).to(dtype), rows_of(1, 37)[0].to(dtype)
    plain = nf4_dequantise(weight)
    truth = linear_reference(x.double(), plain.double(), bias.double())
    assert_within_budget("y", nf4_linear(x, weight, bias), linear_reference(x, plain, bias), truth)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_many_rows_by_each_library_and_type(
    dtype: torch.dtype, onednn: bool, narrow: bool, native_cpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_has_onednn", lambda: onednn)
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda _library: narrow)
    weight, x, bias = nf4_weight(70, 192, nested=True), rows_of(33, 192).to(dtype), rows_of(1, 70)[0].to(dtype)
    plain = nf4_dequantise(weight)
    for added in (None, bias):
        truth = linear_reference(x.double(), plain.double(), None if added is None else added.double())
        expected = torch.nn.functional.linear(x, plain.to(dtype), added)
        assert_within_budget("y", nf4_linear(x, weight, added), expected, truth)


def test_the_native_form_gives_the_same_with_any_number_of_threads(native_cpu: None) -> None:
    weight, x = nf4_weight(256, 1024, nested=True), rows_of(4, 1024)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(nf4_linear(x, weight))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_more_rows_than_the_native_form_takes_are_refused_by_it(native_cpu: None) -> None:
    library = cpu_library()
    assert library is not None
    with pytest.raises(ValueError, match="1 to 16 rows"):
        multiply_on_cpu(library, rows_of(17, 64), nf4_weight(2, 64, nested=False), None, 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
@pytest.mark.parametrize("width", [64, 33])
def test_the_operation_is_the_reference_where_nothing_else_serves(dtype: torch.dtype, width: int) -> None:
    weight, x = nf4_weight(5, width, nested=True), rows_of(3, width).to(dtype)
    assert torch.equal(nf4_linear(x, weight), linear_reference(x, nf4_dequantise(weight), None))


def test_leading_dimensions_gaps_and_emptiness() -> None:
    weight = nf4_weight(5, 64, nested=True)
    x = rows_of(12, 128).view(3, 4, 128)
    expected = nf4_linear(x[..., :64].contiguous(), weight)
    assert torch.equal(nf4_linear(x[..., :64], weight), expected)
    assert torch.equal(nf4_linear(x[..., :64].transpose(0, 1), weight), expected.transpose(0, 1))
    assert nf4_linear(torch.zeros(2, 0, 64), weight).shape == (2, 0, 5)
    assert torch.equal(nf4_linear(torch.zeros(64), weight), torch.zeros(5))


def test_gradients_are_refused_by_name() -> None:
    weight, x = nf4_weight(5, 64, nested=True), rows_of(2, 64).requires_grad_()
    blocks, scales = mxfp4_weight(5, 64)
    with pytest.raises(ValueError, match=r"nf4_linear is forward only.*torch\.no_grad"):
        nf4_linear(x, weight)
    with pytest.raises(ValueError, match="mxfp4_linear is forward only"):
        mxfp4_linear(rows_of(2, 64), blocks, scales, torch.zeros(5, requires_grad=True))
    with torch.no_grad():
        assert nf4_linear(x, weight).shape == (2, 5)


@pytest.mark.parametrize(
    ("x", "bias", "message"),
    [
        (torch.zeros(2, 65), None, r"expected x as floating \[\.\.\., 64\]"),
        (torch.zeros(2, 64, dtype=torch.int64), None, "expected x as floating"),
        (torch.zeros(2, 64), torch.zeros(4), r"expected bias as floating \[5\]"),
        (torch.zeros(2, 64), torch.zeros(5, dtype=torch.float16), "expected bias"),
        (torch.zeros(2, 64, device="meta"), None, "expected x on cpu"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(x: Tensor, bias: Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nf4_linear(x, nf4_weight(5, 64, nested=True), bias)


def test_mxfp4_tensors_that_do_not_fit_are_refused() -> None:
    blocks, scales = mxfp4_weight(5, 64)
    with pytest.raises(ValueError, match="expected blocks as uint8"):
        mxfp4_linear(rows_of(1, 64), blocks.flatten(1), scales)


def test_the_operators_are_registered_as_pytorch_wants_them() -> None:
    weight, x = nf4_weight(5, 64, nested=True), rows_of(3, 64)
    tensors = (weight.packed, weight.absmax, weight.code, weight.nested_absmax, weight.nested_code, weight.offset)
    torch.library.opcheck(torch.ops.bbkernels.nf4_linear.default, (x, *tensors, torch.ones(5), 5))
    torch.library.opcheck(torch.ops.bbkernels.mxfp4_linear.default, (x, *mxfp4_weight(5, 64), None))


def test_a_compiled_graph_goes_through_in_one_piece() -> None:
    weight, x = nf4_weight(5, 64, nested=True), rows_of(3, 64)
    compiled = torch.compile(lambda rows: nf4_linear(rows, weight) * 2, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), nf4_linear(x, weight) * 2)
