"""The incremental reading of tool calls: golden outputs, cut anywhere, say the same."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from builderbrain.decode.base import Generation
from builderbrain.errors import BuilderBrainError
from builderbrain.serve.answers import OutputReader, answer_of
from builderbrain.serve.tool_text import Arguments, CallBegins, CallEnds, Event, Text, ToolCallParser, functions_text
from builderbrain.serve.toolbox import Choice, ToolFunction, make_toolbox
from tests.serve.tooling import CLOCK_CALL, SCRIPTS, SEARCH_CALL, call

ARGUMENTS = '{"text":"é\\"}{<\U0001f7df","most":3}'
NESTED = '{"a": {"b": [1, {"c": "]}\\\\"}], "d": "</tool_call>"}, "e": "<tool_call>"}'
GOLDEN: dict[str, tuple[str, str | None, list[tuple[str, str, bool]]]] = {
    "text": (SCRIPTS["words"], SCRIPTS["words"], []),
    "empty": ("", None, []),
    "spaces": (" \n ", " \n ", []),
    "almost a tag": ("a <tool_cal", "a <tool_cal", []),
    "one": (SEARCH_CALL, None, [("search", ARGUMENTS, True)]),
    "text before": (f"Só. \n{CLOCK_CALL}", "Só.", [("clock", "{}", True)]),
    "spaces before": (f" \n{CLOCK_CALL}", None, [("clock", "{}", True)]),
    "two": (SCRIPTS["two"], None, [("search", ARGUMENTS, True), ("clock", "{}", True)]),
    "nested": (call("f", NESTED), None, [("f", NESTED, True)]),
    "angle brackets": (f"1 < 2 <<tool_call {CLOCK_CALL}", "1 < 2 <<tool_call", [("clock", "{}", True)]),
    "cut in a tag": (f"ab{SEARCH_CALL[:4]}", "ab<too", []),
    "cut in a name": (f"ab{SEARCH_CALL[:24]}", "ab", []),
    "cut in arguments": (
        SEARCH_CALL[: SEARCH_CALL.index("}{<")],
        None,
        [("search", ARGUMENTS[: ARGUMENTS.index("}{<")], False)],
    ),
    "cut after arguments": (CLOCK_CALL[:-5], None, [("clock", "{}", True)]),
    "cut between": (f"{CLOCK_CALL}\n<to", None, [("clock", "{}", True)]),
}


def read(pieces: list[str]) -> list[Event]:
    parser = ToolCallParser()
    return [*(event for piece in pieces for event in parser.feed(piece)), *parser.finish()]


def said(events: list[Event]) -> tuple[str | None, list[tuple[str, str, bool]]]:
    answer = answer_of(events)
    return answer.text, [(each.name, each.arguments, each.whole) for each in answer.calls]


@pytest.mark.parametrize("label", GOLDEN)
def test_a_golden_output_cut_anywhere_says_the_same(label: str) -> None:
    text, *expected = GOLDEN[label]
    assert list(said(read([text]))) == expected
    assert list(said(read(list(text)))) == expected
    for cut in range(len(text)):
        assert list(said(read([text[:cut], text[cut:]]))) == expected
    for first, second in list(combinations(range(len(text)), 2))[::17]:
        assert list(said(read([text[:first], text[first:second], text[second:]]))) == expected


def test_events_come_as_soon_as_they_are_certain() -> None:
    parser = ToolCallParser()
    assert parser.feed("a ") == [Text("a")]
    assert parser.feed("b <t") == [Text(" b")]
    assert parser.feed("ool_call>\n") == []
    assert parser.feed('{"name": "f", "arg') == []
    assert parser.feed('uments": {"x') == [CallBegins(0, "f"), Arguments(0, '{"x')]
    assert parser.feed('": "}') == [Arguments(0, '": "}')]
    assert parser.feed('"}}\n</tool') == [Arguments(0, '"}'), CallEnds(0)]
    assert parser.feed("_call>") == []
    assert parser.finish() == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("\n".join([call("f", '{"a": [1]}'), call("f", '{"a": [2, 2]}'), call("f", '{"a": []}')]), ["f"]),
        ("\n".join([call("f", '{"a": [1]}'), call("f", '{"a": [2, 1]}'), call("f", '{"a": [1')[:-15]]), ["f", "f"]),
        (f"so: {call('f', '{}').partition('}')[0]}", []),
    ],
)
def test_a_cut_output_that_nobody_could_judge_shows_valid_calls_alone(text: str, names: list[str]) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    function = ToolFunction(name="f", description=None, schema=schema, shown=schema, place="p", name_place="n")
    toolbox = make_toolbox([function], Choice(), parallel=True)
    cut = Generation(tokens=(1,), text=text, finish_reason="length", prompt_tokens=1, weight_version="v")
    reader = OutputReader(toolbox, held=True)
    assert [event for character in text for event in reader.step(character)] == []
    answer = answer_of(reader.end(cut))
    assert [each.name for each in answer.calls] == names
    assert all(each.whole for each in answer.calls)
    assert answer.text == ("so:" if text.startswith("so") else None)


@pytest.mark.parametrize(
    "text",
    ["<tool_call>x", call("f", "[]"), call("f", "{}") + "text", call("f", "{}").replace("}\n", "} ")],
    ids=["no name", "no object", "text after", "no end"],
)
def test_what_is_not_in_the_form_is_an_error_and_not_text(text: str) -> None:
    with pytest.raises(BuilderBrainError):
        read([text])


def test_functions_are_listed_one_a_line() -> None:
    shown: list[dict[str, Any]] = [{"name": "é", "parameters": {}}, {"name": "b", "parameters": {"x": "\n"}}]
    lines = functions_text(shown).splitlines()
    start = lines.index("<tools>")
    assert lines[start + 1 : start + 4] == [
        '{"type": "function", "function": {"name": "é", "parameters": {}}}',
        '{"type": "function", "function": {"name": "b", "parameters": {"x": "\\n"}}}',
        "</tools>",
    ]
