"""A function that is called again and again beside the server, until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Repeated:
    """A daemon thread that calls `look` every `seconds`.

    Args:
        name: of the thread.
        look: must not raise.
        seconds: between the end of a call and the next one.
    """

    def __init__(self, name: str, look: Callable[[], None], *, seconds: float) -> None:
        self._look = look
        self._seconds = seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"builderbrain-{name}", daemon=True)

    def start(self) -> None:
        """Start calling; the first call is `seconds` away."""
        self._thread.start()

    def stop(self) -> None:
        """Call no more, and wait for a call under way."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            self._look()
