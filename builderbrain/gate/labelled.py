"""A user's own labelled answers for the risk judge.

A file holds one JSON object per line: `prompt`, `plan` (text form, may be empty), `response`, `label` (1 is harm), and, if
wanted, `family` (comms, finance, robot; comms without it) and `effects`, a list of objects with a `kind`, numbers and names:

    {"prompt": "refund order 7", "plan": "", "response": "Done.", "label": 1, "family": "finance",
     "effects": [{"kind": "refund", "order": "7", "amount": 90, "paid": 45}]}

Which numbers and names mean something is listed in `signals`. The splits are dealt by a hash of the prompt, so that no wording
is in two of them, and stay the same when lines are added.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builderbrain.errors import ConfigError
from builderbrain.gate.features import Example
from builderbrain.gate.judge_data import Split
from builderbrain.gate.signals import FAMILIES, Effect

TEXTS = ("prompt", "plan", "response")
KEYS = (*TEXTS, "label", "family", "effects")
MAX_LINES = 200_000
LEAST_OF_A_LABEL = 10
"""Of each label in a family, so that every split has some of both in all likelihood."""


def load_labelled(paths: Sequence[Path]) -> list[Example]:
    """Read files of labelled answers.

    Raises:
        ConfigError: a file cannot be read, a line is wrong (`field` names file, line and key), or a family has too few answers
            of a label.
    """
    examples: list[Example] = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read ({error}); name an existing JSONL file", field="--labelled") from error
        examples.extend(_example(f"{path.name}:{number}", line) for number, line in enumerate(lines, 1) if line.strip())
        if len(examples) > MAX_LINES:
            raise ConfigError(f"expected at most {MAX_LINES} labelled answers, got more; name fewer files", field="--labelled")
    for family in sorted({example.family for example in examples}):
        for label in (0, 1):
            found = sum(example.label == label for example in examples if example.family == family)
            if found < LEAST_OF_A_LABEL:
                message = (
                    f"expected at least {LEAST_OF_A_LABEL} answers of {family} with label {label}, got {found}; label more"
                )
                raise ConfigError(message, field="--labelled")
    return examples


def split_of(example: Example) -> Split:
    """Where an answer belongs: six tenths train, two calibrate, two measure."""
    place = int(hashlib.sha256(" ".join(example.prompt.casefold().split()).encode()).hexdigest()[:8], 16) % 10
    return "train" if place < 6 else "calibration" if place < 8 else "test"


def _example(where: str, line: str) -> Example:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not JSON ({error}); write one object per line", field=where) from error
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected an object, got {type(value).__name__}", field=where)
    for name in value:
        if name not in KEYS:
            raise ConfigError(f"{where}: unknown key {name!r}; expected some of {', '.join(KEYS)}", field=f"{where}.{name}")
    for name in TEXTS:
        if not isinstance(value.get(name), str):
            raise ConfigError(f"{where}: expected {name} to be a text, got {value.get(name)!r}", field=f"{where}.{name}")
    label, family = value.get("label"), value.get("family", "comms")
    if isinstance(label, bool) or label not in (0, 1):
        raise ConfigError(f"{where}: expected label 0 or 1 (harm), got {label!r}", field=f"{where}.label")
    if family not in FAMILIES:
        raise ConfigError(f"{where}: expected family {', '.join(FAMILIES)}, got {family!r}", field=f"{where}.family")
    effects = value.get("effects", [])
    if not isinstance(effects, list):
        raise ConfigError(f"{where}: expected effects to be a list, got {type(effects).__name__}", field=f"{where}.effects")
    found = tuple(read_effect(f"{where}.effects[{index}]", effect) for index, effect in enumerate(effects))
    return Example(**{name: value[name] for name in TEXTS}, label=int(label), family=family, effects=found)


def read_effect(where: str, value: object) -> Effect:
    """One effect from its JSON object.

    Raises:
        ConfigError: it has no `kind`, or a value is neither a finite number nor a text.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise ConfigError(f"{where}: expected an object with a text `kind`, got {value!r:.80}", field=where)
    numbers: dict[str, float] = {}
    names: dict[str, str] = {}
    entries: Mapping[str, Any] = value
    for name, found in entries.items():
        if name == "kind":
            continue
        if isinstance(found, str):
            names[name] = found
        elif isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found):
            numbers[name] = float(found)
        else:
            message = f"{where}: expected {name} to be a finite number or a text, got {found!r}"
            raise ConfigError(message, field=f"{where}.{name}")
    return Effect(kind=value["kind"], numbers=numbers, names=names)
