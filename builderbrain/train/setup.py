"""From a configuration to a trainer that is ready to run: base, rail, grammar, data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from builderbrain.errors import ConfigError
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.base import Host
from builderbrain.hosts.load import load_host
from builderbrain.plan import load_grammar
from builderbrain.rail.checkpoint import load_rail
from builderbrain.rail.config import RailConfig
from builderbrain.rail.rail import BuilderRail
from builderbrain.rail.skill_book import SkillBook
from builderbrain.rail.trunk import freeze_trunk, with_new_skills
from builderbrain.train.batch import Collator
from builderbrain.train.boot import RunSummary, build_rail, pinned_skills, summarise
from builderbrain.train.config import TrainConfig
from builderbrain.train.data import FileRows, GeneratedGoals, RowSource
from builderbrain.train.data_files import Requests, read_requests
from builderbrain.train.domain import TrainingDomain
from builderbrain.train.goals import REPO_ASSISTANT
from builderbrain.train.inputs import GENERATED, rail_digest
from builderbrain.train.mixed_rows import MixedRows
from builderbrain.train.ranks import Ranks
from builderbrain.train.scan import scan_domain
from builderbrain.train.spoken.domains import spoken_domain
from builderbrain.train.state_cache import with_state_cache
from builderbrain.train.tool_graph.domain import tool_graph_domain
from builderbrain.train.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What a run is made of: the base, the rail it starts from, the grammar of its plans and where rows come from."""

    host: Host
    rail: BuilderRail
    grammar: CompiledConstraint
    source: RowSource

    def collator(self, config: TrainConfig) -> Collator:
        """What makes batches of rows."""
        return Collator(
            host=self.host,
            config=self.rail.config,
            grammar=self.grammar,
            trivial_weight=config.trivial_weight,
            literal_weight=config.literal_weight,
            width_multiple=config.width_multiple,
        )


def gather_materials(config: TrainConfig, host: Host | None = None) -> Materials:
    """Load the data, the rail to start from, and the base (unless `host` is given): first what is cheap to refuse.

    Raises:
        BuilderBrainError: whatever is wrong with the model, the data or the configuration, by name.
    """
    requests = None if config.data in GENERATED else read_requests(config.data)
    if config.replay and requests is None:
        raise ConfigError(
            f"expected replay=0 with data={config.data}, which is all generated goals, got {config.replay}; they are replayed "
            "beside a file or a folder of your own",
            field="replay",
        )
    domain = _domain(config, requests)
    started = _start(config, domain) if config.start else None
    if host is None:
        device = None if config.device == "auto" else config.device
        host = load_host(config.model, quantization=config.quantization, device=device)
    engine = XGrammarEngine(host.tokenizer, host.vocab_size)
    source_text = domain.grammar or load_grammar(domain.name, domain.version)
    grammar = engine.compile(Constraint(kind="grammar", source=source_text), trusted=True)
    rail = started or build_rail(host, config, domain)
    if config.trainable == "skills":
        freeze_trunk(rail)
    if config.skills.live:
        _leave_rows_free(rail, config.skills.live)
    generated = GeneratedGoals(host.tokenizer, rail.config, seed=config.seed, wrong_steps=config.wrong_steps, domain=domain)
    source: RowSource = generated if requests is None else _own_rows(config, requests, generated, host, rail, grammar)
    return Materials(host=host, rail=rail, grammar=grammar, source=source)


def _own_rows(
    config: TrainConfig,
    requests: Requests,
    generated: GeneratedGoals,
    host: Host,
    rail: BuilderRail,
    grammar: CompiledConstraint,
) -> RowSource:
    """Rows of a file or a folder, and beside them generated goals where some are replayed."""
    own = FileRows(
        requests, generated.domain, host.tokenizer, rail.config, seed=config.seed, grammar=grammar, max_length=host.max_length
    )
    if not config.replay:
        return own
    return MixedRows(
        own.training,
        generated,
        own_share=1.0 - config.replay,
        seed=config.seed,
        own_held_out=own.held_out(config.evaluation_rows),
        summary=f"{own.summary}\n{config.replay:.0%} of each batch are generated goals of {own.domain.name}",
    )


def _domain(config: TrainConfig, requests: Requests | None) -> TrainingDomain:
    if config.data == "toolgraph":
        return tool_graph_domain(config.tool_graph)
    name = config.data if requests is None else requests.domain
    if (spoken := spoken_domain(name)) is not None:
        return spoken
    if name != "scan":
        return REPO_ASSISTANT
    task = None if config.scan.task == "all" else config.scan.task
    return scan_domain(config.scan.split, skins=config.scan.skins, task=task)


def build_trainer(config: TrainConfig, host: Host | None = None, ranks: Ranks | None = None) -> tuple[Trainer, RunSummary]:
    """A trainer that is ready to run, and what its run will take; `ranks` where there are several processes.

    Raises as `gather_materials`, and:
        ConfigError: there are more processes than parts of a batch.
    """
    if ranks is not None and ranks.size > config.micro_batches:
        raise ConfigError(
            f"expected micro_batches >= {ranks.size}, one part of the batch for each process, got {config.micro_batches}; a "
            "multiple of it keeps all of them busy",
            field="micro_batches",
        )
    materials = gather_materials(config, host)
    summary = summarise(materials.host, materials.rail, config)
    if isinstance(materials.source, (FileRows, MixedRows)):
        summary = replace(summary, rows=materials.source.summary)
    host = with_state_cache(materials.host, config.state_cache)
    return Trainer(host, materials.rail, materials.grammar, materials.source, config, ranks), summary


def _start(config: TrainConfig, domain: TrainingDomain) -> BuilderRail:
    """The rail to go on from, with the heads of the domain."""
    rail_digest(config.start)  # refuses a folder that holds no rail, by the key's name
    rail = load_rail(Path(config.start))
    if config.start_skills == "keep":
        _check_heads(rail.config, domain)
        return rail
    section = config.rail
    shape = replace(
        rail.config,
        num_skills=section.num_skills,
        skill_rank=section.skill_rank,
        proposal_rank=section.proposal_rank,
        plan_nodes=section.plan_nodes,
        pinned_skills=pinned_skills(config, domain),
        aliases=0,
        intents=domain.intents,
        actions=domain.actions,
        span_slots=domain.span_slots,
        token_slots=domain.token_slots if domain.token_slots and config.trainable == "rail" else rail.config.token_slots,
        choice_slots=domain.choice_slots,
    )
    return with_new_skills(rail, shape, seed=config.seed)


def _leave_rows_free(rail: BuilderRail, live: int) -> None:
    """Give a new rail the book of `live` skills; the other rows are for skills to be born."""
    config = rail.config
    least = max(1, len(config.pinned_skills))
    if not least <= live <= config.num_skills:
        raise ConfigError(
            f"expected skills.live in {least}..{config.num_skills}, from the pinned skills to rail.num_skills, got {live}",
            field="skills.live",
        )
    rail.adopt(SkillBook.of(config, live=live))


def _check_heads(config: RailConfig, domain: TrainingDomain) -> None:
    for name in ("intents", "actions", "span_slots", "token_slots", "choice_slots"):
        mine, wanted = getattr(config, name), getattr(domain, name)
        if name == "token_slots" and not wanted:
            continue  # labels are of the trunk, which may have learned them in another domain
        if mine != wanted:
            raise ConfigError(
                f"expected a rail whose heads are those of {domain.name}, got one with {name} {mine}; "
                "start from a rail of this domain, take its trunk alone with start_skills=new, or leave start empty",
                field="start",
            )
