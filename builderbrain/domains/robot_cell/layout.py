"""What stands and lies in the cell: zones, boxes that nothing may hit, keep-out zones, and kinds of parts with their forces."""

from __future__ import annotations

from dataclasses import dataclass

from builderbrain.domains.robot_cell.arm import Point

ZONE_HALF_MM = 170.0
"""Half the side of a zone; targets lie within 150 mm of its centre."""
PERSON_HALF_MM = 200.0
"""Half the side of the space that is closed while a person reaches into a zone."""
SHARED_SPEED_MM_S = 150.0
"""Greatest speed of the tool in a zone that people reach into."""
GRAVITY = 9.81
LIFT_ACCELERATION = 2.0
"""Greatest acceleration of the arm, m/s^2; a grip must hold it besides the weight."""
SAFE_POSE = Point(260.0, 0.0, 320.0)


@dataclass(frozen=True)
class Box:
    """A box on the floor, edges along the axes. Nothing may come above a keep-out zone either."""

    name: str
    x: tuple[float, float]
    y: tuple[float, float]
    top: float
    keep_out: bool = False


@dataclass(frozen=True)
class Zone:
    """A square place to work at. People reach into a `shared` one."""

    name: str
    x: float
    y: float
    surface: float
    shared: bool = False

    def contains(self, point: Point) -> bool:
        return abs(point.x - self.x) <= ZONE_HALF_MM and abs(point.y - self.y) <= ZONE_HALF_MM

    def box(self) -> Box:
        """The table itself."""
        return _square(self.name, self, ZONE_HALF_MM, self.surface, keep_out=False)

    def person_box(self) -> Box:
        """What is closed while a person reaches in."""
        return _square(f"a person in the {self.name} zone", self, PERSON_HALF_MM, 0.0, keep_out=True)


@dataclass(frozen=True)
class PartKind:
    """What parts of a kind bear.

    Args:
        friction: between a finger and the part.
        crush_n: greatest force that it bears.
    """

    name: str
    width_mm: int
    height_mm: int
    weight_g: int
    friction: float
    crush_n: int

    @property
    def weight_n(self) -> float:
        return self.weight_g / 1000 * GRAVITY

    @property
    def slip_n(self) -> float:
        """Least grip force of the two fingers with which it does not slip when it is lifted."""
        return self.weight_g / 1000 * (GRAVITY + LIFT_ACCELERATION) / (2 * self.friction)


@dataclass
class Part:
    """A part: where the middle of its underside is, and how it is turned, in degrees."""

    kind: PartKind
    at: Point
    angle_deg: int = 0

    @property
    def grip(self) -> Point:
        """Where the tip of the gripper is when it grips the part."""
        return self.at.at_height(self.at.z + self.kind.height_mm / 2)

    def box(self) -> Box:
        half, top = self.kind.width_mm / 2, self.at.z + self.kind.height_mm
        return Box(f"a {self.kind.name}", (self.at.x - half, self.at.x + half), (self.at.y - half, self.at.y + half), top)


BOLT = PartKind("bolt", width_mm=30, height_mm=40, weight_g=200, friction=0.4, crush_n=60)
HOUSING = PartKind("housing", width_mm=40, height_mm=60, weight_g=800, friction=0.3, crush_n=45)
VIAL = PartKind("vial", width_mm=25, height_mm=80, weight_g=50, friction=0.5, crush_n=12)

ZONES = {
    zone.name: zone
    for zone in (
        Zone("feeder", 340, 340, 100, shared=True),
        Zone("table", 520, 0, 80),
        Zone("fixture", 340, -340, 120),
        Zone("tray", 0, 480, 100, shared=True),
        Zone("bin", 0, -480, 90),
    )
}
BOXES = (
    Box("the clamp", (450, 490), (-490, -190), 240),
    Box("the camera mast", (600, 640), (180, 220), 700, keep_out=True),
    Box("the control panel", (540, 600), (-230, -180), 200, keep_out=True),
)


def in_zone(zone: str, x_mm: int, y_mm: int, height_mm: float) -> Point:
    """A point of a zone, given from its centre and above its surface."""
    found = ZONES[zone]
    return Point(found.x + x_mm, found.y + y_mm, found.surface + height_mm)


def usual_parts() -> list[Part]:
    """A bolt and a housing in the feeder, a vial in the tray."""
    return [
        Part(BOLT, in_zone("feeder", 0, 0, 0)),
        Part(HOUSING, in_zone("feeder", 80, 0, 0)),
        Part(VIAL, in_zone("tray", -60, 0, 0)),
    ]


def _square(name: str, zone: Zone, half: float, top: float, *, keep_out: bool) -> Box:
    return Box(name, (zone.x - half, zone.x + half), (zone.y - half, zone.y + half), top, keep_out)
