"""The composition root: from settings to an application, with the base, the rail, the grammar, the agent and the registry."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch
from fastapi import FastAPI

from builderbrain.decode.host_model import HostModel
from builderbrain.decode.model import TokenModel
from builderbrain.errors import BuilderBrainError, CheckpointError, ConfigError, UnsupportedModelError
from builderbrain.gate.reader import Live, RegistryReader
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.jump import JumpForward
from builderbrain.grammar.vocabulary import vocabulary_for
from builderbrain.hosts.base import Host, RaggedHost, Tokenizer
from builderbrain.hosts.decode_graphs import GraphPlan, graph_sizes
from builderbrain.hosts.load import NANO, load_host
from builderbrain.hosts.recording import CudaRecorder
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import PAGE_SIZE, Batcher
from builderbrain.rail.bundled import bundled_rail_of
from builderbrain.rail.checkpoint import load_rail
from builderbrain.rail.model import RailModel
from builderbrain.rail.rail import BuilderRail
from builderbrain.serve.agent_routes import agent_routers
from builderbrain.serve.app import Lifetime, create_app
from builderbrain.serve.attached import Learner, Traffic, Watch
from builderbrain.serve.background import Background
from builderbrain.serve.cache_metrics import watch_caches
from builderbrain.serve.domain_rails import DEFAULT_DOMAIN, DomainRails, rail_folders
from builderbrain.serve.engine import Engine
from builderbrain.serve.goal_domains import GoalDomains
from builderbrain.serve.live import LiveFollower, live_router
from builderbrain.serve.model_backend import ModelBackend, TokenizerFacts
from builderbrain.serve.operations import calibrations_of, deferral_of, incidents_of, keys_of, limits_of, lookups_of, operations
from builderbrain.serve.service import Service
from builderbrain.serve.settings import NO_RAIL, ServeSettings
from builderbrain.serve.site import LearnerFactory, ServerSite, WatchFactory
from builderbrain.serve.telemetry import Telemetry
from builderbrain.serve.tool_settings import ServedTools, load_tools
from builderbrain.serve.version_store import VersionStore

logger = logging.getLogger(__name__)

MOST_CAPTURED = 512
"""Tokens from which on a device takes longer for a pass than the host for launching it, whatever the base."""
_CACHED_TEXTS = 8
"""Texts of the longest kind that there are pages for, unless the settings say otherwise."""
SMALL_WIDTH = 512
"""Below this width the products of one token are too small to share: threads would wait for each other at every layer,
on a busy machine a hundred times as long as they work."""


def compose(settings: ServeSettings, *, learner: LearnerFactory | None = None, watch: WatchFactory | None = None) -> FastAPI:
    """Load everything and build the application.

    Args:
        learner: makes what learns from the traffic; None for a server that learns nothing.
        watch: makes what watches the live version, where the server follows its registry; None for none.

    Raises:
        BuilderBrainError: the model, the rail, the registry or the root cannot be used; names the option.
    """
    keys, calibrations = keys_of(settings), calibrations_of(settings)  # what is wrong with a file shows before a model is read
    tools = ServedTools() if settings.tools is None else load_tools(Path(settings.tools))
    registry = RegistryReader(Path(settings.registry))
    live = registry.live() if settings.rail is None else None
    folder = registry.live_path() if live is not None else _rail_folder(settings)
    rail = None if folder is None else _load_rail(folder, live)
    host = load_host(
        settings.model,
        tap_points=None if rail is None else rail.config.tap_points,
        quantization=settings.quantization,
        dtype=None if settings.dtype == "auto" else getattr(torch, settings.dtype),
        device=None if settings.device == "auto" else settings.device,
    )
    if host.device.type == "cpu" and host.d_model < SMALL_WIDTH:
        torch.set_num_threads(1)
    name = settings.served_model_name or (settings.model if settings.model == NANO else Path(settings.model).name)
    context = _context(settings, host)
    batcher = _batcher(settings, host, context)
    base = _model(host, batcher, None)
    models: dict[str, TokenModel] = {name: base}
    if rail is not None:
        served = _model(host, batcher, rail, version=live.version if live else None)
        models = {name: served, f"{name}:base": base}
    masks = GrammarEngine(host.tokenizer, host.vocab_size, allow_client_grammar=settings.enable_client_grammars)
    masks.warm_up()
    jump = None if batcher is None else JumpForward(host.tokenizer, vocabulary_for(host.tokenizer, host.vocab_size))
    backend = ModelBackend(
        models,
        root=settings.model,
        mask_engine=masks,
        facts=tokenizer_facts(host.tokenizer),
        description=f"{settings.model} {host.dtype} {settings.quantization}",
        max_length=context,
        jump=jump,
    )
    telemetry = Telemetry(name)
    background = Background()
    engine = Engine(
        max_running=settings.max_num_seqs,
        max_waiting=settings.max_waiting,
        deadline_seconds=settings.request_timeout,
        observer=telemetry,
        run_model=(lambda: None) if batcher is None else batcher.run,
        background=background,
    )
    watch_caches(telemetry, masks, jump=jump, pool=batcher.pool if batcher is not None and batcher.reuse else None)
    telemetry.watch(lambda: engine.num_running, lambda: engine.num_waiting)
    if batcher is not None:
        pool = batcher.pool
        telemetry.watch_pages(lambda: 1.0 - pool.available / pool.num_pages)
        if batcher.graphs is not None:
            telemetry.watch_passes(batcher.graphs.counts)
    service = Service(backend=backend, engine=engine, telemetry=telemetry, client_grammars=settings.enable_client_grammars)

    def own_grammar(source: str) -> CompiledConstraint:
        return masks.compile(Constraint(kind="grammar", source=source), trusted=True)

    store = VersionStore(registry.root, host=host, make=lambda found, version: _model(host, batcher, found, version=version))
    domain_rails = DomainRails(
        folders=rail_folders(settings, host, live=live is not None),
        host=host,
        make=lambda found: _model(host, batcher, found),
        backend=backend,
        listener=store.opened,
    )
    deferral = deferral_of(settings, weight_version=models[name].weight_version, telemetry=telemetry)
    domains = GoalDomains(service, own_grammar, rails=domain_rails, deferral=deferral)
    domains.open(DEFAULT_DOMAIN)  # its grammar is ready when the first goal comes
    incidents = incidents_of(settings, service)
    follower = None
    if rail is not None and settings.rail is None:
        follower = LiveFollower(
            current=store.live,
            load=store.open,
            install=lambda model: backend.replace(name, model),
            version=models[name].weight_version,
        )
    site = ServerSite(
        settings=settings,
        host=host,
        service=service,
        background=background,
        store=store,
        follower=follower,
        incidents=incidents,
    )
    watching: Watch | None = None if watch is None or follower is None else watch(site)
    learning: Learner | None = None if learner is None else learner(replace(site, watch=watching))
    traffic = Traffic(learner=learning, watch=watching)
    running, more = agent_routers(
        settings,
        service,
        domains=domains,
        compile_grammar=own_grammar,
        served=tools,
        lookups=lookups_of(settings),
        incidents=incidents,
        traffic=traffic,
    )
    routers = list(running)
    lifetimes: list[Lifetime] = list(more)
    if follower is not None:
        lifetimes.append(follower)
        routers.append(live_router(follower))
    for attached in traffic.attached:
        lifetimes.extend(attached.lifetimes)
        routers.extend(attached.routers)
    more_routers, more_lifetimes = operations(
        settings, service, backend, store, follower, calibrations, deferral, incidents, traffic.told
    )
    return create_app(
        service,
        keys=keys,
        limits=limits_of(settings),
        max_body_bytes=settings.max_body_bytes,
        routers=(*routers, *more_routers),
        lifetimes=(*lifetimes, *more_lifetimes),
    )


def _load_rail(folder: Path, live: Live | None) -> BuilderRail:
    try:
        return load_rail(folder)
    except BuilderBrainError as error:
        if live is None:
            raise
        raise CheckpointError(
            f"the live version {live.version} in {folder.parent} cannot be loaded: {error.message}; go back with "
            "`python -m builderbrain.gate rollback`, or start with --rail FOLDER",
            field="registry",
        ) from error


def tokenizer_facts(tokenizer: Tokenizer) -> TokenizerFacts:
    """Special tokens of a Hugging Face tokenizer, and whether its base wants a begin-of-sequence token before any text."""
    if not isinstance(tokenizer, HuggingFaceTokenizer):
        return TokenizerFacts(special_tokens={}, prefix=())
    special = {str(tokenizer.backend.convert_ids_to_tokens(index)): index for index in tokenizer.special_ids}
    begins = tokenizer.backend("").input_ids[:1]
    prefix = tuple(begins) if begins and begins[0] == tokenizer.bos_token_id else ()
    return TokenizerFacts(special_tokens=special, prefix=prefix)


def _rail_folder(settings: ServeSettings) -> Path | None:
    """The rail that was named, else the bundled one for the bundled base, else none."""
    if settings.rail == NO_RAIL:
        return None
    if settings.rail is not None:
        return Path(settings.rail)
    return bundled_rail_of(settings.model)


def _batcher(settings: ServeSettings, host: Host, context: int) -> Batcher | None:
    """What runs outputs together; None for a base that can only run one sequence at a time, which is said once."""
    if settings.max_num_seqs == 1:
        return None
    if not isinstance(host, RaggedHost):
        logger.warning("outputs are decoded in turn, not together: %s runs one sequence at a time", host.name)
        return None
    per_text = -(-context // PAGE_SIZE)
    wanted = settings.kv_cache_tokens or _CACHED_TEXTS * context
    try:
        batcher = Batcher(
            host,
            num_pages=max(per_text, -(-wanted // PAGE_SIZE)),
            max_tokens=settings.max_num_batched_tokens,
            reuse=settings.enable_prefix_caching,
            graphs=_graphs(settings, host, context),
        )
    except UnsupportedModelError as error:
        logger.warning("outputs are decoded in turn, not together: %s", error.message)
        return None
    if batcher.graphs is not None:
        batcher.graphs.capture_all()
    return batcher


def _graphs(settings: ServeSettings, host: Host, context: int) -> GraphPlan | None:
    """Which passes are captured: those of few tokens on a CUDA device."""
    if host.device.type != "cuda" or settings.enforce_eager:
        return None
    most = settings.max_cudagraph_capture_size or min(2 * settings.max_num_seqs, MOST_CAPTURED)
    sizes = graph_sizes(min(most, settings.max_num_batched_tokens))
    return GraphPlan(sizes=sizes, max_length=context, recorder=CudaRecorder(host.device))


def _model(host: Host, batcher: Batcher | None, rail: BuilderRail | None, *, version: str | None = None) -> TokenModel:
    if batcher is not None:
        return BatchedModel(batcher, rail, weight_version=version)
    return HostModel(host) if rail is None else RailModel(host, rail, weight_version=version)


def _context(settings: ServeSettings, host: Host) -> int:
    wanted = settings.max_model_len
    if wanted is not None and wanted > host.max_length:
        raise ConfigError(
            f"expected max_model_len of at most {host.max_length}, the context of {settings.model}, got {wanted}",
            field="max_model_len",
        )
    return wanted or host.max_length
