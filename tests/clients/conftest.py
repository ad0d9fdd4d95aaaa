"""Official clients of other projects against a real server of this one, without any other network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.serve.running import RunningServer, make_service, running_server

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@pytest.fixture(scope="session", autouse=True)
def settings_of_clients() -> Iterator[None]:
    """What keeps these clients from asking their own makers for anything, set before they are imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        patch.setenv("LANGSMITH_TRACING", "false")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_DATASETS_OFFLINE", "1")
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield


@pytest.fixture(autouse=True)
def loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that looks for another machine fails its test."""
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def checked_connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in LOOPBACK:
            raise AssertionError(f"a client connects to {address}")
        connect(self, address)

    def checked_resolve(host: Any, *arguments: Any, **more: Any) -> Any:
        if host is not None and host not in LOOPBACK:
            raise AssertionError(f"a client looks up {host}")
        return resolve(host, *arguments, **more)

    monkeypatch.setattr(socket.socket, "connect", checked_connect)
    monkeypatch.setattr(socket, "getaddrinfo", checked_resolve)


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """An open server with two models, `tiny` and `tiny-other`."""
    with running_server(make_service()) as started:
        yield started
