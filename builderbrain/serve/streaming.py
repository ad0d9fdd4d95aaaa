"""Server-sent events: prebuilt bytes, errors before the first event as plain HTTP errors, later ones in the stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from starlette.responses import StreamingResponse

from builderbrain.errors import BuilderBrainError
from builderbrain.serve.replies import encode, error_body

EVENT_STREAM = "text/event-stream"
DONE = b"data: [DONE]\n\n"


def event(body: Any) -> bytes:
    """One event."""
    return b"data: " + encode(body) + b"\n\n"


def typed_event(body: Any) -> bytes:
    """One event with its `type` as the event's name, as the Responses API has it."""
    return b"event: " + str(body.get("type", "error")).encode() + b"\n" + event(body)


async def stream_reply(
    chunks: AsyncGenerator[dict[str, Any], None],
    request_id: str,
    *,
    frame: Callable[[Any], bytes] = event,
    end: bytes = DONE,
) -> StreamingResponse:
    """Stream chunks as events, each made by `frame`, then `end`.

    The first chunk is awaited before the status line is sent, so that what fails early fails with its own status. What
    fails later becomes an event with an `error` object, and no end follows.
    """
    first = await anext(chunks)

    async def body() -> AsyncIterator[bytes]:
        try:
            yield frame(first)
            async for chunk in chunks:
                yield frame(chunk)
            yield end
        except Exception as error:  # noqa: BLE001  (the status line is out; the stream is the only place left)
            yield frame(error_body(error, request_id))
        finally:
            await chunks.aclose()

    return StreamingResponse(body(), media_type=EVENT_STREAM, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})


class SentText:
    """What of one output's text was sent, so that the last chunk can carry what the steps held back."""

    def __init__(self) -> None:
        self.length = 0
        """Characters sent."""

    def add(self, text: str) -> str:
        """Note text that is about to be sent."""
        self.length += len(text)
        return text

    def rest(self, whole: str) -> str:
        """What of the whole text has not been sent.

        Raises:
            BuilderBrainError: more was sent than the output holds.
        """
        if self.length > len(whole):
            raise BuilderBrainError("the stream sent text that the finished output does not hold")
        return whole[self.length :]
