"""Forms with files: what is read, and that everything else is refused by name without a byte on disk."""

from __future__ import annotations

import tempfile
from typing import Any, Literal

import httpx
import pytest

from builderbrain.errors import InvalidRequestError
from builderbrain.serve.multipart import MAX_TEXT_BYTES, MOST_PARTS, FormModel, parse_form


class Parcel(FormModel):
    file: bytes
    purpose: Literal["a", "b"]


def encoded(files: Any, data: dict[str, Any] | None = None) -> tuple[bytes, str]:
    """As a client writes it."""
    request = httpx.Request("POST", "http://here", files=files, data=data)
    return request.read(), request.headers["content-type"]


def part(disposition: str, content: str = "x") -> str:
    return f"--b\r\nContent-Disposition: {disposition}\r\n\r\n{content}\r\n"


def form(*parts: str, end: str = "--b--\r\n") -> tuple[bytes, str]:
    return ("".join(parts) + end).encode(), "multipart/form-data; boundary=b"


FILE = part('form-data; name="file"; filename="f.txt"')
PURPOSE = part('form-data; name="purpose"', "a")


@pytest.mark.parametrize("content", [b"", b"one\r\ntwo\r\n", b"\r\n--not-the-boundary\r\n" * 50, bytes(range(256)) * 5000])
def test_a_form_has_the_bytes_of_its_file_and_its_texts(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*arguments: Any, **more: Any) -> None:
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", none)
    monkeypatch.setattr(tempfile, "TemporaryFile", none)
    found = parse_form(*encoded({"file": ("../naïve.txt", content)}, {"purpose": "b"}), Parcel)
    assert (found.fields.file, found.fields.purpose) == (content, "b")
    assert found.names == {"file": "../naïve.txt"}


@pytest.mark.parametrize(
    ("sent", "field", "said"),
    [
        ((b"{}", "application/json"), "Content-Type", "multipart/form-data"),
        ((b"", "multipart/form-data"), "Content-Type", "boundary"),
        ((b"", "multipart/form-data; boundary=" + "b" * 9000), None, "do not parse"),
        (form(FILE), "purpose", "required"),
        (form(PURPOSE), "file", "required"),
        (form(FILE, part('form-data; name="purpose"', "c")), "purpose", "expected 'a' or 'b'"),
        (form(FILE, PURPOSE, PURPOSE), "purpose", "more than once"),
        (form(FILE, FILE, PURPOSE), "file", "more than once"),
        (form(part('form-data; name="file"'), PURPOSE), "file", "expected a file"),
        (form(FILE, part('form-data; name="purpose"; filename="a"', "a")), "purpose", "expected text"),
        (form(FILE, PURPOSE, part('form-data; name="purposes"')), "purposes", "did you mean purpose"),
        (form(FILE, part('form-data; name="purpose"', "a" * (MAX_TEXT_BYTES + 1))), "purpose", "at most"),
        (form(FILE, PURPOSE, part("form-data")), None, "have a name"),
        (form(FILE, PURPOSE, part('attachment; name="x"')), None, "have a name"),
        (form(FILE, PURPOSE, "--b\r\n\r\nx\r\n"), None, "have a name"),
        (form(*[part(f'form-data; name="x{number}"') for number in range(MOST_PARTS + 1)]), None, "parts"),
        (form(FILE, PURPOSE, end=""), None, "without its end"),
        (form(FILE, part('form-data; name="purpose"') + "--b", end=""), None, "without its end"),
        ((b"no form", "multipart/form-data; boundary=b"), None, "do not parse"),
        ((b"", "multipart/form-data; boundary=b"), None, "without its end"),
        (form(FILE, PURPOSE, "--b\r\nX: " + "y" * 100_000 + "\r\n\r\nx\r\n"), None, "do not parse"),
        (form(FILE, PURPOSE, "--b\r\n" + "X: y\r\n" * 1000 + "\r\nx\r\n"), None, "do not parse"),
        (
            (b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n\xff\r\n--b--\r\n', form()[1]),
            None,
            "UTF-8",
        ),
    ],
)
def test_what_is_no_such_form_is_refused_by_name(sent: tuple[bytes, str], field: str | None, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said) as refused:
        parse_form(*sent, Parcel)
    assert refused.value.field == field
    assert len(refused.value.message) < 400
