"""The operations of an OpenAPI file as skills: where each argument goes, what an answer gives, and what is left out and why.

GET only reads; everything else has effects. PUT and DELETE may run twice, as HTTP says; POST and PATCH when they declare the
header `Idempotency-Key`. What names no undo (`x-undo`) cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from builderbrain.errors import SchemaError
from builderbrain.plan.openapi.answers import Answers, answers_of
from builderbrain.plan.openapi.document import Document, escaped
from builderbrain.plan.openapi.expression import InexpressibleError, argument, plain_summary, snake_case

METHODS = ("get", "put", "post", "delete", "patch")
KEY_HEADER = "idempotency-key"
_UNSENT_HEADERS = ("accept", "content-type", "authorization")
"""Header parameters that OpenAPI says to ignore."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the value of an argument goes, under which name, and the schema it must fit. `explode` repeats a list's name."""

    where: Literal["path", "query", "body"]
    name: str
    schema: Mapping[str, Any]
    explode: bool = True


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation as a skill.

    Args:
        extensions: its keys that begin with `x-`, without that.
        arguments: by name of plans, as a domain file declares them.
        has_body: whether a JSON object is sent, be it empty.
    """

    skill: str
    method: str
    path: str
    pointer: str
    summary: str
    arguments: Mapping[str, Mapping[str, Any]]
    places: Mapping[str, Place]
    answers: Answers
    has_body: bool
    takes_key: bool
    extensions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reads_only(self) -> bool:
        return self.method == "get"

    @property
    def idempotent(self) -> bool:
        """Whether the server promises that a second call with the same key changes nothing more."""
        return self.method in ("get", "put", "delete") or self.takes_key


@dataclass(frozen=True)
class LeftOut:
    """Something of the file that the domain does not have. `whole` when it is an operation, which no plan can then call."""

    pointer: str
    reason: str
    whole: bool = False


def read_operations(document: Document) -> tuple[tuple[Operation, ...], tuple[LeftOut, ...]]:
    """Every operation that plans can express, and what was left out, both in the order of the file.

    Raises:
        SchemaError: a reference points at nothing, two operations have one name, or none is left.
    """
    found: list[Operation] = []
    left: list[LeftOut] = []
    for path, item in document.root["paths"].items():
        shared = document.resolved(item, f"/paths/{escaped(path)}")
        for method, node in shared.items():
            pointer = f"/paths/{escaped(path)}/{method}"
            if method in ("head", "options", "trace"):
                left.append(LeftOut(pointer, f"{method.upper()} gives nothing that a plan could use", whole=True))
            if method not in METHODS:
                continue
            reader = _Reader(document, path, method, pointer, document.resolved(node, pointer))
            try:
                found.append(reader.read(shared.get("parameters", [])))
                left.extend(reader.left)
            except InexpressibleError as error:
                left.append(LeftOut(pointer, str(error), whole=True))
    names = [operation.skill for operation in found]
    twice = next((operation for at, operation in enumerate(found) if operation.skill in names[:at]), None)
    if twice is not None:
        raise SchemaError(f"two operations are called {twice.skill}; give one another operationId", field=twice.pointer)
    if not found:
        raise SchemaError("no operation of the file can be said in a plan; the reasons are above", field="/paths")
    return tuple(found), tuple(left)


class _Reader:
    """One operation while it is read."""

    def __init__(self, document: Document, path: str, method: str, pointer: str, node: Mapping[str, Any]) -> None:
        self.document, self.path, self.method, self.pointer, self.node = document, path, method, pointer, node
        self.left: list[LeftOut] = []
        self.arguments: dict[str, Mapping[str, Any]] = {}
        self.places: dict[str, Place] = {}
        self.takes_key = False

    def read(self, shared: list[Any]) -> Operation:
        parameters: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}
        for base, listed in ((self.pointer.rpartition("/")[0], shared), (self.pointer, self.node.get("parameters", []))):
            for number, node in enumerate(listed):
                pointer = f"{base}/parameters/{number}"
                parameter = self.document.resolved(node, pointer)
                parameters[parameter.get("in", ""), parameter.get("name", "")] = (pointer, parameter)
        for (where, name), (pointer, parameter) in parameters.items():
            self._parameter(where, name, pointer, parameter)
        has_body = self._body()
        for name in (part.partition("}")[0] for part in self.path.split("{")[1:]):
            if not any(place.where == "path" and place.name == name for place in self.places.values()):
                raise InexpressibleError(f"the path has {{{name}}}, for which no parameter is declared")
        order = sorted(self.arguments, key=lambda name: not self.arguments[name].get("required", False))
        answers, left = answers_of(self.document, self.node, self.pointer)
        self.left += [LeftOut(*each) for each in left]
        named = str(self.node.get("operationId") or f"{self.method}_{self.path}")
        return Operation(
            skill=snake_case(named),
            method=self.method,
            path=self.path,
            pointer=self.pointer,
            summary=plain_summary(self.node.get("summary") or self.node.get("description") or named),
            arguments={name: self.arguments[name] for name in order},
            places=self.places,
            answers=answers,
            has_body=has_body,
            takes_key=self.takes_key,
            extensions={key.removeprefix("x-"): value for key, value in self.node.items() if key.startswith("x-")},
        )

    def _parameter(self, where: str, name: str, pointer: str, parameter: Mapping[str, Any]) -> None:
        required = parameter.get("required") is True
        if where == "header" and name.lower() == KEY_HEADER:
            self.takes_key = True
            return
        if where == "header" and name.lower() in _UNSENT_HEADERS:
            return
        try:
            if where not in ("path", "query"):
                raise InexpressibleError(f"a plan sets no {where}s")
            if "schema" not in parameter:
                raise InexpressibleError("it has no schema; only those with one are understood")
            if parameter.get("style", {"path": "simple", "query": "form"}[where]) not in ("simple", "form"):
                raise InexpressibleError(f"the style {parameter['style']} is not understood")
            place = Place(where=where, name=name, schema=parameter["schema"], explode=parameter.get("explode", True) is True)  # type: ignore[arg-type]
            self._argument(place, f"{pointer}/schema", required, str(parameter.get("description", "")))
            if where == "path" and self.arguments[snake_case(name)]["type"].startswith("list"):
                raise InexpressibleError("a list in a path is not understood")
        except InexpressibleError as error:
            self._not_said(pointer, error, required)

    def _body(self) -> bool:
        if "requestBody" not in self.node:
            return False
        pointer = f"{self.pointer}/requestBody"
        body = self.document.resolved(self.node["requestBody"], pointer)
        media = body.get("content", {}).get("application/json")
        required = body.get("required") is True
        if media is None:
            kinds = ", ".join(body.get("content", {})) or "nothing"
            self._not_said(pointer, InexpressibleError(f"plans send JSON objects, and this takes {kinds}"), required)
            return False
        pointer = f"{pointer}/content/application~1json/schema"
        schema = self.document.schema(media.get("schema", {}), pointer)
        if schema.get("type") != "object" or any(choice in schema for choice in ("oneOf", "anyOf")):
            self._not_said(pointer, InexpressibleError("plans send one JSON object with named properties"), required)
            return False
        for name, property_schema in schema.get("properties", {}).items():
            needed = name in schema.get("required", [])
            where = f"{pointer}/properties/{escaped(name)}"
            if self.document.schema(property_schema, where).get("readOnly") is True:
                continue
            try:
                self._argument(Place(where="body", name=name, schema=property_schema), where, needed, "")
            except InexpressibleError as error:
                self._not_said(where, error, needed)
        return True

    def _argument(self, place: Place, pointer: str, required: bool, summary: str) -> None:
        name = snake_case(place.name)
        if name in self.arguments:
            raise InexpressibleError(f"another argument is called {name}")
        made = argument(self.document, place.schema, pointer, required=required, summary=summary)
        self.arguments[name], self.places[name] = made.entry, place
        for keyword in made.loose:
            self.left.append(LeftOut(f"{pointer}/{keyword}", "is no bound of plans; the call checks it"))

    def _not_said(self, pointer: str, error: InexpressibleError, required: bool) -> None:
        """Leave something out, or with it the operation that cannot do without."""
        if required:
            raise InexpressibleError(f"it needs {pointer}: {error}")
        self.left.append(LeftOut(pointer, str(error)))
