"""`GET /weight_info` and `POST /weight_checker`: which weights are in memory, and whether they are still what was loaded.

Every tensor gets a sha256 when its model is loaded. The checker computes them again, and for a version of the registry also
those of the registry's own file, and names each tensor that differs. Beside the tensors of a base and a rail it covers what
their native forms read in their place: the copies that the native library keeps of matrices, and what was made of several.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from anyio import to_thread
from fastapi import APIRouter
from starlette.responses import Response
from torch import Tensor, nn

from builderbrain.decode.host_model import HostModel
from builderbrain.decode.model import TokenModel
from builderbrain.errors import TamperedVersionError
from builderbrain.hosts.base import Host, KeepsCopies
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.model import RailModel
from builderbrain.serve.openapi import described
from builderbrain.serve.operation_replies import WeightCheckReply, WeightInfoReply
from builderbrain.serve.replies import json_reply

logger = logging.getLogger(__name__)

Digests = Mapping[str, str]
"""sha256, hexadecimal, by the name of the tensor."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A base or a rail of a model: its module, and tensors that were made of its own for faster use."""

    name: str
    module: nn.Module
    prepared: Mapping[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name."""
        own = {name: value for name, value in self.module.state_dict().items() if isinstance(value, Tensor)}
        return {**own, **self.prepared}


def parts_of(model: TokenModel) -> tuple[Part, ...]:
    """What a model is made of; empty for a model without tensors that can be looked at."""
    host: Host
    rail: nn.Module | None = None
    prepared: Mapping[str, Tensor] = {}
    if isinstance(model, BatchedModel):
        host, rail = model.batcher.host, model.rail
        prepared = {} if model.native is None else model.native.prepared
    elif isinstance(model, RailModel):
        host, rail = model.pair.host, model.pair.rail
    elif isinstance(model, HostModel):
        host = model.host
    else:
        return ()
    base = getattr(host, "model", None)
    copies = host.prepared if isinstance(host, KeepsCopies) else {}
    found = [Part(name="base", module=base, prepared=copies)] if isinstance(base, nn.Module) else []
    if rail is not None:
        found.append(Part(name="rail", module=rail, prepared=prepared))
    return tuple(found)


def digest_of(tensor: Tensor) -> str:
    """sha256 over dtype, shape and bytes."""
    value = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{value.dtype} {tuple(value.shape)} ".encode())
    digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def digests_of(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """`digest_of` each."""
    return {name: digest_of(tensor) for name, tensor in tensors.items()}


def digest_of_all(digests: Digests) -> str:
    """One sha256 for a whole part."""
    lines = "".join(f"{value}  {name}\n" for name, value in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


class WeightLedger:
    """What was loaded. Guards itself; its methods take as long as reading all weights once.

    Args:
        models: those that are served now, by name.
        published: the tensors of a version's file in the registry; None where the registry has no such version.
    """

    def __init__(
        self, models: Callable[[], Mapping[str, TokenModel]], published: Callable[[str], Mapping[str, Tensor] | None]
    ) -> None:
        self._models = models
        self._published = published
        self._loaded: WeakKeyDictionary[nn.Module, dict[str, str]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Note what is served now, on a thread of its own: a large base takes a while."""
        threading.Thread(target=self._note_all, name="builderbrain-weights", daemon=True).start()

    def stop(self) -> None:
        """Nothing to end."""

    def note(self, model: TokenModel) -> TokenModel:
        """Remember what a model was loaded with; gives it back."""
        for part in parts_of(model):
            self._reference(part)
        return model

    def describe(self) -> list[dict[str, Any]]:
        """Each model's version and parts: digest as loaded, number of parameters, dtype."""
        return [self._describe(name, model) for name, model in self._models().items()]

    def check(self) -> list[dict[str, Any]]:
        """Each model's tensors that differ from what was loaded, or from the registry's file."""
        seen: dict[nn.Module, list[dict[str, str]]] = {}
        return [self._check(name, model, seen) for name, model in self._models().items()]

    def _note_all(self) -> None:
        for name, model in self._models().items():
            try:
                self.note(model)
            except Exception as error:  # noqa: BLE001  (said here; the routes meet it again and answer with it)
                logger.error("the weights of %s cannot be read: %s", name, type(error).__name__)

    def _reference(self, part: Part) -> dict[str, str]:
        with self._lock:
            if part.module not in self._loaded:
                self._loaded[part.module] = digests_of(part.tensors())
            known = self._loaded[part.module]
            # A rail that is served again got copies of its own; a base gets them when outputs first run together.
            known.update(digests_of({name: value for name, value in part.prepared.items() if name not in known}))
            return known

    def _describe(self, name: str, model: TokenModel) -> dict[str, Any]:
        parts = []
        for part in parts_of(model):
            own = {key: value for key, value in self._reference(part).items() if key not in part.prepared}
            parts.append({"part": part.name, "digest": digest_of_all(own), **_size(part.module)})
        return {
            "model": name,
            "version": model.weight_version,
            "digest": digest_of_all({part["part"]: part["digest"] for part in parts}) if parts else None,
            "parameters": sum(part["parameters"] for part in parts),
            "dtype": parts[0]["dtype"] if parts else None,
            "parts": parts,
        }

    def _check(self, name: str, model: TokenModel, seen: dict[nn.Module, list[dict[str, str]]]) -> dict[str, Any]:
        differing: list[dict[str, str]] = []
        against = []
        for part in parts_of(model):
            against.append(f"{part.name} as loaded")
            if part.module not in seen:
                seen[part.module] = _differences(part, self._reference(part), digests_of(part.tensors()), "loaded")
            differing += seen[part.module]
            published = self._published(model.weight_version) if part.name == "rail" else None
            if published is not None:
                against.append("rail in the registry")
                found = digests_of({key: value for key, value in part.tensors().items() if key not in part.prepared})
                differing += _differences(part, digests_of(published), found, "registry")
        return {
            "model": name,
            "version": model.weight_version,
            "ok": not differing,
            "compared_with": against,
            "differing": differing,
        }


def _differences(part: Part, expected: Digests, found: Digests, against: str) -> list[dict[str, str]]:
    names = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    return [
        {
            "part": part.name,
            "tensor": name,
            "against": against,
            "expected": expected.get(name, "none"),
            "found": found.get(name, "none"),
        }
        for name in names
    ]


def _size(module: nn.Module) -> dict[str, Any]:
    """Number of parameters and the dtype that most of them have; a packed weight counts as what it stands for."""
    count = 0
    by_dtype: dict[str, int] = {}
    for parameter in module.parameters():
        packed = getattr(parameter, "quant_state", None)
        count += parameter.numel() if packed is None else packed.shape.numel()
        dtype = str(parameter.dtype).removeprefix("torch.")
        by_dtype[dtype] = by_dtype.get(dtype, 0) + parameter.numel()
    return {"parameters": count, "dtype": max(by_dtype, key=by_dtype.__getitem__, default="none")}


def weights_router(ledger: WeightLedger) -> APIRouter:
    """The routes over one ledger."""
    router = APIRouter()

    @router.get("/weight_info")
    @described("Which weights are in memory.", reply=WeightInfoReply)
    async def weight_info() -> Response:
        return json_reply({"object": "list", "data": await to_thread.run_sync(ledger.describe)})

    @router.post("/weight_checker")
    @described("Compare the weights with what was loaded.", reply=WeightCheckReply, raises=(TamperedVersionError,))
    async def weight_checker() -> Response:
        found = await to_thread.run_sync(ledger.check)
        return json_reply({"ok": all(model["ok"] for model in found), "data": found})

    return router
