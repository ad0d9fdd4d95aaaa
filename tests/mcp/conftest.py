"""A configuration for one of the test servers, approved, and plans run with it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from builderbrain.agent import Ledger, Runtime, WorkingRoot, run_plan
from builderbrain.agent.policy import ConfirmationRequest
from builderbrain.agent.report import ExecutionReport
from builderbrain.mcp import Catalogue, approve, load_catalogue, load_mcp_config
from builderbrain.mcp.catalogue import listed
from builderbrain.plan import checked, parse_text

SERVERS = Path(__file__).with_name("servers")
ALL = frozenset({"read_only", "mutating", "meta"})


@dataclass
class Desk:
    """A configuration `mcp.yaml`, the working root, and what a person was asked."""

    folder: Path
    asked: list[ConfirmationRequest] = field(default_factory=list)
    answer: bool = True
    seconds: float = 0.0

    @property
    def config(self) -> Path:
        return self.folder / "mcp.yaml"

    @property
    def root(self) -> WorkingRoot:
        return WorkingRoot(self.folder / "root")

    def configure(self, server: str, *arguments: str, tools: Any = "all", **settings: Any) -> None:
        """One server, `notes` or `hostile`, of that name."""
        section = {
            "command": sys.executable,
            "args": ["-B", str(SERVERS / f"{server}.py"), *arguments],
            "reads": [str(SERVERS)],
            "tools": tools,
            **settings,
        }
        self.config.write_text(json.dumps({"domain": "desk", "servers": {server: section}}))

    def list(self) -> tuple[Any, ...]:
        config = load_mcp_config(self.config)
        (server,) = config.servers
        return anyio.run(listed, config, server, self.root)

    def approve(self) -> Catalogue:
        (server,) = load_mcp_config(self.config).servers
        approve(self.config, {server: self.list()})
        return load_catalogue(self.config)

    def run(self, catalogue: Catalogue, text: str, *, kept: bool = False) -> ExecutionReport:
        """Check and run a plan in text form, with every level granted; `kept` lets steps share processes of the server."""

        async def confirm(request: ConfirmationRequest) -> bool:
            self.asked.append(request)
            return self.answer

        async def main() -> ExecutionReport:
            ledger = Ledger(self.folder / "ledger.db")
            try:
                with catalogue.available():
                    plan = checked(parse_text(text, domain="desk"), granted=ALL)
                    runtime = Runtime(ledger=ledger, confirm=confirm)
                    if not kept:
                        return await run_plan(plan, self.root, tools=catalogue.tools, runtime=runtime)
                    async with catalogue.running() as tools:
                        return await run_plan(plan, self.root, tools=tools, runtime=runtime)
            finally:
                ledger.close()

        started = time.monotonic()
        try:
            return anyio.run(main)
        finally:
            self.seconds = time.monotonic() - started


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret.txt").write_text("the-secret-outside")
    return Desk(tmp_path)


@pytest.fixture
def hostile(desk: Desk) -> Callable[..., ExecutionReport]:
    """Approve the hostile server in a mode, and run one step of it."""

    def running(mode: str, *arguments: str, plan: str = "s1=hostile_look()", **settings: Any) -> ExecutionReport:
        if "tools" not in settings:
            settings["tools"] = {"look": {"safety": "read_only"}, "act": {}}
        desk.configure("hostile", mode, *arguments, **{"timeout_seconds": 30.0, **settings})
        return desk.run(desk.approve(), plan)

    return running
