"""The simulated cell: kinematics, swept ways, forces, zones, the e-stop, and undoing that undoes."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builderbrain.domains.robot_cell import HOUSING, VIAL, Box, Part, RobotCell, in_zone
from builderbrain.domains.robot_cell.arm import Point, joints_at
from builderbrain.domains.robot_cell.layout import BOXES, SAFE_POSE, ZONES
from builderbrain.domains.robot_cell.sweep import CLEARANCE_MM, Body, Obstacle, sweep
from builderbrain.errors import ToolError, UnfinishedToolError
from tests.domains.cell_monitor import KEEP_OUT, SOLID, WatchedCell, aside
from tests.domains.worlds import Hands

Cell = tuple[WatchedCell, Hands]


@pytest.fixture
def cell() -> Cell:
    world = WatchedCell()
    return world, Hands("robot_cell", world)


def pick(hands: Hands, zone: str = "feeder", force_n: int = 20, **arguments: Any) -> Mapping[str, Any]:
    return hands.do("pick", route=hands.do("precheck", zone=zone, **arguments)["route"], force_n=force_n)


@given(st.floats(-800, 800), st.floats(-800, 800), st.floats(0, 600))
def test_the_joints_lead_to_the_point_and_stay_in_their_limits(x: float, y: float, z: float) -> None:
    try:
        joints = joints_at(Point(x, y, z))
    except ToolError:
        return
    elbow = Point(400 * math.cos(joints.shoulder), 400 * math.sin(joints.shoulder), z)
    assert math.isclose(math.hypot(x - elbow.x, y - elbow.y), 350, abs_tol=1e-6)
    assert abs(joints.shoulder) <= math.radians(170)
    assert 0 < joints.elbow <= math.radians(150)


@pytest.mark.parametrize(
    "point", [Point(760, 0, 200), Point(150, 0, 200), Point(500, 0, 40), Point(500, 0, 530), Point(-575, -303, 300)]
)
def test_what_is_out_of_reach_is_refused(point: Point) -> None:
    with pytest.raises(ToolError):
        joints_at(point)


def ends() -> st.SearchStrategy[Point]:
    return st.builds(
        lambda radius, angle, z: Point(radius * math.cos(angle), radius * math.sin(angle), z),
        st.floats(250, 700), st.floats(-1.5, 1.5), st.floats(90, 400),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(ends(), ends())
def test_a_swept_line_touches_nothing_at_any_millimetre(start: Point, end: Point) -> None:
    obstacles = [*(Obstacle(box, CLEARANCE_MM) for box in BOXES), *(Obstacle(zone.box(), 0.0) for zone in ZONES.values())]
    try:
        sweep([start, end], Body(), obstacles)
    except ToolError:
        return
    steps = max(1, int(start.to(end)))
    for step in range(steps + 1):
        point = start.toward(end, step / steps)
        assert all(aside(point, box) > 30 for box in KEEP_OUT.values())
        assert all(aside(point, box) > 29.9 or point.z >= (box[4] or 0) - 5 for box in SOLID.values())


def test_every_zone_is_reached_from_every_other_within_the_time_of_a_step(cell: Cell) -> None:
    world, hands = cell
    pick(hands)
    corners = [(zone, x, y) for zone in ZONES for x, y in ((0, 0), (-150, 150), (150, -150))]
    refused = set()
    for zone, x, y in [*corners, *reversed(corners[::2])]:
        try:
            route = hands.do("precheck", zone=zone, x_mm=x, y_mm=y)
        except ToolError:  # at the clamp
            refused.add((zone, x, y))
            continue
        hands.do("move", route=route["route"])
    assert refused == {("fixture", 150, -150)}
    hands.do("safe_pose")
    assert world.state.point == SAFE_POSE


def test_a_way_is_found_around_what_stands_in_the_cell(cell: Cell) -> None:
    _, hands = cell
    route = hands.do("precheck", zone="tray")
    hands.do("move", route=route["route"])
    there = hands.do("precheck", zone="bin")
    assert there["length_mm"] > 960  # straight would lead through the base
    assert hands.do("move", route=there["route"])["zone"] == "bin"
    with pytest.raises(ToolError, match="the clamp is in the way"):
        hands.do("precheck", zone="fixture", x_mm=130, y_mm=0, height_mm=60)


def test_a_route_is_good_for_one_motion_from_where_it_begins(cell: Cell) -> None:
    world, hands = cell
    first, second = (hands.do("precheck", zone="table")["route"] for _ in range(2))
    hands.do("move", route=first)
    with pytest.raises(ToolError, match="used up"):
        hands.do("move", route=first)
    with pytest.raises(ToolError, match="begins elsewhere"):
        hands.do("move", route=second)
    third = hands.do("precheck", zone="tray")["route"]
    world.put_box(Box("a crate", (150, 250), (100, 200), 400))
    with pytest.raises(ToolError, match="a crate is in the way"):
        hands.do("move", route=third)


@pytest.mark.parametrize(
    ("kind", "force", "reason"),
    [
        (VIAL, 20, "bears at most 12 N"),
        (HOUSING, 10, "slipped at 10 N and stays where it is; it takes 16 N"),
        (VIAL, 10, None),
        (HOUSING, 40, None),
    ],
)
def test_a_grip_is_neither_too_weak_nor_too_strong(kind: Any, force: int, reason: str | None) -> None:
    world = WatchedCell([Part(kind, in_zone("table", 0, 0, 0))])
    hands = Hands("robot_cell", world)
    if reason is None:
        assert pick(hands, "table", force)["weight_g"] == kind.weight_g
        return
    with pytest.raises(ToolError, match=reason):
        pick(hands, "table", force)
    assert world.state.held is None
    assert world.state.parts[0].at == in_zone("table", 0, 0, 0)


def test_parts_are_set_down_gently_where_there_is_room_and_never_dropped(cell: Cell) -> None:
    world, hands = cell
    pick(hands, x_mm=80)
    with pytest.raises(ToolError, match="would fall"):
        hands.do("release")
    with pytest.raises(ToolError, match="a bolt is in the way"):
        hands.do("place", route=hands.do("precheck", zone="feeder", x_mm=10)["route"])
    with pytest.raises(ToolError, match="bin alone"):
        hands.do("discard", route=hands.do("precheck", zone="tray", x_mm=60)["route"])
    with pytest.raises(ToolError, match="takes 10 N, allowed are 5"):
        hands.do("place", route=hands.do("precheck", zone="table")["route"], force_n=5)
    assert world.state.held is not None
    assert hands.do("place", route=hands.do("precheck", zone="table")["route"])["contact_n"] == 10
    assert hands.do("look", zone="table")["width_mm"] == 40


def test_fingers_that_stand_across_do_not_grip(cell: Cell) -> None:
    world, hands = cell
    world.state.parts[0].angle_deg = 60
    with pytest.raises(ToolError, match="turned by 60 degrees"):
        pick(hands)
    hands.do("rotate", angle_deg=hands.do("look", zone="feeder")["angle_deg"])
    pick(hands)


def undone(hands: Hands, skill: str, arguments: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    """Take a step back as the schema says."""
    undo = hands.domain.skills[str(hands.domain.skills[skill].undo)]
    given = {**arguments, **results}
    hands.do(undo.name, **{name: given[name] for name in undo.arguments if name in given})


def test_undoing_undoes(cell: Cell) -> None:
    """Pick, move, place, rotate, grasp and release, taken back one after another, from wherever the arm stands."""
    world, hands = cell
    states = []

    def now() -> tuple[Any, ...]:
        parts = sorted((part.kind.name, part.at, part.angle_deg) for part in world.state.parts)
        return parts, round(world.state.wrist), world.state.held is None

    done = []
    for skill, zone, arguments in [
        ("pick", "feeder", {"force_n": 20}),
        ("rotate", None, {"angle_deg": 90}),
        ("move", "fixture", {}),
        ("place", "tray", {}),
        ("move", "tray", {"height_mm": 20}),
        ("grasp", None, {"force_n": 15}),
        ("release", None, {}),
    ]:
        states.append(now())
        target = {name: arguments.pop(name) for name in ("height_mm",) if name in arguments}
        given = dict(arguments) if zone is None else {"route": hands.do("precheck", zone=zone, **target)["route"], **arguments}
        done.append((skill, given, hands.do(skill, **given)))
    for (skill, given, results), before in zip(reversed(done), reversed(states), strict=True):
        undone(hands, skill, given, results)
        assert now() == before, skill


@pytest.mark.parametrize("skill", ["pick", "place"])
def test_an_e_stop_at_any_moment_leaves_the_arm_where_it_is_and_the_part_where_it_can_be_known(skill: str) -> None:
    moments = itertools.count(0.0, 0.35)
    outcomes = set()
    for moment in moments:
        world = WatchedCell()
        hands = Hands("robot_cell", world)
        if skill == "place":
            pick(hands)
        route = hands.do("precheck", zone="feeder" if skill == "pick" else "table")["route"]
        world.at(moment, world.press_e_stop)
        try:
            hands.do(skill, route=route, **({"force_n": 20} if skill == "pick" else {}))
        except UnfinishedToolError:
            outcomes.add("had its effect")
            assert world.outcome(skill, hands.key) is not None
            assert (world.state.held is not None) == (skill == "pick")
        except ToolError:
            outcomes.add("had none")
            assert world.outcome(skill, hands.key) is None
            assert (world.state.held is None) == (skill == "pick")
        else:
            break
        caught = world.state.point
        if caught != SAFE_POSE:
            with pytest.raises(ToolError):
                hands.do("safe_pose")
        hands.do("stop")
        assert (world.state.point, world.facts()["drive"]) == (caught, "stopped")
    assert outcomes == {"had its effect", "had none"}


def test_a_cancelled_motion_stands_still_and_another_may_follow(cell: Cell) -> None:
    world, hands = cell
    route = hands.do("precheck", zone="table")["route"]
    with pytest.raises(asyncio.CancelledError):
        hands.do("move", route=route, cancel_after=5)
    caught = world.state.point
    assert caught not in (SAFE_POSE, world.routes[route].end)
    world.pass_time(5.0)
    assert world.state.point == caught
    hands.do("retreat", route=route)
    assert world.state.point == SAFE_POSE


def test_a_key_is_worked_off_once_and_the_same_course_is_taken_every_time() -> None:
    def course() -> list[Any]:
        world = RobotCell()
        hands = Hands("robot_cell", world)
        route = hands.do("precheck", zone="feeder")["route"]
        first = hands.do("pick", key="k", route=route, force_n=20)
        moved = len(world.state.samples)
        assert hands.do("pick", key="k", route=route, force_n=20) == first
        assert len(world.state.samples) == moved
        return world.state.samples

    assert course() == course()


def test_drives_run_again_only_when_the_button_is_out_and_nobody_is_there(cell: Cell) -> None:
    world, hands = cell
    world.press_e_stop()
    world.person_enters("tray")
    with pytest.raises(ToolError, match="e-stop"):
        hands.do("resume")
    world.release_e_stop()
    with pytest.raises(ToolError, match="tray"):
        hands.do("resume")
    world.person_leaves("tray")
    hands.do("resume")
    assert world.facts()["drive"] == "running"
