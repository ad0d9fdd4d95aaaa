"""Compose what is to be done with the pages of a site, in one to six steps, with the plan.

Names of controls, labels and texts stand in quotes, pages are paths. Every step follows the one before it, since a page is in one state
at a time. A control whose kind is not said is a button where it is clicked, and a text where it is waited for or asserted.
"""

# ruff: noqa: E501 - tables
from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from builderbrain.train.goal import Goal
from builderbrain.train.goals.skins import skin_folder
from builderbrain.train.spoken import Scene, training_domain
from builderbrain.train.spoken.draft import result
from builderbrain.train.spoken.fillings import filled
from builderbrain.train.spoken.goal import COMPOSITE
from builderbrain.train.ui_macro import phrases
from builderbrain.train.ui_macro.phrases import PHRASES

DOMAIN = "ui_macro"
INTENTS = ("open", COMPOSITE)
"""Nothing else can be asked for alone: there has to be a page."""
ACTIONS = ("open", "click", "type", "wait", "assert", "look")
SPAN_SLOTS = ("page", "name", "field", "text")
MAX_STEPS = 6
_KINDS = ("click", "click", "click", "follow", "tick", "type", "type", "type", "type", "clear", "copy", "wait", "wait_role", "assert", "assert_state", "assert_value",
          "look", "type_title", "open", "if_shown_click", "if_not_shown_click")  # fmt: skip
_LAST = ("look", "if_shown_click", "if_not_shown_click")
_STATES = {"button": ("shown", "hidden", "enabled", "disabled"), "link": ("shown", "hidden"), "checkbox": ("checked", "unchecked", "enabled", "disabled"),
           "field": ("shown", "enabled", "disabled"), "heading": ("shown", "hidden")}  # fmt: skip


class _Scene(Scene):
    """A request about pages."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(DOMAIN, tables=PHRASES, slots=SPAN_SLOTS, subjects=phrases.SUBJECTS, rng=rng)

    def literal(self, slot: str, sentences: Sequence[str], *, marked: str | None = None) -> str:
        """Draw something in quotes; `marked` is its slot among those that heads point at, where it is another one."""
        text = filled(self.rng.choice(sentences), self.rng)
        self.words[slot] = self.quoted(marked or slot, text)
        return text

    def opened(self) -> str:
        """Id of the step that opened the page that is shown."""
        return [step.id for step in self.draft.steps if step.skill == "open"][-1]

    def wait(self) -> dict[str, Any]:
        """The longest wait, said or not."""
        self.words["wait"] = ""
        if self.rng.random() > 0.5:
            return {}
        seconds = self.rng.randint(1, 20)
        self.words["wait"] = self.rng.choice(phrases.WAIT).replace("{seconds}", str(seconds))
        return {"seconds": seconds}

    def role(self, roles: Sequence[str]) -> str:
        """Draw what a control is, and say it."""
        role = self.rng.choice(roles)
        self.words["role"] = phrases.ROLES[role]
        return role


def _open(scene: _Scene) -> None:
    page = f"/{skin_folder(scene.rng)}" if scene.rng.random() < 0.95 else "/"
    scene.words["page"] = scene.value("page", page)
    scene.draft.step("open", page=page)


def _click(scene: _Scene) -> None:
    scene.draft.step("click", name=scene.literal("name", phrases.NAMES), role=scene.role(("button",)))
    if scene.rng.random() < 0.5:
        del scene.words["role"]


def _follow(scene: _Scene) -> None:
    scene.draft.step("click", name=scene.literal("name", phrases.NAMES), role="link")


def _tick(scene: _Scene) -> None:
    scene.draft.step("click", name=scene.literal("name", phrases.NAMES), role="checkbox")


def _type(scene: _Scene) -> None:
    scene.draft.step("type", field=scene.literal("field", phrases.FIELDS), text=scene.literal("text", phrases.TEXTS))


def _clear(scene: _Scene) -> None:
    scene.draft.step("type", field=scene.literal("field", phrases.FIELDS), text="")


def _type_title(scene: _Scene) -> None:
    scene.draft.step("type", field=scene.literal("field", phrases.FIELDS), text=result(scene.opened(), "title"))


def _copy(scene: _Scene) -> None:
    shown = scene.draft.step("assert", name=scene.literal("name", phrases.SHOWN))
    scene.draft.step("type", field=scene.literal("field", phrases.FIELDS), text=result(shown, "value"))


def _wait(scene: _Scene) -> None:
    scene.draft.step("wait", name=scene.literal("name", phrases.SHOWN), **scene.wait())


def _wait_role(scene: _Scene) -> None:
    role = scene.role(tuple(phrases.ROLES))
    scene.draft.step("wait", name=scene.literal("name", phrases.NAMES), role=role, **scene.wait())


def _assert(scene: _Scene) -> None:
    scene.draft.step("assert", name=scene.literal("name", phrases.SHOWN))


def _assert_state(scene: _Scene) -> None:
    role = scene.role(tuple(_STATES))
    state = scene.rng.choice(_STATES[role])
    scene.words["state"] = state
    scene.draft.step("assert", name=scene.literal("name", phrases.NAMES), role=role, state=state)


def _assert_value(scene: _Scene) -> None:
    name = scene.literal("name", phrases.FIELDS, marked="field")
    scene.draft.step("assert", name=name, role="field", value=scene.literal("value", phrases.TEXTS, marked="text"))


def _look(scene: _Scene) -> None:
    scene.draft.step("look")


def _if_shown_click(scene: _Scene, *, shown: bool = True) -> None:
    waited = scene.draft.step("wait", name=scene.literal("name", phrases.SHOWN), **scene.wait())
    name = scene.literal("other", phrases.NAMES)
    if shown:
        scene.draft.step("click", condition=f"{waited}.ok", name=name)
    else:  # that nothing was shown is also so where no page could be opened
        scene.draft.step("click", condition=f"not {waited}.ok", needs=(scene.opened(), waited), name=name)


def _if_not_shown_click(scene: _Scene) -> None:
    _if_shown_click(scene, shown=False)


_CLAUSES: dict[str, Callable[[_Scene], None]] = {
    "open": _open,
    "click": _click,
    "follow": _follow,
    "tick": _tick,
    "type": _type,
    "clear": _clear,
    "type_title": _type_title,
    "copy": _copy,
    "wait": _wait,
    "wait_role": _wait_role,
    "assert": _assert,
    "assert_state": _assert_state,
    "assert_value": _assert_value,
    "look": _look,
    "if_shown_click": _if_shown_click,
    "if_not_shown_click": _if_not_shown_click,
}


def _request(rng: random.Random) -> Goal:
    scene = _Scene(rng)
    steps = rng.choices(range(1, MAX_STEPS + 1), (1, 3, 4, 4, 3, 1))[0]
    _add(scene, "open")
    while len(scene.draft.steps) < steps:
        kind = rng.choice(
            _KINDS if len(scene.draft.steps) + 1 < steps else [kind for kind in _KINDS if kind != "copy" and "if_" not in kind]
        )
        if kind == "open" and scene.clauses[-1].kind == "open":
            continue
        _add(scene, kind)
        if kind in _LAST:
            break
    return scene.goal()


def _add(scene: _Scene, kind: str) -> None:
    scene.begin()
    _CLAUSES[kind](scene)
    scene.say(kind)


UI_MACRO = training_domain(DOMAIN, _request, kinds=tuple(PHRASES), intents=INTENTS, actions=ACTIONS, span_slots=SPAN_SLOTS[:1])
