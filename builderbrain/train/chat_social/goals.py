"""Compose what is to be done in one turn of a conversation, in one to six steps, with the plan.

Topics and everything that is said stand in quotes. Who is to give a passage or advice looks it up before, where the request has not said
so, and advice is always cited first and said with its disclaimer.
"""

# ruff: noqa: E501 - tables
from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from builderbrain.train.chat_social import phrases
from builderbrain.train.chat_social.phrases import PHRASES
from builderbrain.train.goal import Goal
from builderbrain.train.spoken import Scene, training_domain
from builderbrain.train.spoken.draft import result
from builderbrain.train.spoken.fillings import filled
from builderbrain.train.spoken.goal import COMPOSITE

DOMAIN = "chat_social"
ACTIONS = ("look_up", "answer", "ask", "cite", "advise", "disclaim", "refuse", "need_information")
SPAN_SLOTS = ("topic", "text", "question", "missing")
_FOUND = ("answer_passage", "answer_citation", "ask_passage", "advise")
"""Kinds that give what was looked up, and so come after it."""
INTENTS = (*(kind for kind in PHRASES if kind not in _FOUND), COMPOSITE)
MAX_STEPS = 6
_KINDS = ("look_up", "look_up", "look_up", "look_up_two", "answer", "answer", "ask", "refuse", "refuse_words", "need_information",
          "if_found_answer", "if_not_found", "if_many_else_ask")  # fmt: skip
_AFTER_LOOKING = (
    "answer_passage",
    "answer_passage",
    "answer_citation",
    "answer_citation",
    "advise",
    "advise",
    "ask_passage",
    "answer",
    "ask",
    "look_up",
)
_LAST = (
    "ask",
    "ask_passage",
    "refuse",
    "refuse_words",
    "need_information",
    "if_found_answer",
    "if_not_found",
    "if_many_else_ask",
)


class _Scene(Scene):
    """A request about a turn; it knows what was looked up last."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(DOMAIN, tables=PHRASES, slots=SPAN_SLOTS, subjects=phrases.SUBJECTS, rng=rng)
        self.found, self.cited = "", ""

    def literal(self, slot: str, sentences: Sequence[str], *, marked: str | None = None) -> str:
        """Draw something in quotes; `marked` is its slot among those that heads point at, where it is another one."""
        text = filled(self.rng.choice(sentences), self.rng)
        self.words[slot] = self.quoted(marked or slot, text)
        return text

    def citation(self) -> object:
        """The citation of what was looked up last, which is made where it is missing."""
        if not self.cited:
            self.cited = self.draft.step("cite", passage=result(self.found, "passage"), source=result(self.found, "source"))
        return result(self.cited, "citation")


def _look_up(scene: _Scene) -> None:
    scene.found, scene.cited = scene.draft.step("look_up", topic=scene.literal("topic", phrases.TOPICS)), ""


def _look_up_two(scene: _Scene) -> None:
    _look_up(scene)
    scene.draft.branch()
    scene.found = scene.draft.step("look_up", topic=scene.literal("other", phrases.TOPICS, marked="topic"))


def _answer(scene: _Scene) -> None:
    scene.draft.step("answer", text=scene.literal("text", phrases.TEXTS))


def _answer_passage(scene: _Scene) -> None:
    scene.draft.step("answer", text=scene.literal("text", phrases.TEXTS), about=result(scene.found, "passage"))


def _answer_citation(scene: _Scene) -> None:
    citation = scene.citation()
    scene.draft.step("answer", text=scene.literal("text", phrases.TEXTS), about=citation)


def _ask(scene: _Scene) -> None:
    scene.draft.step("ask", question=scene.literal("question", phrases.QUESTIONS))


def _ask_passage(scene: _Scene) -> None:
    scene.draft.step("ask", question=scene.literal("question", phrases.QUESTIONS), about=result(scene.found, "passage"))


def _advise(scene: _Scene) -> None:
    citation = scene.citation()
    field = scene.rng.choice(list(phrases.FIELDS))
    scene.words |= {"field": scene.rng.choice(phrases.FIELDS[field]), "source": scene.rng.choice(phrases.SOURCE)}
    draft = scene.draft.step("advise", field=field, text=scene.literal("text", phrases.ADVICE), citation=citation)
    scene.draft.step("disclaim", draft=result(draft, "draft"), field=result(draft, "field"))


def _reason(scene: _Scene) -> str:
    reason = scene.rng.choice(list(phrases.REASONS))
    scene.words["reason"] = scene.rng.choice(phrases.REASONS[reason])
    return reason


def _refuse(scene: _Scene) -> None:
    scene.draft.step("refuse", reason=_reason(scene))


def _refuse_words(scene: _Scene) -> None:
    scene.draft.step("refuse", reason=_reason(scene), text=scene.literal("text", phrases.TEXTS))


def _need_information(scene: _Scene) -> None:
    scene.words["missing"] = ""
    missing: dict[str, Any] = {}
    if scene.rng.random() < 0.5:
        missing = {"missing": scene.literal("missing", phrases.MISSED)}
        scene.words["missing"] = scene.rng.choice(phrases.MISSING).replace("{missing}", scene.words["missing"])
    scene.draft.step("need_information", **missing)


def _if_found_answer(scene: _Scene) -> None:
    _look_up(scene)
    text = scene.literal("text", phrases.TEXTS)
    scene.draft.step("answer", condition=f"{scene.found}.ok", text=text, about=result(scene.found, "passage"))


def _if_not_found(scene: _Scene) -> None:
    _look_up(scene)
    scene.draft.step("need_information", condition=f"not {scene.found}.ok")


def _if_many_else_ask(scene: _Scene) -> None:
    _look_up(scene)
    count = scene.rng.randint(1, 9)
    scene.words["count"] = str(count)
    scene.draft.step("answer", condition=f"{scene.found}.sources > {count}", text=scene.literal("text", phrases.TEXTS))
    question = scene.literal("question", phrases.QUESTIONS)
    scene.draft.step("ask", condition=f"{scene.found}.sources <= {count}", needs=(scene.found,), question=question)


_CLAUSES: dict[str, Callable[[_Scene], None]] = {
    "look_up": _look_up,
    "look_up_two": _look_up_two,
    "answer": _answer,
    "answer_passage": _answer_passage,
    "answer_citation": _answer_citation,
    "ask": _ask,
    "ask_passage": _ask_passage,
    "advise": _advise,
    "refuse": _refuse,
    "refuse_words": _refuse_words,
    "need_information": _need_information,
    "if_found_answer": _if_found_answer,
    "if_not_found": _if_not_found,
    "if_many_else_ask": _if_many_else_ask,
}


def _request(rng: random.Random) -> Goal:
    while True:
        scene = _Scene(rng)
        clauses = rng.choices((1, 2, 3, 4), (2, 4, 5, 5))[0]
        while len(scene.clauses) < clauses:
            last = scene.clauses[-1] if scene.clauses else None
            parallel = last is not None and last.kind in ("look_up", "answer") and not last.parallel and rng.random() < 0.15
            kind = "look_up" if parallel else rng.choice(_AFTER_LOOKING if scene.found else _KINDS)
            _add(scene, kind, parallel=parallel)
            if kind in _LAST:
                break
        if len(scene.draft.steps) <= MAX_STEPS:
            return scene.goal()


def _add(scene: _Scene, kind: str, *, parallel: bool = False) -> None:
    scene.begin(parallel=parallel)
    _CLAUSES[kind](scene)
    scene.say(kind, parallel=parallel)


CHAT_SOCIAL = training_domain(
    DOMAIN, _request, kinds=tuple(PHRASES), intents=INTENTS, actions=ACTIONS, span_slots=SPAN_SLOTS[:1], compared=("sources",)
)
