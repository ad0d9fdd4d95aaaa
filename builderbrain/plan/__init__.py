"""Plans: typed DAGs of skill calls, their text and JSON forms, and the checker that stands before every side effect.

Imports neither torch nor a grammar engine: checking a plan costs microseconds.
"""

from __future__ import annotations

from builderbrain.plan.arguments import argument_faults
from builderbrain.plan.assets import read_grammar
from builderbrain.plan.check import READ_ONLY, CheckedPlan, check, checked
from builderbrain.plan.domain import Domain
from builderbrain.plan.export import to_graphviz, to_mermaid
from builderbrain.plan.faults import Fault, Verdict
from builderbrain.plan.json_form import plan_from_json, plan_to_json
from builderbrain.plan.model import Plan, Reference, Step
from builderbrain.plan.policy import Policy, decide
from builderbrain.plan.registry import added_domain, added_grammar, get_domain, version_in_use
from builderbrain.plan.text_form import parse_text, print_text

__all__ = [
    "READ_ONLY",
    "CheckedPlan",
    "Domain",
    "Fault",
    "Plan",
    "Policy",
    "Reference",
    "Step",
    "Verdict",
    "added_domain",
    "argument_faults",
    "check",
    "checked",
    "decide",
    "get_domain",
    "load_grammar",
    "parse_text",
    "plan_from_json",
    "plan_to_json",
    "print_text",
    "to_graphviz",
    "to_mermaid",
    "version_in_use",
]


def load_grammar(domain: str, version: int | None = None) -> str:
    """The EBNF (xgrammar's dialect, root rule `root`) of a domain's text form, by default of the version in use.

    Raises:
        SchemaError: there is no such domain or version.
    """
    found = get_domain(domain, version)
    added = added_grammar(found.name, found.version)
    return added if added is not None else read_grammar(found.name, found.version)
