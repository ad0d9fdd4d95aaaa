"""The tools of one request: which functions may be called, and the constraint that every call satisfies.

Endpoints with different request formats make the same `Toolbox`; what differs are the places of fields in the request.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from builderbrain.errors import InvalidRequestError
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.validate import check_json, validator_for
from builderbrain.serve.tool_text import END, SEPARATOR, TRIGGER, begin, functions_text

_SCHEMA_POINTER = "/content/json_schema"
_TAGS_POINTER = "/format/tags"


def invalid(field: str, message: str) -> InvalidRequestError:
    """The refusal of a field."""
    return InvalidRequestError(f"{field}: {message}", field=field)


@dataclass(frozen=True, kw_only=True)
class ToolFunction:
    """A function that a request offers.

    `schema` is what its arguments must satisfy, always one of objects; `shown` the schema that the model reads; `place` and
    `name_place` are where the parameters and the name stand in the request.
    """

    name: str
    description: str | None
    schema: dict[str, Any]
    shown: Any
    place: str
    name_place: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A request's `tool_choice`. `names` are the functions it allows, None for all; `place` is where those stand."""

    mode: Literal["none", "auto", "required"] = "auto"
    names: tuple[str, ...] | None = None
    one: bool = False
    """One function was named: it is called once."""
    place: str = "tool_choice"


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """The functions of a request. The model is shown all of them and may call those in `callable`."""

    functions: tuple[ToolFunction, ...]
    callable: tuple[ToolFunction, ...]
    required: bool
    parallel: bool

    def instructions(self) -> str:
        """What the system's turn says about the functions."""
        return functions_text(
            [
                {
                    "name": each.name,
                    **({} if each.description is None else {"description": each.description}),
                    "parameters": each.shown,
                }
                for each in self.functions
            ]
        )

    @cached_property
    def constraint(self) -> Constraint:
        """Free text and then calls, or calls alone when one is required."""
        tags = [
            {
                "type": "tag",
                "begin": begin(each.name),
                "content": {"type": "json_schema", "json_schema": each.schema},
                "end": END,
            }
            for each in self.callable
        ]
        form = {
            **({"type": "tags_with_separator"} if self.required else {"type": "triggered_tags", "triggers": [TRIGGER]}),
            "tags": tags,
            "separator": SEPARATOR,
            "at_least_one": self.required,
            "stop_after_first": not self.parallel,
        }
        source = json.dumps({"type": "structural_tag", "format": form}, ensure_ascii=False)
        return Constraint(kind="structural_tag", source=source)

    def place(self, pointer: str) -> str:
        """Where in the request stands what `pointer` names in the constraint."""
        index, found, rest = pointer.removeprefix(f"{_TAGS_POINTER}/").partition(_SCHEMA_POINTER)
        return self.callable[int(index)].place + rest if found and index.isdecimal() else "tools"

    def fault(self, name: str, arguments: str) -> str | None:
        """Why the arguments of a call are not valid; None when they are."""
        found = next((each for each in self.callable if each.name == name), None)
        return f"no function {name}" if found is None else check_json(arguments, validator_for(found.schema))


def argument_schema(parameters: dict[str, Any] | bool | None, *, strict: bool, place: str) -> dict[str, Any]:
    """The schema that arguments must satisfy: one that allows objects alone. Without `strict`, any object.

    Raises:
        InvalidRequestError: the parameters allow no object.
    """
    if not strict or parameters is True:
        return {"type": "object"}
    if parameters is None:
        return {"type": "object", "properties": {}, "additionalProperties": False}
    if parameters is False:
        raise invalid(place, "expected a schema of an object, got false; send the schema of the arguments")
    kind = parameters.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise invalid(f"{place}/type", f"expected object, got {json.dumps(kind)[:60]}; arguments are always an object")
    return {**parameters, "type": "object"}


def make_toolbox(functions: Sequence[ToolFunction], choice: Choice, *, parallel: bool) -> Toolbox | None:
    """The toolbox of a request; None when no function may be called.

    Raises:
        InvalidRequestError: a name is there twice, or the choice asks for what is not there.
    """
    by_name: dict[str, ToolFunction] = {}
    for each in functions:
        if each.name in by_name:
            raise invalid(each.name_place, f"expected names that differ, got {each.name!r} twice; rename one")
        by_name[each.name] = each
    if not functions and (choice.mode == "required" or choice.names is not None):
        raise invalid(choice.place, "expected tools to choose from, got none; send tools, or leave tool_choice out")
    for name in choice.names or ():
        if name not in by_name:
            raise invalid(choice.place, f"expected one of {', '.join(by_name)}, got {name!r}; name a function of tools")
    if choice.mode == "none" or not functions:
        return None
    return Toolbox(
        functions=tuple(functions),
        callable=tuple(functions if choice.names is None else [each for each in functions if each.name in choice.names]),
        required=choice.mode == "required",
        parallel=parallel and not choice.one,
    )
