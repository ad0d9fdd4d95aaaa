"""Which rail makes plans of which domain: a builder each beside the default model, over the one base.

A rail is loaded when a goal first asks for its domain, and from then on is a model like others, `<default model>:<domain>`.
Those that the settings name are looked at before the server starts, without their weights.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builderbrain.decode.model import TokenModel
from builderbrain.errors import BuilderBrainError, ConfigError, NoRailError
from builderbrain.hosts.base import Host
from builderbrain.plan import Domain, get_domain
from builderbrain.plan.faults import nearest
from builderbrain.plan.registry import domain_names
from builderbrain.rail.bundled import bundled_domain_rails_of
from builderbrain.rail.checkpoint import load_rail, load_rail_config
from builderbrain.rail.config import RailConfig
from builderbrain.rail.fitting import misfit, other_base, other_domain
from builderbrain.rail.rail import BuilderRail
from builderbrain.serve.model_backend import ModelBackend
from builderbrain.serve.settings import NO_RAIL, ServeSettings

DEFAULT_DOMAIN = "repo_assistant"
"""Of goals that name none. The default model makes its plans, unless it has a rail of its own."""


@dataclass(frozen=True, kw_only=True)
class DomainRails:
    """The rails of a server.

    Args:
        folders: by domain.
        host: the served base.
        make: from a rail to a model over that base.
        backend: gets each model under its name.
        listener: is told of each model.
    """

    folders: Mapping[str, Path]
    host: Host
    make: Callable[[BuilderRail], TokenModel]
    backend: ModelBackend
    listener: Callable[[TokenModel], object] = lambda model: None
    _loaded: dict[str, TokenModel] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def model(self, domain: str) -> str:
        """The name of the model that makes plans of a domain. Blocks while its weights are read, the first time.

        Raises:
            NoRailError: the domain has no rail, or one that cannot be used here; `field` is `domain`.
        """
        name = f"{self.backend.models()[0].name}:{domain}"
        with self._lock:
            if domain in self._loaded:
                return name
            model = self._load(domain, name)
            self.listener(model)
            self.backend.replace(name, model)
            self._loaded[domain] = model
            return name

    def _load(self, domain: str, name: str) -> TokenModel:
        folder = self.folders.get(domain)
        if folder is None:
            known = ", ".join(sorted(self.folders)) or "none"
            raise NoRailError(
                f"domain: nothing here makes plans of {domain} from words; domains with a rail: {known}; train one "
                f"(docs/domain_goals.md) and start the server with --domain-rail {domain}=FOLDER",
                field="domain",
            )
        if any(model.name == name for model in self.backend.models()):
            raise NoRailError(
                f"domain: a version is loaded as {name}, the name of this domain's rail; unload it", field="domain"
            )
        try:
            fault = why_not(load_rail_config(folder), get_domain(domain), self.host)
            if fault is None:
                return self.make(load_rail(folder))
        except BuilderBrainError as error:
            fault = error.message
        raise NoRailError(
            f"domain: the rail of {domain} in {folder} cannot be used: {fault}; "
            f"name another with --domain-rail {domain}=FOLDER",
            field="domain",
        )


def why_not(config: RailConfig, domain: Domain, host: Host) -> str | None:
    """Why a rail makes no plans of a domain over a base; None when it does."""
    return misfit(config, host) or other_base(config, host.name) or other_domain(config, domain)


def rail_folders(settings: ServeSettings, host: Host, *, live: bool = False) -> dict[str, Path]:
    """Rails by domain: those that the settings name, and for other domains those that come with the base.

    Args:
        live: the default model is a version that the gate passed. That one, or one that `--rail` names, then makes the plans of
            the default domain too.

    Raises:
        ConfigError: a rail that the settings name is of no domain, or cannot be used for it over this base.
    """
    found = {} if settings.rail == NO_RAIL else bundled_domain_rails_of(settings.model)
    if live or settings.rail is not None:
        found.pop(DEFAULT_DOMAIN, None)
    for name, folder in settings.domain_rail.items():
        if name not in domain_names():
            raise ConfigError(
                f"--domain-rail {name}={folder}: there is no domain {name}; {nearest(name, domain_names())}",
                field="domain_rail",
            )
        found.pop(name, None)
        if folder == NO_RAIL:
            continue
        try:
            fault = why_not(load_rail_config(Path(folder)), get_domain(name), host)
        except BuilderBrainError as error:
            fault = error.message
        if fault is not None:
            raise ConfigError(f"--domain-rail {name}={folder}: {fault}", field="domain_rail")
        found[name] = Path(folder)
    return found
