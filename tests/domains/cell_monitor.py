"""A cell that is watched at every moment of every motion, by rules that are written anew here from the drawing of the cell."""

from __future__ import annotations

import math

from builderbrain.domains.robot_cell import RobotCell
from builderbrain.domains.robot_cell.arm import Point

# x from, x to, y from, y to, top; None: to the ceiling
KEEP_OUT = {"camera mast": (600, 640, 180, 220, None), "control panel": (540, 600, -230, -180, None)}
SOLID = {
    "feeder": (170, 510, 170, 510, 100),
    "table": (350, 690, -170, 170, 80),
    "fixture": (170, 510, -510, -170, 120),
    "tray": (-170, 170, 310, 650, 100),
    "bin": (-170, 170, -650, -310, 90),
    "clamp": (450, 490, -490, -190, 240),
}
SHARED = ("feeder", "tray")


class WatchedCell(RobotCell):
    """Asserts that no limit is exceeded, wherever the arm goes."""

    def _sample(self, speed: float) -> None:
        super()._sample(speed)
        sample = self.state.samples[-1]
        point, joints = sample.point, sample.joints
        assert sample.drive == "running"
        assert not self.state.e_stop
        upper = joints.shoulder
        fore = joints.shoulder + joints.elbow
        assert math.isclose(400 * math.cos(upper) + 350 * math.cos(fore), point.x, abs_tol=1e-6)
        assert math.isclose(400 * math.sin(upper) + 350 * math.sin(fore), point.y, abs_tol=1e-6)
        assert abs(math.degrees(joints.shoulder)) <= 170
        assert 5 <= math.degrees(joints.elbow) <= 150
        assert 70 <= point.z <= 520
        assert speed <= 250.001
        if any(inside(point, SOLID[name]) for name in SHARED):
            assert speed <= 150.001
        for before in self.state.samples[-2:-1]:
            took = sample.seconds - before.seconds
            if took > 0 and before.point.to(point) < 12:
                assert abs(joints.shoulder - before.joints.shoulder) <= 1.6 * took * 1.001
                assert abs(joints.elbow - before.joints.elbow) <= 2.6 * took * 1.001
        radius = 30.0
        for box in KEEP_OUT.values():
            assert aside(point, box) >= radius
        bottom = point.z - (self.state.held.below if self.state.held is not None else 0.0)
        for box in SOLID.values():
            assert bottom >= (box[4] or 0) - 0.5 or aside(point, box) >= radius
        for zone in self.state.people:
            west, east, south, north, _ = SOLID[zone]
            assert aside(point, (west - 30, east + 30, south - 30, north + 30, None)) >= radius
        self.check_parts()

    def check_parts(self) -> None:
        """No part lies, or could fall, into a keep-out zone, and none is pressed too hard."""
        held = self.state.held
        if held is not None:
            assert held.part.kind.slip_n <= held.force_n <= held.part.kind.crush_n
            assert all(aside(self.state.point, box) > held.part.kind.width_mm * 0.71 for box in KEEP_OUT.values())
        for part in self.state.parts:
            assert all(aside(part.at, box) > part.kind.width_mm * 0.71 for box in KEEP_OUT.values())
            assert part is not (held.part if held is not None else None)


def inside(point: Point, box: tuple[int, int, int, int, int | None]) -> bool:
    return box[0] <= point.x <= box[1] and box[2] <= point.y <= box[3]


def aside(point: Point, box: tuple[int, int, int, int, int | None]) -> float:
    """Horizontal distance to a box."""
    return math.hypot(max(box[0] - point.x, 0, point.x - box[1]), max(box[2] - point.y, 0, point.y - box[3]))
