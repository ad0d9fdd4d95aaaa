"""`python -m builderbrain.serve`: take the port, load the model, serve until SIGTERM or Ctrl-C."""

from __future__ import annotations

import errno
import json
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from builderbrain.errors import BuilderBrainError, ConfigError, PortTakenError
from builderbrain.serve.settings import ServeSettings, parse_settings

if TYPE_CHECKING:
    from builderbrain.serve.site import LearnerFactory

DRAIN_SECONDS = 25
"""With the engine's own ending this keeps a shutdown under load below 30 s."""
KEEP_ALIVE_SECONDS = 30
EXAMPLE_GOAL = "search for the promotion gate and then open it"


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Taken before the model is loaded, so that a second server fails at once.

    Raises:
        PortTakenError: another process listens there.
        ConfigError: the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(
                f"port {port} on {host} is taken by another process, perhaps a server already running; "
                "stop it or choose another port with --port",
                field="port",
            ) from error
        reason = error.strerror or "no such address"
        raise ConfigError(f"cannot listen on {host} port {port}: {reason}; change --host or --port", field="host") from error
    return listener


def main(arguments: Sequence[str] | None = None, *, learner: LearnerFactory | None = None) -> int:
    """Run the server; the exit code is 2 when it refuses to start. `learner` is used with --learn, by default the installed
    one."""
    try:
        settings = parse_settings(sys.argv[1:] if arguments is None else arguments)
        listener = bind(settings.host, settings.port)
    except BuilderBrainError as error:
        return _refuse(error)
    try:
        print(f"loading {settings.model} ...", flush=True)
        _serve(settings, listener, learner)
    except BuilderBrainError as error:
        return _refuse(error)
    except KeyboardInterrupt:
        return 130
    finally:
        listener.close()
    return 0


def _serve(settings: ServeSettings, listener: socket.socket, learner: LearnerFactory | None) -> None:
    import uvicorn

    from builderbrain.serve.compose import compose
    from builderbrain.serve.site import installed_learner, installed_watch

    app = compose(
        settings,
        learner=None if settings.learn is None else learner or installed_learner(),
        watch=installed_watch() if settings.canary else None,
    )

    class AnnouncingServer(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                print(announcement(settings, listener), flush=True)

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        lifespan="on",
    )
    AnnouncingServer(config).run(sockets=[listener])


def announcement(settings: ServeSettings, listener: socket.socket) -> str:
    """Where the server listens and one command to try."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else shown}:{port}"
    key = " -H 'Authorization: Bearer KEY'" if settings.api_key else ""
    goal = json.dumps({"goal": EXAMPLE_GOAL})
    return (
        f"BuilderBrain listens on http://{shown}:{port} (OpenAI-compatible at {url}/v1). Try:\n"
        f"  curl -s {url}/v1/goals -H 'Content-Type: application/json'{key} -d '{goal}'"
    )


def _refuse(error: BuilderBrainError) -> int:
    print(f"error: {error.message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
