"""Compose requests to a repository assistant of one to six steps over all its tools, with their plans.

What a request leaves open has one reading: "the first one" is of what was found or checked last, "it" where something is said,
remembered or tried is what was done last, a condition is about what was done last unless it names what has to be done first, and
belongs to the clause that it stands in. What depends on something ends a request. Only requests that the domain allows come out: a fix
is taken back only where there is one, nothing that can be taken back comes after a training run, and no plan takes over an hour.
"""

# ruff: noqa: E501 - tables
from __future__ import annotations

import random

from builderbrain.train.goal import Goal
from builderbrain.train.repo_tools import condition_phrases, values
from builderbrain.train.repo_tools.clauses import CLAUSES, FAULTY, FOUND, NAMED
from builderbrain.train.repo_tools.conditions import CONDITIONS
from builderbrain.train.repo_tools.phrases import PHRASES
from builderbrain.train.repo_tools.scene import DOMAIN, MINUTES, SKILLS, SPAN_SLOTS, VERSION, RepoScene
from builderbrain.train.spoken import Clause, training_domain
from builderbrain.train.spoken.goal import COMPOSITE, CONDITIONAL
from builderbrain.train.spoken.marks import Part, mark_part, part_number

ACTIONS = ("search", "read", "list", "docs_lint", "memory_search", "memory_add", "memory_forget", "patch_dry_run", "fix_tests", "undo_fix", "run_tests", "type_check",
           "prove_algebra", "prove_suite", "evaluate", "train", "talk")  # fmt: skip
_ALONE = {"search": 5, "read": 3, "list": 3, "list_root": 1.5, "docs_lint": 3, "memory_search": 3, "memory_add": 3, "memory_forget": 2, "patch": 2, "fix": 2.5, "fix_with": 1.5, "run_tests": 4,
          "type_check": 3, "prove_algebra": 3, "prove_suite": 2.5, "evaluate": 3, "train": 3, "say": 1.5}  # fmt: skip
_AFTER = {"remember_it": 5, "say_about": 6, "forget_found": 15, "patch_read": 8, "fix_them": 14, "fix_patch": 35, "undo_fix": 14, "test_first": 7, "types_first": 7, "evaluate_new": 30,
          "open_hit": 20, "open_listed": 20, "open_last": 8, "open_faulty": 9}  # fmt: skip
"""How often kinds of clauses are drawn: those that can be asked for alone, and those that go on from something before."""
INTENTS = (*_ALONE, CONDITIONAL, COMPOSITE)
MAX_STEPS = 6
_CONDITIONAL, _AFTER_CHANGES = 0.25, 0.5
"""How often what comes next depends on something, where that can be; behind what tries or makes a change more often."""
_STEPS = {"patch": 2, "fix_with": 3}
_BESIDE = (
    "search",
    "search",
    "read",
    "list",
    "docs_lint",
    "memory_search",
    "prove_algebra",
    "evaluate",
    "run_tests",
    "type_check",
)
_WORKSPACE = frozenset(name for name, skill in SKILLS.items() if "workspace" in skill.uses)
"""Skills of a resource whose steps have an order."""
_TEXTS = frozenset(ACTIONS) - {"talk", "undo_fix", "memory_forget", "memory_add", "memory_search"}
"""Skills whose text may be remembered."""
_SKILLS = {"fix": "fix_tests", "fix_them": "fix_tests", "fix_patch": "fix_tests", "fix_with": "fix_tests", "test_first": "run_tests", "types_first": "type_check", "evaluate_new": "evaluate"}  # fmt: skip
_NEVER_AFTER_TRAINING = (
    "memory_add",
    "remember_it",
    "memory_forget",
    "forget_found",
    "fix",
    "fix_them",
    "fix_patch",
    "fix_with",
    "undo_fix",
)


def _allowed(scene: RepoScene, kind: str, room: int) -> bool:
    """Whether the plan may go on with such a clause."""
    previous = scene.previous()
    latest = next((step.skill for step in reversed(scene.draft.steps) if step.skill in (*FOUND, *FAULTY)), "")
    fits = {
        "remember_it": previous in _TEXTS,
        "say_about": previous in _TEXTS or previous == "memory_search",
        "forget_found": previous in ("memory_search", "memory_add"),
        "patch_read": previous == "read",
        "fix_them": previous == "run_tests" and not scene.fix,
        "fix_patch": previous == "patch_dry_run" and not scene.fix,
        "fix": not scene.fix,
        "fix_with": not scene.fix,
        "undo_fix": bool(scene.fix),
        "test_first": previous in FOUND,
        "types_first": previous in FOUND,
        "evaluate_new": bool(scene.last("train")),
        "open_last": latest in FOUND,
        "open_faulty": latest in FAULTY,
        "open_hit": latest == "search",
        "open_listed": latest == "list",
        "train": not scene.last("train"),
    }
    minutes = scene.minutes >= (1 if kind == "train" else MINUTES.get(_SKILLS.get(kind, kind), 0))
    if kind in _NEVER_AFTER_TRAINING and scene.last("train"):
        return False
    return fits.get(kind, True) and minutes and _STEPS.get(kind, 1) <= room


def _request(rng: random.Random) -> Goal:
    scene = RepoScene(rng)
    steps = rng.choices(range(1, MAX_STEPS + 1), (6, 6, 7, 7, 6, 4))[0]
    while (room := steps - len(scene.draft.steps)) > 0:
        often = _AFTER_CHANGES if scene.previous() in ("fix_tests", "patch_dry_run") else _CONDITIONAL
        if rng.random() < often and _add_conditional(scene, room):
            break
        if scene.clauses and not scene.clauses[-1].parallel and rng.random() < 0.13:
            last = {
                step.skill
                for step, part in zip(scene.draft.steps, scene.draft.parts, strict=True)
                if part == len(scene.clauses) - 1
            }
            beside = [
                kind for kind in _BESIDE if _allowed(scene, kind, room) and not (kind in _WORKSPACE and last & _WORKSPACE)
            ]
            _add(scene, rng.choice(beside), parallel=True)
            continue
        weights = {
            kind: weight for kind, weight in (_ALONE | (_AFTER if scene.clauses else {})).items() if _allowed(scene, kind, room)
        }
        _add(scene, rng.choices(list(weights), list(weights.values()))[0])
    return scene.goal()


def _add(scene: RepoScene, kind: str, *, parallel: bool = False) -> None:
    scene.begin(parallel=parallel)
    CLAUSES[kind](scene)
    scene.say(kind, parallel=parallel)


def _named(kind: str) -> str:
    """The kind of clause that a condition of this kind can name."""
    skill = CONDITIONS[kind].skills[0]
    return "patch" if skill == "patch_dry_run" else skill


def _add_conditional(scene: RepoScene, room: int) -> bool:
    """Add a clause that depends on something; False where none fits."""
    rng = scene.rng
    after = [kind for kind, found in CONDITIONS.items() if scene.previous() in found.skills]
    if after and rng.random() < 0.8:
        _depend(scene, rng.choice(after), room, named=False)
        return True
    kind = rng.choice(list(condition_phrases.FIRST_CONDITIONS))
    source = _named(kind)
    if (
        kind in after
        or room < _STEPS.get(source, 1) + 1
        or not _allowed(scene, source, room)
        or (scene.clauses and rng.random() < 0.5)
    ):
        return False
    _depend(scene, kind, room - _STEPS.get(source, 1), named=True)
    return True


def _depend(scene: RepoScene, kind: str, room: int, *, named: bool) -> None:
    """Add what depends on the last step, or, `named`, on what has to be done first, and perhaps what is done otherwise."""
    rng, condition = scene.rng, CONDITIONS[kind]
    scene.begin()
    if named:
        NAMED[_named(kind)](scene)
    source = scene.draft.steps[-1].id
    so, unlike, operator, number = condition.drawn(source, rng)
    if condition.compared:
        scene.number("many", values.COMPARED[operator], number)
    table = condition_phrases.FIRST_CONDITIONS[kind] if named else condition_phrases.CONDITIONS[kind]
    when = mark_part(table.say(rng, scene.words)[0], part_number(len(scene.clauses), Part.CONDITION))
    action = rng.choice([action for action in condition.actions if _allowed(scene, action, room)])
    words, frames = {"when": when, "then": _dependent(scene, action, so)}, condition_phrases.CONDITIONED
    if room > 1 and rng.random() < 0.3:
        scene.draft.branch(source)
        words["other"] = _dependent(
            scene, rng.choice([other for other in ("say", "say", "search", "read", "list") if other != action]), unlike
        )
        frames = condition_phrases.OTHERWISE
    text, command = frames.say(rng, words)
    scene.clauses.append(Clause(kind=action, text=text, command=command, condition=kind))


def _dependent(scene: RepoScene, action: str, condition: str) -> str:
    """Add a step on a condition, and say it as a command."""
    scene.words, scene.condition = {}, condition
    CLAUSES[action](scene)
    text, command = PHRASES[action].say(scene.rng, scene.words)
    while not command:
        text, command = PHRASES[action].say(scene.rng, scene.words)
    return text


REPO_TOOLS = training_domain(
    DOMAIN,
    _request,
    kinds=(*PHRASES, *condition_phrases.CONDITIONS),
    intents=INTENTS,
    actions=ACTIONS,
    span_slots=SPAN_SLOTS[:1],
    compared=("count", "failed", "after", "right", "lines"),
    version=VERSION,
)
