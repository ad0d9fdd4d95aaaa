"""What people put around a request that does not change it: courtesies, asides, and verbs in -ing behind "would you mind"."""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

import random

from builderbrain.train.goals.phrases import templates

PREFIXES = templates(
    """please;could you;can you;would you;will you;could you please;can you please;I want you to;I need you to;I would like you to;
    I'd like you to;go and;now;next;just;quickly;kindly;hey,;hi,;ok,;okay,;so,;well,;you should;you must;it would be nice if you could;
    let's;help me;I want to;I'd like to;I need to;do me a favour and;be so kind and;first;for me,;try to;
    hello,;good morning,;great,;thank you,;alright,;good,;excuse me,;first of all,;to begin with,;please do;you may;you can;you could;
    maybe;perhaps you could;it is time to;we have to;we should;we need to;I have to;I must;I was asked to;be a dear and;if you can,;
    thanks,;thanks, now;thank you, now;cheers,;perfect,;great, now;hello again,;thanks, then;nice,;cool,;hi there,;thanks a lot,;
    do;once more,;yes,;no,;oh,;hm,;alright then,;good, now;fine, then;and now;as a start,;before anything else,"""
)
_ASIDES = templates(
    """I am new here.;I am new to this code.;I have lost track.;I lost my notes.;I was away for a week.;my colleague asked me.;
    my boss wants to know.;there was a crash last night.;something broke.;the build is red.;a test fails.;we have a customer on the phone.;
    it is late.;it is urgent.;I am in a hurry.;I have a question.;I have a small request.;one more thing.;something else.;a quick one.;
    quick question.;small task.;here is what I need.;this is what I want.;I am debugging.;I am writing a report.;I am reviewing a change.;
    we talked about it yesterday.;you will know.;I forgot.;I do not remember.;sorry to bother you.;I hope you are well.;back again.;
    I came back.;let us start.;let us go on.;to go on.;listen.;look.;right.;sure.;yes.;no problem.;good.;hm.;wait.;sorry."""
)
_ENDINGS = (
    " please", ", please", " for me", " now", ", thanks", ", thank you", " if you can", " right away", " quickly", " again",
    ", it is urgent", " when you have time", " when you can", ", would you", ", will you", ", can you", ", ok", ", if you like",
    " before lunch", " while I wait", ", I am in a hurry", ", I lost it", ", I need it today", " so that I can see",
)  # fmt: skip
TOO = (
    " too",
    " too",
    " as well",
    " as well",
    ", both",
    ", both please",
    " also",
    ", too",
    " at once",
    ", one after the other",
    ", in that order",
)
_ANNOUNCEMENTS = ("{n} things:", "{n} things,", "{n} tasks:", "I have {n} requests:", "I need {n} things:", "{n} steps:", "please do {n} things:",
                  "there are {n} things to do:", "I want {n} things,", "here are {n} tasks:", "do {n} things:")  # fmt: skip
_MINDING = (
    "would you mind", "would you mind", "do you mind", "mind", "how about", "start by", "begin by", "try", "what about",
    "would it be a bother to ask for your", "I am thinking of", "I feel like",
)  # fmt: skip
_DOUBLING = frozenset({"get", "put", "run", "grab", "skim", "spot", "scan", "dig", "flip", "spit", "hop", "step", "pop"})
_NO_VERB = frozenset(
    """any anything anybody where what what's which who in how is are do does did has have can could may might would will
    would on under inside within below""".split()  # noqa: SIM905 - a list of this length is easier to read as text
)


def wrap(text: str, rng: random.Random, *, command: bool = True) -> tuple[str, str]:
    """What stands before a request, perhaps nothing, and the request as it goes on from there; courtesies only before a command."""
    draw = rng.random() if command else 1.0
    before = ""
    if draw < 0.30:
        before = f"{rng.choice(PREFIXES)} "
    elif draw < 0.36:
        before, text = f"{rng.choice(_MINDING)} ", _gerund(text)
    if rng.random() < 0.06:
        mark = rng.choice((".", ".", ",", ";", ":", " -"))
        before = f"{rng.choice(_ASIDES)[:-1]}{mark} {before}"
    return before, text


def announcement(count: int, rng: random.Random) -> str:
    """What may precede several requests."""
    number = {2: ("two", "a couple of"), 3: ("three", "a few"), 4: ("four", "a few")}[count]
    return rng.choice(_ANNOUNCEMENTS).replace("{n}", rng.choice(number))


def ending(rng: random.Random) -> str:
    """What may follow a request."""
    return rng.choice(_ENDINGS)


def _gerund(text: str) -> str:
    verb, _, rest = text.partition(" ")
    if not verb.isalpha() or not verb.islower() or verb in _NO_VERB:
        return text
    if verb in _DOUBLING:
        return f"{verb}{verb[-1]}ing {rest}"
    return f"{verb[:-1] if verb.endswith('e') and not verb.endswith('ee') else verb}ing {rest}"
