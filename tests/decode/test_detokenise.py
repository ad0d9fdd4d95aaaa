"""Text piece by piece: whole characters, and stop strings across every border."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from builderbrain.decode.detokenise import Detokeniser
from builderbrain.grammar.vocabulary import Vocabulary

BYTES = Vocabulary(token_bytes=(*(bytes([byte]) for byte in range(256)), b""), eos_token_id=256)


def pieces(data: bytes, stop: tuple[str, ...] = ()) -> tuple[list[str], str]:
    """What is emitted byte by byte, and the whole text."""
    detokeniser, emitted = Detokeniser(BYTES, stop), []
    for byte in data:
        stopped = detokeniser.add(byte).stop_at is not None
        emitted.append(detokeniser.emit(final=stopped))
        if stopped:
            return emitted, detokeniser.text
    return [*emitted, detokeniser.emit(final=True)], detokeniser.text


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=12))
def test_every_chunk_holds_whole_characters_and_they_add_up(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    emitted, whole = pieces(text.encode())
    assert "".join(emitted) == whole == text
    assert all("\ufffd" not in piece for piece in emitted) or "\ufffd" in text


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="abc", max_size=14), st.lists(st.text(alphabet="abc", min_size=1, max_size=3), max_size=3))
def test_text_ends_before_the_first_completed_stop_string(text: str, stop: list[str]) -> None:
    emitted, whole = pieces(text.encode(), tuple(stop))
    ends = [(text.find(string) + len(string), text.find(string)) for string in stop if string in text]
    expected = text
    if ends:
        first = min(end for end, _ in ends)
        expected = text[: min(start for end, start in ends if end == first)]
    assert whole == expected
    assert "".join(emitted) == expected


def test_what_may_become_a_stop_string_is_held_back() -> None:
    emitted, whole = pieces(b"a<st<stop>b", ("<stop>",))
    assert emitted == ["a", "", "", "", "<st", "", "", "", "", ""]
    assert whole == "a<st"


def test_peeking_changes_nothing() -> None:
    detokeniser = Detokeniser(BYTES, ("é",))
    detokeniser.add(0xC3)
    assert detokeniser.peek(0xA9).stop_at == 0
    assert detokeniser.peek(0xA9).text == "é"
    assert detokeniser.text == ""
    assert detokeniser.add(0xA8).text == "è"


def test_broken_bytes_are_replaced_and_a_torn_end_is_left_out() -> None:
    assert pieces(b"a\xffb\xc3")[1] == "a\ufffdb"


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="abc", max_size=14), st.text(alphabet="abc", min_size=1, max_size=3))
def test_an_included_stop_string_ends_the_text_behind_it(text: str, stop: str) -> None:
    detokeniser, emitted = Detokeniser(BYTES, (), (stop,)), []
    for byte in text.encode():
        stopped = detokeniser.add(byte).stop_at is not None
        emitted.append(detokeniser.emit(final=stopped))
        if stopped:
            break
    emitted.append(detokeniser.emit(final=True))
    assert "".join(emitted) == detokeniser.text == (text[: text.index(stop) + len(stop)] if stop in text else text)
