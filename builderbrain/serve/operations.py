"""What operators do with a running server, put together: versions, pausing, weights, decisions and the tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from fastapi import APIRouter

from builderbrain.deferral import DeferralPolicy
from builderbrain.errors import ConfigError
from builderbrain.serve.app import Lifetime
from builderbrain.serve.boundary import Keys
from builderbrain.serve.decision_calibration import Calibrations
from builderbrain.serve.decisions import decisions_router
from builderbrain.serve.deferral import ServedDeferral, outcomes_router
from builderbrain.serve.incident_routes import incidents_router
from builderbrain.serve.incidents import Incidents
from builderbrain.serve.live import LiveFollower
from builderbrain.serve.model_backend import ModelBackend
from builderbrain.serve.pausing import forget_prefixes, pausing_router
from builderbrain.serve.rate_limits import RateLimits
from builderbrain.serve.service import Service
from builderbrain.serve.settings import ServeSettings, state_folder
from builderbrain.serve.standing_watch import StandingWatch
from builderbrain.serve.telemetry import Telemetry
from builderbrain.serve.tokenizer_info import tokenizer_info_router
from builderbrain.serve.version_store import VersionStore
from builderbrain.serve.versions import LoadedVersions, versions_router
from builderbrain.serve.weights import WeightLedger, weights_router
from builderbrain.world.checkpoint import load_world
from builderbrain.world.lookups import WorldLookups


def operations(
    settings: ServeSettings,
    service: Service,
    backend: ModelBackend,
    store: VersionStore,
    follower: LiveFollower | None,
    calibrations: Calibrations,
    deferral: ServedDeferral | None = None,
    incidents: Incidents | None = None,
    tell: Callable[[str, bool, str], str | None] | None = None,
) -> tuple[list[APIRouter], list[Lifetime]]:
    """The routes, and what runs beside the server for them. Without `deferral` decisions have the starting points; `tell` is
    what `outcomes_router` tells of outcomes."""
    deferral = deferral or ServedDeferral(decisions=DeferralPolicy(None))
    ledger = WeightLedger(backend.token_models, store.tensors)
    store.on_open(ledger.note)
    loaded = LoadedVersions(backend, service.engine, store, most=settings.max_loaded_versions)
    follow = None if follower is None else follower.follow
    incidents = incidents or incidents_of(settings, service)
    if follow is not None:
        incidents.roll_back_by(partial(_roll_back, store, loaded, follow))

    def checked_log() -> list[str]:
        store.reader.audit_entries()  # also where no version is loaded beside the live one
        return loaded.withdraw_refused()

    routers = [
        versions_router(loaded, store, follow=follow, serving=lambda: service.served(None).version),
        pausing_router(service.engine, lambda: forget_prefixes(backend)),
        weights_router(ledger),
        tokenizer_info_router(service),
        decisions_router(service, calibrations, deferral.decisions),
        outcomes_router(deferral.policies, tell),
        incidents_router(incidents),
    ]
    watch = StandingWatch(
        mark=store.mark, withdraw=checked_log, broken=lambda said: incidents.tell("audit_broken", "registry", said)
    )
    return routers, [ledger, incidents, watch]


def incidents_of(settings: ServeSettings, service: Service) -> Incidents:
    """The incidents of a server, told of every error; in the state folder where there is one.

    Raises:
        ConfigError: their file cannot be read.
    """
    telemetry = service.telemetry
    folder = state_folder(settings)
    incidents = Incidents(
        None if folder is None else folder / "incidents.jsonl",
        serving=lambda: service.served(None).version,
        on_incident=telemetry.incident,
        on_answer=telemetry.answered_incident,
    )
    telemetry.on_error(incidents.heard)
    telemetry.watch_latch(lambda: incidents.latched)
    return incidents


def _roll_back(store: VersionStore, loaded: LoadedVersions, follow: Callable[[], str], version: str) -> str:
    """Go back from a version, when it is live, as the route does; gives what serves then."""
    store.rollback(expected_live=version, evidence={"by": "an incident"})
    loaded.withdraw_refused()
    return follow()


def keys_of(settings: ServeSettings) -> Keys:
    """The keys that the settings name.

    Raises:
        ConfigError: the file of further keys cannot be read, or holds none.
    """
    further: tuple[str, ...] = ()
    if settings.api_keys_file is not None:
        try:
            lines = Path(settings.api_keys_file).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{settings.api_keys_file} cannot be read ({error}); name a file of keys", field="api_keys_file"
            ) from error
        further = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
        if not further:
            raise ConfigError(f"expected a key on each line of {settings.api_keys_file}, got none", field="api_keys_file")
    return Keys(client=settings.api_key, administrator=settings.admin_api_key, further=further)


def limits_of(settings: ServeSettings) -> RateLimits:
    """The limits that the settings name."""
    return RateLimits(
        requests_per_minute=settings.rate_limit_requests_per_minute,
        concurrent_requests=settings.rate_limit_concurrent_requests,
    )


def deferral_of(settings: ServeSettings, *, weight_version: str, telemetry: Telemetry) -> ServedDeferral:
    """What the settings name for deferring.

    Raises:
        CheckpointError: it cannot be read, or was fitted for other weights.
    """
    folder = None if settings.deferral is None else Path(settings.deferral)
    return ServedDeferral.load(folder, weight_version=weight_version, telemetry=telemetry)


def lookups_of(settings: ServeSettings) -> WorldLookups | None:
    """The world model that the settings name.

    Raises:
        CheckpointError: it cannot be read.
    """
    return None if settings.world is None else WorldLookups(load_world(Path(settings.world)))


def calibrations_of(settings: ServeSettings) -> Calibrations:
    """What the settings name for decisions.

    Raises:
        CheckpointError: it cannot be read.
    """
    named = settings.decision_calibration
    return Calibrations() if named is None else Calibrations.load(Path(named))
