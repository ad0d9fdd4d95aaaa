"""Reading request bodies: strict types, no field silently dropped.

A field is known, or it is harmless and listed as ignored, or it is known elsewhere but not served here and may only hold
its neutral value, or the request is refused with the field's name and the nearest known one. Python's own JSON
parser is not used: pydantic's refuses lone surrogates, bounds nesting and names the place of an error.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, TypeVar

from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, from_json
from starlette.requests import Request

from builderbrain.errors import InvalidRequestError

THREAD_BYTES = 16 * 1024
"""Bodies and texts above this are parsed and tokenised off the event loop."""
MAX_DEPTH = 100
MAX_NAME = 256
"""Characters of a model's name, and of a field's name as it is told in a refusal."""

_JSON_NAMES = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array"}
_OWN_TYPES = ("unknown_field", "refused_field")
_NEUTRAL: tuple[Any, ...] = (None, False, [], {}, "")


class RequestModel(BaseModel):
    """A JSON object of a request, with strict types."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    ignored_fields: ClassVar[frozenset[str]] = frozenset()
    """Accepted and without effect on the output."""
    refused_fields: ClassVar[Mapping[str, str]] = {}
    """Refused unless neutral (null, false, empty); the value says what to do instead."""
    neutral_values: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    """More values of refused fields that ask for nothing."""
    removed_fields: ClassVar[Mapping[str, str]] = {}
    """Refused whatever they hold; the value names the replacement."""
    media_type: ClassVar[str] = "application/json"
    """Of the body that it is read from."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema that pydantic makes, with the fields that are ignored or refused, and no others."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        fields = schema.setdefault("properties", {})
        for name in sorted(cls.ignored_fields - fields.keys()):
            fields[name] = {"description": "Accepted, without effect on the output."}
        for name, advice in cls.refused_fields.items():
            neutrals = [*_NEUTRAL, *cls.neutral_values.get(name, ())]
            fields.setdefault(name, {"enum": neutrals, "description": f"Not served; {advice}."})
        schema["additionalProperties"] = False
        return schema

    @model_validator(mode="before")
    @classmethod
    def _know_every_field(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        known = {info.alias or name for name, info in cls.model_fields.items()}
        for name, value in values.items():
            if name in known or name in cls.ignored_fields:
                continue
            advice = cls.removed_fields.get(name)
            if advice is None and name in cls.refused_fields:
                neutrals = (*_NEUTRAL, *cls.neutral_values.get(name, ()))
                if any(value is neutral or (value == neutral and type(value) is type(neutral)) for neutral in neutrals):
                    continue
                advice = cls.refused_fields[name]
            if advice is None:
                near = difflib.get_close_matches(name, known, n=1)
                advice = f"did you mean {near[0]}?" if near else f"known fields are {', '.join(sorted(known))}"
                raise PydanticCustomError("unknown_field", "unknown field; {advice}", {"name": name, "advice": advice})
            raise refusal(name, f"this field is not served; {advice}")
        return values


_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_SHOULD = re.compile(r"^\w+ should (?:be|have) ")
"""How pydantic begins ("Input should be a valid string"); ours begin like all other messages of the project."""
_IN_OTHER_WORDS = (
    (re.compile(r"valid dictionary(?: or instance of \w+)?"), "JSON object"),
    (re.compile(r" after validation, not \d+$"), ""),
)
"""What pydantic says of Python's types and its own workings, in the words of a client."""

Texts = Annotated[list[str], Field(fail_fast=True)]
"""A list ends at its first wrong element: a million of them would else be a million errors, and minutes."""

M = TypeVar("M", bound=RequestModel)


def refusal(field: str, message: str) -> PydanticCustomError:
    """What a validator over several fields raises: `message` says what was expected, `field` is the one to change."""
    return PydanticCustomError("refused_field", "{advice}", {"name": field, "advice": message})


async def read_request(request: Request, model: type[M]) -> M:
    """The body of a request as a model.

    Raises:
        InvalidRequestError: not JSON, or a field is wrong; `field` is its dotted path.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json":
        raise InvalidRequestError(
            f"expected the header Content-Type: application/json, got {media_type or 'none'}", field="Content-Type"
        )
    body = await request.body()
    if len(body) > THREAD_BYTES:
        return await to_thread.run_sync(parse_request, body, model)
    return parse_request(body, model)


def parse_request(body: bytes, model: type[M]) -> M:
    """See `read_request`."""
    try:
        values = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRequestError(f"expected a JSON object as the body, got bytes that do not parse: {error}") from error
    if not isinstance(values, dict):
        raise InvalidRequestError(f"expected a JSON object as the body, got {_JSON_NAMES[type(values)]}")
    _check_depth(values)
    _refuse_duplicate_keys(body)
    return validated(values, model)


def validated(values: Mapping[str, Any], model: type[M]) -> M:
    """Decoded values as a model.

    Raises:
        InvalidRequestError: a field is wrong; `field` is its dotted path.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # Of the branches of a union, the one that got deepest says most, and then one of our own.
        details = error.errors(include_url=False)
        raise _named_refusal(max(details, key=lambda detail: (len(detail["loc"]), detail["type"] in _OWN_TYPES))) from error


def read_query(request: Request, model: type[M]) -> M:
    """The query of a request as a model whose fields are texts and whole numbers.

    Raises:
        InvalidRequestError: a field is unknown, wrong or there twice.
    """
    values: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        if name in values:
            raise InvalidRequestError(f"{_joined([name])}: expected it once in the query, got it more than once", field=name)
        known = model.model_fields.get(name)
        values[name] = int(text) if known is not None and known.annotation is int and _WHOLE.fullmatch(text) else text
    return validated(values, model)


def _check_depth(values: Any) -> None:
    level = [values]
    for _ in range(MAX_DEPTH):
        children = [inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer)]
        level = [child for child in children if isinstance(child, dict | list)]
        if not level:
            return
    raise InvalidRequestError(f"expected a body nested at most {MAX_DEPTH} levels deep, got a deeper one")


class _Twice(dict[str, Any]):
    """An object of a body in which `key` stands more than once."""

    key = ""


def _refuse_duplicate_keys(body: bytes) -> None:
    """A second reading of a body that has been parsed and is not deep: pydantic's parser keeps the last of equal keys silently,
    and another reader on the way may keep the first."""
    found: list[_Twice] = []

    def as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        twice = _Twice(made)
        twice.key = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        found.append(twice)
        return twice

    values = json.loads(body.decode(), object_pairs_hook=as_object)
    if found:
        twice = found[-1]  # the outermost, which the others may be hidden behind
        field = _joined([*(_path_to(twice, values) or []), twice.key])
        raise InvalidRequestError(f"{field}: expected each key once in an object, got this one more than once", field=field)


def _path_to(wanted: _Twice, values: Any) -> list[str] | None:
    if values is wanted:
        return []
    inner = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for name, value in inner:
        if (path := _path_to(wanted, value)) is not None:
            return [str(name), *path]
    return None


def _named_refusal(detail: ErrorDetails) -> InvalidRequestError:
    # Branches of a union appear in the path as type names, which are no fields; request fields are lower case words.
    path = [str(part) for part in detail["loc"] if isinstance(part, int) or part.isidentifier()]
    path = [part for part in path if part == part.lower() and part not in ("str", "int", "float", "bool")]
    if detail["type"] in _OWN_TYPES:
        path.append(detail["ctx"]["name"])
        field = _joined(path)
        return InvalidRequestError(f"{field}: {detail['msg']}", field=field)
    field = _joined(path)
    if detail["type"] == "missing":
        return InvalidRequestError(f"{field}: this field is required", field=field)
    got = _shorten(detail["input"])
    message = _SHOULD.sub("expected ", detail["msg"])
    for theirs, ours in _IN_OTHER_WORDS:
        message = theirs.sub(ours, message)
    message = message[0].lower() + message[1:]
    return InvalidRequestError(f"{field}: {message}, got {got}", field=field or None)


def _joined(path: Sequence[str]) -> str:
    """A dotted path. Its names may be the client's own, of any length."""
    field = ".".join(path)
    return field if len(field) <= MAX_NAME else f"{field[: MAX_NAME - 3]}..."


def _shorten(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 80 else f"{text[:77]}..."
