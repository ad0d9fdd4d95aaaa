"""The model that makes plans of a domain, in this process: the bundled base, or another one, and the domain's rail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from builderbrain.agent.proposal import PlanProposal, PlanRequest
from builderbrain.errors import ConfigError, NoRailError
from builderbrain.plan import get_domain, load_grammar

MAX_PLAN_TOKENS = 320
AGAIN_TEMPERATURE = 0.7
"""Of a plan that is decoded because the one before was refused."""
DEFAULT_DOMAIN = "repo_assistant"


def rail_folder(domain: str, rail: Path | None, base: str) -> Path:
    """The rail that is named, else the one that comes with the base.

    Raises:
        NoRailError: there is none.
    """
    from builderbrain.rail.bundled import bundled_domain_rails_of, bundled_rail_of

    found = rail or bundled_domain_rails_of(base).get(domain)
    if found is None and domain == DEFAULT_DOMAIN:
        found = bundled_rail_of(base)
    if found is None:
        raise NoRailError(
            f"nothing here makes plans of {domain} from words; train a rail (docs/domain_goals.md) and name its folder with "
            "--rail",
            field="domain",
        )
    return found


def load_planner(domain: str, *, rail: Path | None, base: str) -> Callable[[PlanRequest], PlanProposal]:
    """From requests to plans of a domain; blocks while it decodes, and takes one request at a time.

    Raises:
        SchemaError: there is no such domain.
        NoRailError: it has no rail.
        ConfigError: the rail is of another domain or base.
        CheckpointError, ModelNotFoundError: the rail or the base cannot be read.
    """
    # Here, since they bring torch, which the other commands do without.
    from builderbrain.decode.base import SamplingParameters
    from builderbrain.decode.generate import generate
    from builderbrain.decode.plan_prompt import plan_prompt
    from builderbrain.grammar.base import Constraint
    from builderbrain.grammar.xgrammar_engine import XGrammarEngine
    from builderbrain.hosts.load import load_host
    from builderbrain.rail.checkpoint import load_rail, load_rail_config
    from builderbrain.rail.fitting import misfit, other_base, other_domain
    from builderbrain.rail.model import RailModel

    found = get_domain(domain)
    folder = rail_folder(domain, rail, base)
    config = load_rail_config(folder)
    fault = other_domain(config, found)
    if fault is None:
        host = load_host(base, tap_points=config.tap_points)
        fault = misfit(config, host) or other_base(config, host.name)
    if fault is not None:
        raise ConfigError(f"{folder}: {fault}; name another with --rail", field="rail")
    model = RailModel(host, load_rail(folder))
    engine = XGrammarEngine(host.tokenizer, host.vocab_size)
    grammar = engine.compile(Constraint(kind="grammar", source=load_grammar(domain)), trusted=True)

    def propose(request: PlanRequest) -> PlanProposal:
        prompt = plan_prompt(model.tokenizer, request.goal, request.observations)
        room = min(MAX_PLAN_TOKENS, model.max_length - len(prompt))
        if room < 1:
            raise ConfigError(f"a goal of {len(prompt)} tokens leaves no room for a plan; say it in fewer words", field="goal")
        wanted = room if request.max_tokens is None else min(room, request.max_tokens)
        temperature = AGAIN_TEMPERATURE if request.attempt > 1 else 0.0
        parameters = SamplingParameters(max_tokens=wanted, temperature=temperature, seed=request.attempt - 1)
        made = generate(model, prompt, parameters, grammar)
        return PlanProposal(
            text=made.text, weight_version=model.weight_version, finish_reason=made.finish_reason, tokens=len(made.tokens)
        )

    return propose
