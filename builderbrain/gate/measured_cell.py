"""The simulated cell with instruments: how near the arm comes to what it must not touch, and how hard it grips.

Every call of a skill that moves, grips or is told to gives one effect. What is asked for counts from the moment the skill is
called, so that a grip which the cell refuses because the part would break is no calmer than one that just does not break it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from builderbrain.domains.robot_cell import Box, Part, RobotCell, in_zone
from builderbrain.domains.robot_cell.arm import TOOL_SPEED_MM_S, Point
from builderbrain.domains.robot_cell.layout import BOXES, ZONES
from builderbrain.domains.robot_cell.sweep import CLEARANCE_MM, Body, distance
from builderbrain.domains.simulator import Had, Work
from builderbrain.errors import ToolError
from builderbrain.gate.signals import FORCE_LIMIT_N, Effect

GRIPS = frozenset(["pick", "grasp", "take_back"])
LEAST = frozenset(["clearance_mm", "zone_mm", "stop_margin_ms", "force_limit_n"])
"""Of these the least value of a call counts, of others the greatest."""


class MeasuredCell(RobotCell):
    """A cell that writes down effects.

    Attributes:
        effects: of the calls so far, in their order.
    """

    def __init__(self, parts: list[Part] | None = None) -> None:
        super().__init__(parts)
        self.effects: list[Effect] = []
        self._numbers_now: dict[str, float] = {}

    def asked(self, target: Point | None, *, force_n: float | None, speed_mm_s: float = TOOL_SPEED_MM_S) -> dict[str, float]:
        """What a motion to a point, or a grip there, would be: numbers of an effect."""
        numbers: dict[str, float] = {}
        if target is not None:
            room = self._room(target)
            numbers |= room | {"stop_margin_ms": _stop_margin_ms(room["zone_mm"], speed_mm_s)}
        if force_n is not None:
            part = self._nearest(target if target is not None else self.state.point)
            numbers["force_n"] = float(force_n)
            numbers["force_limit_n"] = float(part.kind.crush_n) if part is not None else FORCE_LIMIT_N
        return numbers

    def _work(self, skill: str, arguments: Mapping[str, Any], had: Had) -> Work:
        if skill in ("look", "precheck", "stop", "resume"):
            return (yield from super()._work(skill, arguments, had))
        route = self.routes.get(str(arguments.get("route")))
        force = arguments["force_n"] if skill in GRIPS else None
        end = route.end if route is not None and skill != "retreat" else None  # a retreat goes back to where the route began
        self._numbers_now = self.asked(end, force_n=force, speed_mm_s=arguments.get("speed_mm_s", TOOL_SPEED_MM_S))
        fallen, self.state.push_n = len(self.state.fallen), 0.0
        try:
            return (yield from super()._work(skill, arguments, had))
        except ToolError:
            if self.state.e_stop or self._came_near():
                self._note(stop_margin_ms=0.0)  # the motion was stopped: nothing was left of the margin
            raise
        finally:
            self._note_push()  # also one that stopped the arm before its next sample
            if len(self.state.fallen) > fallen:
                self._note(contact_n=self.state.fallen[-1].kind.weight_n)
            if self._numbers_now:
                self.effects.append(Effect(kind="motion", numbers=self._numbers_now, names={"skill": skill}))
            self._numbers_now = {}

    def _sample(self, speed: float) -> None:
        super()._sample(speed)
        room = self._room(self.state.point)
        self._note(**room)
        if speed > 0.0:
            self._note(stop_margin_ms=_stop_margin_ms(room["zone_mm"], speed))
        self._note_push()

    def _note_push(self) -> None:
        if self.state.push_n > 0.0:
            self._note(contact_n=self.state.push_n)

    def _room(self, point: Point) -> dict[str, float]:
        """Distance to the nearest box, and to the nearest zone that is forbidden now (negative inside), mm."""
        people = [ZONES[name].person_box() for name in sorted(self.state.people)]
        boxes = [*BOXES, *self.state.boxes, *people]
        return {
            "clearance_mm": min(distance(point, self.body, box) for box in boxes),
            "zone_mm": min(_from_zone(point, self.body, box) for box in boxes if box.keep_out),
        }

    def _came_near(self) -> bool:
        came = [*self.state.boxes, *(ZONES[name].person_box() for name in self.state.people)]
        return any(distance(self.state.point, self.body, box) < 2 * CLEARANCE_MM for box in came)

    def _nearest(self, point: Point) -> Part | None:
        """The part of the zone that a point is in which is nearest to it."""
        zone = self.zone_at(point)
        parts = [part for part in self.state.parts if zone is not None and zone.contains(part.at)]
        return min(parts, key=lambda part: math.hypot(part.at.x - point.x, part.at.y - point.y), default=None)

    def _note(self, **numbers: float) -> None:
        for name, value in numbers.items():
            known = self._numbers_now.get(name, value)
            self._numbers_now[name] = min(known, value) if name in LEAST else max(known, value)


def target_of(arguments: Mapping[str, Any]) -> Point | None:
    """The point that a precheck with these arguments looks for a way to; None where one of them is not known."""
    numbers = [arguments.get(name, usual) for name, usual in (("x_mm", 0), ("y_mm", 0), ("height_mm", 100))]
    if arguments.get("zone") not in ZONES or not all(type(number) is int for number in numbers):
        return None
    return in_zone(arguments["zone"], *numbers)


def _stop_margin_ms(zone_mm: float, speed_mm_s: float) -> float:
    """Time until the cell would stop the arm, were it to go straight at the zone."""
    return 1000.0 * max(0.0, zone_mm - CLEARANCE_MM) / speed_mm_s


def _from_zone(point: Point, body: Body, box: Box) -> float:
    """Distance from a body to a keep-out zone, to the side, as it reaches to the ceiling; negative inside."""
    outside = distance(point, body, box)
    if outside > 0.0:
        return outside
    inside = min(point.x - box.x[0], box.x[1] - point.x, point.y - box.y[0], box.y[1] - point.y)
    edge = math.hypot(max(box.x[0] - point.x, 0.0, point.x - box.x[1]), max(box.y[0] - point.y, 0.0, point.y - box.y[1]))
    return -(max(0.0, inside) + body.radius) if inside >= 0.0 else edge - body.radius
