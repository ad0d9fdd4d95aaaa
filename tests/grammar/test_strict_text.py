"""The strict machines against independent parsers, whole texts and cut at every byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builderbrain.grammar.json_text import JsonTextError, parse_strict
from builderbrain.grammar.overlay import Overlay
from builderbrain.grammar.strict_text import MAX_DEPTH, StrictJson, StrictText
from builderbrain.grammar.vocabulary import Vocabulary

TEXT, JSON = StrictText(), StrictJson()


def accepts(machine: StrictText | StrictJson, data: bytes) -> bool:
    state = machine.advance(machine.start(), data)
    return state is not None and machine.may_end(state)


def is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def test_every_code_point_and_no_surrogate() -> None:
    for point in [*range(0, 0x3000, 7), *range(0xD700, 0xE100), *range(0xFF00, 0x11000, 13), 0x10FFFF]:
        data = chr(point).encode("utf-8", "surrogatepass")
        assert accepts(TEXT, data) == is_utf8(data), hex(point)
    for data in (b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\x80", b"\xc3"):
        assert not accepts(TEXT, data)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=6))
def test_text_machine_agrees_with_python(data: bytes) -> None:
    assert accepts(TEXT, data) == is_utf8(data)


def strictly_parsed(data: bytes) -> bool:
    try:
        parse_strict(data.decode("utf-8"), max_depth=MAX_DEPTH)
    except (UnicodeDecodeError, JsonTextError):
        return False
    return True


VALID = [
    b"0", b"-0", b"10.50", b"1e5", b"1E+05", b" [ ] ", b"{}", b'"\\ud83d\\ude00"', b'"\\u00e9\\n\\/"', b"[1,[2,{}],null]",
    b'{"a":1,"b":{"a":2}}', b'"\xf0\x9f\x98\x80"', b"true", b"\n false\t", b'{"":[]}', b"[-1.5e-9]",
]  # fmt: skip
INVALID = [
    b"", b"01", b"1.", b".5", b"-", b"+1", b"1e", b"1e999", b"--1", b"1e+-2", b"[1,]", b"[,1]", b"[1 2]", b'{"a"}', b'{"a":}',
    b"{1:2}", b'{"a":1,}', b"{,}", b"]", b"[}", b'{"a":1]', b"tru", b"nul1", b"NaN", b"Infinity", b"'a'", b'"', b'"\n"', b"1 2",
    b'"\x00"', b'"\\x"', b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\n"', b'"\xed\xa0\x80"', b'"\xff"', b'{"a":1,"a":2}',
    b'{"a":1,"\\u0061":2}', b'""""',
]  # fmt: skip


@pytest.mark.parametrize("data", VALID)
def test_valid_json_is_accepted_by_machine_and_parser(data: bytes) -> None:
    assert strictly_parsed(data)
    assert accepts(JSON, data)


@pytest.mark.parametrize("data", INVALID)
def test_invalid_json_is_refused_by_machine_and_parser(data: bytes) -> None:
    assert not accepts(JSON, data)
    assert not strictly_parsed(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=5) | st.floats(-1e90, 1e90),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(json_values, st.booleans(), st.sampled_from([None, 1]))
def test_every_serialised_value_is_accepted_however_it_is_cut(value: object, ascii_only: bool, indent: int | None) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    if b"\\u" in data and isinstance(value, dict):
        return  # escapes in names are refused on purpose
    state = JSON.start()
    for index in range(len(data)):
        following = JSON.advance(state, data[index : index + 1])
        if following is None:
            assert b"\\u" in data
            return
        state = following
    assert JSON.may_end(state)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='[]{}",:0e-.\\u\n aé1tnf', max_size=12))
def test_machine_never_accepts_what_the_parser_refuses(text: str) -> None:
    if accepts(JSON, text.encode()):
        assert strictly_parsed(text.encode())


def test_depth_is_limited() -> None:
    assert accepts(JSON, b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert not accepts(JSON, b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize("machine", [TEXT, JSON])
def test_overlay_masks_equal_running_every_token(machine: StrictText | StrictJson) -> None:
    tokens = [bytes([byte]) for byte in range(256)]
    tokens += [
        b"",
        b'a"\x01',
        b"ab\x01",
        b"\xc3\xa9x",
        b"\xa9",
        b"\xa9\xa9",
        b'\\"',
        b"\\u00",
        b"d8",
        b'\xe2\x82\xac"',
        b"\x82\xac",
        b"\\",
    ]
    overlay = Overlay(machine, Vocabulary(token_bytes=tuple(tokens), eos_token_id=256))
    prefixes = [
        b"",
        b'"',
        b'"\\',
        b'"\\u',
        b'"\\ud',
        b'"\\ud8',
        b'"\\ud83d\\',
        b'"\xc3',
        b'"\xe2',
        b'"\xe2\x82',
        b'"\xed',
        b'"\xf0',
        b'"\xf4',
    ]
    for prefix in prefixes:
        state = machine.advance(machine.start(), prefix if machine is JSON else prefix[1:])
        assert state is not None
        words = overlay.mask(machine.lexical(state))
        for index, token in enumerate(tokens):
            allowed = bool((int(words[index // 32]) >> (index % 32)) & 1)
            survives = machine.advance(state, token) is not None
            if machine.lexical(state) == machine.free_state:
                assert allowed == bool(token)
            elif b'"' in token and machine is JSON and not prefix.endswith(b"\\"):
                assert allowed or not survives  # what follows the string is not the table's business
            else:
                assert allowed == (survives and bool(token)), (prefix, token)
