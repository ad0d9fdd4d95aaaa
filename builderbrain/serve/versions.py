"""`/v1/versions`: builder versions beside the live one, as further model names, and vLLM's routes for adapters.

Loading and unloading happen off the event loop, while outputs are decoded. A version that is unloaded takes no new request
at once; outputs that were accepted before finish with it. One that the gate does not pass any more is unloaded under all its
names. The base's cache pages belong to no version, so that none of this touches them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, ClassVar, Protocol

from anyio import to_thread
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from builderbrain.decode.model import TokenModel
from builderbrain.errors import (
    BuilderBrainError,
    ConflictError,
    GateRefusedError,
    RegistryBusyError,
    TamperedVersionError,
    UnknownModelError,
    VersionNotFoundError,
)
from builderbrain.serve.engine import Engine
from builderbrain.serve.fields import MAX_NAME, RequestModel, read_request
from builderbrain.serve.model_backend import ModelBackend
from builderbrain.serve.openapi import described
from builderbrain.serve.operation_replies import LoadedReply, MovedReply, UnloadedReply, VersionsReply
from builderbrain.serve.replies import json_reply

logger = logging.getLogger(__name__)

ModelName = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=r"^[\x21-\x7e]+$")]
Version = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
_READING = (VersionNotFoundError, TamperedVersionError)
_LOADING = (*_READING, GateRefusedError, ConflictError)
_MOVING = (*_READING, ConflictError, RegistryBusyError)
_OF_ADAPTERS = {"model": "lora_name", "version": "lora_path"}


@contextmanager
def _as_adapter() -> Iterator[None]:
    """Refusals name the fields that requests for adapters have."""
    try:
        yield
    except BuilderBrainError as error:
        error.field = _OF_ADAPTERS.get(error.field or "", error.field)
        raise


class Store(Protocol):
    """What the routes need of the registry; see `VersionStore`."""

    def live(self) -> str | None: ...
    def rows(self) -> list[dict[str, Any]]: ...
    def may_stay_served(self, versions: Iterable[str]) -> dict[str, bool]: ...
    def admit(self, version: str) -> str: ...
    def admit_path(self, path: str) -> str: ...
    def open(self, version: str) -> TokenModel: ...
    def promote(self, version: str, *, expected_live: str | None) -> dict[str, Any]: ...
    def rollback(self, *, expected_live: str | None, evidence: Mapping[str, Any] | None = None) -> dict[str, Any]: ...


class LoadRequest(RequestModel):
    """A version to serve, and the model name for it (the default model's name, a colon and the version when not given)."""

    version: Version
    model: ModelName | None = None
    replace: bool = False


class UnloadRequest(RequestModel):
    """A name that `load` gave."""

    model: ModelName


class PromoteRequest(RequestModel):
    """`expected_live`: refuse unless this version is live."""

    version: Version
    expected_live: Version | None = None


class RollbackRequest(RequestModel):
    """`expected_live`: refuse unless this version is live. `reason`: for the audit log."""

    expected_live: Version | None = None
    reason: str | None = Field(default=None, max_length=500)


class LoadAdapterRequest(RequestModel):
    """vLLM's: `lora_path` is a version of the registry, or a folder with the files of one."""

    lora_name: ModelName
    lora_path: str = Field(min_length=1, max_length=4096)
    load_inplace: bool = False
    refused_fields: ClassVar = {"base_model_name": "there is one base", "is_3d_lora_weight": "a builder is no LoRA"}


class UnloadAdapterRequest(RequestModel):
    """vLLM's."""

    lora_name: ModelName
    ignored_fields: ClassVar = frozenset({"lora_int_id"})


class LoadedVersions:
    """The versions that were loaded beside the live one.

    Args:
        backend: gets and loses the names.
        engine: says which outputs are still under way.
        store: the registry.
        most: how many may be loaded; each holds its weights and its own cache pages.
    """

    def __init__(self, backend: ModelBackend, engine: Engine, store: Store, *, most: int) -> None:
        self._backend = backend
        self._engine = engine
        self._store = store
        self._most = most
        self._default = backend.models()[0].name
        self._loaded: dict[str, str] = {}
        self._lock = threading.Lock()

    def names(self) -> dict[str, str]:
        """Versions by the names they were loaded under."""
        return dict(self._loaded)

    def load(self, version: str, name: str | None = None, *, replace: bool = False) -> str:
        """Serve a version under a name; returns the name. Blocks while weights are read.

        Raises:
            GateRefusedError: the gate has not passed it.
            ConflictError: the name is taken, as many as may are loaded, or the version does not fit the base.
        """
        with self._lock:
            name = name or f"{self._default}:{version}"
            version = self._store.admit(version)
            if self._loaded.get(name) == version:
                return name
            taken = {model.name for model in self._backend.models()}
            if name in taken and not (replace and name in self._loaded):
                advice = "unload it first, or give replace: true" if name in self._loaded else "choose another name"
                raise ConflictError(f"the name {name!r} is taken; {advice}", field="model")
            if name not in taken and len(self._loaded) >= self._most:
                raise ConflictError(
                    f"{len(self._loaded)} versions are loaded, the most there may be (--max-loaded-versions); unload one first",
                    field="version",
                )
            self._backend.replace(name, self._store.open(version))
            self._loaded[name] = version
            return name

    def unload(self, name: str) -> int:
        """Serve a name no longer; returns how many outputs are still under way, all names together.

        Raises:
            UnknownModelError: nothing was loaded under that name.
        """
        with self._lock:
            if name not in self._loaded:
                known = ", ".join(self._loaded) or "none"
                raise UnknownModelError(
                    f"expected a name that a version was loaded under ({known}), got {name!r}", field="model"
                )
            return self._withdraw(name)

    def withdraw_refused(self) -> list[str]:
        """Serve those names no longer whose versions the gate does not pass any more: rolled back, or rejected since they were
        loaded. Returns the names. Outputs that were accepted before end with their weights.

        Raises:
            TamperedVersionError: the registry's log or pointer was altered; what was served goes on.
        """
        with self._lock:
            if not self._loaded:
                return []
            allowed = self._store.may_stay_served(self._loaded.values())
            refused = [name for name, version in self._loaded.items() if not allowed[version]]
            for name in refused:
                logger.warning("%s is served no longer: the gate does not pass %s any more", name, self._loaded[name])
                self._withdraw(name)
            return refused

    def _withdraw(self, name: str) -> int:
        model = self._backend.withdraw(name)
        del self._loaded[name]
        under_way = self._engine.outstanding()
        _when_all_ended(under_way, lambda: self._backend.forget(name, model))
        return len(under_way)


def _when_all_ended(futures: tuple[Future[Any], ...], then: Callable[[], None]) -> None:
    if not futures:
        then()
        return
    lock, left = threading.Lock(), len(futures)

    def ended(_: Future[Any]) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            then()

    for future in futures:
        future.add_done_callback(ended)


def versions_router(
    loaded: LoadedVersions, store: Store, *, follow: Callable[[], str] | None, serving: Callable[[], str]
) -> APIRouter:
    """The routes.

    Args:
        follow: puts the live version in service and names it; None where the server was told to serve something else.
        serving: the version that the default model has now.
    """
    router = APIRouter()

    def listed() -> dict[str, Any]:
        names: dict[str, list[str]] = {}
        for name, version in loaded.names().items():
            names.setdefault(version, []).append(name)
        rows = [{**row, "loaded_as": names.get(row["id"], [])} for row in store.rows()]
        return {"object": "list", "live": store.live(), "serving": serving(), "data": rows}

    def moved(move: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if follow is None:
            raise ConflictError(
                "this server does not follow the registry: it was started with --rail, or without a builder; use "
                "`python -m builderbrain.gate promote` or `rollback`, or start it without --rail",
                field="version",
            )
        result = move()
        unloaded = loaded.withdraw_refused()
        return {**result, "serving": follow(), "unloaded": unloaded}

    @router.get("/v1/versions")
    @described("Every version of the registry.", reply=VersionsReply, raises=(TamperedVersionError,))
    async def versions() -> Response:
        return json_reply(await to_thread.run_sync(listed))

    @router.post("/v1/versions/load")
    @described("Serve a version beside the live one.", body=LoadRequest, reply=LoadedReply, raises=_LOADING)
    async def load(request: Request) -> Response:
        body = await read_request(request, LoadRequest)
        name = await to_thread.run_sync(lambda: loaded.load(body.version, body.model, replace=body.replace))
        return json_reply({"status": "loaded", "model": name, "version": body.version})

    @router.post("/v1/versions/unload")
    @described("Serve a version no longer.", body=UnloadRequest, reply=UnloadedReply, raises=(UnknownModelError,))
    async def unload(request: Request) -> Response:
        body = await read_request(request, UnloadRequest)
        under_way = await to_thread.run_sync(loaded.unload, body.model)
        return json_reply({"status": "unloaded", "model": body.model, "under_way": under_way})

    @router.post("/v1/versions/promote")
    @described(
        "Make a version live that the gate has passed.",
        body=PromoteRequest,
        reply=MovedReply,
        raises=(*_MOVING, GateRefusedError),
    )
    async def promote(request: Request) -> Response:
        body = await read_request(request, PromoteRequest)
        move = partial(store.promote, body.version, expected_live=body.expected_live)
        return json_reply(await to_thread.run_sync(moved, move))

    @router.post("/v1/versions/rollback")
    @described("Make the version before live again.", body=RollbackRequest, reply=MovedReply, raises=_MOVING)
    async def rollback(request: Request) -> Response:
        body = await read_request(request, RollbackRequest)
        evidence = {"by": "an administrator", "reason": body.reason}
        move = partial(store.rollback, expected_live=body.expected_live, evidence=evidence)
        return json_reply(await to_thread.run_sync(moved, move))

    @router.post("/v1/load_lora_adapter")
    @described(
        "Serve a version beside the live one, as vLLM loads adapters.",
        body=LoadAdapterRequest,
        other_replies=("text/plain",),
        raises=_LOADING,
    )
    async def load_adapter(request: Request) -> Response:
        body = await read_request(request, LoadAdapterRequest)

        def work() -> None:
            loaded.load(store.admit_path(body.lora_path), body.lora_name, replace=body.load_inplace)

        with _as_adapter():
            await to_thread.run_sync(work)
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' added successfully.")

    @router.post("/v1/unload_lora_adapter")
    @described(
        "Serve a version no longer, as vLLM unloads adapters.",
        body=UnloadAdapterRequest,
        other_replies=("text/plain",),
        raises=(UnknownModelError,),
    )
    async def unload_adapter(request: Request) -> Response:
        body = await read_request(request, UnloadAdapterRequest)
        with _as_adapter():
            await to_thread.run_sync(loaded.unload, body.lora_name)
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' removed successfully.")

    return router
