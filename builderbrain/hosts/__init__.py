"""Base models behind one interface. A host for a new architecture is one file here."""

from builderbrain.hosts.base import BaseStates, Cache, Host, Tokenizer
from builderbrain.hosts.load import load_host

__all__ = ["BaseStates", "Cache", "Host", "Tokenizer", "load_host"]
