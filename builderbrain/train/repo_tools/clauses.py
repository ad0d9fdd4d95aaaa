"""The steps that each kind of clause adds, with the words of its values."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from builderbrain.train.goals.decorations import said_pattern
from builderbrain.train.goals.skins import skin_folder, skin_phrase
from builderbrain.train.names import random_identifier, random_word
from builderbrain.train.repo_tools import paths, values
from builderbrain.train.repo_tools.claims import random_claim
from builderbrain.train.repo_tools.scene import RepoScene
from builderbrain.train.spoken.draft import result
from builderbrain.train.spoken.fillings import filled

FOUND = ("search", "list")
"""Skills that find files."""
FAULTY = ("docs_lint", "run_tests", "type_check", "prove_suite")
"""Skills that name the file of the first fault."""


def _patch_name(scene: RepoScene) -> str:
    path = paths.diff(scene.rng)[0]
    scene.words["path"] = scene.name("path", path)
    return path


def _search(scene: RepoScene) -> str:
    pattern = skin_phrase(scene.rng)
    scene.words["pattern"] = said_pattern(scene.value("pattern", pattern), scene.rng)
    return scene.step(
        "search",
        pattern=pattern,
        **scene.where(paths.folder(scene.rng) if scene.rng.random() < 0.85 else paths.any_file(scene.rng), 0.4),
    )


def _read(scene: RepoScene) -> str:
    return scene.step("read", path=scene.path(paths.any_file(scene.rng), place=False))


def _list(scene: RepoScene) -> str:
    return scene.step("list", path=scene.path(paths.folder(scene.rng)))


def _list_root(scene: RepoScene) -> str:
    return scene.step("list")


def _on(skill: str, make: Callable[[random.Random], paths.Place], *, bare: float = 0.0) -> Callable[[RepoScene], str]:
    """A check of a place that may be said, a share `bare` of the time as what is meant."""

    def add(scene: RepoScene) -> str:
        if scene.rng.random() < bare:
            return scene.step(skill, path=scene.path(make(scene.rng), place=False))
        return scene.step(skill, **scene.where(make(scene.rng)))

    return add


def _prove_suite(scene: RepoScene) -> str:
    place, scene.words["marker"] = scene.where(paths.tests(scene.rng), 0.4), ""
    if scene.rng.random() > 0.4:
        return scene.step("prove_suite", **place)
    marker = scene.rng.choice(
        ("hypothesis", "slow", "property", "fuzz", "quick", random_word(scene.rng), random_word(scene.rng))
    )
    scene.words["marker"] = scene.rng.choice(values.MARKER).replace("{m}", scene.name("marker", marker))
    return scene.step("prove_suite", **place, marker=marker)


def _query(scene: RepoScene) -> str:
    query = filled(scene.rng.choice(("{x}", "{x}", "{x} {y}", "{n}", "{n} {x}")), scene.rng)
    scene.words["query"] = scene.value("query", query) if scene.rng.random() < 0.4 else scene.quoted("query", query)
    return query


def _memory_search(scene: RepoScene) -> str:
    query, scene.words["limit"] = _query(scene), ""
    if scene.rng.random() > 0.3:
        return scene.step("memory_search", query=query)
    return scene.step("memory_search", query=query, limit=scene.number("limit", values.LIMIT, scene.rng.randint(1, 20)))


def _quoted(scene: RepoScene, sentences: Sequence[str]) -> str:
    text = filled(scene.rng.choice(sentences), scene.rng)
    scene.words["text"] = scene.quoted("text", text)
    return text


def _memory_add(scene: RepoScene) -> str:
    return scene.step("memory_add", text=_quoted(scene, values.NOTES))


def _remember_it(scene: RepoScene) -> str:
    return scene.step("memory_add", text=result(scene.draft.steps[-1].id, "text"))


def _memory_forget(scene: RepoScene) -> str:
    number = scene.rng.choice((scene.rng.randint(1, 30), scene.rng.randint(1, 9999)))
    scene.words["id"] = scene.value("id", number)
    return scene.step("memory_forget", id=number)


def _forget_found(scene: RepoScene) -> str:
    return scene.step("memory_forget", id=result(scene.last("memory_search", "memory_add"), "id"))


def _patch(scene: RepoScene) -> str:
    return scene.step("patch_dry_run", patch=result(scene.step("read", path=_patch_name(scene)), "text"))


def _patch_read(scene: RepoScene) -> str:
    return scene.step("patch_dry_run", patch=result(scene.last("read"), "text"))


def _fix(scene: RepoScene) -> str:
    scene.fix = scene.step("fix_tests", **scene.where(paths.tests(scene.rng)))
    return scene.fix


def _fix_them(scene: RepoScene) -> str:
    scene.fix = scene.step("fix_tests")
    return scene.fix


def _fix_patch(scene: RepoScene) -> str:
    tried = scene.last("patch_dry_run")
    scene.fix = scene.step("fix_tests", patch=result(tried, "patch"), **scene.where(paths.tests(scene.rng), 0.25))
    return scene.fix


def _fix_with(scene: RepoScene) -> str:
    tried = _patch(scene)
    scene.fix = scene.step("fix_tests", patch=result(tried, "patch"), **scene.where(paths.tests(scene.rng), 0.25))
    return scene.fix


def _undo_fix(scene: RepoScene) -> str:
    applied, scene.fix = result(scene.fix, "applied"), ""
    return scene.step("undo_fix", applied=applied)


def _first(skill: str, *sources: str, name: str = "first_path") -> Callable[[RepoScene], str]:
    def add(scene: RepoScene) -> str:
        return scene.step(skill, path=result(scene.last(*sources), name))

    return add


def _prove_algebra(scene: RepoScene) -> str:
    claim = random_claim(scene.rng)
    scene.words["claim"] = scene.value("claim", claim) if scene.rng.random() < 0.35 else scene.quoted("claim", claim)
    return scene.step("prove_algebra", claim=claim)


def _bench(scene: RepoScene, share: float = 0.7) -> dict[str, str]:
    """Draw a bench, and say it behind something or alone."""
    scene.words["bench"] = ""
    if scene.rng.random() > share:
        return {}
    bench = scene.rng.choice(list(values.BENCHES))
    said = scene.rng.choice(values.BENCHES[bench])
    if scene.rng.random() < 0.3:
        del scene.words["bench"]
        scene.words["the_bench"] = said
    else:
        scene.words["bench"] = scene.rng.choice(values.ON_BENCH).replace("{bench}", said)
    return {"bench": bench}


def _evaluate(scene: RepoScene) -> str:
    bench, rng = _bench(scene), scene.rng
    rail = rng.choice(("runs/{w}/rail", "{f}", "{f}/rail")).replace("{w}", random_word(rng)).replace("{f}", skin_folder(rng))
    named = rng.random() < 0.5
    said = rng.choice(values.RAIL).replace("{rail}", scene.name("rail", rail)) if named else rng.choice(values.BUNDLED)
    if "the_bench" in scene.words:
        scene.words["on"] = rng.choice(values.ON_RAIL).replace("{rail}", said) if named or rng.random() < 0.5 else ""
    else:
        scene.words["rail"] = said
    return scene.step("evaluate", **bench, **({"rail": rail} if named else {}))


def _evaluate_new(scene: RepoScene) -> str:
    return scene.step("evaluate", **_bench(scene), rail=result(scene.last("train"), "rail"))


def _train(scene: RepoScene) -> str:
    rng, words = scene.rng, scene.words
    output = rng.choice(("runs/{w}", "runs/{w}", "{f}")).replace("{w}", random_identifier(rng)).replace("{f}", skin_folder(rng))
    words["output"], words["data"], words["how"] = scene.name("output", output), "", ""
    arguments: dict[str, Any] = {}
    if rng.random() < 0.35:
        arguments["data"] = rng.choice(list(values.DATA))
        words["data"] = rng.choice(values.DATA[arguments["data"]])
    steps, seed, minutes = (
        rng.choice((rng.randint(1, 50) * 100, rng.randint(31, 5000))),
        rng.choice((rng.randint(0, 99), rng.randint(0, 10**6))),
        rng.randint(1, min(30, scene.minutes)),
    )
    options = [("steps", values.STEPS, steps)] * (rng.random() < 0.45) + [("minutes", values.MINUTES, minutes)] * (
        rng.random() < 0.35
    )
    if rng.random() < 0.25 and seed not in (steps, minutes):
        options.append(("seed", values.SEED, seed))
    for name, wordings, number in rng.sample(options, len(options)):
        arguments[name] = scene.number("how", wordings, number)
    return scene.step(
        "train", output=output, **{name: arguments[name] for name in ("data", "steps", "seed", "minutes") if name in arguments}
    )


def _say(scene: RepoScene) -> str:
    return scene.step("talk", text=_quoted(scene, values.REPLIES))


def _say_about(scene: RepoScene) -> str:
    step = scene.draft.steps[-1]
    about = result(step.id, "first" if step.skill == "memory_search" else "text")
    return scene.step("talk", text=_quoted(scene, values.REPLIES), about=about)


CLAUSES: dict[str, Callable[[RepoScene], str]] = {
    "search": _search,
    "read": _read,
    "list": _list,
    "list_root": _list_root,
    "docs_lint": _on("docs_lint", paths.texts, bare=0.15),
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
    "run_tests": _on("run_tests", paths.tests),
    "test_first": _first("run_tests", *FOUND),
    "type_check": _on("type_check", paths.code, bare=0.15),
    "types_first": _first("type_check", *FOUND),
    "prove_algebra": _prove_algebra,
    "prove_suite": _prove_suite,
    "evaluate": _evaluate,
    "evaluate_new": _evaluate_new,
    "train": _train,
    "say": _say,
    "say_about": _say_about,
    "open_hit": _first("read", "search"),
    "open_listed": _first("read", "list"),
    "open_last": _first("read", *FOUND, name="last_path"),
    "open_faulty": _first("read", *FAULTY),
}
"""By kind: adds the steps and gives the id of the last."""

NAMED: dict[str, Callable[[RepoScene], str]] = {
    "search": _search,
    "read": _read,
    "list": _list,
    "docs_lint": _on("docs_lint", paths.texts),
    "memory_search": lambda scene: scene.step("memory_search", query=_query(scene)),
    "patch": _patch,
    "run_tests": CLAUSES["run_tests"],
    "type_check": _on("type_check", paths.code),
    "prove_algebra": _prove_algebra,
}
"""What a condition can name, by kind of clause."""
