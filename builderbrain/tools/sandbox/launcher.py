"""Enters the sandbox and becomes the tool. Runs as a process of its own, standard library only; see `Request` for its argument.

Order matters: limits on the whole tree first, then namespaces, then what can only be done inside them, at last landlock,
after which nothing more can be opened.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any, TypedDict

from builderbrain.tools.sandbox import landlock, namespaces

REFUSED = 126
"""Exit status when the sandbox cannot be entered; the reason is the last line of standard error, after `PREFIX`."""
PREFIX = "sandbox: "


class Request(TypedDict):
    """The one argument, as JSON.

    `command` and `folder`: what to run and where. `cgroup`: folder of a control group to join first, or "". `outer`: the
    command is bubblewrap, which goes on from here; nothing below applies. `namespaces`: whether to make namespaces (bubblewrap
    has made them otherwise). `landlock`: whether to restrict files to `readable` and `writable`. `limits`: values by name of a
    resource limit, without `RLIMIT_`.
    """

    command: list[str]
    folder: str
    cgroup: str
    outer: bool
    namespaces: bool
    landlock: bool
    readable: list[str]
    writable: list[str]
    network: bool
    limits: dict[str, int]


def main() -> None:
    """Run the request in the first argument; ends with the tool's exit status."""
    request: Request = json.loads(sys.argv[1])
    try:
        namespaces.die_with_parent()
        if request["cgroup"]:
            with open(os.path.join(request["cgroup"], "cgroup.procs"), "w", encoding="ascii") as file:
                file.write("0")
        if request["outer"]:
            os.execve(request["command"][0], request["command"], dict(os.environ))
        if request["namespaces"]:
            namespaces.enter(network=request["network"])
    except OSError as error:
        _refuse(error)
    sys.exit(namespaces.run_below(lambda: _become(request)))


def _become(request: Request) -> None:
    try:
        os.chdir(request["folder"])
        for name, value in request["limits"].items():
            _limit(getattr(resource, f"RLIMIT_{name}"), value)
        namespaces.drop_capabilities()
        if request["landlock"]:
            landlock.restrict(request["readable"], request["writable"], network=request["network"])
    except (OSError, ValueError) as error:
        _refuse(error)
    try:
        os.execve(request["command"][0], request["command"], dict(os.environ))
    except OSError as error:
        _refuse(error)


def _limit(kind: int, value: int) -> None:
    _, highest = resource.getrlimit(kind)
    allowed = value if highest == resource.RLIM_INFINITY else min(value, highest)
    resource.setrlimit(kind, (allowed, allowed))


def _refuse(error: Exception) -> Any:
    sys.stderr.write(f"{PREFIX}{error}\n")
    sys.stderr.flush()
    os._exit(REFUSED)
