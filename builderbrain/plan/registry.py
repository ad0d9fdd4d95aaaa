"""The domains that exist: those whose tables were generated. A name from outside is looked up here, never imported."""

from __future__ import annotations

from builderbrain.errors import SchemaError
from builderbrain.plan._generated import DOMAINS
from builderbrain.plan.domain import Domain


def find_domain(name: str, version: int) -> Domain | None:
    """Tables of a domain version, or None when there is no such domain or version."""
    return DOMAINS.get((name, version))


def domain_names() -> tuple[str, ...]:
    """Every domain, by name."""
    return tuple(sorted({name for name, _ in DOMAINS}))


def domain_versions(name: str) -> tuple[int, ...]:
    """Versions of a domain, lowest first; empty when there is no such domain."""
    return tuple(sorted(version for other, version in DOMAINS if other == name))


def get_domain(name: str, version: int | None = None) -> Domain:
    """Tables of a domain, by default of its newest version.

    Raises:
        SchemaError: there is no such domain or version; names those that exist.
    """
    versions = domain_versions(name)
    if not versions:
        raise SchemaError(f"expected a domain, one of {', '.join(domain_names())}, got {name!r}", field="domain")
    wanted = versions[-1] if version is None else version
    found = find_domain(name, wanted)
    if found is None:
        listed = ", ".join(map(str, versions))
        raise SchemaError(f"expected a version of {name}, one of {listed}, got {version!r}", field="version")
    return found
