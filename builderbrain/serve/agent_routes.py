"""The routes of goals and plans over one runtime: ledger, journals, policy, breakers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi import APIRouter

from builderbrain.agent.breaker import BreakerRecord
from builderbrain.agent.breaker_board import BreakerBoard
from builderbrain.agent.executor import Runtime, Tool, WorkingRoot
from builderbrain.agent.hand_off import handed_to_file
from builderbrain.agent.ledger import Ledger
from builderbrain.agent.lookup import LookupGate
from builderbrain.agent.policy import Policy
from builderbrain.agent.result_cache import ResultCache, read_sizes
from builderbrain.agent.runs import PlanRuns
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.serve.app import Lifetime
from builderbrain.serve.argument_writer import argument_writer
from builderbrain.serve.attached import Traffic
from builderbrain.serve.goal_domains import GoalDomains
from builderbrain.serve.goals import goals_router
from builderbrain.serve.incidents import Incidents
from builderbrain.serve.plan_runs import PlanRoutes
from builderbrain.serve.plans import repair_router
from builderbrain.serve.react import react_router
from builderbrain.serve.service import Service
from builderbrain.serve.settings import ServeSettings, state_folder
from builderbrain.serve.tool_settings import ServedTools

logger = logging.getLogger(__name__)


def agent_routers(
    settings: ServeSettings,
    service: Service,
    *,
    domains: GoalDomains,
    compile_grammar: Callable[[str], CompiledConstraint],
    tools: Mapping[str, Mapping[str, Tool]] | None = None,
    served: ServedTools | None = None,
    lookups: LookupGate | None = None,
    incidents: Incidents | None = None,
    traffic: Traffic | None = None,
) -> tuple[list[APIRouter], list[Lifetime]]:
    """The routes, and what is closed when the server ends.

    Args:
        domains: how goals of each domain are decoded.
        compile_grammar: from EBNF of the project's own to a constraint for the model's tokenizer.
        tools: tools by domain and skill in place of the registry's.
        served: what the tools need to know of the world, and those of MCP servers; closed with the server.
        lookups: see `goals_router`.
        incidents: are told of breakers that open.
        traffic: see `goals_router`.

    Raises:
        ConfigError: the state folder cannot be used.
        LedgerError: its ledger cannot, or another process has it.
    """
    folder = state_folder(settings)
    ledger = None if folder is None else Ledger(folder / "ledger.db")
    if ledger is not None and ledger.unfinished():
        logger.warning("%d executions are not over; GET /v1/executions lists them", len(ledger.unfinished()))
    policy = Policy(confirmed_levels=frozenset({"mutating", "meta"}) if settings.confirm_writes else frozenset())
    served = served if served is not None else ServedTools()
    results = ResultCache(sizes=read_sizes(settings.tool_cache) if settings.tool_cache else None)
    service.telemetry.watch_caches("tool_results", results.use)
    runtime = Runtime(ledger=ledger, policy=policy, journal_folder=folder, settings=served.settings, results=results)

    def changed(record: BreakerRecord) -> None:
        service.telemetry.breaker_changed(record)
        if incidents is not None:
            incidents.breaker_changed(record)

    board = BreakerBoard(emit=changed)
    runs = PlanRuns(runtime, board=board, tools={**served.domains, **(tools or {})})
    root = WorkingRoot(settings.root)
    allowed = {"mutating": settings.allow_writes, "meta": settings.allow_meta}
    granted = frozenset({"read_only", *(level for level, allow in allowed.items() if allow)})
    write = argument_writer(service, compile_grammar, domains.writer)
    hand_over = None if settings.hand_off_file is None else handed_to_file(Path(settings.hand_off_file))
    routers = [
        goals_router(
            service,
            domains=domains,
            root=root,
            runs=runs,
            granted=granted,
            write=write,
            hand_over=hand_over,
            lookups=lookups,
            traffic=traffic,
        ),
        react_router(service, domains=domains, root=root, runs=runs, granted=granted, write=write),
        repair_router(service, write),
        PlanRoutes(service=service, runs=runs, root=root, granted=granted).router(),
    ]
    return routers, [served, *([] if ledger is None else [_OpenLedger(ledger)])]


class _OpenLedger:
    """The ledger's file, closed when the server ends."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def start(self) -> None:
        """It is open already."""

    def stop(self) -> None:
        """Let another process open it."""
        self._ledger.close()
