"""Whatever sequence of skills, interruptions, people and e-stops: no limit is exceeded, and after a fallback the arm stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from builderbrain.domains.robot_cell import Box
from builderbrain.domains.robot_cell.layout import SAFE_POSE
from builderbrain.errors import ToolError
from tests.domains.cell_monitor import WatchedCell
from tests.domains.worlds import Hands

ZONES = ("feeder", "table", "fixture", "tray", "bin")
EVENTS: dict[str, Callable[[WatchedCell], None]] = {
    "e-stop": lambda cell: cell.press_e_stop(),
    "a person in the feeder": lambda cell: cell.person_enters("feeder"),
    "a person in the tray": lambda cell: cell.person_enters("tray"),
    "a person at the table": lambda cell: cell.person_enters("table"),
    "the part slips": lambda cell: cell.loosen(),
    "a push": lambda cell: cell.push(80.0),
    "a light push": lambda cell: cell.push(20.0),
    "a box in the way": lambda cell: cell.put_box(Box("a box", (280, 330), (-60, 60), 360)),
}
INTERRUPTIONS = st.none() | st.tuples(st.sampled_from(sorted(EVENTS)), st.floats(0, 5))
CANCELLED = st.none() | st.none() | st.integers(0, 120)
OFFSETS = st.sampled_from((0, 0, 0, 80, -60, 150, -150, 37))


class CellMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.cell = WatchedCell()
        self.hands = Hands("robot_cell", self.cell)
        self.parts = len(self.cell.state.parts)
        self.discarded = 0

    def run(self, skill: str, event: tuple[str, float] | None = None, cancel: int | None = None, **arguments: Any) -> Any:
        """A skill as the executor runs it: what fails for good is followed by its chain of fallbacks."""
        if event is not None:
            self.cell.at(event[1], lambda: EVENTS[event[0]](self.cell))
        try:
            return self.hands.do(skill, cancel_after=cancel, **arguments)
        except (ToolError, asyncio.CancelledError):
            if self.hands.world.outcome(skill, self.hands.key) is not None:
                return dict(self.hands.world.outcome(skill, self.hands.key) or {})
            for name in self.hands.domain.fallbacks(self.hands.domain.skills[skill]):
                try:
                    self.hands.do(name)
                    break
                except ToolError:
                    pass
            if self.hands.domain.skills[skill].fallback is not None:
                caught = self.cell.state.point
                assert self.cell.state.drive == "stopped"
                assert not self.cell.state.moving
                self.cell.pass_time(10.0)
                assert self.cell.state.point == caught
                assert caught == SAFE_POSE or name == "stop"
            return None

    @rule(zone=st.sampled_from(ZONES), x=OFFSETS, y=OFFSETS, height=st.sampled_from((0, 20, 100, 100, 250, 400)),
          speed=st.sampled_from((50, 250)), event=INTERRUPTIONS, cancel=CANCELLED)  # fmt: skip
    def move(self, zone: str, x: int, y: int, height: int, speed: int, event: Any, cancel: int | None) -> None:
        route = self.run("precheck", zone=zone, x_mm=x, y_mm=y, height_mm=height)
        if route is not None:
            self.run("move", event, cancel, route=route["route"], speed_mm_s=speed)

    @rule(zone=st.sampled_from(ZONES), force=st.sampled_from((1, 5, 10, 20, 40, 60)), look=st.booleans(),
          event=INTERRUPTIONS, cancel=CANCELLED)  # fmt: skip
    def pick(self, zone: str, force: int, look: bool, event: Any, cancel: int | None) -> None:
        seen = self.run("look", zone=zone)
        where = {"x_mm": seen["x_mm"], "y_mm": seen["y_mm"]} if look and seen["part"] else {}
        route = self.run("precheck", zone=zone, **where)
        if route is not None:
            self.run("pick", event, cancel, route=route["route"], force_n=force)

    @rule(skill=st.sampled_from(("place", "place", "discard")), zone=st.sampled_from(ZONES), x=OFFSETS, event=INTERRUPTIONS,
          cancel=CANCELLED)  # fmt: skip
    def put_down(self, skill: str, zone: str, x: int, event: Any, cancel: int | None) -> None:
        assume(self.cell.state.held is not None)
        route = self.run("precheck", zone=zone, x_mm=x)
        if route is not None and self.run(skill, event, cancel, route=route["route"]) is not None and skill == "discard":
            self.discarded += 1

    @rule(
        zone=st.sampled_from(("feeder", "tray")),
        to=st.sampled_from(ZONES),
        x=OFFSETS,
        on_pick=INTERRUPTIONS,
        on_place=INTERRUPTIONS,
    )
    def deliver(self, zone: str, to: str, x: int, on_pick: Any, on_place: Any) -> None:
        if self.cell.state.drive == "stopped":
            self.a_person_makes_it_free()
        seen = self.run("look", zone=zone)
        assume(seen["part"] and self.cell.state.held is None)
        route = self.run("precheck", zone=zone, x_mm=seen["x_mm"], y_mm=seen["y_mm"])
        if (
            route is None
            or self.run("pick", on_pick, route=route["route"], force_n=12 if seen["width_mm"] == 25 else 20) is None
        ):
            return
        route = self.run("precheck", zone=to, x_mm=x)
        if route is not None:
            self.run("place", on_place, route=route["route"])

    @rule(skill=st.sampled_from(("grasp", "release", "rotate", "stop", "safe_pose", "resume")), event=INTERRUPTIONS,
          cancel=CANCELLED, force=st.sampled_from((5, 20, 60)), angle=st.sampled_from((0, 45, 180)))  # fmt: skip
    def other(self, skill: str, event: Any, cancel: int | None, force: int, angle: int) -> None:
        arguments = {"grasp": {"force_n": force}, "rotate": {"angle_deg": angle}}.get(skill, {})
        self.run(skill, event, cancel, **arguments)

    @rule(
        skill=st.sampled_from(("put_back", "take_back", "retreat")),
        which=st.integers(0, 50),
        event=INTERRUPTIONS,
        cancel=CANCELLED,
    )
    def undo(self, skill: str, which: int, event: Any, cancel: int | None) -> None:
        names = sorted(self.cell.routes if skill == "retreat" else self.cell.spots)
        assume(names)
        name = names[which % len(names)]
        self.run(skill, event, cancel, **({"route": name} if skill == "retreat" else {"spot": name}),
                 **({"force_n": 20} if skill == "take_back" else {}))  # fmt: skip

    @rule(event=st.sampled_from(sorted(EVENTS)))
    def something_happens(self, event: str) -> None:
        EVENTS[event](self.cell)

    @precondition(lambda self: self.cell.state.drive == "stopped")
    @rule()
    def a_person_makes_it_free(self) -> None:
        self.cell._events.clear()  # nothing happens while the person is there
        self.cell.release_e_stop()
        self.cell.state.people.clear()
        self.cell.state.boxes.clear()
        assert self.run("resume") == {}

    @invariant()
    def nothing_is_lost_and_nothing_forbidden_lies_about(self) -> None:
        if not hasattr(self, "cell"):
            return
        self.cell.check_parts()
        assert not self.cell.state.moving
        held = self.cell.state.held is not None
        assert len(self.cell.state.parts) + held + self.discarded == self.parts


CellMachine.TestCase.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestWhateverHappens = CellMachine.TestCase
