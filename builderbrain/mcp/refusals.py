"""Why a tool, or a part of it, does not become part of a domain."""

from __future__ import annotations


class Inexpressible(Exception):
    """What a server declares has no counterpart in the language of domains; the message says what. Caught in this room."""
