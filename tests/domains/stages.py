"""Every domain with the world that its plans act on, as playbooks need it: what is there afterwards, what may never be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from builderbrain.agent import DomainRuntime, ExecutionReport, Ledger, Runtime, WorkingRoot, open_domain
from builderbrain.agent.breakers import ToolBreakers
from builderbrain.agent.locks import ResourceLocks
from builderbrain.agent.policy import ConfirmationRequest
from builderbrain.domains.phone_flow import PhoneCall, load_script, scripts
from builderbrain.domains.robot_cell.layout import SAFE_POSE
from builderbrain.domains.simulator import Simulator
from builderbrain.plan import get_domain
from builderbrain.plan.domain import SAFETY_LEVELS
from builderbrain.tools.api.client import ApiSettings
from builderbrain.tools.api.domain import api_tools
from builderbrain.tools.base import Tool
from builderbrain.tools.chat.sayings import DISCLAIMERS, NEED_INFORMATION, chat_tools
from builderbrain.tools.chat.sources import Source
from builderbrain.tools.pages.actions import PageActions
from builderbrain.tools.pages.parsed_pages import ParsedPages
from builderbrain.tools.registry import tools_of
from builderbrain.tools.web.origin import read_origin
from tests.domains.bookshop import Bookshop, serving
from tests.domains.cell_monitor import WatchedCell
from tests.domains.faulty_server import PATIENCE_SECONDS, FaultyServer
from tests.domains.site import Site
from tests.domains.stalling_clock import StallingClock

LEVELS = frozenset({"read_only", "mutating"})
SOURCES = (Source(name="Health guide", text="Sleep well.\n\nFor a headache, drink water and rest."),)
GATE = "The promotion gate has one veto.\n"


async def yes(_: ConfirmationRequest) -> bool:
    return True


@dataclass(kw_only=True)
class Stage:
    """A domain ready for one plan.

    Args:
        places: method and path that each skill asks a server for, where it asks one.
    """

    home: DomainRuntime
    afterwards: Callable[[ExecutionReport], str]
    forbidden: Callable[[ExecutionReport], list[str]]
    server: FaultyServer | None = None
    places: Mapping[str, str] = field(default_factory=dict)


def runtime_in(folder: Path) -> Runtime:
    clock = StallingClock()
    return Runtime(
        ledger=Ledger(folder / "ledger.db"),
        clock=clock,
        locks=ResourceLocks(),
        breakers=ToolBreakers(clock),
        confirm=yes,
        journal_folder=folder,
    )


def home_of(domain: str, folder: Path, world: Simulator) -> DomainRuntime:
    """A domain in a simulated world."""
    return open_domain(domain, WorkingRoot(folder), granted=LEVELS, runtime=runtime_in(folder), world=world)


def simulated(domain: str, folder: Path, world: Simulator) -> Stage:
    """A domain in a simulated world, as a stage."""
    return Stage(
        home=home_of(domain, folder, world),
        afterwards=lambda _: world_in_words(world),
        forbidden=lambda report: forbidden_in(world, report),
    )


def _home_with(domain: str, folder: Path, tools: Mapping[str, Tool]) -> DomainRuntime:
    found = get_domain(domain)
    levels = frozenset(SAFETY_LEVELS)
    return DomainRuntime(domain=found, root=WorkingRoot(folder), granted=levels, runtime=runtime_in(folder), tools=tools)


class Stages:
    """Makes stages. The servers are started once; what they serve is new for each stage."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._servers: dict[str, tuple[FaultyServer, str]] = {}

    def stage(self, domain: str, fault: str, folder: Path) -> Stage:
        """A new world of a domain; a call with the script that a fault names."""
        makers = {"api_json": self._shop, "ui_macro": self._site, "chat_social": _conversation, "repo_assistant": _repository}
        if domain in makers:
            return makers[domain](folder)
        return simulated(domain, folder, world_of(domain, fault))

    def _server(self, domain: str) -> tuple[FaultyServer, str]:
        if domain not in self._servers:
            server = FaultyServer()
            self._servers[domain] = server, self._stack.enter_context(serving(server))
        return self._servers[domain]

    def _shop(self, folder: Path) -> Stage:
        server, base = self._server("api_json")
        shop = Bookshop()
        server.show(shop.app)

        def afterwards(_: ExecutionReport) -> str:
            states = [order["status"] for order in shop.orders.values()]
            return f"an order is {states[0]}" if len(states) == 1 else f"{len(states) or 'no'} orders"

        def forbidden(_: ExecutionReport) -> list[str]:
            keys: dict[tuple[str, str], set[str | None]] = {}
            for method, path, key in shop.asked:
                if method != "GET":
                    keys.setdefault((method, path), set()).add(key)
            found = [f"{method} {path} with several keys" for (method, path), used in keys.items() if len(used) > 1]
            found += ["an effect without a key" for used in keys.values() if None in used]
            return found + [f"{order} was paid twice" for order, times in Counter(shop.paid).items() if times > 1]

        tools = api_tools(get_domain("api_json"), ApiSettings(base_url=base, seconds=PATIENCE_SECONDS))
        return Stage(
            home=_home_with("api_json", folder, tools),
            afterwards=afterwards,
            forbidden=forbidden,
            server=server,
            places={"search_books": "GET /books", "create_order": "POST /orders", "pay_order": "POST /orders/o1/payment"},
        )

    def _site(self, folder: Path) -> Stage:
        server, base = self._server("ui_macro")
        site = Site()
        server.show(site.app)
        ticks = count()
        pages = ParsedPages(read_origin(base, field="base_url"), seconds=PATIENCE_SECONDS, now=lambda: float(next(ticks)))
        return Stage(
            home=_home_with("ui_macro", folder, PageActions(pages).tools),
            afterwards=lambda _: "an order is sent" if len(site.orders) == 1 else f"{len(site.orders) or 'no'} orders",
            forbidden=lambda _: ["sent twice"] if len(site.orders) > 1 else [],
            server=server,
            places={"open": "GET /", "click": "POST /orders", "wait": "GET /orders/1"},
        )


def _conversation(folder: Path) -> Stage:
    def said(report: ExecutionReport) -> list[str]:
        spoken = [str((entry.output or {}).get("said", "")) for entry in report.entries if entry.ok]
        return [text for text in (*spoken, *(str(one.results.get("said", "")) for one in report.fallbacks)) if text]

    def afterwards(report: ExecutionReport) -> str:
        spoken = said(report)
        if any(text.startswith(NEED_INFORMATION) for text in spoken):
            return "asked for more" if len(spoken) == 1 else "answered, and asked for more"
        return "answered" if spoken else "silent"

    def forbidden(report: ExecutionReport) -> list[str]:
        drafts = [entry.args["text"] for entry in report.entries if entry.skill == "advise"]
        return [
            "advice was heard without its disclaimer"
            for text in said(report)
            if any(draft in text for draft in drafts) and not text.startswith(DISCLAIMERS["medical"])
        ]

    return Stage(home=_home_with("chat_social", folder, chat_tools(SOURCES)), afterwards=afterwards, forbidden=forbidden)


def _repository(folder: Path) -> Stage:
    root = folder / "repository"
    (root / "docs").mkdir(parents=True)
    (root / "docs" / "gate.md").write_text(GATE)

    def forbidden(_: ExecutionReport) -> list[str]:
        files = {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}
        return [] if files == {"docs/gate.md": GATE} else ["files were changed"]

    domain = get_domain("repo_assistant")
    home = DomainRuntime(
        domain=domain, root=WorkingRoot(root), runtime=runtime_in(folder), tools=tools_of(domain.name, domain.version)
    )
    return Stage(home=home, afterwards=lambda _: "files as they were", forbidden=forbidden)


@contextmanager
def stages() -> Iterator[Stages]:
    """Stages, whose servers end afterwards."""
    with ExitStack() as stack:
        yield Stages(stack)


def world_of(domain: str, fault: str) -> Simulator:
    """A new simulated world; of a call, the one whose script has the name of the fault."""
    if domain == "robot_cell":
        return WatchedCell()
    return PhoneCall(load_script(fault if fault in scripts() else "usual"))


def world_in_words(world: Simulator) -> str:
    """A simulated world."""
    if isinstance(world, WatchedCell):
        state = world.state
        where = "in the safe pose" if state.point == SAFE_POSE else "where it was"
        moves = "stopped" if state.drive == "stopped" else "ready"
        part = "nothing" if state.held is None else f"the {state.held.part.kind.name}"
        return f"{moves} {where}, holds {part}"
    assert isinstance(world, PhoneCall)
    if world.transfers:
        return f"handed over to {world.transfers[0][0]}"
    if world.callbacks:
        return "callback promised"
    return "in the queue" if world.queued else {"waiting": "on hold"}.get(world.call, world.call)


def forbidden_in(world: Simulator, report: ExecutionReport) -> list[str]:
    """What may never happen in a simulated world, and did."""
    said = " ".join(event.said for event in report.events)
    found = ["the monitor saw a limit exceeded"] if "AssertionError" in said else []
    if isinstance(world, WatchedCell):
        world.check_parts()
        found += ["the arm moves"] if world.state.moving else []
    if isinstance(world, PhoneCall) and world.customer is None:
        found += ["handed over unverified"] if world.transfers or world.callbacks else []
        found += ["a record was read for somebody unverified"] if world.records_read or world.notes else []
    return found
