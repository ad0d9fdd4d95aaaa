"""The CUDA form of masked sampling without a GPU: its own source, compiled as C++ over an emulation of a block's threads.

It shows that indices, thresholds and tokens are right, and that threads wait for each other, as far as two orders of turns
tell.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bbkernels.masked_sample.native import sample_on_cuda
from bbkernels.masked_sample.reference import masked_sample_reference
from tests.kernels.conftest import DTYPES
from tests.kernels.test_masked_sample import pack
from tests.kernels.test_masked_sample_kernel import OFF, batch, judge
from tests.repository.tree import ROOT

COMPILER = shutil.which("g++") or shutil.which("clang++")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
FILES = ("masked_sample.cu", "masked_sample.h", "launch.h")
MUTANTS = [
    ("masked_sample.cu", "__syncthreads();", ""),
    ("masked_sample.h", "__syncthreads();", ""),
    ("masked_sample.cu", "hash <= limit", "hash <= limit / 4096"),
    ("masked_sample.cu", "offset < kSharing;", "offset < kSharing / 2;"),
    ("masked_sample.cu", ">> (from % 32);", ">> (from % 8);"),
    ("masked_sample.cu", "add(best, exact_log(row.min_p))", "add(best, 0.1f * exact_log(row.min_p))"),
    ("masked_sample.cu", "best + logf(share)", "best + 0.3f * logf(share)"),
    ("masked_sample.cu", "if (!(x < BB_INFINITY))", "if (x != x)"),
    ("masked_sample.h", "for (int warp = 1; warp < kWarps; ++warp)", "for (int warp = 2; warp < kWarps; ++warp)"),
    ("masked_sample.h", "difference >= -28.0f", "difference >= -2.0f"),
    ("masked_sample.h", "exponent == 0 ? -w :", "exponent == 0 ? w :"),
]


def build(folder: Path, name: str = "", line: str = "", wrong: str = "") -> ctypes.CDLL:
    """The source as a library in which the threads of a block, two warps, take turns; `line` of a file may be wrong."""
    (folder / "cuda").mkdir()
    shutil.copy(ROOT / "csrc/interface.h", folder)
    for file in FILES:
        text = (ROOT / "csrc/cuda" / file).read_text(encoding="utf-8")
        assert file != name or line in text, f"{file} has no longer {line!r}; bring the list of mutants up to date"
        (folder / "cuda" / file).write_text(text.replace(line, wrong) if file == name else text, encoding="utf-8")
    library = folder / "emulated.so"
    # To compile takes longer than to run: what serves one test is not optimised.
    command = [str(COMPILER), "-O0" if line else "-O1", "-std=c++17", "-ffp-contract=off", "-shared", "-fPIC"]
    command += ["-DBB_SAMPLE_THREADS=64"]
    command += ["-include", str(Path(__file__).parent / "cuda_emulation_scalars.h"), "-x", "c++"]
    subprocess.run([*command, str(folder / "cuda" / FILES[0]), "-o", str(library)], check=True, capture_output=True)
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return build(tmp_path_factory.mktemp("emulated"))


def compare(library: ctypes.CDLL, logits: Tensor, arguments: dict[str, Any]) -> None:
    got = sample_on_cuda(library, logits, **OFF | arguments, stream=0)
    judge(got, masked_sample_reference(logits, **OFF | arguments), logits, arguments)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vocab_size", [1, 33, 1_025, 2_080])
def test_tokens_are_those_of_the_reference(emulated: ctypes.CDLL, vocab_size: int, dtype: torch.dtype) -> None:
    compare(emulated, *batch(vocab_size, dtype))


def test_every_part_can_be_left_out(emulated: ctypes.CDLL) -> None:
    logits, arguments = batch(2_080, torch.float32, seed=2)
    for off in (("bitmask", "illegal_penalty"), ("truncation",), ("penalties",), tuple(OFF)):
        compare(emulated, logits, arguments | dict.fromkeys(off))


def compare_hard_rows(library: ctypes.CDLL) -> None:
    """Ties, flat rows with more candidates than registers hold, rows without a token."""
    for spread in (0.0, 0.05, 100.0):
        compare(library, *batch(2_080, torch.float32, spread=spread, seed=3))
    logits, arguments = batch(40, torch.float32, seed=5)
    logits[2, 7], logits[3, 5], logits[7] = torch.inf, torch.nan, -torch.inf
    arguments["temperature"][4], arguments["bitmask"] = -1.0, pack(torch.zeros(8, 40, dtype=torch.bool))
    compare(library, logits, arguments)


def test_hard_rows(emulated: ctypes.CDLL) -> None:
    compare_hard_rows(emulated)


def test_rows_that_are_not_aligned_are_read_value_by_value(emulated: ctypes.CDLL) -> None:
    logits, arguments = batch(1_100, torch.bfloat16, seed=6)
    wide = torch.zeros(8, 1_107, dtype=torch.bfloat16)
    wide[:, 3:1_103] = logits
    compare(emulated, wide[:, 3:1_103], arguments)


@pytest.mark.parametrize(("name", "line", "wrong"), MUTANTS)
def test_a_broken_kernel_is_caught(name: str, line: str, wrong: str, tmp_path: Path) -> None:
    library = build(tmp_path, name, line, wrong)

    def compare_all() -> None:
        compare(library, *batch(2_080, torch.float32))
        for seed in range(3):
            logits, arguments = batch(2_080, torch.float32, seed=seed)
            compare(library, logits, arguments | dict.fromkeys(("truncation", "penalties")))
        compare_hard_rows(library)

    with pytest.raises((AssertionError, RuntimeError), match="error"):  # threads that wait for ever end as a refused launch
        compare_all()
