"""Compose requests to a robot cell of one to five steps, with their plans.

What a request leaves open has one reading: a grip force that is not said is 20 N, what is thrown away goes into the bin, and
steps follow one another as they are said, unless they are to be done at the same time. A part is found by the camera where the
request says so. Only requests that the facts of the domain allow come out: nothing is put down that is not held, and nothing is
taken into a full gripper.
"""

# ruff: noqa: E501 - tables
from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from builderbrain.plan import Reference
from builderbrain.train.goal import Goal
from builderbrain.train.robot_cell import phrases
from builderbrain.train.robot_cell.phrases import PHRASES
from builderbrain.train.spoken import Scene, training_domain
from builderbrain.train.spoken.draft import result
from builderbrain.train.spoken.goal import COMPOSITE

DOMAIN = "robot_cell"
ZONES = ("feeder", "table", "fixture", "tray", "bin")
INTENTS = (*(kind for kind in PHRASES if kind not in ("place", "discard", "release", "if_heavy_place")), COMPOSITE)
"""Kinds of requests of one clause. What needs something in the gripper is never asked for alone."""
ACTIONS = ("look", "precheck", "move", "rotate", "grasp", "release", "pick", "place", "discard", "stop", "safe_pose", "resume")
SPAN_SLOTS = ("zone", "other", "force_n", "x_mm", "y_mm", "angle_deg")
USUAL_FORCE = 20
"""Newtons of a grip whose force is not said."""
MAX_STEPS = 5
_LEAVE_EMPTY = {"empty": ("look", "look_two", "move", "pick", "pick_seen", "transport", "rotate", "grasp", "check"),
                "holding": ("look", "look_two", "move", "place", "place", "discard", "rotate", "release", "check")}  # fmt: skip
_LAST = {"empty": ("if_part_pick", "if_part_else_look", "if_person_stop", "if_nobody_move", "if_clear_move", "stop", "safe_pose"),
         "holding": ("if_person_stop", "if_nobody_move", "if_clear_move", "stop", "safe_pose")}  # fmt: skip
_STEPS = {"look": 1, "rotate": 1, "grasp": 1, "release": 1, "check": 1, "stop": 1, "safe_pose": 1, "resume": 1, "pick_seen": 3, "transport": 4,
          "if_part_pick": 3, "if_part_else_look": 4, "if_nobody_move": 3}  # fmt: skip
_TAKES, _GIVES = ("pick", "pick_seen", "grasp"), ("place", "discard", "release")


class _Scene(Scene):
    """A request to the cell; it knows what the gripper holds, and which step took the part."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(DOMAIN, tables=PHRASES, slots=SPAN_SLOTS, subjects=phrases.SUBJECTS, rng=rng)
        self.gripper, self.taken = "empty", ""

    def zone(self, slot: str = "zone", *, other_than: str = "") -> str:
        """Draw a zone and say it."""
        zone = self.rng.choice([zone for zone in ZONES if zone != other_than])
        suffix = self.rng.choice((" zone", " area")) if self.rng.random() < 0.06 else ""
        self.words[slot] = self.value(slot, zone) + suffix
        return zone

    def grip(self, share: float = 0.6) -> int:
        """The grip force, said or not."""
        if self.rng.random() > share:
            self.words["grip"] = ""
            return USUAL_FORCE
        force = self.rng.randint(1, 60)
        self.words["grip"] = self.rng.choice(phrases.GRIP).replace("{force}", self.value("force_n", force))
        return force

    def wide(self) -> dict[str, Any]:
        """The width of the part, said or not."""
        self.words["wide"] = ""
        if self.rng.random() > 0.15:
            return {}
        width = self.rng.randint(1, 85)
        self.words["wide"] = self.rng.choice(phrases.WIDE).replace("{width}", str(width))
        return {"width_mm": width}

    def point(self, share: float = 0.3) -> dict[str, Any]:
        """Where in the zone, said or not."""
        rng, said = self.rng, ""
        found: dict[str, Any] = {}
        if rng.random() < share:
            found = {"x_mm": rng.randint(-150, 150), "y_mm": rng.randint(-150, 150)}
            draw = rng.random()
            if draw < 0.75:
                said = rng.choice(phrases.POINT)
            else:
                del found["y_mm" if draw < 0.88 else "x_mm"]
                said = rng.choice(phrases.X_ALONE if draw < 0.88 else phrases.Y_ALONE)
        if rng.random() < share / 2:
            found["height_mm"] = rng.randint(0, 400)
            said += rng.choice(phrases.HEIGHT)
        for slot, short in (("x_mm", "{x}"), ("y_mm", "{y}"), ("height_mm", "{height}")):
            said = said.replace(short, self.value(slot, found.get(slot)))
        self.words["point"] = said
        return found

    def finish(self, kind: str, *, parallel: bool = False) -> None:
        """Add the clause in words, now and then with a force or a speed in front."""
        front = ""
        for slot in ("grip", "press", "speed"):
            if self.words.get(slot, "").startswith((" with ", " at ", " using ")) and self.rng.random() < 0.12:
                front, self.words[slot] = f"{self.words[slot].strip()}{self.rng.choice((', ', ' '))}", ""
        self.say(kind, parallel=parallel, front=front, fillers={"part": self.rng.choice(phrases.PARTS)})


def _look(scene: _Scene) -> None:
    scene.draft.step("look", zone=scene.zone())


def _look_two(scene: _Scene) -> None:
    zone = scene.zone()
    scene.draft.step("look", zone=zone)
    scene.draft.branch()
    scene.draft.step("look", zone=scene.zone("other", other_than=zone))


def _route(scene: _Scene, zone: str, condition: str | None = None, **point: Any) -> Reference:
    return result(scene.draft.step("precheck", condition=condition, zone=zone, **point), "route")


def _move(scene: _Scene) -> None:
    route = _route(scene, scene.zone(), **scene.point(0.4))
    scene.words["speed"] = ""
    speed: dict[str, Any] = {}
    if scene.rng.random() < 0.25:
        speed = {"speed_mm_s": scene.rng.randint(10, 250)}
        scene.words["speed"] = scene.rng.choice(phrases.SPEED).replace("{speed}", str(speed["speed_mm_s"]))
    scene.draft.step("move", route=route, **speed)


def _pick(scene: _Scene) -> None:
    zone = scene.zone()
    route = _route(scene, zone, **scene.point())
    scene.taken = scene.draft.step("pick", route=route, force_n=scene.grip(), **scene.wide())


def _pick_where_seen(scene: _Scene, zone: str, *, condition: bool = False) -> str:
    seen = scene.draft.step("look", zone=zone)
    only = f"{seen}.part" if condition else None
    where: dict[str, Any] = {name: result(seen, name) for name in ("x_mm", "y_mm", "height_mm")}
    route = _route(scene, zone, only, **where)
    scene.taken = scene.draft.step("pick", condition=only, route=route, force_n=scene.grip(), width_mm=result(seen, "width_mm"))
    return seen


def _pick_seen(scene: _Scene) -> None:
    _pick_where_seen(scene, scene.zone())


def _transport(scene: _Scene) -> None:
    zone = scene.zone()
    scene.draft.step("pick", route=_route(scene, zone), force_n=scene.grip(0.4))
    scene.draft.step("place", route=_route(scene, scene.zone("other", other_than=zone)))


def _place(scene: _Scene) -> None:
    route = _route(scene, scene.zone(), **scene.point(0.2))
    scene.words["press"] = ""
    press: dict[str, Any] = {}
    if scene.rng.random() < 0.2:
        press = {"force_n": scene.rng.randint(1, 40)}
        scene.words["press"] = scene.rng.choice(phrases.PRESS).replace("{press}", scene.value("force_n", press["force_n"]))
    scene.draft.step("place", route=route, **press)


def _discard(scene: _Scene) -> None:
    zone = scene.zone() if scene.rng.random() < 0.3 else "bin"
    scene.draft.step("discard", route=_route(scene, zone))


def _rotate(scene: _Scene) -> None:
    angle = scene.rng.choice((scene.rng.randint(-180, 180), 15 * scene.rng.randint(-12, 12)))
    scene.words["angle"] = scene.value("angle_deg", angle)
    scene.draft.step("rotate", angle_deg=angle)


def _grasp(scene: _Scene) -> None:
    scene.draft.step("grasp", force_n=scene.grip(), **scene.wide())


def _check(scene: _Scene) -> None:
    scene.draft.step("precheck", zone=scene.zone(), **scene.point())


def _bare(skill: str) -> Callable[[_Scene], None]:
    def add(scene: _Scene) -> None:
        scene.draft.step(skill)

    return add


def _if_part_pick(scene: _Scene) -> None:
    _pick_where_seen(scene, scene.zone(), condition=True)


def _if_part_else_look(scene: _Scene) -> None:
    zone = scene.zone()
    seen = _pick_where_seen(scene, zone, condition=True)
    scene.draft.step("look", condition=f"not {seen}.part", needs=(seen,), zone=scene.zone("other", other_than=zone))


def _if_person_stop(scene: _Scene) -> None:
    seen = scene.draft.step("look", zone=scene.zone())
    scene.draft.step("stop", condition=f"{seen}.person")


def _if_nobody_move(scene: _Scene) -> None:
    zone = scene.zone()
    only = f"not {scene.draft.step('look', zone=zone)}.person"
    scene.draft.step("move", condition=only, route=_route(scene, zone, only))


def _if_clear_move(scene: _Scene) -> None:
    clear = scene.rng.choice((5 * scene.rng.randint(1, 30), scene.rng.randint(1, 150)))
    scene.words["clear"] = str(clear)
    route = scene.draft.step("precheck", zone=scene.zone(), **scene.point())
    scene.draft.step("move", condition=f"{route}.clearance_mm >= {clear}", route=result(route, "route"))


def _if_heavy_place(scene: _Scene) -> None:
    weight = scene.rng.choice((50 * scene.rng.randint(1, 60), scene.rng.randint(10, 3000)))
    scene.words["weight"] = str(weight)
    only = f"{scene.taken}.weight_g > {weight}"
    scene.draft.step("place", condition=only, route=_route(scene, scene.zone(), only))


_CLAUSES: dict[str, Callable[[_Scene], None]] = {
    "look": _look,
    "look_two": _look_two,
    "move": _move,
    "pick": _pick,
    "pick_seen": _pick_seen,
    "transport": _transport,
    "place": _place,
    "discard": _discard,
    "rotate": _rotate,
    "grasp": _grasp,
    "release": _bare("release"),
    "check": _check,
    "stop": _bare("stop"),
    "safe_pose": _bare("safe_pose"),
    "resume": _bare("resume"),
    "if_part_pick": _if_part_pick,
    "if_part_else_look": _if_part_else_look,
    "if_person_stop": _if_person_stop,
    "if_nobody_move": _if_nobody_move,
    "if_clear_move": _if_clear_move,
    "if_heavy_place": _if_heavy_place,
}


def _request(rng: random.Random) -> Goal:
    scene = _Scene(rng)
    steps = rng.choices(range(1, MAX_STEPS + 1), (2, 3, 3, 4, 4))[0]
    if steps > 1 and rng.random() < 0.06:
        _add(scene, "resume")
    while len(scene.draft.steps) < steps:
        room = steps - len(scene.draft.steps)
        kinds = [kind for kind in _open(scene, room) if _STEPS.get(kind, 2) <= room]
        parallel = bool(scene.clauses) and not scene.clauses[-1].parallel and rng.random() < 0.2
        parallel = parallel and scene.clauses[-1].kind not in ("look", "look_two", "resume")
        kind = rng.choice(("look", "look", "look_two") if room > 1 else ("look",)) if parallel else rng.choice(kinds)
        _add(scene, kind, parallel=parallel)
        if kind in ("discard", "stop", "safe_pose") or kind.startswith("if_"):
            break
    return scene.goal()


def _open(scene: _Scene, room: int) -> list[str]:
    """Kinds of clauses that the facts allow now."""
    kinds = list(_LEAVE_EMPTY[scene.gripper])
    if scene.rng.random() < 0.35:
        kinds = list(_LAST[scene.gripper])
        if scene.taken and scene.gripper == "holding":
            kinds += ["if_heavy_place"] * 3
        if room == 1 and not scene.clauses:
            kinds.append("resume")
        if any(step.skill not in ("look", "precheck") for step in scene.draft.steps):
            kinds.remove("if_nobody_move")  # that nobody is there is also so where looking was given up after a failure
    return kinds if any(_STEPS.get(kind, 2) <= room for kind in kinds) else list(_LEAVE_EMPTY[scene.gripper])


def _add(scene: _Scene, kind: str, *, parallel: bool = False) -> None:
    scene.begin(parallel=parallel)
    _CLAUSES[kind](scene)
    if kind in _TAKES:
        scene.gripper = "holding"
    elif kind in _GIVES:
        scene.gripper = "empty"
    scene.finish(kind, parallel=parallel)


ROBOT_CELL = training_domain(
    DOMAIN,
    _request,
    kinds=tuple(PHRASES),
    intents=INTENTS,
    actions=ACTIONS,
    span_slots=SPAN_SLOTS[:1],
    compared=("clearance_mm", "weight_g"),
)
