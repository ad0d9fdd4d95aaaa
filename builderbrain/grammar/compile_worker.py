"""The child process that tries a compilation before the server does: it may hang, crash or run out of memory.

Protocol, one JSON object a line. In: first {"tokens": [hex], "eos": id, "engines": [name], "memory": bytes, "seconds":
limit}, then {"engine", "kind", "source"}. Out: {"ready": true}, then {"error": text or null} for each. Ends when its input
ends. An alarm, whose default action is to kill, ends it even inside a compilation when the parent that should have killed it
is gone.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path

from builderbrain.grammar.native import native_engine, try_compile
from builderbrain.grammar.vocabulary import Vocabulary


def _limit_memory(extra: int) -> None:
    """Cap the address space at what is mapped now plus `extra` bytes; no core dumps."""
    mapped = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + extra, mapped + extra))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Serve compilations until standard input ends."""
    settings = json.loads(sys.stdin.readline())
    tokens = tuple(bytes.fromhex(token) for token in settings["tokens"])
    vocabulary = Vocabulary(token_bytes=tokens, eos_token_id=settings["eos"])
    engines = {name: native_engine(name, vocabulary) for name in settings["engines"]}
    for engine in engines.values():
        try_compile(engine, "regex", "a", len(tokens))  # loads everything before memory is capped
    _limit_memory(settings["memory"])
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        error = None
        signal.alarm(int(settings["seconds"]) + 10)
        try:
            try_compile(engines[request["engine"]], request["kind"], request["source"], len(tokens))
        except (RuntimeError, ValueError, TypeError, MemoryError) as reason:  # NativeRefusal is a ValueError
            error = str(reason) or type(reason).__name__
        signal.alarm(0)
        print(json.dumps({"error": error}), flush=True)


if __name__ == "__main__":
    main()
