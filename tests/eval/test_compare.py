"""Plans are equal when they say the same, and only then."""

import pytest

from builderbrain.eval.compare import UNKNOWN_TALK, UNREADABLE, guess_of_plan, is_accepted, plans_equal, talk_classes

REFERENCE = 's1=search(pattern="x")\ns2=read(path=s1.first_path)'


@pytest.mark.parametrize(
    "text",
    [
        REFERENCE,
        REFERENCE + "\n",
        "<think>\nfirst search\n</think>\n" + REFERENCE,
        's1=search(pattern="x",path=".")\ns2=read(path=s1.first_path)',
        's1=search(pattern="x")\ns2=read(path=s1.first_path) after s1',
    ],
)
def test_spelling_makes_no_difference(text):
    assert plans_equal(REFERENCE, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "search x",
        's1=search(pattern="x")',
        's1=search(pattern="x")\ns2=read(path=s1.last_path)',
        's1=search(pattern="X")\ns2=read(path=s1.first_path)',
        REFERENCE + " if s1.ok",
        REFERENCE + "\ns3=list()",
        REFERENCE[:-3],
        "think " + REFERENCE,
    ],
)
def test_another_plan_or_none_is_not_equal(text):
    assert not plans_equal(REFERENCE, text)


def test_talk_is_compared_by_class():
    classes = talk_classes()
    assert sorted(classes.values()) == ["capabilities", "farewell", "greet", "identify", "refuse", "thank"]
    plans = {intent: f's1=talk(text="{text}")' for text, intent in classes.items()}
    for intent, plan in plans.items():
        assert guess_of_plan(plan).intent == intent
        assert [other for other, text in plans.items() if plans_equal(plan, text)] == [intent]
    assert guess_of_plan('s1=talk(text="Moo.")').intent == UNKNOWN_TALK
    assert not plans_equal(plans["greet"], 's1=talk(text="Moo.")')


def test_what_is_no_plan_is_neither_accepted_nor_understood():
    assert guess_of_plan("what?").intent == UNREADABLE
    assert not is_accepted("what?")
    assert not is_accepted('s1=read(path="../../etc/passwd")')
    assert is_accepted(REFERENCE)
