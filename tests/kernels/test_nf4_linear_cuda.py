"""The CUDA form of the 4-bit product without a GPU: its own source, compiled as C++ over an emulation of a block's threads.

It shows that indices, layouts and sums are right, and that threads wait for each other, as far as two orders of turns tell.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from bbkernels.nf4_linear.native import multiply_on_cuda, serves_on_cuda
from bbkernels.nf4_linear.reference import linear_reference, nf4_dequantise
from tests.kernels.conftest import assert_within_budget
from tests.kernels.four_bit import nf4_weight, rows_of
from tests.repository.tree import ROOT

SOURCE = ROOT / "csrc/cuda/nf4_linear.cu"
COMPILER = shutil.which("g++") or shutil.which("clang++")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
MUTANTS = [
    ("__syncthreads();", ""),
    ("w.code[byte & 15]) << 16", "w.code[byte & 15]) << 0"),
    ("first + row + 8 < outputs", "first + row < outputs - 8 && first > 1000"),
    ("up_word, byte + 1", "up_word, byte"),
    ("x_stride + 16 * part", "x_stride + 8 * part"),
    ("own_lower, i, kAhead", "own_lower, 0, kAhead"),
    ("0x4440u + which", "0x4440u"),
    ("columns[half][2 * step + 1]", "columns[half][2 * step]"),
    ("total[half][2] += low_scale", "total[half][2] += up_scale"),
    ("for (int i = 0; i < kWarps; ++i) sum", "for (int i = 1; i < kWarps; ++i) sum"),
    ("begin += kWarps * kAhead", "begin += kWarps * kAhead * 2"),
]


def build(source: str, folder: Path) -> ctypes.CDLL:
    """The source as a library in which the threads of a block take turns."""
    file, library = folder / "nf4_linear.cu", folder / "emulated.so"
    file.write_text(source.replace('"../interface.h"', f'"{SOURCE.parent.parent}/interface.h"'), encoding="utf-8")
    command = [str(COMPILER), "-O1", "-std=c++17", "-shared", "-fPIC", f"-I{SOURCE.parent}"]
    command += ["-include", str(Path(__file__).parent / "cuda_emulation.h"), "-x", "c++", str(file), "-o", str(library)]
    subprocess.run(command, check=True, capture_output=True)
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return build(SOURCE.read_text(encoding="utf-8"), tmp_path_factory.mktemp("emulated"))


def compare(library: ctypes.CDLL, rows: int, outputs: int, width: int, *, nested: bool, biased: bool) -> None:
    weight = nf4_weight(outputs, width, nested=nested)
    x = rows_of(rows, width).bfloat16()
    bias = rows_of(1, outputs)[0].bfloat16() if biased else None
    assert serves_on_cuda(x, weight)
    plain = nf4_dequantise(weight)
    truth = linear_reference(x.double(), plain.double(), None if bias is None else bias.double())
    got = multiply_on_cuda(library, x, weight, bias, 0)
    assert_within_budget("y", got, linear_reference(x, plain, bias), truth)


@pytest.mark.parametrize(
    ("rows", "outputs", "width", "nested", "biased"),
    [
        (1, 1, 64, True, False),
        (3, 21, 576, False, True),
        (8, 16, 128, True, True),
        (9, 5, 192, True, False),
        (16, 18, 64, False, True),
    ],
)
def test_values_are_those_of_the_reference(
    emulated: ctypes.CDLL, rows: int, outputs: int, width: int, nested: bool, biased: bool
) -> None:
    compare(emulated, rows, outputs, width, nested=nested, biased=biased)


def test_more_groups_than_are_on_their_way_at_once(emulated: ctypes.CDLL) -> None:
    compare(emulated, 2, 3, 64 * 37, nested=True, biased=True)


def test_nan_stays_in_its_row(emulated: ctypes.CDLL) -> None:
    weight, x = nf4_weight(5, 128, nested=True), rows_of(3, 128).bfloat16()
    clean = multiply_on_cuda(emulated, x, weight, None, 0)
    x[1, 70] = torch.nan
    out = multiply_on_cuda(emulated, x, weight, None, 0)
    assert torch.equal(out[::2], clean[::2])
    assert out[1].isnan().all()


def test_sizes_that_are_not_served_are_refused(emulated: ctypes.CDLL) -> None:
    with pytest.raises(ValueError, match="1 to 16 aligned rows"):
        multiply_on_cuda(emulated, rows_of(17, 64).bfloat16(), nf4_weight(2, 64, nested=True), None, 0)
    x = rows_of(2, 72).bfloat16()
    assert serves_on_cuda(x[:, :64], nf4_weight(2, 64, nested=True))
    assert not serves_on_cuda(x[:, 1:65], nf4_weight(2, 64, nested=True))
    assert not serves_on_cuda(x[:, :64].float(), nf4_weight(2, 64, nested=True))


@pytest.mark.parametrize(("line", "wrong"), MUTANTS)
def test_a_broken_kernel_is_caught(line: str, wrong: str, tmp_path: Path) -> None:
    text = SOURCE.read_text(encoding="utf-8")
    assert line in text, f"{SOURCE} has no longer {line!r}; bring the list of mutants up to date"
    library = build(text.replace(line, wrong), tmp_path)
    with pytest.raises(AssertionError, match="error"):
        compare(library, 3, 21, 64 * 37, nested=True, biased=True)
