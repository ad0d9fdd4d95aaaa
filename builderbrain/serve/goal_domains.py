"""How goals of a domain are decoded: by which model, under which grammar, how drawn, and whether unsure plans are deferred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from builderbrain.decode.domain_temperatures import domain_temperatures
from builderbrain.decode.temperature import Temperature
from builderbrain.errors import InvalidRequestError, NoRailError
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.plan import load_grammar
from builderbrain.plan.registry import domain_names
from builderbrain.serve.deferral import ServedDeferral
from builderbrain.serve.domain_rails import DEFAULT_DOMAIN, DomainRails
from builderbrain.serve.service import Service


@dataclass(frozen=True, kw_only=True)
class GoalDomain:
    """One domain.

    Args:
        model: name of the model that makes its plans.
        grammar: of its plans.
        temperature: of its plans. Those that are deferred by their confidence are the likeliest ones.
        deferral: says which plans are sure enough to be run; None where nothing is fitted for the model, and all are.
    """

    name: str
    model: str
    grammar: CompiledConstraint
    temperature: Temperature = 0.0
    deferral: ServedDeferral | None = None


class GoalDomains:
    """The domains of a server.

    Args:
        compile_grammar: from EBNF of the project's own to a constraint for the model's tokenizer; remembers what it compiled.
        rails: those of single domains; None where the default model alone makes plans.
        deferral: fitted for the default model.
        temperature: of the default domain's plans, in place of its own.
    """

    def __init__(
        self,
        service: Service,
        compile_grammar: Callable[[str], CompiledConstraint],
        *,
        rails: DomainRails | None = None,
        deferral: ServedDeferral | None = None,
        temperature: Temperature | None = None,
    ) -> None:
        self._service = service
        self._compile = compile_grammar
        self._rails = rails
        self._deferral = deferral if deferral is not None and deferral.plans is not None else None
        self._temperature = temperature

    def open(self, name: str) -> GoalDomain:
        """A domain. Blocks while its rail is loaded and its grammar compiled, the first time.

        Raises:
            InvalidRequestError: there is no such domain.
            NoRailError: nothing here makes plans of it.
        """
        if name not in domain_names():
            raise InvalidRequestError(f"domain: expected one of {', '.join(domain_names())}, got {name!r:.80}", field="domain")
        model = self._model(name)
        default = model == self._service.served(None).name
        return GoalDomain(
            name=name,
            model=model,
            grammar=self._compile(load_grammar(name)),
            temperature=self._drawn(name),
            deferral=self._deferral if default else None,
        )

    def writer(self, name: str) -> str:
        """The model that writes single arguments of a domain's plans: the default one where the domain has no rail."""
        try:
            return self._model(name)
        except NoRailError:
            return self._service.served(None).name

    def _model(self, name: str) -> str:
        if name == DEFAULT_DOMAIN and (self._rails is None or name not in self._rails.folders):
            return self._service.served(None).name
        if self._rails is None:
            raise NoRailError(f"domain: nothing here makes plans of {name} from words", field="domain")
        return self._rails.model(name)

    def _drawn(self, name: str) -> Temperature:
        if name == DEFAULT_DOMAIN and self._temperature is not None:
            return self._temperature
        own = domain_temperatures().get(name, 0.0)
        return own if isinstance(own, float) else 0.0  # a schedule is for texts; a plan that is run is the likeliest one
