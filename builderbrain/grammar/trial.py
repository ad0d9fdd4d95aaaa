"""Tries compilations in a killable child process, so that a hostile schema costs its sender a 400 and no one else a stall.

The compiled grammar stays in the child: handing it over costs far more than compiling again (a 3.5 MB grammar serialises to
675 MB). What compiled there within the limits compiles here in the same time.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from typing import Any

from builderbrain.errors import GrammarLimitError, GrammarRefusedError, NotReadyError
from builderbrain.grammar.native import EngineName, NativeKind
from builderbrain.grammar.vocabulary import Vocabulary

_START_SECONDS = 300.0
"""Importing takes about 4 s of processor time, which a crowded machine may stretch."""


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


class CompileTrial:
    """One child, started at first use and again after it was killed. Trials run one at a time."""

    def __init__(
        self, vocabulary: Vocabulary, *, engines: tuple[EngineName, ...], seconds: float = 2.0, memory_bytes: int = 1 << 30
    ) -> None:
        self._vocabulary = vocabulary
        self._engines = engines
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None
        self._received = b""
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Start the child, so that the first trial does not wait seconds for it.

        Raises:
            NotReadyError: it does not start.
        """
        with self._lock:
            self._ensure()

    def run(self, engine: EngineName, kind: NativeKind, source: str, *, field: str) -> None:
        """Compile `source` with that library in the child and fill one mask.

        Raises:
            GrammarLimitError: it took longer than the time limit; the child was killed.
            GrammarRefusedError: the engine refuses it, or the child died (memory, a crash).
            NotReadyError: the child does not start.
        """
        with self._lock:
            process = self._ensure()
            reply = None
            try:
                reply = self._exchange(process, {"engine": engine, "kind": kind, "source": source}, self._seconds)
            except TimeoutError as error:
                raise GrammarLimitError(
                    f"compile time: expected at most {self._seconds:g} s, got more; use a smaller or simpler one", field=field
                ) from error
            except (OSError, EOFError) as error:
                raise GrammarRefusedError(
                    f"expected a source that compiles within {self._memory_bytes >> 20} MiB, but the compiler gave up; "
                    "use a smaller or simpler one",
                    field=field,
                ) from error
            finally:
                if reply is None:
                    self._stop()
        if reply["error"] is not None:
            raise refusal(reply["error"], field=field)

    def close(self) -> None:
        """Kill the child, if there is one."""
        with self._lock:
            self._stop()

    def _ensure(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "builderbrain.grammar.compile_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self._finalizer = weakref.finalize(self, _end, self._process)
        settings = {
            "tokens": [token.hex() for token in self._vocabulary.token_bytes],
            "eos": self._vocabulary.eos_token_id,
            "engines": self._engines,
            "memory": self._memory_bytes,
            "seconds": self._seconds,
        }
        try:
            self._exchange(self._process, settings, _START_SECONDS)
        except (OSError, EOFError) as error:
            self._stop()
            raise NotReadyError(
                f"expected the grammar compiler's process to start within {_START_SECONDS:g} s, got {error!r}; "
                "run python -m builderbrain.grammar.compile_worker to see why",
            ) from error
        return self._process

    def _stop(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._process, self._finalizer, self._received = None, None, b""

    def _exchange(self, process: subprocess.Popen[bytes], message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a line, read a line. TimeoutError (an OSError) when it takes too long, EOFError when the child is gone."""
        if process.stdin is None or process.stdout is None:
            raise EOFError("no pipes")
        deadline = time.monotonic() + seconds
        process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                raise TimeoutError
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                raise EOFError("the process ended")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply


def refusal(reason: str, *, field: str) -> GrammarRefusedError:
    """A library's refusal as the project's."""
    return GrammarRefusedError(
        f"expected a source that the grammar engine compiles, got: {reason:.200}; correct it", field=field
    )
