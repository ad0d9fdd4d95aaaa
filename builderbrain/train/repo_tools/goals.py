"""Compose requests to a repository assistant of one to six steps over all its tools, with their plans.

What a request leaves open has one reading: "the first one" is of what was found or checked last, "it" where something is said,
remembered or tried is what was done last, a condition is about what was done last unless it names what has to be done first, and
belongs to the clause that it stands in. What depends on something ends a request. Only requests that the domain allows come out: a fix
is taken back only where there is one, nothing that can be taken back comes after a training run, and no plan takes over an hour.
"""

# ruff: noqa: E501 - tables
from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from builderbrain.train.goal import Goal
from builderbrain.train.goals.decorations import said_file, said_folder, said_pattern
from builderbrain.train.goals.skins import made_up_word, skin_folder, skin_path, skin_phrase
from builderbrain.train.names import random_identifier, random_word
from builderbrain.train.repo_tools import phrases
from builderbrain.train.repo_tools.claims import random_claim
from builderbrain.train.repo_tools.conditions import CONDITIONS
from builderbrain.train.repo_tools.phrases import PHRASES
from builderbrain.train.spoken import Clause, Scene, training_domain
from builderbrain.train.spoken.draft import result
from builderbrain.train.spoken.fillings import filled
from builderbrain.train.spoken.goal import COMPOSITE, CONDITIONAL
from builderbrain.train.spoken.marks import Part, mark_part, part_number

DOMAIN, VERSION = "repo_assistant", 2
ACTIONS = ("search", "read", "list", "docs_lint", "memory_search", "memory_add", "memory_forget", "patch_dry_run", "fix_tests", "undo_fix", "run_tests", "type_check",
           "prove_algebra", "prove_suite", "evaluate", "train", "talk")  # fmt: skip
SPAN_SLOTS = ("pattern", "path", "query", "text", "claim", "id", "output", "rail")
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
_WORKSPACE = frozenset({"patch_dry_run", "fix_tests", "undo_fix", "run_tests", "type_check", "prove_suite"})
"""Skills of a resource whose steps have an order."""
_FOUND, _FAULTY = ("search", "list"), ("docs_lint", "run_tests", "type_check", "prove_suite")
_TEXTS = frozenset(ACTIONS) - {"talk", "undo_fix", "memory_forget", "memory_add", "memory_search"}
"""Skills whose text may be remembered."""
_MINUTES = {"fix_tests": 15, "run_tests": 10, "type_check": 5, "prove_algebra": 1, "prove_suite": 10, "evaluate": 15}
_SKILLS = {"fix": "fix_tests", "fix_them": "fix_tests", "fix_patch": "fix_tests", "fix_with": "fix_tests", "test_first": "run_tests", "types_first": "type_check", "evaluate_new": "evaluate"}  # fmt: skip
_LIMIT = 60
"""Minutes of a plan."""
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


class _Scene(Scene):
    """A request to the assistant; it knows how much time its plan may still take, and whether a fix can be taken back."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(DOMAIN, tables=PHRASES, slots=SPAN_SLOTS, subjects=phrases.SUBJECTS, rng=rng, version=VERSION)
        self.minutes, self.fix, self.condition = _LIMIT, "", ""

    def step(self, skill: str, **arguments: Any) -> str:
        """Add a step, on the condition that its clause has."""
        self.minutes -= arguments.get("minutes", 10) if skill == "train" else _MINUTES.get(skill, 0)
        return self.draft.step(skill, condition=self.condition or None, **arguments)

    def last(self, *skills: str) -> str:
        """Id of the last step of one of these skills, empty without one."""
        return next((step.id for step in reversed(self.draft.steps) if step.skill in skills), "")

    def previous(self) -> str:
        """Skill of the last step, empty before the first."""
        return self.draft.steps[-1].skill if self.draft.steps else ""

    def number(self, slot: str, wordings: Sequence[str], number: int) -> int:
        """Say a number with one of the wordings, behind what was said in the slot."""
        self.words[slot] = self.words.get(slot, "") + self.rng.choice(wordings).replace("{k}", str(number))
        return number

    def name(self, slot: str, name: str) -> str:
        """The name of something in the repository as it is said, now and then in quotes."""
        said = self.value(slot, name)
        quote = self.rng.choice(("", "", '"', "'"))
        return f"{quote}{said}{quote}"

    def path(self, made: tuple[str, bool], *, place: bool | None = None) -> str:
        """Say a path, and whether it is a folder, as what is meant or as the place of it."""
        path, folder = made
        said = (said_folder if folder else said_file)(self.value("path", path), self.rng)
        if place or (place is None and self.rng.random() < 0.4):
            self.words["where"] = f" {self.rng.choice(phrases.PLACES)} {said}"
        else:
            self.words["path"] = said
        return path

    def where(self, made: tuple[str, bool], share: float = 0.5) -> dict[str, str]:
        """The place of something, said or not."""
        self.words["where"] = ""
        return {"path": self.path(made, place=True)} if self.rng.random() < share else {}


def _folder(rng: random.Random) -> tuple[str, bool]:
    return skin_folder(rng), True


def _file(rng: random.Random, name: str, *endings: str) -> tuple[str, bool]:
    """A file of a kind; `{w}` stands for a word."""
    word = rng.choice((random_word, made_up_word, random_identifier))(rng).lower()
    folder = f"{skin_folder(rng)}/" if rng.random() < 0.6 else ""
    return f"{folder}{name.replace('{w}', word)}.{rng.choice(endings)}", False


def _any_file(rng: random.Random) -> tuple[str, bool]:
    return skin_path(rng), False


def _tests(rng: random.Random) -> tuple[str, bool]:
    return _folder(rng) if rng.random() < 0.6 else _file(rng, rng.choice(("test_{w}", "test_{w}", "{w}_test")), "py")


def _texts(rng: random.Random) -> tuple[str, bool]:
    return _folder(rng) if rng.random() < 0.65 else _file(rng, "{w}", "md")


def _code(rng: random.Random) -> tuple[str, bool]:
    return _folder(rng) if rng.random() < 0.6 else _file(rng, "{w}", "py", "pyi")


def _diff(rng: random.Random) -> tuple[str, bool]:
    return _file(rng, "{w}", "patch", "diff", "patch", "diff", "txt")


def _patch_name(scene: _Scene) -> str:
    path = _diff(scene.rng)[0]
    scene.words["path"] = scene.name("path", path)
    return path


def _search(scene: _Scene) -> str:
    pattern = skin_phrase(scene.rng)
    scene.words["pattern"] = said_pattern(scene.value("pattern", pattern), scene.rng)
    return scene.step(
        "search", pattern=pattern, **scene.where(_folder(scene.rng) if scene.rng.random() < 0.85 else _any_file(scene.rng), 0.4)
    )


def _read(scene: _Scene) -> str:
    return scene.step("read", path=scene.path(_any_file(scene.rng), place=False))


def _list(scene: _Scene) -> str:
    return scene.step("list", path=scene.path(_folder(scene.rng)))


def _list_root(scene: _Scene) -> str:
    return scene.step("list")


def _on(skill: str, make: Callable[[random.Random], tuple[str, bool]], *, bare: float = 0.0) -> Callable[[_Scene], str]:
    """A check of a place that may be said, a share `bare` of the time as what is meant."""

    def add(scene: _Scene) -> str:
        if scene.rng.random() < bare:
            return scene.step(skill, path=scene.path(make(scene.rng), place=False))
        return scene.step(skill, **scene.where(make(scene.rng)))

    return add


def _prove_suite(scene: _Scene) -> str:
    place, scene.words["marker"] = scene.where(_tests(scene.rng), 0.4), ""
    if scene.rng.random() > 0.4:
        return scene.step("prove_suite", **place)
    marker = scene.rng.choice(
        ("hypothesis", "slow", "property", "fuzz", "quick", random_word(scene.rng), random_word(scene.rng))
    )
    scene.words["marker"] = scene.rng.choice(phrases.MARKER).replace("{m}", scene.name("marker", marker))
    return scene.step("prove_suite", **place, marker=marker)


def _query(scene: _Scene) -> str:
    query = filled(scene.rng.choice(("{x}", "{x}", "{x} {y}", "{n}", "{n} {x}")), scene.rng)
    scene.words["query"] = scene.value("query", query) if scene.rng.random() < 0.4 else scene.quoted("query", query)
    return query


def _memory_search(scene: _Scene) -> str:
    query, scene.words["limit"] = _query(scene), ""
    if scene.rng.random() > 0.3:
        return scene.step("memory_search", query=query)
    return scene.step("memory_search", query=query, limit=scene.number("limit", phrases.LIMIT, scene.rng.randint(1, 20)))


def _quoted(scene: _Scene, sentences: Sequence[str]) -> str:
    text = filled(scene.rng.choice(sentences), scene.rng)
    scene.words["text"] = scene.quoted("text", text)
    return text


def _memory_add(scene: _Scene) -> str:
    return scene.step("memory_add", text=_quoted(scene, phrases.NOTES))


def _remember_it(scene: _Scene) -> str:
    return scene.step("memory_add", text=result(scene.draft.steps[-1].id, "text"))


def _memory_forget(scene: _Scene) -> str:
    number = scene.rng.choice((scene.rng.randint(1, 30), scene.rng.randint(1, 9999)))
    scene.words["id"] = scene.value("id", number)
    return scene.step("memory_forget", id=number)


def _forget_found(scene: _Scene) -> str:
    return scene.step("memory_forget", id=result(scene.last("memory_search", "memory_add"), "id"))


def _patch(scene: _Scene) -> str:
    return scene.step("patch_dry_run", patch=result(scene.step("read", path=_patch_name(scene)), "text"))


def _patch_read(scene: _Scene) -> str:
    return scene.step("patch_dry_run", patch=result(scene.last("read"), "text"))


def _fix(scene: _Scene) -> str:
    scene.fix = scene.step("fix_tests", **scene.where(_tests(scene.rng)))
    return scene.fix


def _fix_them(scene: _Scene) -> str:
    scene.fix = scene.step("fix_tests")
    return scene.fix


def _fix_patch(scene: _Scene) -> str:
    tried = scene.last("patch_dry_run")
    scene.fix = scene.step("fix_tests", patch=result(tried, "patch"), **scene.where(_tests(scene.rng), 0.25))
    return scene.fix


def _fix_with(scene: _Scene) -> str:
    tried = _patch(scene)
    scene.fix = scene.step("fix_tests", patch=result(tried, "patch"), **scene.where(_tests(scene.rng), 0.25))
    return scene.fix


def _undo_fix(scene: _Scene) -> str:
    applied, scene.fix = result(scene.fix, "applied"), ""
    return scene.step("undo_fix", applied=applied)


def _first(skill: str, *sources: str, name: str = "first_path") -> Callable[[_Scene], str]:
    def add(scene: _Scene) -> str:
        return scene.step(skill, path=result(scene.last(*sources), name))

    return add


def _prove_algebra(scene: _Scene) -> str:
    claim = random_claim(scene.rng)
    scene.words["claim"] = scene.value("claim", claim) if scene.rng.random() < 0.35 else scene.quoted("claim", claim)
    return scene.step("prove_algebra", claim=claim)


def _bench(scene: _Scene, share: float = 0.7) -> dict[str, str]:
    """Draw a bench, and say it behind something or alone."""
    scene.words["bench"] = ""
    if scene.rng.random() > share:
        return {}
    bench = scene.rng.choice(list(phrases.BENCHES))
    said = scene.rng.choice(phrases.BENCHES[bench])
    if scene.rng.random() < 0.3:
        del scene.words["bench"]
        scene.words["the_bench"] = said
    else:
        scene.words["bench"] = scene.rng.choice(phrases.ON_BENCH).replace("{bench}", said)
    return {"bench": bench}


def _evaluate(scene: _Scene) -> str:
    bench, rng = _bench(scene), scene.rng
    rail = rng.choice(("runs/{w}/rail", "{f}", "{f}/rail")).replace("{w}", random_word(rng)).replace("{f}", skin_folder(rng))
    named = rng.random() < 0.5
    said = rng.choice(phrases.RAIL).replace("{rail}", scene.name("rail", rail)) if named else rng.choice(phrases.BUNDLED)
    if "the_bench" in scene.words:
        scene.words["on"] = rng.choice(phrases.ON_RAIL).replace("{rail}", said) if named or rng.random() < 0.5 else ""
    else:
        scene.words["rail"] = said
    return scene.step("evaluate", **bench, **({"rail": rail} if named else {}))


def _evaluate_new(scene: _Scene) -> str:
    return scene.step("evaluate", **_bench(scene), rail=result(scene.last("train"), "rail"))


def _train(scene: _Scene) -> str:
    rng, words = scene.rng, scene.words
    output = rng.choice(("runs/{w}", "runs/{w}", "{f}")).replace("{w}", random_identifier(rng)).replace("{f}", skin_folder(rng))
    words["output"], words["data"], words["how"] = scene.name("output", output), "", ""
    arguments: dict[str, Any] = {}
    if rng.random() < 0.35:
        arguments["data"] = rng.choice(list(phrases.DATA))
        words["data"] = rng.choice(phrases.DATA[arguments["data"]])
    steps, seed, minutes = (
        rng.choice((rng.randint(1, 50) * 100, rng.randint(31, 5000))),
        rng.choice((rng.randint(0, 99), rng.randint(0, 10**6))),
        rng.randint(1, min(30, scene.minutes)),
    )
    options = [("steps", phrases.STEPS, steps)] * (rng.random() < 0.45) + [("minutes", phrases.MINUTES, minutes)] * (
        rng.random() < 0.35
    )
    if rng.random() < 0.25 and seed not in (steps, minutes):
        options.append(("seed", phrases.SEED, seed))
    for name, wordings, number in rng.sample(options, len(options)):
        arguments[name] = scene.number("how", wordings, number)
    return scene.step(
        "train", output=output, **{name: arguments[name] for name in ("data", "steps", "seed", "minutes") if name in arguments}
    )


def _say(scene: _Scene) -> str:
    return scene.step("talk", text=_quoted(scene, phrases.REPLIES))


def _say_about(scene: _Scene) -> str:
    step = scene.draft.steps[-1]
    about = result(step.id, "first" if step.skill == "memory_search" else "text")
    return scene.step("talk", text=_quoted(scene, phrases.REPLIES), about=about)


_CLAUSES: dict[str, Callable[[_Scene], str]] = {
    "search": _search,
    "read": _read,
    "list": _list,
    "list_root": _list_root,
    "docs_lint": _on("docs_lint", _texts, bare=0.15),
    "memory_search": _memory_search,
    "memory_add": _memory_add,
    "remember_it": _remember_it,
    "memory_forget": _memory_forget,
    "forget_found": _forget_found,
    "patch": _patch,
    "patch_read": _patch_read,
    "fix": _fix,
    "fix_them": _fix_them,
    "fix_patch": _fix_patch,
    "fix_with": _fix_with,
    "undo_fix": _undo_fix,
    "run_tests": _on("run_tests", _tests),
    "test_first": _first("run_tests", *_FOUND),
    "type_check": _on("type_check", _code, bare=0.15),
    "types_first": _first("type_check", *_FOUND),
    "prove_algebra": _prove_algebra,
    "prove_suite": _prove_suite,
    "evaluate": _evaluate,
    "evaluate_new": _evaluate_new,
    "train": _train,
    "say": _say,
    "say_about": _say_about,
    "open_hit": _first("read", "search"),
    "open_listed": _first("read", "list"),
    "open_last": _first("read", *_FOUND, name="last_path"),
    "open_faulty": _first("read", *_FAULTY),
}


def _allowed(scene: _Scene, kind: str, room: int) -> bool:
    """Whether the plan may go on with such a clause."""
    previous = scene.previous()
    latest = next((step.skill for step in reversed(scene.draft.steps) if step.skill in (*_FOUND, *_FAULTY)), "")
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
        "test_first": previous in _FOUND,
        "types_first": previous in _FOUND,
        "evaluate_new": bool(scene.last("train")),
        "open_last": latest in _FOUND,
        "open_faulty": latest in _FAULTY,
        "open_hit": latest == "search",
        "open_listed": latest == "list",
        "train": not scene.last("train"),
    }
    minutes = scene.minutes >= (1 if kind == "train" else _MINUTES.get(_SKILLS.get(kind, kind), 0))
    if kind in _NEVER_AFTER_TRAINING and scene.last("train"):
        return False
    return fits.get(kind, True) and minutes and _STEPS.get(kind, 1) <= room


def _request(rng: random.Random) -> Goal:
    scene = _Scene(rng)
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


def _add(scene: _Scene, kind: str, *, parallel: bool = False) -> None:
    scene.begin(parallel=parallel)
    _CLAUSES[kind](scene)
    scene.say(kind, parallel=parallel)


_NAMED: dict[str, Callable[[_Scene], str]] = {
    "search": _search,
    "read": _read,
    "list": _list,
    "docs_lint": _on("docs_lint", _texts),
    "memory_search": lambda scene: scene.step("memory_search", query=_query(scene)),
    "patch": _patch,
    "run_tests": _CLAUSES["run_tests"],
    "type_check": _on("type_check", _code),
    "prove_algebra": _prove_algebra,
}
"""What a condition can name, by kind of clause."""


def _named(kind: str) -> str:
    """The kind of clause that a condition of this kind can name."""
    skill = CONDITIONS[kind].skills[0]
    return "patch" if skill == "patch_dry_run" else skill


def _add_conditional(scene: _Scene, room: int) -> bool:
    """Add a clause that depends on something; False where none fits."""
    rng = scene.rng
    after = [kind for kind, found in CONDITIONS.items() if scene.previous() in found.skills]
    if after and rng.random() < 0.8:
        _depend(scene, rng.choice(after), room, named=False)
        return True
    kind = rng.choice(list(phrases.FIRST_CONDITIONS))
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


def _depend(scene: _Scene, kind: str, room: int, *, named: bool) -> None:
    """Add what depends on the last step, or, `named`, on what has to be done first, and perhaps what is done otherwise."""
    rng, condition = scene.rng, CONDITIONS[kind]
    scene.begin()
    if named:
        _NAMED[_named(kind)](scene)
    source = scene.draft.steps[-1].id
    so, unlike, operator, number = condition.drawn(source, rng)
    if condition.compared:
        scene.number("many", phrases.COMPARED[operator], number)
    table = phrases.FIRST_CONDITIONS[kind] if named else phrases.CONDITIONS[kind]
    when = mark_part(table.say(rng, scene.words)[0], part_number(len(scene.clauses), Part.CONDITION))
    action = rng.choice([action for action in condition.actions if _allowed(scene, action, room)])
    words, frames = {"when": when, "then": _dependent(scene, action, so)}, phrases.CONDITIONED
    if room > 1 and rng.random() < 0.3:
        scene.draft.branch(source)
        words["other"] = _dependent(
            scene, rng.choice([other for other in ("say", "say", "search", "read", "list") if other != action]), unlike
        )
        frames = phrases.OTHERWISE
    text, command = frames.say(rng, words)
    scene.clauses.append(Clause(kind=action, text=text, command=command, condition=kind))


def _dependent(scene: _Scene, action: str, condition: str) -> str:
    """Add a step on a condition, and say it as a command."""
    scene.words, scene.condition = {}, condition
    _CLAUSES[action](scene)
    text, command = PHRASES[action].say(scene.rng, scene.words)
    while not command:
        text, command = PHRASES[action].say(scene.rng, scene.words)
    return text


REPO_TOOLS = training_domain(
    DOMAIN,
    _request,
    kinds=(*PHRASES, *phrases.CONDITIONS),
    intents=INTENTS,
    actions=ACTIONS,
    span_slots=SPAN_SLOTS[:1],
    compared=("count", "failed", "after", "right", "lines"),
    version=VERSION,
)
