"""memory_add, memory_search, memory_forget: what is remembered lasts, once, and can be taken back."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from builderbrain.errors import ToolError, TransientToolError
from builderbrain.tools import memory_store
from builderbrain.tools.memory_store import FILE_NAME, MemoryStore
from tests.tools.repository import asked, call


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_what_was_remembered_is_found_by_its_words_best_and_newest_first(tmp_path: Path, state: Path) -> None:
    for text in ("my favourite colour is blue", "the build takes long", "another favourite is tea", "favourite colours change"):
        call(tmp_path, "memory_add", state=state, text=text)
    found = call(tmp_path, "memory_search", state=state, query="Favourite colour?")
    assert found["count"] == 3
    assert (found["id"], found["first"]) == (4, "favourite colours change")
    assert found["text"].splitlines() == [
        "4: favourite colours change",
        "1: my favourite colour is blue",
        "3: another favourite is tea",
    ]
    assert call(tmp_path, "memory_search", state=state, query="favourite", limit=1)["text"].endswith("[1 of 3 entries shown]")
    nothing = call(tmp_path, "memory_search", state=state, query="zebra")
    assert (nothing["count"], nothing["id"], nothing["first"]) == (0, None, None)


def test_only_its_owner_reads_the_memory(tmp_path: Path, state: Path) -> None:
    call(tmp_path, "memory_add", state=state, text="a secret")
    assert stat.S_IMODE((state / FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_looking_makes_no_memory(tmp_path: Path, state: Path) -> None:
    assert call(tmp_path, "memory_search", state=state, query="x")["count"] == 0
    with pytest.raises(ToolError, match="no entry 1"):
        call(tmp_path, "memory_forget", state=state, id=1)
    assert not state.exists()


def test_the_same_call_again_adds_nothing_and_can_be_asked_about(tmp_path: Path, state: Path) -> None:
    assert asked(tmp_path, "memory_add", state=state, key="k1", text="once") is None
    first = call(tmp_path, "memory_add", state=state, key="k1", text="once")
    assert call(tmp_path, "memory_add", state=state, key="k1", text="once") == first
    assert asked(tmp_path, "memory_add", state=state, key="k1", text="once") == first
    assert call(tmp_path, "memory_add", state=state, key="k2", text="once")["id"] != first["id"]


def test_what_is_forgotten_is_gone_from_the_file_and_its_number_is_not_used_again(tmp_path: Path, state: Path) -> None:
    number = call(tmp_path, "memory_add", state=state, text="zanzibar")["id"]
    assert asked(tmp_path, "memory_forget", state=state, id=number) is None
    assert call(tmp_path, "memory_forget", state=state, id=number) == {"text": "zanzibar"}
    assert asked(tmp_path, "memory_forget", state=state, id=number) == {"text": None}
    assert b"zanzibar" not in (state / FILE_NAME).read_bytes()
    with pytest.raises(ToolError, match=f"no entry {number}"):
        call(tmp_path, "memory_forget", state=state, id=number)
    assert call(tmp_path, "memory_add", state=state, text="other")["id"] > number


def test_a_full_memory_refuses_and_loses_nothing(state: Path) -> None:
    store = MemoryStore(state, capacity=2)
    first, second = store.add("one", key="a"), store.add("two", key="b")
    with pytest.raises(ToolError, match="holds 2 entries"):
        store.add("three", key="c")
    assert store.add("one", key="a") == first
    assert {store.get(first.id), store.get(second.id)} == {first, second}


def test_kinds_are_kept_apart(state: Path) -> None:
    store = MemoryStore(state)
    store.add("a fact about tea", key=None)
    episode = store.add("an episode about tea", key=None, kind="episode")
    assert [entry.text for entry in store.search("tea")] == ["a fact about tea"]
    assert store.search("tea", kind="episode") == (episode,)


def test_without_a_state_folder_nothing_is_remembered_and_that_is_said(tmp_path: Path) -> None:
    for skill, arguments in (("memory_add", {"text": "x"}), ("memory_search", {"query": "x"}), ("memory_forget", {"id": 1})):
        with pytest.raises(ToolError, match="state_folder"):
            call(tmp_path, skill, **arguments)


@pytest.mark.parametrize("text", [" ", "\n\t"])
def test_blanks_are_not_remembered(tmp_path: Path, state: Path, text: str) -> None:
    with pytest.raises(ToolError, match="nothing but blanks"):
        call(tmp_path, "memory_add", state=state, text=text)


def test_a_memory_that_another_process_writes_may_be_tried_again(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_store, "BUSY_SECONDS", 0.05)
    call(tmp_path, "memory_add", state=state, text="first")
    other = sqlite3.connect(state / FILE_NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TransientToolError, match="tried again"):
        call(tmp_path, "memory_add", state=state, text="second")
    with pytest.raises(TransientToolError):
        call(tmp_path, "memory_search", state=state, query="first")
    other.rollback()
    other.close()
    assert call(tmp_path, "memory_search", state=state, query="second")["count"] == 0


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_memory_is_named(tmp_path: Path, state: Path, content: bytes) -> None:
    state.mkdir()
    (state / FILE_NAME).write_bytes(content)
    with pytest.raises(ToolError, match=r"memory\.db"):
        call(tmp_path, "memory_add", state=state, text="x")
    with pytest.raises(ToolError, match=r"memory\.db"):
        call(tmp_path, "memory_search", state=state, query="x")
    assert (state / FILE_NAME).read_bytes() == content


def test_an_addition_that_was_cut_off_leaves_an_empty_memory(tmp_path: Path, state: Path) -> None:
    state.mkdir()
    (state / FILE_NAME).write_bytes(b"")
    assert call(tmp_path, "memory_search", state=state, query="x")["count"] == 0
    assert call(tmp_path, "memory_add", state=state, text="x")["id"] == 1


def test_queries_are_words_never_a_language_of_the_database(tmp_path: Path, state: Path) -> None:
    call(tmp_path, "memory_add", state=state, text="a table")
    for query in ("'; DROP TABLE entries; --", '" OR 1=1', "%", "*", "a:b NEAR(c)"):
        call(tmp_path, "memory_search", state=state, query=query)
    assert call(tmp_path, "memory_search", state=state, query="table")["count"] == 1


def test_text_that_a_crash_lost_is_not_made_up(tmp_path: Path, state: Path) -> None:
    with pytest.raises(ToolError, match="not known any more"):
        call(tmp_path, "memory_add", state=state)
