"""A real server on a free loopback port, over a small random-weight base, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.serve.running import RunningServer, make_service, running_server


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """An open server with two models, `tiny` and `tiny-other`."""
    with running_server(make_service()) as started:
        yield started


@pytest.fixture(scope="session")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    """A plain HTTP client."""
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Iterator[openai.OpenAI]:
    """The official client."""
    with server.client() as made:
        yield made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A working root with a file outside it."""
    root = tmp_path / "root"
    (root / "docs").mkdir(parents=True)
    (root / "docs" / "gate.md").write_text("The promotion gate has one veto.\n")
    (tmp_path / "secret.txt").write_text("outside\n")
    return root
