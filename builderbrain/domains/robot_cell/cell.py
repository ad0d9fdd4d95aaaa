"""The state of the cell and how it changes: motions along swept ways, people, the e-stop, and what the gripper holds.

Every motion is made of short pieces. Before each the cell looks again: whether the drives run, whether a person or a new box
came into the way, whether the part is still there, whether something pushes too hard. If not, the arm stands where it is.
The gripper closes by a spring: it holds its part without power.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from builderbrain.domains.robot_cell.arm import Joints, Point, joints_at
from builderbrain.domains.robot_cell.layout import BOXES, SAFE_POSE, ZONES, Box, Part, Zone, usual_parts
from builderbrain.domains.robot_cell.sweep import (
    CLEARANCE_MM,
    PART_CLEARANCE_MM,
    TOOL_RADIUS_MM,
    Body,
    Obstacle,
    Way,
    find_way,
    is_blocked,
    sweep,
)
from builderbrain.domains.simulator import Simulator
from builderbrain.errors import ToolError

BUMP_LIMIT_N = 60.0
"""Greatest force from outside that the arm bears before it stops."""
MOTION_SECONDS = 9.5
"""Longest motion: what a step has time for."""
STOPPED = "the drives are stopped; a person looks at the cell and lets them run again"


@dataclass(frozen=True)
class Sample:
    """The cell at one moment of a motion. `speed` in mm/s, since the sample before."""

    seconds: float
    point: Point
    joints: Joints
    speed: float
    holding: str | None
    drive: str


@dataclass(frozen=True)
class Held:
    """A part in the gripper. `below` is how far its underside is below the tip; `force_n` the grip force."""

    part: Part
    below: float
    force_n: int

    @property
    def body(self) -> Body:
        return Body(radius=max(TOOL_RADIUS_MM, self.part.kind.width_mm * 0.75), below=self.below)


@dataclass
class Route:
    """A checked way, for one motion."""

    name: str
    way: Way
    used: bool = False

    @property
    def start(self) -> Point:
        return self.way.stations[0].point

    @property
    def end(self) -> Point:
        return self.way.stations[-1].point


@dataclass(frozen=True)
class Spot:
    """Where a part lay, and how it was gripped there."""

    part: Part
    at: Point
    below: float
    wrist: float

    @property
    def grip(self) -> Point:
        return self.at.at_height(self.at.z + self.below)


@dataclass
class State:
    """All that changes in the cell; `samples` is how the arm moved, `fallen` which parts fell and where."""

    point: Point = SAFE_POSE
    wrist: float = 0.0
    held: Held | None = None
    parts: list[Part] = field(default_factory=usual_parts)
    drive: str = "running"
    e_stop: bool = False
    people: set[str] = field(default_factory=set)
    boxes: list[Box] = field(default_factory=list)
    push_n: float = 0.0
    moving: bool = False
    samples: list[Sample] = field(default_factory=list)
    fallen: list[Part] = field(default_factory=list)


class Cell(Simulator):
    """The cell without its skills.

    Args:
        parts: what lies in it; by default a bolt and a housing in the feeder and a vial in the tray.
    """

    def __init__(self, parts: list[Part] | None = None) -> None:
        super().__init__()
        self.state = State() if parts is None else State(parts=parts)
        self.routes: dict[str, Route] = {}
        self.spots: dict[str, Spot] = {}
        self._numbers = itertools.count(1)

    def facts(self) -> Mapping[str, str]:
        state = self.state
        clear = any(not route.used and route.start == state.point for route in self.routes.values())
        return {
            "gripper": "holding" if state.held is not None else "empty",
            "route": "clear" if clear else "used",
            "drive": state.drive,
        }

    # What happens from outside.

    def press_e_stop(self) -> None:
        """Stop the drives until a person releases it and lets them run again."""
        self.state.e_stop = True
        self.state.drive = "stopped"

    def release_e_stop(self) -> None:
        """Pull the button out; the drives stay stopped."""
        self.state.e_stop = False

    def person_enters(self, zone: str) -> None:
        self.state.people.add(zone)

    def person_leaves(self, zone: str) -> None:
        self.state.people.discard(zone)

    def put_box(self, box: Box) -> None:
        """Something is put into the cell that was not there when routes were checked."""
        self.state.boxes.append(box)

    def push(self, newtons: float) -> None:
        """Something pushes against the arm while it moves."""
        if self.state.moving:
            self.state.push_n = max(self.state.push_n, newtons)

    def loosen(self) -> None:
        """The part slips out of the gripper, whatever the force, and falls down where the arm is."""
        held, point = self.state.held, self.state.point
        if held is None:
            return
        zone = self.zone_at(point)
        held.part.at = point.at_height(zone.surface if zone is not None else 0.0)
        self.state.parts.append(held.part)
        self.state.fallen.append(held.part)
        self.state.held = None

    # What the skills are made of.

    def zone_at(self, point: Point) -> Zone | None:
        return next((zone for zone in ZONES.values() if zone.contains(point)), None)

    @property
    def body(self) -> Body:
        return self.state.held.body if self.state.held is not None else Body()

    def obstacles(self, *without: Part) -> list[Obstacle]:
        """All that may not be hit, but for some parts."""
        boxes = [*BOXES, *self.state.boxes, *(ZONES[name].person_box() for name in sorted(self.state.people))]
        found = [Obstacle(box, CLEARANCE_MM) for box in boxes]
        found += [Obstacle(zone.box(), 0.0) for zone in ZONES.values()]
        return found + [
            Obstacle(part.box(), PART_CLEARANCE_MM) for part in self.state.parts if all(part is not one for one in without)
        ]

    def way_to(self, target: Point, *, body: Body | None = None) -> Way:
        """A free way from where the arm is. From a part between the fingers it goes straight up, and to one straight down.

        Raises:
            ToolError: there is none.
        """
        body = body or self.body
        start = self.state.point
        leaving, entering = self._part_around(start), self._part_around(target)
        first = start if leaving is None else _above(start, leaving)
        last = target if entering is None else _above(target, entering)
        ways = [] if leaving is None else [self.swept(start, first, body=body, without=(leaving,))]
        ways.append(find_way(first, last, body, self.obstacles()))
        if entering is not None:
            ways.append(self.swept(last, target, body=body, without=(entering,)))
        return joined(*ways)

    def swept(self, *corners: Point, body: Body | None = None, without: tuple[Part, ...] = ()) -> Way:
        return sweep(corners, body or self.body, self.obstacles(*without))

    def follow(self, way: Way, speed: float, wrist: float | None = None) -> Generator[float, None, float]:
        """Move along a way at a speed, and turn the wrist on the way; returns the greatest force from outside, in newtons.

        Raises:
            ToolError: the drives are stopped, or something happened on the way; the arm stands where it is.
        """
        state = self.state
        self.must_run()
        had_part, turned_from = state.held is not None, state.wrist
        state.push_n, state.moving = 0.0, True
        whole, gone = way.length, 0.0
        try:
            for station in way.stations[1:]:
                if station.length == 0.0:
                    continue
                pause = station.length / min(speed, station.speed)
                self._watch(station.point, had_part)
                yield pause
                self._watch(station.point, had_part)
                state.point = station.point
                gone += station.length
                if wrist is not None:
                    self.turn_to(turned_from + (wrist - turned_from) * gone / whole)
                self._sample(station.length / pause)
        finally:
            state.moving = False
        if wrist is not None:
            self.turn_to(wrist)
        return state.push_n

    def turn_to(self, angle: float) -> None:
        if self.state.held is not None:
            self.state.held.part.angle_deg += round(angle) - round(self.state.wrist)
        self.state.wrist = angle

    def must_run(self) -> None:
        """Raises: ToolError: the drives are stopped."""
        if self.state.e_stop:
            raise ToolError("the e-stop is pressed; a person releases it and lets the drives run again")
        if self.state.drive != "running":
            raise ToolError(STOPPED)

    def number(self) -> int:
        return next(self._numbers)

    def _watch(self, ahead: Point, had_part: bool) -> None:
        state = self.state
        self.must_run()
        if had_part and state.held is None:
            raise ToolError("the part slipped out of the gripper and fell; look for it")
        if state.push_n > BUMP_LIMIT_N:
            raise ToolError(f"something pushed against the arm with {state.push_n:.0f} N, more than {BUMP_LIMIT_N:.0f}; look")
        came = [*state.boxes, *(ZONES[name].person_box() for name in sorted(state.people))]
        for box in came:
            if is_blocked(ahead, self.body, Obstacle(box, CLEARANCE_MM)):
                raise ToolError(f"{box.name} came into the way; the arm stands until the way is free")

    def _sample(self, speed: float) -> None:
        state = self.state
        holding = state.held.part.kind.name if state.held is not None else None
        state.samples.append(Sample(self.seconds, state.point, joints_at(state.point), speed, holding, state.drive))

    def _part_around(self, point: Point) -> Part | None:
        """The part that is between the fingers when the tip is there."""
        for part in self.state.parts:
            near = max(abs(part.at.x - point.x), abs(part.at.y - point.y)) <= part.kind.width_mm / 2
            if near and point.z <= part.at.z + part.kind.height_mm and self.state.held is None:
                return part
        return None


def joined(*ways: Way) -> Way:
    """Ways that follow one another, as one."""
    stations = [station for at, way in enumerate(ways) for station in (way.stations if at == 0 else way.stations[1:])]
    return Way(tuple(stations), min(way.clearance for way in ways))


def _above(point: Point, part: Part) -> Point:
    return point.at_height(part.at.z + part.kind.height_mm + PART_CLEARANCE_MM + 1.0)
