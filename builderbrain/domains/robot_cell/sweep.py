"""Ways of the tool: swept against everything that stands in the cell, point by point, and found around what is in the way.

A straight line is looked at every `SPACING_MM`. Between two points the tool is at most half of that nearer to a box than at one
of them, which is less than the distance that is kept, so that nothing is missed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builderbrain.domains.robot_cell.arm import TOOL_SPEED_MM_S, Joints, Point, joints_at, speed_between
from builderbrain.domains.robot_cell.layout import SHARED_SPEED_MM_S, ZONES, Box
from builderbrain.errors import ToolError

SPACING_MM = 10.0
CLEARANCE_MM = 15.0
"""Least distance to boxes and people."""
PART_CLEARANCE_MM = 6.0
"""Least distance to parts that lie about: the tool works between them."""
TOOL_RADIUS_MM = 30.0
TRAVEL_HEIGHT_MM = 320.0
_RING = tuple(
    Point(260.0 * math.cos(math.radians(angle)), 260.0 * math.sin(math.radians(angle)), TRAVEL_HEIGHT_MM)
    for angle in (-90, -60, -30, 0, 30, 60, 90)
)
"""Points near the base, from which every zone can be reached."""


@dataclass(frozen=True)
class Body:
    """What is moved: a column above a point `below` the tip; with a part it is as wide as the part is at most."""

    radius: float = TOOL_RADIUS_MM
    below: float = 0.0


@dataclass(frozen=True)
class Obstacle:
    """A box, and the distance that is kept from it. Distance 0 lets the tool touch it from above."""

    box: Box
    distance: float


@dataclass(frozen=True)
class Station:
    """A point of a way, the joints there, and the greatest speed on the piece that leads to it."""

    point: Point
    joints: Joints
    speed: float
    length: float


@dataclass(frozen=True)
class Way:
    """A way that was swept; the first station is its beginning. `clearance` is the least distance to a box of the cell."""

    stations: tuple[Station, ...]
    clearance: float

    @property
    def length(self) -> float:
        return sum(station.length for station in self.stations)

    def seconds(self, speed: float) -> float:
        """How long it takes when the tool is to move at `speed`, mm/s."""
        return sum(station.length / min(speed, station.speed) for station in self.stations)


def distance(point: Point, body: Body, box: Box) -> float:
    """Distance between the body with its tip at a point and a box; 0 when they touch."""
    aside_x = max(box.x[0] - point.x, 0.0, point.x - box.x[1])
    aside_y = max(box.y[0] - point.y, 0.0, point.y - box.y[1])
    aside = max(0.0, math.hypot(aside_x, aside_y) - body.radius)
    above = 0.0 if box.keep_out else max(0.0, point.z - body.below - box.top)
    return math.hypot(aside, above)


def is_blocked(point: Point, body: Body, obstacle: Obstacle) -> bool:
    """Whether the body comes nearer to an obstacle than it may."""
    near = distance(point, body, obstacle.box)
    if obstacle.distance > 0.0:
        return near < obstacle.distance
    return near == 0.0 and point.z - body.below < obstacle.box.top - 0.5


def sweep(corners: Sequence[Point], body: Body, obstacles: Sequence[Obstacle]) -> Way:
    """Follow straight lines from corner to corner.

    Raises:
        ToolError: something is in the way, or out of reach; names what and where.
    """
    stations: list[Station] = []
    clearance = math.inf
    for point in _points(corners):
        for obstacle in obstacles:
            if is_blocked(point, body, obstacle):
                at = f"x {point.x:.0f}, y {point.y:.0f}, z {point.z:.0f}"
                raise ToolError(f"{obstacle.box.name} is in the way at {at}; choose another target, or clear the way")
            if obstacle.distance >= CLEARANCE_MM:
                clearance = min(clearance, distance(point, body, obstacle.box))
        stations.append(_station(point, stations[-1] if stations else None))
    return Way(tuple(stations), clearance)


def _points(corners: Sequence[Point]) -> Iterator[Point]:
    yield corners[0]
    for before, after in itertools.pairwise(corners):
        pieces = max(1, math.ceil(before.to(after) / SPACING_MM))
        yield from (before.toward(after, piece / pieces) for piece in range(1, pieces + 1))


def find_way(start: Point, target: Point, body: Body, obstacles: Sequence[Obstacle]) -> Way:
    """The shortest free way among these: straight; or up, over, and down; the latter also past one or two points of the ring.

    Raises:
        ToolError: none is free; says what is in the way at the target, or else on the shortest.
    """
    sweep((target,), body, obstacles)
    high = max(TRAVEL_HEIGHT_MM, start.z), max(TRAVEL_HEIGHT_MM, target.z)
    over = [(), *((point,) for point in _RING), *itertools.permutations(_RING, 2)]
    candidates: list[tuple[Point, ...]] = [(start, target)]
    candidates += [(start, start.at_height(high[0]), *past, target.at_height(high[1]), target) for past in over]
    candidates.sort(key=_length)
    first: ToolError | None = None
    for corners in candidates:
        try:
            return sweep(corners, body, obstacles)
        except ToolError as error:
            first = first or error
    raise first or ToolError("there is no way")


def _length(corners: Sequence[Point]) -> float:
    return sum(before.to(after) for before, after in itertools.pairwise(corners))


def _station(point: Point, before: Station | None) -> Station:
    joints = joints_at(point)
    if before is None:
        return Station(point, joints, TOOL_SPEED_MM_S, 0.0)
    length = before.point.to(point)
    speed = speed_between(before.joints, joints, length) if length > 0.0 else TOOL_SPEED_MM_S
    if any(zone.shared and (zone.contains(point) or zone.contains(before.point)) for zone in ZONES.values()):
        speed = min(speed, SHARED_SPEED_MM_S)
    return Station(point, joints, speed, length)
