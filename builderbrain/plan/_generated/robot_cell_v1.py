"""Planchecker of the domain robot_cell, version 1.

Moves parts between the zones of a cell; every motion is checked for collisions first.
Generated from schemas/robot_cell.v1.yaml by `python -m builderbrain.plan generate`. Do not edit.
"""

from __future__ import annotations

from builderbrain.plan import faults as fault
from builderbrain.plan.domain import Argument, Domain, Fact, Resource, Skill
from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Reference, Step
from builderbrain.plan.scope import ABSENT, Scope


def _check_look(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # zone: string
    if (value := args.get("zone", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "zone", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "zone", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "zone", value, reason, remedy))
        elif value not in ("feeder", "table", "fixture", "tray", "bin"):
            remedy = fault.nearest(value, ("feeder", "table", "fixture", "tray", "bin"))
            faults.append(fault.bad_value(step.id, "zone", value, "is not one of the legal values", remedy))
    else:
        faults.append(fault.missing_argument(step.id, "look", "zone", "string"))
    if known != len(args):
        legal = ("zone",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "look", name, legal))


def _check_precheck(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # zone: string
    if (value := args.get("zone", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "zone", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "zone", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "zone", value, reason, remedy))
        elif value not in ("feeder", "table", "fixture", "tray", "bin"):
            remedy = fault.nearest(value, ("feeder", "table", "fixture", "tray", "bin"))
            faults.append(fault.bad_value(step.id, "zone", value, "is not one of the legal values", remedy))
    else:
        faults.append(fault.missing_argument(step.id, "precheck", "zone", "string"))
    # x_mm: integer, optional
    if (value := args.get("x_mm", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "x_mm", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "x_mm", "integer", value))
        elif value < -150:
            faults.append(fault.bad_value(step.id, "x_mm", value, "must be at least -150", "give at least -150"))
        elif value > 150:
            faults.append(fault.bad_value(step.id, "x_mm", value, "must be at most 150", "give at most 150"))
    # y_mm: integer, optional
    if (value := args.get("y_mm", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "y_mm", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "y_mm", "integer", value))
        elif value < -150:
            faults.append(fault.bad_value(step.id, "y_mm", value, "must be at least -150", "give at least -150"))
        elif value > 150:
            faults.append(fault.bad_value(step.id, "y_mm", value, "must be at most 150", "give at most 150"))
    # height_mm: integer, optional
    if (value := args.get("height_mm", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "height_mm", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "height_mm", "integer", value))
        elif value < 0:
            faults.append(fault.bad_value(step.id, "height_mm", value, "must be at least 0", "give at least 0"))
        elif value > 400:
            faults.append(fault.bad_value(step.id, "height_mm", value, "must be at most 400", "give at most 400"))
    if known != len(args):
        legal = ("zone", "x_mm", "y_mm", "height_mm")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "precheck", name, legal))


def _check_move(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # route: string
    if (value := args.get("route", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "route", "string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "route", "string", value))
    else:
        faults.append(fault.missing_argument(step.id, "move", "route", "string"))
    # speed_mm_s: integer, optional
    if (value := args.get("speed_mm_s", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "speed_mm_s", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "speed_mm_s", "integer", value))
        elif value < 10:
            faults.append(fault.bad_value(step.id, "speed_mm_s", value, "must be at least 10", "give at least 10"))
        elif value > 250:
            faults.append(fault.bad_value(step.id, "speed_mm_s", value, "must be at most 250", "give at most 250"))
    if known != len(args):
        legal = ("route", "speed_mm_s")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "move", name, legal))


def _check_rotate(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # angle_deg: integer
    if (value := args.get("angle_deg", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "angle_deg", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "angle_deg", "integer", value))
        elif value < -180:
            faults.append(fault.bad_value(step.id, "angle_deg", value, "must be at least -180", "give at least -180"))
        elif value > 180:
            faults.append(fault.bad_value(step.id, "angle_deg", value, "must be at most 180", "give at most 180"))
    else:
        faults.append(fault.missing_argument(step.id, "rotate", "angle_deg", "integer"))
    if known != len(args):
        legal = ("angle_deg",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "rotate", name, legal))


def _check_grasp(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # force_n: integer
    if (value := args.get("force_n", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "force_n", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "force_n", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "force_n", value, "must be at least 1", "give at least 1"))
        elif value > 60:
            faults.append(fault.bad_value(step.id, "force_n", value, "must be at most 60", "give at most 60"))
    else:
        faults.append(fault.missing_argument(step.id, "grasp", "force_n", "integer"))
    # width_mm: integer, optional
    if (value := args.get("width_mm", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "width_mm", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "width_mm", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "width_mm", value, "must be at least 1", "give at least 1"))
        elif value > 85:
            faults.append(fault.bad_value(step.id, "width_mm", value, "must be at most 85", "give at most 85"))
    if known != len(args):
        legal = ("force_n", "width_mm")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "grasp", name, legal))


def _check_release(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    if known != len(args):
        legal = ()
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "release", name, legal))


def _check_pick(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # route: string
    if (value := args.get("route", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "route", "string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "route", "string", value))
    else:
        faults.append(fault.missing_argument(step.id, "pick", "route", "string"))
    # force_n: integer
    if (value := args.get("force_n", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "force_n", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "force_n", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "force_n", value, "must be at least 1", "give at least 1"))
        elif value > 60:
            faults.append(fault.bad_value(step.id, "force_n", value, "must be at most 60", "give at most 60"))
    else:
        faults.append(fault.missing_argument(step.id, "pick", "force_n", "integer"))
    # width_mm: integer, optional
    if (value := args.get("width_mm", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "width_mm", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "width_mm", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "width_mm", value, "must be at least 1", "give at least 1"))
        elif value > 85:
            faults.append(fault.bad_value(step.id, "width_mm", value, "must be at most 85", "give at most 85"))
    if known != len(args):
        legal = ("route", "force_n", "width_mm")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "pick", name, legal))


def _check_place(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # route: string
    if (value := args.get("route", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "route", "string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "route", "string", value))
    else:
        faults.append(fault.missing_argument(step.id, "place", "route", "string"))
    # force_n: integer, optional
    if (value := args.get("force_n", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "force_n", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "force_n", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "force_n", value, "must be at least 1", "give at least 1"))
        elif value > 40:
            faults.append(fault.bad_value(step.id, "force_n", value, "must be at most 40", "give at most 40"))
    if known != len(args):
        legal = ("route", "force_n")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "place", name, legal))


def _check_discard(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # route: string
    if (value := args.get("route", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "route", "string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "route", "string", value))
    else:
        faults.append(fault.missing_argument(step.id, "discard", "route", "string"))
    if known != len(args):
        legal = ("route",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "discard", name, legal))


def _check_retreat(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # route: string
    if (value := args.get("route", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "route", "string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "route", "string", value))
    else:
        faults.append(fault.missing_argument(step.id, "retreat", "route", "string"))
    if known != len(args):
        legal = ("route",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "retreat", name, legal))


def _check_put_back(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # spot: string
    if (value := args.get("spot", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "spot", "string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "spot", "string", value))
    else:
        faults.append(fault.missing_argument(step.id, "put_back", "spot", "string"))
    if known != len(args):
        legal = ("spot",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "put_back", name, legal))


def _check_take_back(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # spot: string
    if (value := args.get("spot", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "spot", "string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "spot", "string", value))
    else:
        faults.append(fault.missing_argument(step.id, "take_back", "spot", "string"))
    # force_n: integer
    if (value := args.get("force_n", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "force_n", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "force_n", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "force_n", value, "must be at least 1", "give at least 1"))
        elif value > 60:
            faults.append(fault.bad_value(step.id, "force_n", value, "must be at most 60", "give at most 60"))
    else:
        faults.append(fault.missing_argument(step.id, "take_back", "force_n", "integer"))
    if known != len(args):
        legal = ("spot", "force_n")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "take_back", name, legal))


def _check_stop(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    if known != len(args):
        legal = ()
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "stop", name, legal))


def _check_safe_pose(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    if known != len(args):
        legal = ()
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "safe_pose", name, legal))


def _check_resume(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    if known != len(args):
        legal = ()
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "resume", name, legal))


DOMAIN = Domain(
    name="robot_cell",
    version=1,
    schema_sha256="5f1899c7619694687a251d112f25caba781bcc842d98f153b35217c07f4f2f54",
    max_steps=16,
    max_depth=16,
    max_width=4,
    skills={
        "look": Skill(
            name="look",
            summary="Takes a picture of a zone and says whether a part lies there, and how.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "zone": Argument(
                    type="string",
                    required=True,
                    summary="zone to look at",
                ),
            },
            results={
                "ok": "boolean",
                "part": "boolean",
                "person": "boolean",
                "x_mm": "integer",
                "y_mm": "integer",
                "height_mm": "integer",
                "width_mm": "integer",
                "angle_deg": "integer",
            },
            check=_check_look,
            uses=("camera",),
            costs={
                "seconds": 1,
            },
            retry_attempts=3,
            retry_wait_seconds=0.5,
        ),
        "precheck": Skill(
            name="precheck",
            summary="Looks for a route from where the arm is to a point of a zone; fails where there is none.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "zone": Argument(
                    type="string",
                    required=True,
                    summary="zone of the target",
                ),
                "x_mm": Argument(
                    type="integer",
                    default=0,
                    summary="target from the centre of the zone",
                    maximum=150,
                ),
                "y_mm": Argument(
                    type="integer",
                    default=0,
                    summary="target from the centre of the zone",
                    maximum=150,
                ),
                "height_mm": Argument(
                    type="integer",
                    default=100,
                    summary="target above the surface",
                    maximum=400,
                ),
            },
            results={
                "ok": "boolean",
                "route": "string",
                "length_mm": "integer",
                "clearance_mm": "integer",
            },
            check=_check_precheck,
            sets={
                "route": "clear",
            },
            uses=("arm",),
            costs={
                "seconds": 1,
            },
            retry_attempts=2,
            retry_wait_seconds=0.5,
        ),
        "move": Skill(
            name="move",
            summary="Moves the arm along a checked route.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "route": Argument(
                    type="string",
                    required=True,
                    summary="a route that a precheck gave",
                    reference_only=True,
                ),
                "speed_mm_s": Argument(
                    type="integer",
                    default=250,
                    summary="speed of the tool",
                    maximum=250,
                ),
            },
            results={
                "ok": "boolean",
                "zone": "string",
                "x_mm": "integer",
                "y_mm": "integer",
                "height_mm": "integer",
                "force_n": "integer",
            },
            check=_check_move,
            requires={
                "route": frozenset(
                    {
                        "clear",
                    }
                ),
                "drive": frozenset(
                    {
                        "running",
                    }
                ),
            },
            sets={
                "route": "used",
            },
            uses=("arm",),
            costs={
                "seconds": 5,
            },
            critical=True,
            undo="retreat",
            fallback="safe_pose",
        ),
        "rotate": Skill(
            name="rotate",
            summary="Turns the wrist to an angle.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "angle_deg": Argument(
                    type="integer",
                    required=True,
                    summary="angle of the wrist to turn to",
                    maximum=180,
                ),
            },
            results={
                "ok": "boolean",
                "angle_deg": "integer",
            },
            check=_check_rotate,
            requires={
                "drive": frozenset(
                    {
                        "running",
                    }
                ),
            },
            uses=("arm",),
            costs={
                "seconds": 3,
            },
            idempotent=True,
            critical=True,
            undo="rotate",
            fallback="safe_pose",
        ),
        "grasp": Skill(
            name="grasp",
            summary="Closes the gripper on a part where the arm is; fails where there is none.",
            safety="mutating",
            timeout_seconds=5,
            arguments={
                "force_n": Argument(
                    type="integer",
                    required=True,
                    summary="grip force",
                    maximum=60,
                ),
                "width_mm": Argument(
                    type="integer",
                    default=40,
                    summary="width of the part",
                    maximum=85,
                ),
            },
            results={
                "ok": "boolean",
                "force_n": "integer",
                "width_mm": "integer",
                "weight_g": "integer",
                "spot": "string",
            },
            check=_check_grasp,
            requires={
                "gripper": frozenset(
                    {
                        "empty",
                    }
                ),
                "drive": frozenset(
                    {
                        "running",
                    }
                ),
            },
            sets={
                "gripper": "holding",
            },
            uses=("arm",),
            costs={
                "seconds": 2,
            },
            critical=True,
            undo="put_back",
            fallback="safe_pose",
        ),
        "release": Skill(
            name="release",
            summary="Opens the gripper where the arm is.",
            safety="mutating",
            timeout_seconds=5,
            arguments={},
            results={
                "ok": "boolean",
                "force_n": "integer",
                "width_mm": "integer",
                "spot": "string",
            },
            check=_check_release,
            requires={
                "gripper": frozenset(
                    {
                        "holding",
                    }
                ),
                "drive": frozenset(
                    {
                        "running",
                    }
                ),
            },
            sets={
                "gripper": "empty",
            },
            uses=("arm",),
            costs={
                "seconds": 2,
            },
            critical=True,
            undo="take_back",
            fallback="safe_pose",
        ),
        "pick": Skill(
            name="pick",
            summary="Moves along a checked route, grasps the part at its end and lifts it.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "route": Argument(
                    type="string",
                    required=True,
                    summary="a route that a precheck gave",
                    reference_only=True,
                ),
                "force_n": Argument(
                    type="integer",
                    required=True,
                    summary="grip force",
                    maximum=60,
                ),
                "width_mm": Argument(
                    type="integer",
                    default=40,
                    summary="width of the part",
                    maximum=85,
                ),
            },
            results={
                "ok": "boolean",
                "force_n": "integer",
                "width_mm": "integer",
                "weight_g": "integer",
                "spot": "string",
            },
            check=_check_pick,
            requires={
                "gripper": frozenset(
                    {
                        "empty",
                    }
                ),
                "route": frozenset(
                    {
                        "clear",
                    }
                ),
                "drive": frozenset(
                    {
                        "running",
                    }
                ),
            },
            sets={
                "gripper": "holding",
                "route": "used",
            },
            uses=("arm",),
            costs={
                "seconds": 8,
            },
            critical=True,
            undo="put_back",
            fallback="safe_pose",
        ),
        "place": Skill(
            name="place",
            summary="Moves along a checked route, sets the part down at its end and lets go.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "route": Argument(
                    type="string",
                    required=True,
                    summary="a route that a precheck gave",
                    reference_only=True,
                ),
                "force_n": Argument(
                    type="integer",
                    default=10,
                    summary="greatest force of setting down",
                    maximum=40,
                ),
            },
            results={
                "ok": "boolean",
                "force_n": "integer",
                "contact_n": "integer",
                "spot": "string",
            },
            check=_check_place,
            requires={
                "gripper": frozenset(
                    {
                        "holding",
                    }
                ),
                "route": frozenset(
                    {
                        "clear",
                    }
                ),
                "drive": frozenset(
                    {
                        "running",
                    }
                ),
            },
            sets={
                "gripper": "empty",
                "route": "used",
            },
            uses=("arm",),
            costs={
                "seconds": 8,
            },
            critical=True,
            undo="take_back",
            fallback="safe_pose",
        ),
        "discard": Skill(
            name="discard",
            summary="Moves along a checked route and drops the part for good, as into a scrap chute.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "route": Argument(
                    type="string",
                    required=True,
                    summary="a route that a precheck gave",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
            },
            check=_check_discard,
            requires={
                "gripper": frozenset(
                    {
                        "holding",
                    }
                ),
                "route": frozenset(
                    {
                        "clear",
                    }
                ),
                "drive": frozenset(
                    {
                        "running",
                    }
                ),
            },
            sets={
                "gripper": "empty",
                "route": "used",
            },
            uses=("arm",),
            costs={
                "seconds": 6,
            },
            irreversible=True,
            critical=True,
            fallback="safe_pose",
        ),
        "retreat": Skill(
            name="retreat",
            summary="Takes a move back to where its route began, on a way that is free now.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "route": Argument(
                    type="string",
                    required=True,
                    summary="the route of the move",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
            },
            check=_check_retreat,
            requires={
                "drive": frozenset(
                    {
                        "running",
                    }
                ),
            },
            sets={
                "route": "used",
            },
            uses=("arm",),
            costs={
                "seconds": 5,
            },
            idempotent=True,
            critical=True,
            fallback="safe_pose",
        ),
        "put_back": Skill(
            name="put_back",
            summary="Takes a pick or a grasp back and sets the part down where it lay.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "spot": Argument(
                    type="string",
                    required=True,
                    summary="where the part lay",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
            },
            check=_check_put_back,
            requires={
                "gripper": frozenset(
                    {
                        "holding",
                    }
                ),
                "drive": frozenset(
                    {
                        "running",
                    }
                ),
            },
            sets={
                "gripper": "empty",
                "route": "used",
            },
            uses=("arm",),
            costs={
                "seconds": 8,
            },
            idempotent=True,
            critical=True,
            fallback="safe_pose",
        ),
        "take_back": Skill(
            name="take_back",
            summary="Takes a place or a release back and lifts the part where it was set down.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "spot": Argument(
                    type="string",
                    required=True,
                    summary="where the part lies",
                    reference_only=True,
                ),
                "force_n": Argument(
                    type="integer",
                    required=True,
                    summary="grip force",
                    maximum=60,
                ),
            },
            results={
                "ok": "boolean",
            },
            check=_check_take_back,
            requires={
                "gripper": frozenset(
                    {
                        "empty",
                    }
                ),
                "drive": frozenset(
                    {
                        "running",
                    }
                ),
            },
            sets={
                "gripper": "holding",
                "route": "used",
            },
            uses=("arm",),
            costs={
                "seconds": 8,
            },
            idempotent=True,
            critical=True,
            fallback="safe_pose",
        ),
        "stop": Skill(
            name="stop",
            summary="Stops the drives at once, wherever the arm is.",
            safety="mutating",
            timeout_seconds=1,
            arguments={},
            results={
                "ok": "boolean",
                "zone": "string",
                "height_mm": "integer",
            },
            check=_check_stop,
            sets={
                "drive": "stopped",
                "route": "used",
            },
            uses=("arm",),
            idempotent=True,
        ),
        "safe_pose": Skill(
            name="safe_pose",
            summary="Moves slowly to the safe pose, the gripper as it is, and stops the drives there.",
            safety="mutating",
            timeout_seconds=10,
            arguments={},
            results={
                "ok": "boolean",
                "holding": "boolean",
            },
            check=_check_safe_pose,
            sets={
                "drive": "stopped",
                "route": "used",
            },
            uses=("arm",),
            costs={
                "seconds": 6,
            },
            idempotent=True,
            fallback="stop",
        ),
        "resume": Skill(
            name="resume",
            summary="Lets the drives run again after a stop, once a person has seen that the cell is free.",
            safety="mutating",
            timeout_seconds=5,
            arguments={},
            results={
                "ok": "boolean",
            },
            check=_check_resume,
            sets={
                "drive": "running",
            },
            uses=("arm",),
            idempotent=True,
            confirm=True,
            fallback="stop",
        ),
    },
    data_edges={
        "look": frozenset(),
        "precheck": frozenset(
            {
                "look",
                "move",
            }
        ),
        "move": frozenset(
            {
                "precheck",
            }
        ),
        "rotate": frozenset(
            {
                "look",
                "rotate",
            }
        ),
        "grasp": frozenset(
            {
                "look",
                "grasp",
                "release",
                "place",
            }
        ),
        "release": frozenset(),
        "pick": frozenset(
            {
                "look",
                "precheck",
            }
        ),
        "place": frozenset(
            {
                "precheck",
            }
        ),
        "discard": frozenset(
            {
                "precheck",
            }
        ),
        "retreat": frozenset(
            {
                "precheck",
            }
        ),
        "put_back": frozenset(
            {
                "grasp",
                "pick",
            }
        ),
        "take_back": frozenset(
            {
                "grasp",
                "release",
                "pick",
                "place",
            }
        ),
        "stop": frozenset(),
        "safe_pose": frozenset(),
        "resume": frozenset(),
    },
    condition_edges={
        "look": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "precheck": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "move": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "rotate": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "grasp": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "release": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "pick": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "place": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "discard": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "retreat": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "put_back": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "take_back": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "stop": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "safe_pose": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "resume": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
    },
    sequence_edges={
        "look": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "precheck": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "move": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "rotate": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "grasp": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "release": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "pick": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "place": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "discard": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "retreat": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "put_back": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "take_back": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "stop": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "safe_pose": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
        "resume": frozenset(
            {
                "look",
                "precheck",
                "move",
                "rotate",
                "grasp",
                "release",
                "pick",
                "place",
                "discard",
                "retreat",
                "put_back",
                "take_back",
                "stop",
                "safe_pose",
                "resume",
            }
        ),
    },
    facts={
        "gripper": Fact(
            values=(
                "empty",
                "holding",
            ),
            initial="empty",
        ),
        "route": Fact(
            values=(
                "used",
                "clear",
            ),
            initial="used",
        ),
        "drive": Fact(
            values=(
                "running",
                "stopped",
            ),
            initial="running",
        ),
    },
    resources={
        "arm": Resource(fixed_order=True, capacity=1),
        "camera": Resource(fixed_order=False, capacity=1),
    },
    budgets={
        "seconds": 90,
    },
    fallback="safe_pose",
)
