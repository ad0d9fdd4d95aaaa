"""What every result is recorded with: the device and the versions it was measured on."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    import torch

    machine_info.pop("node", None)  # the name of somebody's machine
    machine_info["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    machine_info["threads"] = torch.get_num_threads()
    machine_info["cores"] = os.cpu_count()
    machine_info["versions"] = {name: version(name) for name in ("torch", "transformers", "xgrammar", "llguidance")}
