"""The domains that exist: those whose tables were generated. A name from outside is looked up here, never imported.

Where nobody names a version, the one in use is meant: the newest that was released, since that is what rails were trained on;
the newest of all in a domain of which none was released.
"""

from __future__ import annotations

from builderbrain.errors import SchemaError
from builderbrain.plan._generated import DOMAINS, IN_USE
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


def version_in_use(name: str) -> int | None:
    """The version of a domain that is meant where nobody names one, or None when there is no such domain."""
    return IN_USE.get(name)


def get_domain(name: str, version: int | None = None) -> Domain:
    """Tables of a domain, by default of the version in use.

    Raises:
        SchemaError: there is no such domain or version; names those that exist.
    """
    versions = domain_versions(name)
    if not versions:
        raise SchemaError(f"expected a domain, one of {', '.join(domain_names())}, got {name!r}", field="domain")
    wanted = IN_USE[name] if version is None else version
    found = find_domain(name, wanted)
    if found is None:
        listed = ", ".join(map(str, versions))
        raise SchemaError(f"expected a version of {name}, one of {listed}, got {version!r}", field="version")
    return found
