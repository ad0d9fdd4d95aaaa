"""Independent checks of finished texts; none shares code with the engine that made the mask.

JSON: strict parsing, then jsonschema-rs (Rust, linear-time regular expressions, no network). Regex: the same linear-time
matcher. Choice: membership. Structural tags: tag by tag, in `validate_tags.py`. An EBNF grammar has no second implementation
here; its text is replayed byte by byte through a fresh matcher, which catches faults of tokenisation and masks but not of the
grammar's reading.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from builderbrain.errors import GrammarRefusedError
from builderbrain.grammar.json_text import JsonTextError, parse_strict
from builderbrain.grammar.strict_text import MAX_DEPTH

_REGEX_BYTES = 4 * 1024 * 1024


def validator_for(schema: dict[str, Any] | bool) -> Any:
    """A jsonschema-rs validator that reaches no network and asserts formats.

    Raises:
        GrammarRefusedError: no valid JSON Schema.
    """
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(
            schema,
            offline=True,
            validate_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=_REGEX_BYTES, dfa_size_limit=_REGEX_BYTES),
        )
    except jsonschema_rs.ValidationError as error:
        pointer = "".join(f"/{part}" for part in error.instance_path)
        raise GrammarRefusedError(
            f"expected a valid JSON Schema, got: {error.message:.200}; correct it", field=pointer
        ) from error
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise GrammarRefusedError(f"expected a valid JSON Schema, got: {error!s:.200}; correct it", field="") from error


def check_json(text: str, validator: Any) -> str | None:
    """None when `text` is strict JSON and satisfies the validator, else the reason in one line."""
    try:
        value = parse_strict(text, max_depth=MAX_DEPTH)
    except JsonTextError as error:
        return f"not strict JSON: {error}"
    fault = next(iter(validator.iter_errors(value)), None)
    if fault is None:
        return None
    pointer = "".join(f"/{part}" for part in fault.instance_path)
    return f"{pointer or 'the value'}: {fault.message:.200}"


def regex_validator(pattern: str, *, field: str = "regex") -> Any:
    """A validator of strings that match `pattern` from start to end, in time linear in the string.

    Raises:
        GrammarRefusedError: the linear-time engine does not take the pattern.
    """
    try:
        return validator_for({"type": "string", "pattern": f"^(?:{pattern})$"})
    except GrammarRefusedError as error:
        raise GrammarRefusedError(
            f"expected a regular expression, got {pattern!r:.80}; correct it or use a simpler one", field=field
        ) from error


@cache
def object_validator() -> Any:
    """Accepts any JSON object."""
    return validator_for({"type": "object"})
