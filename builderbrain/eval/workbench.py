"""From names on a command line to subjects: what is loaded once, for every subject and seed of one evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from builderbrain.errors import SubjectError
from builderbrain.eval.bench import Bench
from builderbrain.eval.references import NearestNeighbour, Oracle, Saboteur
from builderbrain.eval.subject import PlanSubject

if TYPE_CHECKING:
    from builderbrain.decode.model import TokenModel
    from builderbrain.grammar.base import CompiledConstraint
    from builderbrain.hosts.base import Host
    from builderbrain.hosts.quantization import Quantization
    from builderbrain.rail.rail import BuilderRail
    from builderbrain.train.goals import Goal

SubjectName = Literal["rail", "base", "lora", "nearest", "oracle", "saboteur"]
SUBJECT_NAMES: tuple[SubjectName, ...] = get_args(SubjectName)
NEAREST_ROWS = 20_000
SEED_PLACE = "{seed}"


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """What the subjects are made of.

    Args:
        model: see `load_host`; so are `quantization` and `device`.
        rail: folder of the rail, in which `{seed}` stands for the seed; None is the bundled rail of the bundled base.
        lora: folder of the adapter, likewise.
        seeds: which of them; needed when a folder says `{seed}`.
        domain: of the plans.
        version: of the domain, None for that in use.
        temperature: of every draw; 0 takes the likeliest token.
        draw_seed: of the draws.
        introduction: what is said to a model before every goal.
    """

    model: str
    quantization: Quantization = "none"
    device: str | None = None
    rail: str | None = None
    lora: str | None = None
    seeds: tuple[int, ...] = ()
    domain: str = "repo_assistant"
    version: int | None = None
    temperature: float = 0.0
    draw_seed: int = 0
    introduction: str = ""

    def subjects(self, names: Sequence[str], bench: Bench) -> Iterator[tuple[PlanSubject, int | None]]:
        """Every subject with its seed, made when it is its turn, so that one model at a time is in memory beside the base.

        Raises:
            SubjectError: an unknown name, or a folder that a subject needs was not given.
        """
        for name in names:
            if name not in SUBJECT_NAMES:
                raise SubjectError(f"expected a subject, one of {', '.join(SUBJECT_NAMES)}, got {name!r}", field="subject")
            for seed in self._seeds_of(name):
                yield self._subject(name, seed, bench), seed

    def token_model(self, name: str) -> TokenModel:
        """The model of one subject, for suites that need no bench.

        Raises:
            SubjectError: `name` is not base, rail or lora.
        """
        if name not in ("base", "rail", "lora"):
            raise SubjectError(f"expected a subject that holds a model: base, rail or lora, got {name!r}", field="subject")
        return self._token_model(name, self._seeds_of(name)[0])

    def rail_seeds(self) -> tuple[int | None, ...]:
        """Seeds of the rails, None for one rail without.

        Raises:
            SubjectError: the folder says `{seed}`, and no seeds were given.
        """
        return self._seeds_of("rail")

    @cached_property
    def host(self) -> Host:
        """The base, tapped where the rail reads it; where it likes when there is no rail."""
        from builderbrain.hosts.load import load_host

        folder = self._rail_template
        taps = self.load_rail(self._seeds_of("rail")[0]).config.tap_points if folder is not None else None
        return load_host(self.model, tap_points=taps, quantization=self.quantization, device=self.device)

    @cached_property
    def grammar(self) -> CompiledConstraint:
        """The plan grammar for the base's tokenizer."""
        from builderbrain.eval.models import compile_plan_grammar

        return compile_plan_grammar(self.host, self.domain, self.version)

    def load_rail(self, seed: int | None) -> BuilderRail:
        """The rail of a seed.

        Raises:
            SubjectError: no folder was given, and the base has no bundled rail.
            CheckpointError: the folder holds no whole rail.
        """
        from builderbrain.rail.checkpoint import load_rail

        if self._rail_template is None:
            raise SubjectError(f"expected --rail FOLDER for the base {self.model}, got none; train one", field="rail")
        return load_rail(_seeded(self._rail_template, seed))

    def _seeds_of(self, name: str) -> tuple[int | None, ...]:
        template = {"rail": self._rail_template, "lora": self.lora}.get(name)
        if template is None or SEED_PLACE not in template:
            return (None,)
        if not self.seeds:
            raise SubjectError(f"expected --seeds for the folder {template!r}, got none; add --seeds 0 1 2", field="seeds")
        return self.seeds

    def _subject(self, name: str, seed: int | None, bench: Bench) -> PlanSubject:
        if name == "oracle":
            return Oracle(bench.items)
        if name == "saboteur":
            return Saboteur(bench.items, bench.domain, bench.version)
        if name == "nearest":
            from builderbrain.train.goals import REPO_ASSISTANT
            from builderbrain.train.spoken.domains import spoken_domain

            source = spoken_domain(bench.name) or REPO_ASSISTANT
            return NearestNeighbour([_Seen(goal) for goal in islice(source.goals(0), NEAREST_ROWS)])
        from builderbrain.eval.models import MAX_DOMAIN_PLAN_TOKENS, MAX_PLAN_TOKENS, DecodedSubject, RailSubject
        from builderbrain.rail.model import RailModel

        model = self._token_model(name, seed)
        room = MAX_PLAN_TOKENS if (bench.domain, bench.version) == ("repo_assistant", None) else MAX_DOMAIN_PLAN_TOKENS
        decoding: dict[str, Any] = {
            "max_plan_tokens": room,
            "temperature": self.temperature,
            "seed": self.draw_seed,
            "introduction": self.introduction,
        }
        if isinstance(model, RailModel):
            return RailSubject(name, model, self.grammar, **decoding)
        return DecodedSubject(name, model, self.grammar, **decoding)

    def _token_model(self, name: str, seed: int | None) -> TokenModel:
        from builderbrain.decode.host_model import HostModel
        from builderbrain.rail.model import RailModel

        if name == "rail":
            rail = self.load_rail(seed)  # before the base, which takes longer to load
            return RailModel(self.host, rail)
        if name == "base":
            return HostModel(self.host)
        from builderbrain.eval.lora import load_lora

        if self.lora is None:
            raise SubjectError(
                "expected --lora FOLDER for the subject lora, got none; train one: python -m builderbrain.eval train-lora",
                field="lora",
            )
        return HostModel(load_lora(self.host, _seeded(self.lora, seed)), weight_version="lora")

    @property
    def _rail_template(self) -> str | None:
        from builderbrain.rail.bundled import bundled_rail_of

        folder = bundled_rail_of(self.model) if self.rail is None else self.rail
        return None if folder is None else str(folder)


def _seeded(template: str, seed: int | None) -> Path:
    return Path(template.replace(SEED_PLACE, str(seed))).expanduser()


@dataclass(frozen=True)
class _Seen:
    """A training goal as a `Demonstration`."""

    source: Goal

    @property
    def goal(self) -> str:
        return self.source.text

    @property
    def plan(self) -> str:
        return self.source.plan
