"""Compose what is to be done with a call, in at most six steps, with its plan.

What a request leaves open has one reading: a call is answered before anything else, who has to be verified and is not said how
gives the PIN, who is handed over is asked first what it is about, and who is called back is called at the number that calls. A
promise to call back tells what the caller said where that was asked.
"""

# ruff: noqa: E501 - tables
from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from builderbrain.train.goal import Goal
from builderbrain.train.phone_flow import phrases
from builderbrain.train.phone_flow.phrases import PHRASES
from builderbrain.train.spoken import Scene, training_domain
from builderbrain.train.spoken.draft import result
from builderbrain.train.spoken.fillings import filled
from builderbrain.train.spoken.goal import COMPOSITE

DOMAIN = "phone_flow"
INTENTS = (*(kind for kind in PHRASES if kind != "take_up"), COMPOSITE)
"""Kinds of requests of one clause. A call is taken up again only after it was put on hold."""
ACTIONS = ("greet", "verify", "intent", "account", "note", "say", "hold", "take_up", "transfer", "callback", "escalate")
SPAN_SLOTS = ("text", "number", "team")
USUAL_METHOD = "pin"
MAX_STEPS = 6
_CONNECTED = ("verify", "verify", "verify_code", "verify_any", "intent", "intent", "question", "account", "note", "say", "say", "hold", "transfer", "transfer", "callback",
              "escalate", "if_urgent_transfer", "if_urgent_else_callback", "if_topic_transfer", "if_account_say", "if_account_transfer", "if_free_transfer")  # fmt: skip
_VERIFY = ("verify", "verify_code", "verify_any")
_BESIDE = ("intent", "question", "say")
"""Clauses beside which the record may be read or written."""
_LAST = ("transfer", "callback", "escalate")
_TEAM_OF = {"billing": "billing", "order": "orders", "technical": "technical", "complaint": "complaints", "other": "reception"}


class _Scene(Scene):
    """A request about a call; it knows whether the caller waits."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(DOMAIN, tables=PHRASES, slots=SPAN_SLOTS, subjects=phrases.SUBJECTS, rng=rng)
        self.waiting = False

    def answered(self) -> str:
        """Id of the step that answers the call, which is added where it is missing; the three below likewise."""
        return self.draft.first("greet") or self.draft.step("greet")

    def verified(self) -> str:
        self.answered()
        return self.draft.first("verify") or self.draft.step("verify", method=USUAL_METHOD)

    def asked(self) -> str:
        self.answered()
        return self.draft.first("intent") or self.draft.step("intent")

    def looked_up(self) -> str:
        customer = result(self.verified(), "customer")
        return self.draft.first("account") or self.draft.step("account", customer=customer)

    def literal(self, slot: str, sentences: Sequence[str]) -> str:
        """Draw something to say or to write, and put it in quotes."""
        text = filled(self.rng.choice(sentences), self.rng)
        self.words[slot] = self.quoted("text", text)
        return text

    def number(self, slot: str, wording: Sequence[str], share: float) -> dict[str, Any]:
        """A number of `_RANGES`, said or not."""
        self.words[_WORD_OF[slot]] = ""
        if self.rng.random() > share:
            return {}
        value = self.rng.choice(_RANGES[slot])
        self.words[_WORD_OF[slot]] = self.rng.choice(wording).replace(f"{{{slot}}}", str(value))
        return {slot: value}

    def team(self, team: str | None = None) -> str:
        """Draw a team, unless it is known, and say it."""
        team = team or self.rng.choice(list(phrases.TEAMS))
        self.words["team"] = self.value("team", self.rng.choice(phrases.TEAMS[team]))
        return team

    def finish(self, kind: str, *, parallel: bool = False) -> None:
        """Add the clause in words, now and then with the time of a callback in front."""
        front = ""
        if kind == "callback" and self.words["when"].startswith("in ") and self.rng.random() < 0.12:
            front, self.words["when"] = f"{self.words['when']}{self.rng.choice((', ', ' '))}", ""
        self.say(kind, parallel=parallel, front=front)


_RANGES: dict[str, Sequence[int]] = {
    "attempts": (1, 3),
    "seconds": (*range(5, 121), *range(10, 121, 10), *range(10, 121, 10)),
    "minutes": (*range(5, 120), *range(5, 2881, 5), *range(5, 121, 5), *range(30, 241, 30)),
}
_WORD_OF = {"attempts": "tries", "seconds": "wait", "minutes": "when"}


def _phone_number(rng: random.Random) -> str:
    return f"+{rng.randint(1, 9)}{''.join(rng.choices('0123456789', k=rng.randint(6, 11)))}"


def _greet(scene: _Scene) -> None:
    scene.words |= {"tongue": "", "words": ""}
    said: dict[str, Any] = {}
    if scene.rng.random() < 0.45:
        said["language"] = scene.rng.choice(list(phrases.TONGUES))
        name = phrases.TONGUES[said["language"]]
        scene.words["language" if scene.rng.random() < 0.25 else "tongue"] = name
        if scene.words["tongue"]:
            scene.words["tongue"] = f" in {name}"
    if scene.rng.random() < 0.25 and "language" not in scene.words:
        said["text"] = scene.literal("words", phrases.GREETINGS)
        scene.words["words"] = scene.rng.choice(phrases.WORDS).replace("{words}", scene.words["words"])
    scene.draft.step("greet", **said)


def _verify(scene: _Scene) -> None:
    scene.answered()
    method = scene.rng.choice(("pin", "birth_date"))
    scene.words["method"] = scene.rng.choice(phrases.METHODS[method])
    scene.draft.step("verify", method=method, **scene.number("attempts", phrases.TRIES, 0.2))


def _verify_code(scene: _Scene) -> None:
    scene.answered()
    number: dict[str, Any] = {}
    if scene.rng.random() < 0.6:
        number = {"number": _phone_number(scene.rng)}
        scene.words["number"] = scene.value("number", number["number"])
    scene.draft.step("verify", method="one_time_code", **scene.number("attempts", phrases.TRIES, 0.15), **number)


def _verify_any(scene: _Scene) -> None:
    scene.verified()


def _intent(scene: _Scene) -> None:
    scene.asked()


def _question(scene: _Scene) -> None:
    scene.answered()
    scene.draft.step("intent", question=scene.literal("question", phrases.QUESTIONS))


def _account(scene: _Scene) -> None:
    scene.looked_up()


def _note(scene: _Scene) -> None:
    customer = result(scene.verified(), "customer")
    scene.draft.step("note", customer=customer, text=scene.literal("text", phrases.SENTENCES))


def _say(scene: _Scene) -> None:
    scene.answered()
    scene.draft.step("say", text=scene.literal("text", phrases.SENTENCES))


def _hold(scene: _Scene) -> None:
    scene.answered()
    scene.draft.step("hold", **scene.number("seconds", phrases.WAIT, 0.7))
    scene.waiting = True


def _take_up(scene: _Scene) -> None:
    scene.draft.step("take_up")
    scene.waiting = False


def _hand_over(scene: _Scene, condition: str | None = None, team: str | None = None) -> None:
    scene.draft.step("transfer", condition=condition, team=scene.team(team), brief=result(scene.asked(), "text"))


def _transfer(scene: _Scene) -> None:
    scene.verified()
    scene.asked()
    _hand_over(scene)


def _call_back(scene: _Scene, condition: str | None = None, needs: Sequence[str] | None = None) -> None:
    asked = scene.draft.first("intent")
    number: Any = result(scene.answered(), "number")
    if scene.rng.random() < 0.35 and condition is None:
        number = _phone_number(scene.rng)
        scene.words["there"] = scene.rng.choice(phrases.THERE).replace("{number}", scene.value("number", number))
    else:
        scene.words["there"] = ""
    about = {"about": result(asked, "text")} if asked else {}
    minutes = scene.number("minutes", phrases.WHEN, 1.0)
    scene.draft.step("callback", condition=condition, needs=needs, number=number, **minutes, **about)


def _callback(scene: _Scene) -> None:
    scene.verified()
    _call_back(scene)


def _escalate(scene: _Scene) -> None:
    scene.answered()
    said: dict[str, Any] = {}
    scene.words["words"] = ""
    if scene.rng.random() < 0.25:
        said["text"] = scene.literal("words", phrases.HOLDING)
        scene.words["words"] = scene.rng.choice(phrases.WORDS).replace("{words}", scene.words["words"])
    scene.draft.step("escalate", **said)


def _if_urgent_transfer(scene: _Scene) -> None:
    scene.verified()
    _hand_over(scene, f"{scene.asked()}.urgent")


def _if_urgent_else_callback(scene: _Scene) -> None:
    scene.verified()
    asked = scene.asked()
    waits = (scene.draft.steps[-1].id,)
    _hand_over(scene, f"{asked}.urgent")
    _call_back(scene, f"not {asked}.urgent", waits)


def _if_topic_transfer(scene: _Scene) -> None:
    scene.verified()
    topic = scene.rng.choice(list(phrases.TOPICS))
    scene.words["topic"] = scene.rng.choice(phrases.TOPICS[topic])
    _hand_over(scene, f'{scene.asked()}.topic == "{topic}"', _TEAM_OF[topic] if scene.rng.random() < 0.7 else None)


def _state(scene: _Scene) -> str:
    """Draw a condition on the record, say it, and give it as plans have it."""
    state = scene.rng.choice(list(phrases.STATES))
    amount = scene.rng.randint(0, 9) if state == "open_cases" else scene.rng.choice((50, 100)) * scene.rng.randint(1, 99)
    scene.words["state"] = scene.rng.choice(phrases.STATES[state]).replace("{amount}", str(amount))
    return f"{scene.looked_up()}.{state}" + ("" if state == "blocked" else f" > {amount}")


def _if_account_say(scene: _Scene) -> None:
    state = _state(scene)
    scene.draft.step("say", condition=state, text=scene.literal("text", phrases.SENTENCES))


def _if_account_transfer(scene: _Scene) -> None:
    scene.verified()
    scene.asked()
    _hand_over(scene, _state(scene))


def _if_free_transfer(scene: _Scene) -> None:
    scene.verified()
    scene.asked()
    waits = scene.draft.step("hold", **scene.number("seconds", phrases.WAIT, 0.7))
    _hand_over(scene, f"{waits}.free")


_CLAUSES: dict[str, Callable[[_Scene], None]] = {
    "greet": _greet,
    "verify": _verify,
    "verify_code": _verify_code,
    "verify_any": _verify_any,
    "intent": _intent,
    "question": _question,
    "account": _account,
    "note": _note,
    "say": _say,
    "hold": _hold,
    "take_up": _take_up,
    "transfer": _transfer,
    "callback": _callback,
    "escalate": _escalate,
    "if_urgent_transfer": _if_urgent_transfer,
    "if_urgent_else_callback": _if_urgent_else_callback,
    "if_topic_transfer": _if_topic_transfer,
    "if_account_say": _if_account_say,
    "if_account_transfer": _if_account_transfer,
    "if_free_transfer": _if_free_transfer,
}
_ONCE = {"verify": "verify", "verify_code": "verify", "verify_any": "verify", "intent": "intent", "question": "intent", "account": "account",
         "hold": "hold",
         "if_free_transfer": "hold"}  # fmt: skip
"""Kinds of clauses that do not come again once a skill has been used."""


def _request(rng: random.Random) -> Goal:
    while True:
        scene = _Scene(rng)
        beside = False
        clauses = rng.choices((1, 2, 3, 4), (3, 4, 4, 3))[0]
        if rng.random() < 0.5:
            _add(scene, "greet")
        while len(scene.clauses) < clauses:
            last = scene.clauses[-1].kind if scene.clauses else ""
            beside = beside or rng.random() < 0.12
            verified = scene.draft.first("verify") is not None
            parallel = (
                verified and last in _BESIDE and not scene.clauses[-1].parallel and rng.random() < (0.8 if beside else 0.3)
            )
            kinds = ("account", "note") if parallel else _while_waiting(scene) if scene.waiting else _CONNECTED
            kinds = tuple(kind for kind in kinds if kind not in _ONCE or scene.draft.first(_ONCE[kind]) is None)
            if beside and not parallel and not scene.waiting:  # on the way to a clause that others can stand beside
                kinds = tuple(kind for kind in kinds if kind in (_BESIDE if verified else _VERIFY)) or kinds
            if not kinds:
                break
            kind = rng.choice(kinds)
            _add(scene, kind, parallel=parallel)
            if kind in _LAST or kind.startswith("if_"):
                break
        if len(scene.draft.steps) <= MAX_STEPS:
            return scene.goal()


def _while_waiting(scene: _Scene) -> tuple[str, ...]:
    """Nobody can be verified or asked who hears music."""
    verified, asked = scene.draft.first("verify"), scene.draft.first("intent")
    return ("take_up", *(("callback",) if verified else ()), *(("transfer",) if verified and asked else ()))


def _add(scene: _Scene, kind: str, *, parallel: bool = False) -> None:
    scene.begin(parallel=parallel)
    _CLAUSES[kind](scene)
    scene.finish(kind, parallel=parallel)


PHONE_FLOW = training_domain(
    DOMAIN,
    _request,
    kinds=tuple(PHRASES),
    intents=INTENTS,
    actions=ACTIONS,
    span_slots=SPAN_SLOTS[:1],
    compared=("owed_cents", "open_cases"),
)
