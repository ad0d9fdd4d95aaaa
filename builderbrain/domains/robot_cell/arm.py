"""The arm: a shoulder and an elbow that turn about vertical axes, a vertical slide, and a wrist. It always bends to one side.

Lengths in millimetres, angles in radians but for the wrist, whose angle is in degrees. The base stands at the origin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from builderbrain.errors import ToolError

UPPER_MM, FORE_MM = 400.0, 350.0
SHOULDER_LIMIT = math.radians(170)
ELBOW_LIMITS = (math.radians(5), math.radians(150))
SLIDE_MM = (70.0, 520.0)
SHOULDER_SPEED, ELBOW_SPEED = 1.6, 2.6
"""Greatest speeds of the joints, radians a second."""
TOOL_SPEED_MM_S = 250.0
"""Greatest speed of the tool."""
WRIST_SPEED_DEG_S = 60.0


@dataclass(frozen=True)
class Point:
    """Where the tip of the gripper is, from the foot of the arm."""

    x: float
    y: float
    z: float

    def to(self, other: Point) -> float:
        """Distance."""
        return math.dist((self.x, self.y, self.z), (other.x, other.y, other.z))

    def at_height(self, z: float) -> Point:
        return Point(self.x, self.y, z)

    def toward(self, other: Point, share: float) -> Point:
        """The point at this share of the way to another; the other itself at 1."""
        if share >= 1.0:
            return other
        mine = 1.0 - share
        return Point(self.x * mine + other.x * share, self.y * mine + other.y * share, self.z * mine + other.z * share)


@dataclass(frozen=True)
class Joints:
    """Angles of the shoulder and the elbow, and the height of the slide."""

    shoulder: float
    elbow: float
    slide: float


def joints_at(point: Point) -> Joints:
    """The joints with which the tip is there.

    Raises:
        ToolError: it is out of reach, or a joint would have to turn too far.
    """
    cosine = (point.x**2 + point.y**2 - UPPER_MM**2 - FORE_MM**2) / (2 * UPPER_MM * FORE_MM)
    elbow = math.acos(cosine) if -1.0 <= cosine <= 1.0 else math.nan
    if not ELBOW_LIMITS[0] <= elbow <= ELBOW_LIMITS[1] or not SLIDE_MM[0] <= point.z <= SLIDE_MM[1]:
        raise ToolError(f"{_named(point)} is out of the arm's reach; name a point nearer to the middle of a zone", field="x_mm")
    shoulder = math.atan2(point.y, point.x) - math.atan2(FORE_MM * math.sin(elbow), UPPER_MM + FORE_MM * math.cos(elbow))
    shoulder = (shoulder + math.pi) % (2 * math.pi) - math.pi
    if abs(shoulder) > SHOULDER_LIMIT:
        raise ToolError(f"the shoulder cannot turn as far as {_named(point)} needs; name another point", field="x_mm")
    return Joints(shoulder, elbow, point.z)


def speed_between(before: Joints, after: Joints, length: float) -> float:
    """Greatest speed of the tool between two near points, mm/s, at which no joint turns too fast."""
    turns = (
        (abs(after.shoulder - before.shoulder), SHOULDER_SPEED),
        (abs(after.elbow - before.elbow), ELBOW_SPEED),
    )
    return min([TOOL_SPEED_MM_S, *(limit * length / turn for turn, limit in turns if turn > 0.0)])


def _named(point: Point) -> str:
    return f"({point.x:.0f}, {point.y:.0f}, {point.z:.0f})"
