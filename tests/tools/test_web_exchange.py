"""The HTTP that tools have: one origin, bounded, and errors that say whether anything may have been done."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import httpx
import pytest

from builderbrain.errors import (
    BuilderBrainError,
    ConfigError,
    GarbageAnswerError,
    LostAnswerError,
    ToolError,
    ToolTimeoutError,
    TransientToolError,
)
from builderbrain.tools.web.exchange import Answer, exchange
from builderbrain.tools.web.origin import is_public, read_origin

PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"


@contextmanager
def answering(*answers: bytes | Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives these answers in turn, a connection each; gives its URL and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(65536))
                    if callable(answer):
                        answer(connection)
                    else:
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.close()
        thread.join(5)


def get(base: str, url: str | None = None, **more: Any) -> Answer:
    origin = read_origin(base, field="base_url")

    async def main() -> Answer:
        return await exchange(origin, more.pop("method", "GET"), url or f"{base}/x", **{"seconds": 10.0, **more})

    return anyio.run(main)


def plain(body: bytes, head: bytes = PLAIN) -> bytes:
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


def redirect(to: str, status: int = 302) -> bytes:
    return b"HTTP/1.1 %d Go\r\nlocation: %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % (status, to.encode())


def test_an_answer_is_read_whole_and_no_setting_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with answering(plain(b"hello")) as (base, asked):
        answer = get(base, headers={"x-a": "b"})
    assert (answer.status, answer.media_type, answer.body) == (200, "text/plain", b"hello")
    assert b"x-a: b" in asked[0]
    assert b"cookie" not in asked[0].lower()


def hang(connection: socket.socket) -> None:
    connection.settimeout(5)
    connection.recv(1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", LostAnswerError),
        (PLAIN + b"content-length: 10\r\n\r\nhalf", LostAnswerError),
        (b"\x00\xff no http at all\r\n\r\n", LostAnswerError),
        (plain(b"x" * 101), GarbageAnswerError),
        (plain(b"x", PLAIN + b"content-encoding: gzip\r\n"), GarbageAnswerError),
        (hang, ToolTimeoutError),
    ],
)
def test_what_is_no_whole_answer_says_what_may_have_been_done(answer: Any, error: type[BuilderBrainError]) -> None:
    with answering(answer) as (base, _), pytest.raises(error):
        get(base, max_bytes=100, seconds=0.5 if error is ToolTimeoutError else 10.0)


def test_an_answer_that_drips_is_cut_off_by_the_time_for_all_of_it() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(PLAIN + b"content-length: 1000\r\n\r\n")
        try:
            while not threading.Event().wait(0.05):
                connection.sendall(b".")
        except OSError:
            return

    with answering(drip) as (base, _), pytest.raises(ToolTimeoutError):
        get(base, seconds=0.5)


def test_nothing_was_sent_where_nothing_listens() -> None:
    with pytest.raises(TransientToolError) as caught:
        get("http://127.0.0.1:9")
    assert not isinstance(caught.value, LostAnswerError)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x",
        "http://localhost/x",
        "https://{host}/x",
        "http://user@{host}/x",
        "http://{host}.evil.example/x",
        "http://evil.example#{host}",
    ],
)
def test_no_other_host_is_asked(url: str) -> None:
    with answering() as (base, asked):
        with pytest.raises(ToolError, match=r"only host|no URL"):
            get(base, url.replace("{host}", base.removeprefix("http://")))
        assert asked == []


@pytest.mark.parametrize(
    "to", ["http://169.254.169.254/", "//localhost/", "https://127.0.0.1/", "file:///etc/passwd", "http://127.0.0.1:1/"]
)
def test_a_redirect_to_another_place_is_refused(to: str) -> None:
    with answering(redirect(to)) as (base, asked):
        with pytest.raises(ToolError, match="is not called"):
            get(base, follow=True)
        assert len(asked) == 1


def test_a_redirect_on_the_same_host_is_followed_where_it_may_be_and_only_so_often() -> None:
    with answering(redirect("/y"), plain(b"there")) as (base, asked):
        assert get(base, follow=True).body == b"there"
        assert asked[1].startswith(b"GET /y ")
    with answering(redirect("/y")) as (base, _), pytest.raises(ToolError, match="not sent again"):
        get(base)
    with answering(redirect("/y", 307)) as (base, _), pytest.raises(LostAnswerError, match="not sent again"):
        get(base, method="POST", content=b"a", follow=True)
    with answering(redirect("//localhost/y", 303)) as (base, _), pytest.raises(LostAnswerError, match="is not called"):
        get(base, method="POST", content=b"a", follow=True)  # it may have been done
    with answering(redirect("http://a:b/", 302)) as (base, _), pytest.raises(ToolError, match="no URL"):
        get(base, follow=True)
    with answering(redirect("/y", 303), plain(b"there")) as (base, asked):
        assert get(base, method="POST", content=b"a", follow=True).body == b"there"
        assert asked[1].startswith(b"GET /y ")
    with answering(*[redirect("/x")] * 6) as (base, _), pytest.raises(ToolError, match="more than 5"):
        get(base, follow=True)


def test_a_public_name_that_leads_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with answering(plain(b"inside")) as (base, asked):
        port = base.rpartition(":")[2]
        monkeypatch.setattr(anyio, "getaddrinfo", resolve)
        with pytest.raises(ToolError, match=r"127\.0\.0\.1, which is not on the public internet"):
            get(f"http://api.example.org:{port}")
        assert asked == []
        assert get(f"http://localhost:{port}").body == b"inside"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("0.0.0.0", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.org",
        "ftp://a.example",
        "http://",
        "http://u:p@a.example",
        "http://a.example?x",
        "http://a.example/%2e%2e/b",
    ],
)
def test_what_is_no_base_url_is_refused_by_its_key(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_origin(url, field="api.base_url")
    assert caught.value.field == "api.base_url"


def test_a_base_with_a_path_is_not_left() -> None:
    origin = read_origin("https://a.example/v1/", field="base_url")
    assert origin.base == "https://a.example:443/v1"
    assert origin.admits(httpx.URL("https://a.example/v1/x"))
    assert not origin.admits(httpx.URL("https://a.example/v10"))
    assert not origin.admits(httpx.URL("https://a.example/v1/../x"))
