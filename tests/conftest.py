"""Once per test process, before anything imports Triton."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator

import pytest
import torch

if importlib.util.find_spec("triton") is not None and not torch.cuda.is_available():
    # `tl.sum` and its like are interpreted if the variable is set while Triton is imported, ours while they are defined
    # (see tests/kernels/conftest.py). Only those of the tests that ask for it may be.
    os.environ["TRITON_INTERPRET"] = "1"
    importlib.import_module("triton.language")
    del os.environ["TRITON_INTERPRET"]


THREADS = torch.get_num_threads()
"""Of a process that no test has told otherwise."""


@pytest.fixture(scope="module", autouse=True)
def threads_of_a_new_process() -> None:
    """A server that ran in this process before has set torch to one thread; with another number sums end in other bits."""
    torch.set_num_threads(THREADS)


@pytest.fixture(scope="module")
def pretended_cuda() -> Iterator[torch.device]:
    """A CUDA device that is none, while the tests of a file run; see tests/simulated_device.py."""
    from tests.simulated_device import simulated_cuda

    if torch.cuda.is_available():
        pytest.skip("a real CUDA device is a better judge than a pretended one")
    with simulated_cuda() as device:
        yield device
