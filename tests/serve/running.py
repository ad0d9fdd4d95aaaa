"""Starting servers for tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import openai
import uvicorn

from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import PAGE_SIZE, Batcher
from builderbrain.serve.__main__ import bind
from builderbrain.serve.app import create_app
from builderbrain.serve.engine import Engine
from builderbrain.serve.model_backend import ModelBackend, TokenizerFacts
from builderbrain.serve.service import Service
from builderbrain.serve.telemetry import Telemetry
from tests.hosts.tiny_models import END_TOKEN, llama, tiny_tokenizer

CONTEXT = 256


@dataclass(frozen=True)
class RunningServer:
    """A server that answers."""

    url: str
    service: Service
    server: uvicorn.Server

    def client(self, key: str = "unused") -> openai.OpenAI:
        """The official client, without its retries and deaf to proxies."""
        transport = httpx.Client(trust_env=False, timeout=60)
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, http_client=transport)

    def shut_down(self) -> None:
        """What SIGTERM does."""
        self.server.should_exit = True

    def wait_until_idle(self, seconds: float = 5.0) -> None:
        """Return when no output runs or waits; fail when that takes longer."""
        end = time.monotonic() + seconds
        while self.service.engine.num_running or self.service.engine.num_waiting:
            assert time.monotonic() < end, "outputs are still running"
            time.sleep(0.01)


@cache
def tiny() -> tuple[HuggingFaceHost, XGrammarEngine]:
    """A tiny Llama with random weights and its mask engine, made once."""
    tokenizer = HuggingFaceTokenizer(tiny_tokenizer())
    host = HuggingFaceHost(llama(max_position_embeddings=CONTEXT), tokenizer, name="tiny-base")
    engine = XGrammarEngine(tokenizer, host.vocab_size)
    engine.warm_up()
    return host, engine


def make_service(*, max_running: int = 32, max_waiting: int = 64, deadline_seconds: float = 60.0) -> Service:
    """A service over a tiny Llama with random weights, which is the same at every call."""
    host, mask_engine = tiny()
    batcher = Batcher(host, num_pages=4 * CONTEXT // PAGE_SIZE, max_tokens=64)
    backend = ModelBackend(
        {name: BatchedModel(batcher, None, weight_version=version) for name, version in (("tiny", "v1"), ("tiny-other", "v2"))},
        root="tiny-base",
        mask_engine=mask_engine,
        facts=TokenizerFacts(special_tokens={END_TOKEN: 0}, prefix=()),
        description="tiny-base float32",
    )
    telemetry = Telemetry("tiny")
    engine = Engine(
        max_running=max_running,
        max_waiting=max_waiting,
        deadline_seconds=deadline_seconds,
        observer=telemetry,
        run_model=batcher.run,
    )
    telemetry.watch(lambda: engine.num_running, lambda: engine.num_waiting)
    telemetry.watch_pages(lambda: 1.0 - batcher.pool.available / batcher.pool.num_pages)
    return Service(backend=backend, engine=engine, telemetry=telemetry)


@contextmanager
def running_server(service: Service, **options: Any) -> Iterator[RunningServer]:
    """Serve on a free port in a thread; `options` go to `create_app`."""
    listener: socket.socket = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        create_app(service, **options), log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < end, "the server took too long to start"
        time.sleep(0.01)
    try:
        yield RunningServer(url=f"http://127.0.0.1:{listener.getsockname()[1]}", service=service, server=server)
    finally:
        server.should_exit = True
        thread.join(timeout=15)
