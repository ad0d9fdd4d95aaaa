"""prove_algebra: what holds, what fails and where, what stays unknown, and claims that mean it harm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from builderbrain.errors import ToolError
from builderbrain.tools import prove_algebra
from builderbrain.tools.claim import MAX_DEPTH, parse_claim
from builderbrain.tools.prove_algebra_worker import decide
from tests.tools.repository import FLOOD, HANGING, MISBEHAVING, call


def verdict_of(text: str) -> tuple[str, str | None]:
    claim = parse_claim(text)
    found = decide(claim.left, claim.right, list(claim.names))
    return found["verdict"], found["counterexample"]


@pytest.mark.parametrize(
    "claim",
    [
        "(x+1)^2 = x^2 + 2*x + 1",
        "(a+b)*(a-b) == a**2 - b**2",
        "2(x+1) = 2x + 2",
        "x/x = 1",
        "1/(x-1) - 1/(x+1) = 2/(x^2-1)",
        "sin(x)^2 + cos(x)^2 = 1",
        "sin(2x) = 2*sin(x)*cos(x)",
        "sqrt(x^2) = abs(x)",
        "exp(x+y) = exp(x)*exp(y)",
        "exp(ln(x)) = x",
        "-x^2 = -(x*x)",
        "2^-1 = .5",
        "2^3^2 = 512",
        "1 - 2 - 3 = -4",
        "8 / 4 / 2 = 1",
        "0.1 + 0.2 = 0.3",
    ],
)
def test_an_identity_holds(claim: str) -> None:
    assert verdict_of(claim) == ("holds", None)


@pytest.mark.parametrize(
    ("claim", "counterexample"),
    [
        ("sqrt(x^2) = x", "x = -1"),
        ("(x+y)^2 = x^2 + y^2", "x = 2, y = -1"),
        ("x = x + 1/100000000000000000000", "x = 2"),
        ("1 = 2", "no variables"),
        ("abs(x) = -x", "x = 2"),
        ("pi = 3.14159265358979", "no variables"),
        ("sin(x) = x", "x = 2"),
    ],
)
def test_a_counterexample_is_found(claim: str, counterexample: str) -> None:
    assert verdict_of(claim) == ("fails", counterexample)


@pytest.mark.parametrize(
    "claim",
    ["log(x*y) = log(x) + log(y)", "sqrt(x)*sqrt(y) = sqrt(x*y)", "1/0 = 1", "sqrt(-1) = x", "log(-1) = 1", "0^-1 = 0^-1"],
)
def test_what_is_not_decided_is_unknown_never_wrong(claim: str) -> None:
    assert verdict_of(claim) == ("unknown", None)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("", "expected a number, a name or"),
        ("x", "expected = between two sides"),
        ("x = ", "got the end"),
        ("x = y = z", "expected the end"),
        ("(x = y", r"expected \)"),
        ("x ^ = 2", "expected a number, a name"),
        ("f(x) = 1", "f is no function here"),
        ("sin x = 1", r"expected \( after sin"),
        ("__import__('os') = 1", "got '_'"),
        ("x.__class__ = 1", r"got '.'"),
        ("x; y = 1", "got ';'"),
        ("x = [1]", r"got '\['"),
        ("x^65 = 1", "at most 64"),
        ("9" * 31 + " = 1", "at most 30 digits"),
        ("x" * 31 + " = 1", "at most 30 characters"),
        ("(" * (MAX_DEPTH + 5) + "x = 1", "nested at most"),
        ("-" * 400 + "x = 1", "nested at most"),
        ("+".join("abcdfghij") + " = 1", "at most 8 variables"),
        ("x" + "+x" * 300 + " = 1", "at most 512 characters"),
        ("٣ = 3", "expected numbers"),
    ],
)
def test_what_is_no_claim_is_refused_with_the_reason(claim: str, message: str) -> None:
    with pytest.raises(ToolError, match=message) as refused:
        parse_claim(claim)
    assert refused.value.field == "claim"


def test_names_of_python_are_variables_like_others() -> None:
    assert parse_claim("exec + lambda = None").names == ("None", "exec", "lambda")
    assert verdict_of("None + open = open + None") == ("holds", None)


def test_the_tool_says_what_was_decided_and_why(tmp_path: Path) -> None:
    found = call(tmp_path, "prove_algebra", claim="x + x = 3x")
    assert (found["verdict"], found["holds"], found["counterexample"]) == ("fails", False, "x = 2")
    assert found["text"] == "x + x = 3x: fails for x = 2; there the sides are 4 and 6"


@pytest.mark.parametrize("claim", ["((((x+y+z)^64)^64)^64)^64 = 1", "2^(2^(2^(2^(2^9)))) = 3"])
def test_a_claim_that_would_take_for_ever_is_unknown_in_time(tmp_path: Path, claim: str) -> None:
    started = time.monotonic()
    found = call(tmp_path, "prove_algebra", seconds=3.0, claim=claim)
    assert time.monotonic() - started < 10
    assert (found["verdict"], found["holds"], found["counterexample"]) == ("unknown", None, None)


def replaced(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    worker = folder / "worker.py"
    worker.write_text(script)
    monkeypatch.setattr(prove_algebra, "_WORKER", worker)


@pytest.mark.parametrize("fault", sorted(set(MISBEHAVING) - {"killed"}))
def test_a_process_that_breaks_gives_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    replaced(monkeypatch, tmp_path, MISBEHAVING[fault])
    with pytest.raises(ToolError, match="no verdict"):
        call(tmp_path, "prove_algebra", claim="x = x")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (MISBEHAVING["killed"], "stopped it at a limit"),
        (HANGING, "not decided within"),
        ("import json\ntry:\n    x = bytearray(2 * 1024**3)\nexcept MemoryError:\n    "
         "print(json.dumps({'verdict': 'unknown', 'counterexample': None, 'reason': 'no room'}))", "no room"),
    ],
)  # fmt: skip
def test_what_reaches_a_limit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str) -> None:
    replaced(monkeypatch, tmp_path, script)
    found = call(tmp_path, "prove_algebra", seconds=2.0, claim="x = x")
    assert found["verdict"] == "unknown"
    assert reason in found["text"]


def test_a_flood_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(monkeypatch, tmp_path, FLOOD)
    with pytest.raises(ToolError, match="no verdict"):
        call(tmp_path, "prove_algebra", claim="x = x")


def test_without_sympy_the_refusal_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(monkeypatch, tmp_path, "raise ModuleNotFoundError(\"No module named 'sympy'\")")
    with pytest.raises(ToolError, match="pip install sympy"):
        call(tmp_path, "prove_algebra", claim="x = x")
