"""Where a tool may connect to: the scheme, host and port of one base URL, which comes from the configuration alone."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import httpx

from builderbrain.errors import ConfigError

_LOCAL_NAMES = ("localhost",)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A base URL taken apart. `path` has no slash at its end; `private` when the base itself names a private address."""

    scheme: str
    host: str
    port: int
    path: str
    private: bool

    @property
    def base(self) -> str:
        """The URL that paths of the server are appended to."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    def admits(self, url: httpx.URL) -> bool:
        """Whether a URL stays on this server, and below the path of the base."""
        port = url.port if url.port is not None else _port_of(url.scheme)
        same = (url.scheme, url.host, port) == (self.scheme, self.host, self.port) and not url.userinfo
        path = url.path
        return same and (not self.path or path == self.path or path.startswith(f"{self.path}/")) and ".." not in path.split("/")

    def admits_address(self, address: str) -> bool:
        """Whether a connection may go to an address that the host's name stands for.

        A public name that leads to a private address is how a request is forged inside a network, so only a base that is
        private itself may.
        """
        return self.private or is_public(address)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global


def read_origin(base_url: str, *, field: str) -> Origin:
    """The origin of a base URL.

    Raises:
        ConfigError: not an absolute http or https URL, or with a user, query or fragment; `field` names the key.
    """
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConfigError(
            f"expected a URL such as https://api.example.org/v1, got {base_url!r}: {error}", field=field
        ) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(
            f"expected a URL that begins with http:// or https:// and names a host, got {base_url!r}", field=field
        )
    if url.userinfo or url.query or url.fragment:
        raise ConfigError("expected a URL without user, query and fragment; send a token as a header", field=field)
    port = url.port if url.port is not None else _port_of(url.scheme)
    path = url.path.rstrip("/")
    if ".." in path.split("/"):
        raise ConfigError("expected a URL whose path has no ..; write it out", field=field)
    return Origin(scheme=url.scheme, host=url.host, port=port, path=path, private=_names_private(url.host))


def _names_private(host: str) -> bool:
    if host in _LOCAL_NAMES:
        return True
    try:
        return not is_public(host)
    except ValueError:
        return False


def _port_of(scheme: str) -> int:
    return 443 if scheme == "https" else 80
