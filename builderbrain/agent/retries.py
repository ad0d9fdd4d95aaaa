"""When a failed call is made again: transient faults of idempotent skills only, with waits that double."""

from __future__ import annotations

from builderbrain.errors import BuilderBrainError, TransientToolError
from builderbrain.plan.domain import Skill

LONGEST_WAIT_SECONDS = 60.0


def has_effects(skill: Skill) -> bool:
    """Whether a call changes something outside, so that it must not be made twice by accident."""
    return skill.safety != "read_only"


def is_repeatable(skill: Skill) -> bool:
    """Whether a call may be made again when nobody knows what became of the first."""
    return skill.idempotent or not has_effects(skill)


def is_transient(error: BuilderBrainError) -> bool:
    """Whether the same call may succeed later. A timeout is none: the step has had its time."""
    return isinstance(error, TransientToolError)


def wait_before(skill: Skill, attempt: int) -> float:
    """Seconds to wait before the attempt of this number (2 is the first repetition): 1, 2, 4, 8, ... times the skill's own."""
    return min(LONGEST_WAIT_SECONDS, skill.retry_wait_seconds * 2.0 ** (attempt - 2))


def may_repeat(skill: Skill, attempt: int, error: BuilderBrainError) -> bool:
    """Whether another attempt follows the failed one of this number."""
    return is_repeatable(skill) and is_transient(error) and attempt < skill.retry_attempts
