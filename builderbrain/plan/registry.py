"""The domains that exist: those whose tables were generated, and those that were added while the program runs.

A name from outside is looked up here, never imported. An added domain is there as long as whoever added it says, and never
stands in for a generated one.

Where nobody names a version, the one in use is meant: the newest that was released, since that is what rails were trained on;
the newest of all in a domain of which none was released.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from builderbrain.errors import SchemaError
from builderbrain.plan._generated import DOMAINS, IN_USE
from builderbrain.plan.domain import Domain


@dataclass
class _Added:
    domain: Domain
    grammar: str
    users: int


_added: dict[tuple[str, int], _Added] = {}
_changing = Lock()


def find_domain(name: str, version: int) -> Domain | None:
    """Tables of a domain version, or None when there is no such domain or version."""
    generated = DOMAINS.get((name, version))
    if generated is not None or not _added:
        return generated
    added = _added.get((name, version))
    return added.domain if added is not None else None


def shipped_domains() -> tuple[Domain, ...]:
    """Every generated domain, all its versions."""
    return tuple(DOMAINS.values())


def domain_names() -> tuple[str, ...]:
    """Every domain, by name."""
    return tuple(sorted({name for name, _ in (*DOMAINS, *_added)}))


def domain_versions(name: str) -> tuple[int, ...]:
    """Versions of a domain, lowest first; empty when there is no such domain."""
    return tuple(sorted(version for other, version in (*DOMAINS, *_added) if other == name))


def version_in_use(name: str) -> int | None:
    """The version of a domain that is meant where nobody names one, or None when there is no such domain."""
    versions = domain_versions(name)
    return IN_USE.get(name, versions[-1] if versions else None)


def get_domain(name: str, version: int | None = None) -> Domain:
    """Tables of a domain, by default of the version in use.

    Raises:
        SchemaError: there is no such domain or version; names those that exist.
    """
    versions = domain_versions(name)
    if not versions:
        raise SchemaError(f"expected a domain, one of {', '.join(domain_names())}, got {name!r}", field="domain")
    wanted = IN_USE.get(name, versions[-1]) if version is None else version
    found = find_domain(name, wanted)
    if found is None:
        listed = ", ".join(map(str, versions))
        raise SchemaError(f"expected a version of {name}, one of {listed}, got {version!r}", field="version")
    return found


@contextmanager
def added_domain(domain: Domain, grammar: str) -> Iterator[Domain]:
    """Have a domain exist, for this process, until the end of the `with`. Gives the domain as it is looked up.

    Adding the same domain several times is fine: it exists until the last has ended.

    Args:
        grammar: the EBNF of its text form.

    Raises:
        SchemaError: a shipped domain has this name, or one with another schema was added under this name and version.
    """
    key = (domain.name, domain.version)
    with _changing:
        if any(name == domain.name for name, _ in DOMAINS):
            raise SchemaError(f"{domain.name} is a shipped domain; give the added one another name", field="domain")
        held = _added.setdefault(key, _Added(domain, grammar, 0))
        if held.domain.schema_sha256 != domain.schema_sha256:
            raise SchemaError(
                f"{domain.name} version {domain.version} is there already with another schema; raise its version",
                field="version",
            )
        held.users += 1
    try:
        yield held.domain
    finally:
        with _changing:
            held.users -= 1
            if held.users == 0:
                del _added[key]


def added_grammar(name: str, version: int) -> str | None:
    """The EBNF of an added domain; None for any other."""
    added = _added.get((name, version))
    return added.grammar if added is not None else None
