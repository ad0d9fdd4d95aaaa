"""A server over a tiny base with a live rail, a judge of its own, a small battery, and a learner."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
import uvicorn
import yaml

from builderbrain.agent.goal import GoalResult
from builderbrain.gate.attach import AttachedWatch
from builderbrain.gate.attach import attach as attach_watch
from builderbrain.gate.registry import Registry
from builderbrain.gate.subject import base_features_of
from builderbrain.gate.train_judge import train_judge
from builderbrain.hosts.base import Host
from builderbrain.hosts.load import load_host
from builderbrain.learn.attach import AttachedLearner, attach
from builderbrain.plan import Plan, check, parse_text
from builderbrain.rail.checkpoint import save_rail
from builderbrain.serve.__main__ import bind
from builderbrain.serve.attached import GoalAnswered, OutcomeTold
from builderbrain.serve.compose import compose
from builderbrain.serve.settings import ServeSettings
from builderbrain.serve.site import ServerSite
from builderbrain.train.boot import build_rail
from builderbrain.train.config import BudgetSection, RailSection, TrainConfig
from tests.hosts.tiny_models import llama, save_model

WORDS = ("gate", "judge", "canary", "budget", "router", "ledger", "matcher", "tokenizer", "sampler", "battery", "page", "rail")
ADMIN = {"Authorization": "Bearer boss"}


@dataclass(frozen=True)
class Ground:
    """What every server of these tests stands on, made once: the base's folder, a rail's folder, a judge's, a battery."""

    base: Path
    rail: Path
    judge: Path
    battery: Path


@cache
def ground() -> Ground:
    folder = Path(mkdtemp(prefix="learn-tests-"))
    base = save_model(llama(max_position_embeddings=512, num_hidden_layers=2), folder / "base")
    host = load_host(str(base))
    section = RailSection(width=24, head_size=8, num_skills=4, plan_nodes=0)
    # A rail with a large say, so that one that learned nonsense is far from the one before.
    config = TrainConfig(model=str(base), rail=section, budget=BudgetSection(steps=(0.7, 1.0)))
    save_rail(build_rail(host, config), folder / "rail")
    train_judge(base_features_of(host), base_name=host.name, examples=80).save(folder / "judge")
    prompts = [
        {"id": f"p{number}", "family": f"f{number}", "kind": "regression", "domain": "repo_assistant",
         "prompt": f"show me what {WORDS[number % len(WORDS)]} number {number} does"}
        for number in range(84)
    ]  # fmt: skip
    battery = folder / "battery.jsonl"
    battery.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
    return Ground(base=base, rail=folder / "rail", judge=folder / "judge", battery=battery)


def tiny_host() -> Host:
    """The base alone."""
    return load_host(str(ground().base))


@dataclass
class Learning:
    """A running server that learns."""

    http: httpx.Client
    registry: Registry
    attached: AttachedLearner
    watch: AttachedWatch
    site: ServerSite
    url: str

    @property
    def learner(self) -> Any:
        return self.attached.learner

    def ask(self, goal: str, **more: Any) -> dict[str, Any]:
        """A goal that is planned and not run."""
        reply = self.http.post("/v1/goals", json={"goal": goal, "dry_run": True, **more})
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def teach(self, goal: str, plan: str, caller: str = "key 0") -> None:
        """A goal that was answered with this plan, and called right: what HTTP would have written, without the decoding."""
        parsed = plan_of(plan)
        result = GoalResult(answer="Done.", plan=parsed, verdict=check(parsed), trace=(), weight_version="v")
        identifier = self.attached.answered(GoalAnswered(goal=goal, result=result, caller=caller, domain="repo_assistant"))
        assert identifier is not None
        assert self.attached.told(OutcomeTold(identifier=identifier, right=True, caller=caller)) == "repo_assistant"

    def metric(self, name: str) -> float:
        """One sample of /metrics, without labels."""
        lines = self.http.get("/metrics").text.splitlines()
        return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name} "))

    def wait(self, event: str, seconds: float = 180.0, *, after: int = 0) -> dict[str, Any]:
        """The first event of that name after the first `after` of any, once it has come."""
        end = time.monotonic() + seconds
        while True:
            for found in list(self.learner.events)[after:]:
                assert found.name != "failed", found.details
                if found.name == event:
                    return dict(found.details)
            assert time.monotonic() < end, f"no {event}; {[one.name for one in self.learner.events]}, {self.learner.waits_for}"
            time.sleep(0.02)


def plan_of(text: str) -> Plan:
    return parse_text(text, domain="repo_assistant")


def learn_settings(folder: Path, **config: Any) -> ServeSettings:
    """Settings of a server in `folder`, over the ground; the registry is made with the rail live."""
    there = ground()
    registry = Registry(folder / "versions")
    if registry.live() is None:
        registry.promote(registry.add(there.rail), expected_live=None)
    (folder / "root").mkdir(exist_ok=True)
    values = {
        "least_rows": 10, "interval_seconds": 0, "steps": 3, "rows_per_step": 4, "trusted": 16, "poll_seconds": 0.05,
        "gate_max_tokens": 1, "gate_compared": 0, "canary_observations": 0,
        "battery": [str(there.battery)], **config,
    }  # fmt: skip
    path = folder / "learn.yaml"
    path.write_text(yaml.safe_dump(values))
    return ServeSettings(
        model=str(there.base), served_model_name="tiny", registry=str(registry.root), root=str(folder / "root"),
        learn=str(folder / "learning"), learn_config=str(path), admin_api_key="boss", judge=str(there.judge),
        max_num_seqs=16, max_model_len=512,
    )  # fmt: skip


@contextmanager
def learning_server(folder: Path, *, settings: ServeSettings | None = None, **config: Any) -> Iterator[Learning]:
    """Serve and learn, over HTTP on a free port."""
    chosen = learn_settings(folder, **config) if settings is None else replace(settings)
    watches: list[AttachedWatch | None] = []
    made: list[tuple[AttachedLearner, ServerSite]] = []

    def factory(site: ServerSite) -> AttachedLearner:
        made.append((attach(site), site))
        return made[0][0]

    def watch_factory(site: ServerSite) -> AttachedWatch | None:
        watches.append(attach_watch(site))
        return watches[0]

    app = compose(chosen, learner=factory, watch=watch_factory)
    listener: socket.socket = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < end
        time.sleep(0.01)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    attached, site = made[0]
    assert watches[0] is not None
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
            yield Learning(
                http=http, registry=Registry(Path(chosen.registry)), attached=attached, watch=watches[0], site=site, url=url
            )
    finally:
        server.should_exit = True
        thread.join(timeout=15)
