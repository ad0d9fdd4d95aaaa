"""Turns of `chat_social`: advice is never heard without its disclaimer, and what fails ends with "I need more information"."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builderbrain.errors import PlanRejectedError
from builderbrain.plan import check, get_domain, parse_text
from builderbrain.tools.chat.sayings import DISCLAIMERS, NEED_INFORMATION, REFUSALS, chat_tools
from builderbrain.tools.chat.sources import Source, find_passage
from tests.domains.runs import Runs, statuses, story

SOURCES = (
    Source(name="Health guide", text="Sleep well.\n\nFor headaches, drink water and rest.\nSee a doctor if it stays."),
    Source(name="House rules", text="A tenant gives notice three months ahead.\n\nNo headache is caused by rent."),
)
ADVICE = (
    's1=look_up(topic="headache")\n'
    "s2=cite(passage=s1.passage,source=s1.source)\n"
    's3=advise(field="medical",text="Rest, and drink water.",citation=s2.citation)\n'
    "s4=disclaim(draft=s3.draft,field=s3.field)\n"
    's5=ask(question="Does that help?") after s4'
)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path, "chat_social", chat_tools(SOURCES))


def test_advice_is_cited_and_said_with_its_disclaimer_before_it(runs: Runs) -> None:
    report = runs.run(ADVICE)
    assert statuses(report) == ["done"] * 5
    said = str((report.entries[3].output or {})["said"])
    assert said == (
        f"{DISCLAIMERS['medical']}\n\nRest, and drink water.\n\n"
        "“For headaches, drink water and rest. See a doctor if it stays.” (Health guide)"
    )
    assert story(report) == [f"attempt s{number}" for number in range(1, 6)] + ["ended"]
    lines = (runs.folder / f"{report.execution}.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines][-1] == "ended"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (ADVICE.replace("s4=disclaim(draft=s3.draft,field=s3.field)", "s4=answer(text=s3.draft)"), "illegal_edge"),
        (ADVICE.replace("s4=disclaim(draft=s3.draft,field=s3.field)", 's4=answer(text="Well.") after s3'), "precondition"),
        (ADVICE.replace("field=s3.field", 'field="legal"'), "bad_value"),
        (ADVICE.replace("citation=s2.citation", 'citation="a book"'), "bad_value"),
        (ADVICE.replace("passage=s1.passage", 'passage="I read it"'), "bad_value"),
        (ADVICE.replace("after s4", "after s3"), "precondition"),
        ('s1=ask(question="Why?")\ns2=answer(text="So.") after s1', "precondition"),
        ('s1=answer(text="A.")\ns2=answer(text="B.")', "lock_conflict"),
    ],
)
def test_what_must_not_be_said_is_no_plan(text: str, code: str) -> None:
    assert code in {fault.code for fault in check(parse_text(text, domain="chat_social")).faults}


def test_nothing_but_a_disclaimer_says_a_draft() -> None:
    domain = get_domain("chat_social")
    assert domain.data_edges["disclaim"] == {"advise"}
    takers = [name for name in domain.skills if "advise" in domain.data_edges[name]]
    assert takers == ["disclaim"]
    for name in ("answer", "ask", "refuse", "advise"):
        assert domain.skills[name].requires["advice"] == {"none"}


def test_without_a_source_more_information_is_asked_for_and_no_advice_is_given(runs: Runs) -> None:
    report = runs.run(ADVICE.replace("headache", "broken arm"))
    assert statuses(report) == ["failed", *["blocked"] * 4]
    (fallback,) = report.fallbacks
    assert (fallback.step, fallback.skill) == ("s1", "need_information")
    assert fallback.results["said"] == f"{NEED_INFORMATION} I found nothing about “broken arm”."
    assert story(report)[:3] == ["attempt s1", "fallback s1", "attempt s1"]


def test_a_refusal_has_a_sentence_for_every_reason_and_ends_the_turn(runs: Runs) -> None:
    for reason, sentence in REFUSALS.items():
        report = runs.run(f's1=refuse(reason="{reason}")')
        assert (report.entries[0].output or {})["said"] == sentence
    with pytest.raises(PlanRejectedError):
        runs.run('s1=refuse(reason="harmful")\ns2=answer(text="But.") after s1')


def test_an_answer_gives_what_it_is_about_below_it(runs: Runs) -> None:
    report = runs.run('s1=look_up(topic="notice of a tenant")\ns2=answer(text="Three months:",about=s1.passage)')
    assert (report.entries[1].output or {})["said"] == "Three months:\n\nA tenant gives notice three months ahead."


def test_passages_are_found_by_half_of_the_words_and_the_first_of_equals_is_taken() -> None:
    found = find_passage(SOURCES, "headaches")
    assert found is not None
    assert (found.source, found.sources) == ("Health guide", 2)
    assert find_passage(SOURCES, "headache on the moon tomorrow morning") is None
    assert find_passage((), "headache") is None
    assert find_passage(SOURCES, "?!") is None
