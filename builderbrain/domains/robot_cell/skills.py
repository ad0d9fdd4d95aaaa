"""The skills of the cell. Each looks first whether all of its way is free and all forces are right, and only then moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from builderbrain.domains.robot_cell.arm import TOOL_SPEED_MM_S, WRIST_SPEED_DEG_S, Point
from builderbrain.domains.robot_cell.cell import MOTION_SECONDS, Cell, Held, Route, Spot
from builderbrain.domains.robot_cell.layout import SAFE_POSE, ZONES, Part, in_zone
from builderbrain.domains.robot_cell.sweep import Body, Way, sweep
from builderbrain.domains.simulator import Had, Work
from builderbrain.errors import ToolError

SAFE_SPEED_MM_S = 200.0
TOUCH_SPEED_MM_S = 120.0
"""Speed on the last piece towards a part or a surface, and away from it."""
LIFT_MM = 60.0
GRIP_SECONDS = 0.3
SIDE_TOLERANCE_MM = 15.0
HEIGHT_TOLERANCE_MM = 15.0
DROP_MM = 5.0
"""Greatest height from which a part is let go."""
ANGLE_TOLERANCE_DEG = 15.0
OPENING_MM = 12
"""How much wider than the part the fingers open."""
AT_ONCE = frozenset({"look", "stop"})
"""Skills that may be done while the arm is busy."""


class RobotCell(Cell):
    """A simulated cell with the skills of the domain `robot_cell`."""

    def __init__(self, parts: list[Part] | None = None) -> None:
        super().__init__(parts)
        self._busy = False
        self._skills: dict[str, Callable[..., Work]] = {
            "look": self._look,
            "precheck": self._precheck,
            "move": self._move,
            "rotate": self._rotate,
            "grasp": self._grasp,
            "release": self._release,
            "pick": self._pick,
            "place": self._place,
            "discard": self._discard,
            "retreat": self._retreat,
            "put_back": self._put_back,
            "take_back": self._take_back,
            "stop": self._stop,
            "safe_pose": self._safe_pose,
            "resume": self._resume,
        }

    def _work(self, skill: str, arguments: Mapping[str, Any], had: Had) -> Work:
        if skill in AT_ONCE:
            return (yield from self._skills[skill](had, **arguments))
        if self._busy:
            raise ToolError("the arm is busy; wait until its step is over")
        self._busy = True
        try:
            return (yield from self._skills[skill](had, **arguments))
        finally:
            self._busy = False

    def _look(self, had: Had, zone: str) -> Work:
        yield 0.3
        here = ZONES[zone]
        parts = [part for part in self.state.parts if here.contains(part.at) and part.at.z >= here.surface]
        nearest = min(parts, key=lambda part: (part.at.x - here.x) ** 2 + (part.at.y - here.y) ** 2, default=None)
        seen: dict[str, Any] = dict.fromkeys(("x_mm", "y_mm", "height_mm", "width_mm", "angle_deg"))
        if nearest is not None:
            seen = {
                "x_mm": round(nearest.at.x - here.x),
                "y_mm": round(nearest.at.y - here.y),
                "height_mm": round(nearest.grip.z - here.surface),
                "width_mm": nearest.kind.width_mm,
                "angle_deg": _turned(nearest.angle_deg),
            }
        return had({"part": nearest is not None, "person": zone in self.state.people, **seen})

    def _precheck(self, had: Had, zone: str, x_mm: int = 0, y_mm: int = 0, height_mm: int = 100) -> Work:
        yield 0.2
        way = self.way_to(in_zone(zone, x_mm, y_mm, height_mm))
        route = Route(f"route{self.number()}", way)
        self.routes[route.name] = route
        return had({"route": route.name, "length_mm": round(way.length), "clearance_mm": round(min(way.clearance, 9_999.0))})

    def _move(self, had: Had, route: str, speed_mm_s: int = 250) -> Work:
        taken = self._route(route)
        self._in_time(taken.way.seconds(speed_mm_s), "raise speed_mm_s, or move in two steps")
        taken.used = True
        pushed = yield from self.follow(taken.way, speed_mm_s)
        return had({**self._where(), "force_n": round(pushed)})

    def _rotate(self, had: Had, angle_deg: int) -> Work:
        before = round(self.state.wrist)
        while self.state.wrist != angle_deg:
            self.must_run()
            turn = max(-5.0, min(5.0, angle_deg - self.state.wrist))
            yield abs(turn) / WRIST_SPEED_DEG_S
            self.must_run()
            self.turn_to(self.state.wrist + turn)
        return had({"angle_deg": before})

    def _grasp(self, had: Had, force_n: int, width_mm: int = 40) -> Work:
        self.must_run()
        point = self.state.point
        part = self._part_below(point)
        if abs(part.grip.z - point.z) > HEIGHT_TOLERANCE_MM:
            raise ToolError(
                f"the {part.kind.name} is {point.z - part.grip.z:.0f} mm below the fingers; move down to it, or pick it"
            )
        self._fits(part, force_n, width_mm, self.state.wrist)
        part.at = Point(point.x, point.y, part.at.z)  # the fingers centre it
        return had((yield from self._grip(part, force_n)))

    def _pick(self, had: Had, route: str, force_n: int, width_mm: int = 40) -> Work:
        taken = self._route(route)
        part = self._part_below(taken.end)
        self._fits(part, force_n, width_mm, self.state.wrist)
        down = self._down_to(part, taken.end)
        up = self._lift(part)
        self._in_time(taken.way.seconds(TOOL_SPEED_MM_S) + _touching(down, up), "move nearer first")
        taken.used = True
        yield from self.follow(taken.way, TOOL_SPEED_MM_S)
        yield from self.follow(down, TOUCH_SPEED_MM_S)
        results = had((yield from self._grip(part, force_n)))
        yield from self.follow(up, TOUCH_SPEED_MM_S)
        return results

    def _release(self, had: Had) -> Work:
        self.must_run()
        held = self._held()
        zone = self.zone_at(self.state.point)
        above = self.state.point.z - held.below - (zone.surface if zone is not None else 0.0)
        if zone is None or above > DROP_MM:
            raise ToolError(f"the {held.part.kind.name} would fall {above:.0f} mm; move down to a surface, or place it")
        return had((yield from self._let_go()))

    def _place(self, had: Had, route: str, force_n: int = 10) -> Work:
        taken = self._route(route)
        held = self._held()
        down, up = self._down_to_surface(held, taken.end)
        self._in_time(taken.way.seconds(TOOL_SPEED_MM_S) + _touching(down, up), "move nearer first")
        taken.used = True
        yield from self.follow(taken.way, TOOL_SPEED_MM_S)
        yield from self.follow(down, TOUCH_SPEED_MM_S)
        contact = round(held.part.kind.weight_n) + 2
        if contact > force_n:
            raise ToolError(f"setting down the {held.part.kind.name} takes {contact} N, allowed are {force_n}; raise force_n")
        results = yield from self._let_go()
        results = had({"force_n": results["force_n"], "contact_n": contact, "spot": results["spot"]})
        yield from self.follow(up, TOUCH_SPEED_MM_S)
        return results

    def _discard(self, had: Had, route: str) -> Work:
        taken = self._route(route)
        held = self._held()
        zone = self.zone_at(taken.end)
        if zone is None or zone.name != "bin":
            raise ToolError("a part is dropped into the bin alone; take a route to the bin", field="route")
        self._in_time(taken.way.seconds(TOOL_SPEED_MM_S), "move nearer first")
        taken.used = True
        yield from self.follow(taken.way, TOOL_SPEED_MM_S)
        yield GRIP_SECONDS
        self.must_run()
        self._held()
        self.state.held = None
        held.part.at = self.state.point.at_height(0.0)
        return had({})

    def _retreat(self, had: Had, route: str) -> Work:
        back = self.routes.get(route)
        if back is None:
            raise ToolError(f"there is no route {route!r:.80}", field="route")
        yield from self._travel(self.way_to(back.start))
        return had({})

    def _put_back(self, had: Had, spot: str) -> Work:
        place = self._spot(spot)
        if self.state.held is None and place.part in self.state.parts and place.part.at == place.at:
            return had({})  # it lies there already
        if self._held().part is not place.part:
            raise ToolError("the gripper holds another part; a person sorts it out", field="spot")
        held = self._held()
        over = place.at.at_height(place.at.z + held.below + LIFT_MM)
        way = self.way_to(over)
        down, up = self._down_to_surface(held, over)
        self._in_time(way.seconds(TOOL_SPEED_MM_S) + _touching(down, up), "resume from nearer")
        yield from self.follow(way, TOOL_SPEED_MM_S, wrist=place.wrist)
        yield from self.follow(down, TOUCH_SPEED_MM_S)
        yield from self._let_go()
        had({})
        yield from self.follow(up, TOUCH_SPEED_MM_S)
        return {}

    def _take_back(self, had: Had, spot: str, force_n: int) -> Work:
        place = self._spot(spot)
        if self.state.held is not None and self.state.held.part is place.part:
            return had({})  # it is in the gripper already
        if place.part not in self.state.parts or place.part.at != place.at:
            raise ToolError("the part does not lie where it was set down; a person looks for it", field="spot")
        self._fits(place.part, force_n, place.part.kind.width_mm, place.wrist)
        over = place.grip.at_height(place.grip.z + LIFT_MM)
        way = self.way_to(over)
        down, up = self._down_to(place.part, over), self._lift(place.part)
        self._in_time(way.seconds(TOOL_SPEED_MM_S) + _touching(down, up), "resume from nearer")
        yield from self.follow(way, TOOL_SPEED_MM_S, wrist=place.wrist)
        yield from self.follow(down, TOUCH_SPEED_MM_S)
        yield from self._grip(place.part, force_n)
        had({})
        yield from self.follow(up, TOUCH_SPEED_MM_S)
        return {}

    def _stop(self, had: Had) -> Work:
        self.state.drive = "stopped"
        where = self._where()
        return had({"zone": where["zone"], "height_mm": where["height_mm"]})
        yield

    def _safe_pose(self, had: Had) -> Work:
        at_rest = self.state.point == SAFE_POSE and self.state.drive == "stopped"
        if not at_rest:
            yield from self.follow(self.way_to(SAFE_POSE), SAFE_SPEED_MM_S)
        self.state.drive = "stopped"
        return had({"holding": self.state.held is not None})

    def _resume(self, had: Had) -> Work:
        yield 0.2
        if self.state.e_stop:
            raise ToolError("the e-stop is pressed; a person releases it first")
        if self.state.people:
            raise ToolError(f"a person reaches into the {', '.join(sorted(self.state.people))} zone; wait until it is free")
        self.state.drive = "running"
        return had({})

    def _route(self, name: str) -> Route:
        self.must_run()
        route = self.routes.get(name)
        if route is None or route.used:
            raise ToolError(
                f"the route {name!r:.80} is {'unknown' if route is None else 'used up'}; precheck again", field="route"
            )
        if route.start != self.state.point:
            raise ToolError(f"{name} begins elsewhere than where the arm is; precheck again", field="route")
        around = [
            part for part in self.state.parts if part is self._part_around(route.start) or part is self._part_around(route.end)
        ]
        sweep([station.point for station in route.way.stations], self.body, self.obstacles(*around))
        return route

    def _spot(self, name: str) -> Spot:
        self.must_run()
        spot = self.spots.get(name)
        if spot is None:
            raise ToolError(f"there is no spot {name!r:.80}", field="spot")
        return spot

    def _held(self) -> Held:
        if self.state.held is None:
            raise ToolError("the gripper is empty")
        return self.state.held

    def _part_below(self, point: Point) -> Part:
        if self.state.held is not None:
            raise ToolError(f"the gripper holds a {self.state.held.part.kind.name} already; set it down first")
        for part in self.state.parts:
            if max(abs(part.at.x - point.x), abs(part.at.y - point.y)) <= SIDE_TOLERANCE_MM and part.at.z <= point.z:
                return part
        raise ToolError("no part lies there; look for it, and take the x_mm and y_mm that look gives")

    def _fits(self, part: Part, force_n: int, width_mm: int, wrist: float) -> None:
        kind = part.kind
        if kind.width_mm > width_mm + OPENING_MM:
            raise ToolError(f"the {kind.name} is {kind.width_mm} mm wide, the fingers open for {width_mm}", field="width_mm")
        if force_n > kind.crush_n:
            raise ToolError(
                f"a {kind.name} bears at most {kind.crush_n} N, asked were {force_n}; lower force_n", field="force_n"
            )
        if abs(_turned(part.angle_deg - round(wrist))) > ANGLE_TOLERANCE_DEG:
            raise ToolError(f"the {kind.name} is turned by {_turned(part.angle_deg)} degrees; rotate to that first")

    def _grip(self, part: Part, force_n: int) -> Work:
        """Close, and pull a little: what would slip stays where it is."""
        yield GRIP_SECONDS
        self.must_run()
        if force_n < part.kind.slip_n:
            least = int(part.kind.slip_n) + 1
            raise ToolError(
                f"the {part.kind.name} slipped at {force_n} N and stays where it is; it takes {least} N", field="force_n"
            )
        spot = f"spot{self.number()}"
        self.spots[spot] = Spot(part, part.at, self.state.point.z - part.at.z, self.state.wrist)
        self.state.parts = [one for one in self.state.parts if one is not part]
        self.state.held = Held(part, self.state.point.z - part.at.z, force_n)
        return {"force_n": force_n, "width_mm": part.kind.width_mm, "weight_g": part.kind.weight_g, "spot": spot}

    def _let_go(self) -> Work:
        yield GRIP_SECONDS
        self.must_run()
        held = self._held()
        zone = self.zone_at(self.state.point)
        held.part.at = self.state.point.at_height(zone.surface if zone is not None else 0.0)
        spot = f"spot{self.number()}"
        self.spots[spot] = Spot(held.part, held.part.at, held.below, self.state.wrist)
        self.state.parts.append(held.part)
        self.state.held = None
        return {"force_n": held.force_n, "width_mm": held.part.kind.width_mm, "spot": spot}

    def _down_to(self, part: Part, start: Point) -> Way:
        """From above a part, or from within its reach, to where it is gripped."""
        high = part.at.z + part.kind.height_mm
        corners = (start, part.grip) if start.z <= high else (start, part.grip.at_height(start.z), part.grip)
        return self.swept(*corners, body=Body(), without=(part,))

    def _lift(self, part: Part) -> Way:
        body = Held(part, part.grip.z - part.at.z, 0).body
        return self.swept(part.grip, part.grip.at_height(part.grip.z + LIFT_MM), body=body, without=(part,))

    def _down_to_surface(self, held: Held, start: Point) -> tuple[Way, Way]:
        """Down until the part stands, and up again without it."""
        zone = self.zone_at(start)
        if zone is None:
            raise ToolError("there is no surface under the end of the route; choose a point of a zone", field="route")
        low = start.at_height(zone.surface + held.below)
        down = self.swept(start, low, body=held.body)
        return down, self.swept(low, low.at_height(low.z + LIFT_MM), body=Body())

    def _travel(self, way: Way) -> Work:
        self._in_time(way.seconds(TOOL_SPEED_MM_S), "move nearer first")
        yield from self.follow(way, TOOL_SPEED_MM_S)
        return {}

    def _in_time(self, seconds: float, remedy: str) -> None:
        if seconds > MOTION_SECONDS:
            raise ToolError(f"that would take {seconds:.1f} s, a step has {MOTION_SECONDS:g}; {remedy}")

    def _where(self) -> dict[str, Any]:
        point = self.state.point
        zone = self.zone_at(point)
        here = (
            zone if zone is not None else min(ZONES.values(), key=lambda one: (one.x - point.x) ** 2 + (one.y - point.y) ** 2)
        )
        return {
            "zone": zone.name if zone is not None else None,
            "x_mm": round(point.x - here.x),
            "y_mm": round(point.y - here.y),
            "height_mm": round(point.z - here.surface),
        }


def _touching(*ways: Way) -> float:
    """Seconds of the slow pieces, and of closing and opening."""
    return sum(way.seconds(TOUCH_SPEED_MM_S) for way in ways) + GRIP_SECONDS


def _turned(angle: int) -> int:
    """An angle as a two-finger gripper sees it: -90 to 89 degrees."""
    return (angle + 90) % 180 - 90
