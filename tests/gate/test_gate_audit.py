"""The audit log shows every edit it can, and says which line."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from builderbrain.errors import TamperedVersionError
from builderbrain.gate.audit import AuditLog, read_chain
from builderbrain.gate.registry import Registry
from builderbrain.storage import fail_point_hook

KEY = b"k" * 32


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    log = AuditLog(tmp_path / "audit.jsonl", KEY)
    for number in range(6):
        log.append("promoted", {"version": f"v{number}"})
    return log


def test_entries_come_back_in_order(log: AuditLog) -> None:
    entries = log.verify()
    assert [entry.details["version"] for entry in entries] == [f"v{number}" for number in range(6)]
    assert [entry.sequence for entry in entries] == list(range(1, 7))
    assert [entry for entry, _ in read_chain(log.path)] == entries


@pytest.mark.parametrize("change", ["edit", "delete", "reorder", "insert", "truncate", "empty", "other key"])
def test_changes_are_detected(log: AuditLog, change: str) -> None:
    lines = log.path.read_bytes().splitlines(keepends=True)
    checker = log
    if change == "edit":
        lines[2] = lines[2].replace(b"v2", b"v9")
    elif change == "delete":
        del lines[2]
    elif change == "reorder":
        lines[2], lines[3] = lines[3], lines[2]
    elif change == "insert":
        lines.insert(3, lines[3])
    elif change == "truncate":
        lines = lines[:-1]
    elif change == "empty":
        lines = []
    else:
        checker = AuditLog(log.path, b"x" * 32)
    log.path.write_bytes(b"".join(lines))
    with pytest.raises(TamperedVersionError):
        checker.verify()
    with pytest.raises(TamperedVersionError):
        checker.append("promoted", {})


def test_a_chain_rewritten_without_the_key_is_detected(log: AuditLog, tmp_path: Path) -> None:
    forger = AuditLog(tmp_path / "forged.jsonl", b"guess")
    for number in range(6):
        forger.append("promoted", {"version": f"w{number}"})
    log.path.write_bytes(forger.path.read_bytes())
    assert len(read_chain(log.path)) == 6
    with pytest.raises(TamperedVersionError, match="line 1"):
        log.verify()


def test_an_old_log_put_back_is_detected_only_with_a_head_kept_elsewhere(log: AuditLog) -> None:
    old = log.path.read_bytes(), log.head_path.read_bytes()
    log.append("rolled back", {})
    kept = log.head()
    log.path.write_bytes(old[0])
    log.head_path.write_bytes(old[1])
    assert len(log.verify()) == 6
    with pytest.raises(TamperedVersionError, match="cut off"):
        log.verify(head=kept)


def test_a_missing_or_forged_head_is_detected(log: AuditLog) -> None:
    head = json.loads(log.head_path.read_bytes())
    log.head_path.write_text(json.dumps({**head, "sequence": 3}))
    with pytest.raises(TamperedVersionError, match="signature"):
        log.verify()
    log.head_path.unlink()
    with pytest.raises(TamperedVersionError, match="missing"):
        log.verify()


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_append_leaves_a_log_that_verifies(log: AuditLog, failure: BaseException) -> None:
    for attempt in range(20):
        passed = 0

        def hook(name: str, attempt: int = attempt) -> None:
            nonlocal passed
            passed += 1
            if passed == attempt + 1:
                raise failure

        before = len(log.verify())
        try:
            with fail_point_hook(hook):
                log.append("tried", {"attempt": attempt})
        except type(failure):
            assert len(log.verify()) in (before, before + 1)
            continue
        break
    assert attempt >= 7
    assert log.append("again", {}).sequence == len(log.verify())


def _edits(lines: list[bytes], data: st.DataObject) -> bytes:
    """One random change of a log: to a byte, to a value, or to which lines there are in which order."""
    place = data.draw(st.integers(0, len(lines) - 1), label="line")
    other = data.draw(st.integers(0, len(lines) - 1), label="other line")
    line = lines[place]
    kind = data.draw(
        st.sampled_from(["byte", "insert byte", "remove byte", "value", "rehash", "delete", "swap", "repeat", "space"])
    )
    at = data.draw(st.integers(0, len(line) - 1), label="place")
    changed = list(lines)
    if kind == "byte":
        changed[place] = line[:at] + bytes([data.draw(st.integers(0, 255))]) + line[at + 1 :]
    elif kind == "insert byte":
        changed[place] = line[:at] + bytes([data.draw(st.integers(0, 255))]) + line[at:]
    elif kind == "remove byte":
        changed[place] = line[:at] + line[at + 1 :]
    elif kind in ("value", "rehash"):
        value = json.loads(line)
        name = data.draw(st.sampled_from(["actor", "event", "time", "details", "previous", "sequence", "signature"]))
        value[name] = data.draw(st.sampled_from(["x", 7, {}, None, {"n": 99}]))
        if kind == "rehash":  # the digest is made to fit, as anyone can; the signature cannot be
            body = {key: value[key] for key in value if key not in ("digest", "signature")}
            value["digest"] = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        changed[place] = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    elif kind == "delete":
        del changed[place]
    elif kind == "swap":
        changed[place], changed[other] = changed[other], changed[place]
    elif kind == "repeat":
        changed.insert(other, line)
    else:
        changed[place] = line.replace(b",", b", ", 1)
    return b"".join(each + b"\n" for each in changed)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_edit_deletion_or_reordering_is_detected(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "audit.jsonl"
    if not path.exists():
        written = AuditLog(path, b"k" * 32)
        for number in range(6):
            written.append("promoted" if number % 2 else "evaluated", {"n": number})
        (tmp_path / "good").write_bytes(path.read_bytes())
    good = (tmp_path / "good").read_bytes()
    content = _edits(good.splitlines(), data)
    assume(content != good)
    path.write_bytes(content)
    with pytest.raises(TamperedVersionError):
        AuditLog(path, b"k" * 32).verify()
    path.write_bytes(good)
    assert len(AuditLog(path, b"k" * 32).verify()) == 6


@pytest.mark.parametrize("gone", [("audit.jsonl",), ("audit.jsonl", "live"), ("audit.jsonl", "audit.jsonl.head", "live")])
def test_a_log_that_is_gone_is_no_new_registry(tmp_path: Path, make_rail: Callable[[str], Path], gone: tuple[str, ...]) -> None:
    registry = Registry(tmp_path / "versions")
    registry.promote(registry.add(make_rail("first")), expected_live=None)
    registry.add(make_rail("second"))
    for name in gone:
        (registry.root / name).unlink()
    fault = registry.verify_all()["audit"]
    assert isinstance(fault, TamperedVersionError)
    assert "is gone" in fault.message
