"""What a step takes from one part of its batch, whichever process ran it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from builderbrain.train.ranks import Codec
from builderbrain.train.watch import Ease


@dataclass(frozen=True, kw_only=True)
class PartReport:
    """`terms` are the part's shares of the batch's losses by name, `loss` that of the whole objective.

    `readings` by constraint: share of the batch, value, items; `shown`: what constraints keep of the part until the step is
    settled, as JSON. `usage`: tokens that took each skill, by row of the skills, and without padding `real_usage`. `concept`
    [R, c]; `balance`: gradients of the losses for the Gramian, [n] each.
    """

    terms: Mapping[str, float]
    loss: float
    readings: Mapping[str, tuple[float, float, int]]
    shown: Mapping[str, Any]
    ease: Ease
    usage: list[float]
    real_usage: list[float]
    concept: Tensor
    balance: Mapping[str, Tensor]


def _pack(report: PartReport) -> bytes:
    from safetensors.torch import save

    values = {
        "terms": dict(report.terms),
        "loss": report.loss,
        "readings": dict(report.readings),
        "shown": dict(report.shown),
        "ease": asdict(report.ease),
        "usage": report.usage,
        "real_usage": report.real_usage,
        "losses": list(report.balance),  # safetensors keeps no order
    }
    tensors = {f"balance/{name}": gradient for name, gradient in report.balance.items()} | {"concept": report.concept}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = json.dumps(values).encode()
    return len(header).to_bytes(8, "little") + header + save(plain)


def _unpack(content: bytes) -> PartReport:
    from safetensors.torch import load

    end = 8 + int.from_bytes(content[:8], "little")
    values, tensors = json.loads(content[8:end]), load(content[end:])
    losses = values.pop("losses")
    return PartReport(
        **values
        | {
            "readings": {name: tuple(reading) for name, reading in values["readings"].items()},
            "ease": Ease(**values["ease"]),
            "concept": tensors["concept"],
            "balance": {name: tensors[f"balance/{name}"] for name in losses},
        }
    )


PART_REPORT = Codec(pack=_pack, unpack=_unpack)
"""JSON and safetensors."""
