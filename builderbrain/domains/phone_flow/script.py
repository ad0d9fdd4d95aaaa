"""Calls as data: who calls, what they answer, when they hang up, and what the desk behind the line has and lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builderbrain.errors import SimulationError

Method = Literal["pin", "birth_date", "one_time_code"]
Team = Literal["billing", "orders", "technical", "complaints", "reception"]
READS_THE_CODE = "<code>"
"""An answer with which the caller reads out the code that was sent to their number."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Wish(_Data):
    """What the caller says they want, and what is understood of it."""

    text: str
    topic: Literal["billing", "order", "technical", "complaint", "other"]
    percent: int = Field(default=90, ge=0, le=100)
    urgent: bool = False


class Caller(_Data):
    """Who calls.

    Args:
        number: that they call from; null when it is withheld.
        language: that they answer in; null when they say nothing.
        proofs: by method, what they answer each time they are asked; null is silence, and so is whatever follows the list.
        wishes: what they answer each time they are asked what they want; null is silence.
        hangs_up_after: seconds of the call; null when they stay.
    """

    number: str | None = None
    language: Literal["en", "de", "fr", "es"] | None = "en"
    proofs: dict[Method, list[str | None]] = Field(default_factory=dict)
    wishes: list[Wish | None] = Field(default_factory=list)
    hangs_up_after: float | None = Field(default=None, gt=0)


class Customer(_Data):
    """A record of the desk."""

    id: str
    name: str
    number: str | None
    pin: str
    birth_date: str
    open_cases: int = 0
    owed_cents: int = 0
    blocked: bool = False


class Desk(_Data):
    """What is behind the line.

    Args:
        free: by team, the people who would take a call now.
        frees_after: seconds of a hold after which somebody is free; null when nobody is.
        queue_places: how many calls the queue takes still.
        unreachable: numbers that no callback can be made to.
    """

    customers: list[Customer]
    free: dict[Team, list[str]] = Field(default_factory=dict)
    frees_after: float | None = None
    queue_places: int = Field(default=5, ge=0)
    unreachable: list[str] = Field(default_factory=list)


class CallScript(_Data):
    """One call."""

    summary: str
    caller: Caller
    desk: Desk


def read_script(data: object) -> CallScript:
    """A script from decoded JSON.

    Raises:
        SimulationError: names the field that is wrong.
    """
    try:
        return CallScript.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "script"
        raise SimulationError(f"the call script is wrong at {field}: {first['msg']}", field=field) from error


@lru_cache(maxsize=1)
def scripts() -> Mapping[str, CallScript]:
    """The scripts that come with the package, by name (`scripts.json` beside this file)."""
    text = files("builderbrain.domains.phone_flow").joinpath("scripts.json").read_text(encoding="utf-8")
    read = json.loads(text)
    return {
        name: read_script({"desk": read["desk"] | script.pop("desk", {}), **script}) for name, script in read["scripts"].items()
    }


def load_script(name: str) -> CallScript:
    """One of them.

    Raises:
        SimulationError: there is none of this name; names those that there are.
    """
    found = scripts().get(name)
    if found is None:
        raise SimulationError(f"expected a call script, one of {', '.join(scripts())}, got {name!r:.80}", field="script")
    return found
