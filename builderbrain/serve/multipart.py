"""Reading forms with files (`multipart/form-data`, RFC 7578), as strictly as JSON bodies.

A body is in memory when it is read here, and so are its files: unlike the framework's reader this one writes nothing to disk,
where nothing may stand before it was looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from anyio import to_thread
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from builderbrain.errors import InvalidRequestError
from builderbrain.serve.fields import THREAD_BYTES, RequestModel, validated

MOST_PARTS = 16
MAX_TEXT_BYTES = 16 * 1024
FORM_BYTES = 64 * 1024
"""What a form may have beside its files."""


class FormModel(RequestModel):
    """The fields of a form: texts, and `bytes` for what has to be a file."""

    media_type: ClassVar[str] = "multipart/form-data"


F = TypeVar("F", bound=FormModel)


@dataclass(frozen=True, kw_only=True)
class Form(Generic[F]):
    """A form. `names` are those that the client gives its files, by field; they are texts and no paths."""

    fields: F
    names: Mapping[str, str]


async def read_form(request: Request, model: type[F]) -> Form[F]:
    """The body of a request as a form.

    Raises:
        InvalidRequestError: not a form, or a field is unknown, missing, there twice, of the other kind or wrong.
    """
    content_type = request.headers.get("content-type", "")
    body = await request.body()
    if len(body) > THREAD_BYTES:
        return await to_thread.run_sync(parse_form, body, content_type, model)
    return parse_form(body, content_type, model)


def parse_form(body: bytes, content_type: str, model: type[F]) -> Form[F]:
    """See `read_form`."""
    kind, options = parse_options_header(content_type.encode("latin-1", "replace"))
    boundary = options.get(b"boundary")
    if kind != model.media_type.encode() or not boundary:
        raise InvalidRequestError(
            f"expected the header Content-Type: {model.media_type}; boundary=..., got {content_type[:80] or 'none'}",
            field="Content-Type",
        )
    reader = _Reader()
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise InvalidRequestError(f"expected a form as the body, got bytes that do not parse: {error}") from error
    if not reader.ended:
        raise InvalidRequestError("expected a form as the body, got one without its end; send it whole")
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    for part in reader.parts:
        name, file_name, content = _read(part)
        if name in values:
            raise InvalidRequestError(f"{name:.80}: expected this field once, got it more than once", field=name[:80])
        if name in model.model_fields and (model.model_fields[name].annotation is bytes) != (file_name is not None):
            wanted, got = ("a file", "text") if file_name is None else ("text", "a file")
            raise InvalidRequestError(f"{name}: expected {wanted}, got {got}", field=name)
        values[name] = content
        if file_name is not None:
            names[name] = file_name
    return Form(fields=validated(values, model), names=names)


@dataclass
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    content: list[bytes] = field(default_factory=list)


def _read(part: _Part) -> tuple[str, str | None, str | bytes]:
    """Name, name of the file where it is one, and content."""
    kind, options = parse_options_header(part.headers.get(b"content-disposition"))
    if kind != b"form-data" or not options.get(b"name"):
        raise InvalidRequestError("expected every part of the form to have a name (Content-Disposition: form-data; name=...)")
    try:
        name = options[b"name"].decode()
        file_name = options[b"filename"].decode() if b"filename" in options else None
        content = b"".join(part.content)
        if file_name is not None:
            return name, file_name, content
        if len(content) > MAX_TEXT_BYTES:
            raise InvalidRequestError(f"{name:.80}: expected at most {MAX_TEXT_BYTES} bytes of text", field=name[:80])
        return name, None, content.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequestError("expected names and texts of the form in UTF-8, got other bytes") from error


class _Reader:
    """What the parser tells, put together. Headers are bounded by the parser itself."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.ended = False
        self._header: list[bytes] = [b"", b""]

    def callbacks(self) -> Any:
        """As the parser wants them."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._add(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._add(1, data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self.parts[-1].content.append(data[start:end]),
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) == MOST_PARTS:
            raise InvalidRequestError(f"expected a form of at most {MOST_PARTS} parts, got more")
        self.parts.append(_Part())

    def _add(self, place: int, data: bytes) -> None:
        self._header[place] += data

    def _end_header(self) -> None:
        name, value = self._header
        self.parts[-1].headers[name.lower()] = value
        self._header = [b"", b""]

    def _end(self) -> None:
        self.ended = True
