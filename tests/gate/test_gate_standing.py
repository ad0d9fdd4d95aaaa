"""How a version stands with the gate, after everything that may have happened to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builderbrain.errors import GateRefusedError, TamperedVersionError, VersionNotFoundError
from builderbrain.gate.registry import Registry
from builderbrain.gate.standing import require_servable, standing_of
from builderbrain.storage import fail_point_hook

MakeRail = Callable[[str], Path]
Evaluated = Callable[..., None]


@pytest.fixture
def two(tmp_path: Path, make_rail: MakeRail) -> tuple[Registry, str, str]:
    """A registry with one live version and another that nobody evaluated."""
    registry = Registry(tmp_path / "versions")
    first, second = registry.add(make_rail("first")), registry.add(make_rail("second"))
    registry.promote(first, expected_live=None)
    return registry, first, second


def test_the_way_of_a_version(two: tuple[Registry, str, str], evaluated: Evaluated) -> None:
    registry, first, second = two

    def state(version: str) -> str:
        return standing_of(registry, version).state

    assert (state(first), state(second)) == ("live", "not evaluated")
    evaluated(registry, second, delta=1.0)
    assert state(second) == "rejected"
    evaluated(registry, second)
    assert state(second) == "accepted"
    registry.promote(second, expected_live=first)
    assert (state(first), state(second)) == ("promoted", "live")
    registry.rollback()
    assert (state(first), state(second)) == ("live", "rolled back")
    evaluated(registry, second)
    assert state(second) == "accepted"


def test_a_version_that_was_live_and_is_rejected_later_may_not_be_served(
    two: tuple[Registry, str, str], evaluated: Evaluated
) -> None:
    registry, first, second = two
    evaluated(registry, second)
    registry.promote(second, expected_live=first)
    evaluated(registry, first)
    assert standing_of(registry, first).state == "promoted"
    evaluated(registry, first, delta=1.0)
    with pytest.raises(GateRefusedError, match="rejected"):
        require_servable(registry, first)


def test_a_refusal_names_the_command(two: tuple[Registry, str, str]) -> None:
    registry, first, second = two
    assert require_servable(registry, first).state == "live"
    with pytest.raises(GateRefusedError, match=f"builderbrain.gate --registry .* evaluate {second}"):
        require_servable(registry, second)
    with pytest.raises(VersionNotFoundError):
        require_servable(registry, "0" * 16)


class Stopped(BaseException):
    """The process dies here."""


@pytest.mark.parametrize(("point", "moved"), [("registry.promoting", False), ("registry.moved", True)])
def test_a_rollback_that_a_crash_cut_off_counts_when_the_pointer_had_moved(
    two: tuple[Registry, str, str], evaluated: Evaluated, point: str, moved: bool
) -> None:
    registry, first, second = two
    evaluated(registry, second)
    registry.promote(second, expected_live=first)

    def stop(name: str) -> None:
        if name == point:
            raise Stopped

    with pytest.raises(Stopped), fail_point_hook(stop):
        registry.rollback()
    registry.begin_attempt(first)  # the next writer settles what the crash left
    assert standing_of(registry, second).state == ("rolled back" if moved else "live")


def test_a_report_that_was_swapped_for_an_older_one_counts_for_nothing(
    two: tuple[Registry, str, str], evaluated: Evaluated
) -> None:
    registry, _, second = two
    evaluated(registry, second)
    path = registry.root / "reports" / f"{second}.json"
    older = path.read_bytes()
    evaluated(registry, second)
    assert standing_of(registry, second).state == "accepted"
    path.write_bytes(older)
    with pytest.raises(TamperedVersionError, match="evaluate again"):
        standing_of(registry, second)
    os.unlink(path)
    with pytest.raises(TamperedVersionError):
        standing_of(registry, second)
