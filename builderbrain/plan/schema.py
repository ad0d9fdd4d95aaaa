"""The schema language of a domain (described in `schemas/README.md`): strict YAML, typed, every error naming its key.

Read at build time by the generator and by tests, never while a plan is checked or run.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from builderbrain.errors import SchemaError
from builderbrain.plan import consistency
from builderbrain.plan.domain import OK_RESULT

MAX_SCHEMA_BYTES = 64 * 1024

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
TypeName = Annotated[str, StringConstraints(pattern=r"^(list of )?(string|text|path|integer|number|boolean)$")]
Summary = Annotated[str, StringConstraints(max_length=90, pattern=r"^[^\r\n\"\\|]*$")]
EdgeKind = Literal["data", "condition", "sequence"]
EDGE_KINDS: tuple[EdgeKind, ...] = ("data", "condition", "sequence")
LENGTH_TYPES = frozenset({"string", "text", "path"})
RANGE_TYPES = frozenset({"integer", "number"})

_GRAMMAR_RULE = re.compile(r"(plan|step|term|if|after|earlier|from|string)(_[0-9]+)*").fullmatch
"""Names of rules that every decoding grammar has beside those of the skills."""
_PYTHON_TYPES: dict[str, type] = {"string": str, "text": str, "path": str, "integer": int, "number": float, "boolean": bool}
_FILE_NAME = re.compile(r"(?P<domain>[a-z][a-z0-9_]*)\.v(?P<version>[1-9][0-9]{0,5})\.yaml").fullmatch


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ArgumentSchema(_Strict):
    """One argument of a skill."""

    type: TypeName
    required: bool = False
    default: str | int | float | bool | None = None
    summary: Summary = ""
    min_length: Annotated[int, Field(ge=0, le=1)] | None = None
    max_length: Annotated[int, Field(ge=1)] | None = None
    minimum: int | None = None
    maximum: int | None = None
    one_of: list[str] | None = None
    reference_only: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> ArgumentSchema:
        if self.required and self.default is not None:
            raise ValueError("a required argument has no default; drop required or default")
        if (self.min_length is not None or self.max_length is not None) and self.type not in LENGTH_TYPES:
            raise ValueError(f"min_length and max_length go with string, text and path, not with {self.type}")
        if (self.minimum is not None or self.maximum is not None) and self.type not in RANGE_TYPES:
            raise ValueError(f"minimum and maximum go with integer and number, not with {self.type}")
        if self.one_of is not None and (self.type != "string" or not self.one_of):
            raise ValueError("one_of is a list of at least one value, for a string")
        bounds = (self.default, self.min_length, self.max_length, self.minimum, self.maximum, self.one_of)
        if self.reference_only and any(bound is not None for bound in bounds):
            raise ValueError("reference_only takes no literal; drop the default and the bounds, which are of literals")
        if self.default is not None and type(self.default) is not _PYTHON_TYPES.get(self.type):
            raise ValueError(f"the default of a {self.type} must be a {self.type}, got {self.default!r}")
        return self


class ResultSchema(_Strict):
    """One result of a skill; in YAML its type alone will do."""

    type: TypeName
    summary: Summary = ""


def _result(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


def _fact_value(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("yes, no, on, off, true and false are booleans in YAML; choose another word for a value of a fact")
    return value


def _cost(value: object) -> object:
    if isinstance(value, str) or (type(value) is int and value >= 0):
        return value
    raise ValueError("a cost is a whole number of at least 0, or the name of an integer argument")


FactValue = Annotated[Name, BeforeValidator(_fact_value)]


class FactSchema(_Strict):
    """One fact: its possible values, and the one it starts with (without it, it starts unknown)."""

    one_of: Annotated[list[FactValue], Field(min_length=2, max_length=64)]
    initial: FactValue | None = None

    @model_validator(mode="after")
    def _consistent(self) -> FactSchema:
        if len(set(self.one_of)) != len(self.one_of):
            raise ValueError("one_of holds a value twice; keep one")
        if self.initial is not None and self.initial not in self.one_of:
            raise ValueError(f"initial must be one of {', '.join(self.one_of)}, got {self.initial}")
        return self


class ResourceSchema(_Strict):
    """What steps share while they run."""

    order: Literal["fixed", "any"]
    capacity: Annotated[int, Field(ge=1, le=64)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ResourceSchema:
        if self.order == "fixed" and self.capacity is not None:
            raise ValueError("capacity goes with order: any; steps in a fixed order use a resource one by one, so drop it")
        return self


class BudgetSchema(_Strict):
    """Bound on the sum of the costs of a plan."""

    limit: Annotated[int, Field(ge=0)]


class RetrySchema(_Strict):
    """When a transient fault is tried again; the waits double."""

    attempts: Annotated[int, Field(ge=2, le=10)]
    wait_seconds: Annotated[int | float, Field(gt=0, le=60)] = 1


class SkillSchema(_Strict):
    """One skill."""

    summary: Summary
    safety: Literal["read_only", "mutating", "meta"]
    timeout_seconds: Annotated[int | float, Field(gt=0, le=3600)]
    arguments: dict[Name, ArgumentSchema] = Field(default_factory=dict)
    results: dict[Name, Annotated[ResultSchema, BeforeValidator(_result)]] = Field(default_factory=dict)
    requires: dict[Name, Annotated[list[FactValue], Field(min_length=1)]] = Field(default_factory=dict)
    sets: dict[Name, FactValue] = Field(default_factory=dict)
    uses: list[Name] = Field(default_factory=list)
    costs: dict[Name, Annotated[int | str, BeforeValidator(_cost)]] = Field(default_factory=dict)
    retry: RetrySchema | None = None
    idempotent: bool = False
    undo: Name | None = None
    irreversible: bool = False
    critical: bool = False
    confirm: bool = False
    fallback: Name | None = None
    equivalent: list[Name] = Field(default_factory=list)
    cache_seconds: Annotated[int | float, Field(gt=0, le=86400)] | None = None

    @property
    def undo_skill(self) -> str | None:
        """The skill that takes a step back; None without one, also when there is nothing to take back (`undo: none`)."""
        return None if self.undo == consistency.NOTHING_TO_UNDO else self.undo

    @model_validator(mode="after")
    def _no_own_ok(self) -> SkillSchema:
        if OK_RESULT in self.results:
            raise ValueError(f"the result {OK_RESULT} is there by itself; drop it")
        return self


class LimitsSchema(_Strict):
    """Bounds on every plan of the domain."""

    max_steps: Annotated[int, Field(ge=1, le=64)]
    max_depth: Annotated[int, Field(ge=1, le=64)]
    max_width: Annotated[int, Field(ge=1, le=64)]


class DomainSchema(_Strict):
    """One domain file."""

    language: Literal[1, 2]
    domain: Name
    version: Annotated[int, Field(ge=1)]
    summary: Summary
    mode: Literal["strict", "flexible"] = "strict"
    facts: dict[Name, FactSchema] = Field(default_factory=dict)
    resources: dict[Name, ResourceSchema] = Field(default_factory=dict)
    budgets: dict[Name, BudgetSchema] = Field(default_factory=dict)
    fallback: Name | None = None
    limits: LimitsSchema
    edges: dict[EdgeKind, Literal["any", "none"] | dict[str, Literal["any", "none"] | list[str]]]
    skills: Annotated[dict[Name, SkillSchema], Field(min_length=1)]

    @model_validator(mode="after")
    def _edges_name_skills(self) -> DomainSchema:
        for kind in EDGE_KINDS:
            table = self.edges.get(kind)
            if table is None:
                raise ValueError(f"edges.{kind} is missing; write any, none or a table")
            if isinstance(table, str):
                continue
            named = set(table).union(*(targets for targets in table.values() if not isinstance(targets, str)))
            unknown = sorted(named - set(self.skills))
            if unknown:
                raise ValueError(f"edges.{kind} names {', '.join(unknown)}, which is no skill of this domain")
        return self

    @model_validator(mode="after")
    def _skills_are_not_named_as_rules(self) -> DomainSchema:
        taken = next((name for name in self.skills if _GRAMMAR_RULE(name)), None)
        if taken is not None:
            raise ValueError(f"a skill cannot be called {taken}, which is a rule of every grammar; choose another name")
        return self

    @model_validator(mode="after")
    def _references_can_be_made(self) -> DomainSchema:
        sources = self.legal_edges("data")
        given = [(target, result.type) for source, target in sources for result in self.skills[source].results.values()]
        for name, skill in self.skills.items():
            for argument, declared in skill.arguments.items():
                if declared.reference_only and (name, declared.type) not in given:
                    raise ValueError(
                        f"{name}.{argument} takes references only, but no skill that leads to {name} gives a {declared.type}"
                    )
        return self

    def legal_edges(self, kind: EdgeKind) -> tuple[tuple[str, str], ...]:
        """Legal pairs (needed skill, needing skill), in the order of the file."""
        table = self.edges[kind]
        pairs: list[tuple[str, str]] = []
        for source in self.skills:
            targets = table if isinstance(table, str) else table.get(source, "none")
            allowed = list(self.skills) if targets == "any" else [] if targets == "none" else targets
            pairs.extend((source, target) for target in self.skills if target in allowed)
        return tuple(pairs)


class StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader, without duplicate keys and aliases (an alias can blow a small file up)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise SchemaError(f"line {key.start_mark.line + 1}: expected a name as key, got a table or list")
            if key.value in seen:
                line = key.start_mark.line + 1
                raise SchemaError(f"line {line}: the key {key.value!r} is there twice; keep one", field=str(key.value))
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise SchemaError("expected a value, got a YAML alias (*name); write the value out")
        return super().compose_node(parent, index)


def parse_schema(text: str) -> DomainSchema:
    """A domain from YAML text.

    Raises:
        SchemaError: not YAML, or not of the schema language; `field` is the dotted key of the first error.
    """
    if len(text.encode()) > MAX_SCHEMA_BYTES:
        raise SchemaError(f"a domain schema has at most {MAX_SCHEMA_BYTES} bytes, got {len(text.encode())}; split the domain")
    try:
        decoded = yaml.load(text, Loader=StrictLoader)  # a subclass of the safe loader
    except yaml.YAMLError as error:
        raise SchemaError(f"expected a domain schema in YAML: {error}") from error
    except RecursionError:
        raise SchemaError("a domain schema is nested at most 6 deep; this text is nested thousands deep") from None
    if not isinstance(decoded, dict):
        raise SchemaError(f"expected a table with language, domain, version, ... at the top, got {type(decoded).__name__}")
    try:
        schema = DomainSchema.model_validate(decoded)
    except ValidationError as error:
        problems = [(".".join(map(str, part["loc"])), part["msg"], part["input"]) for part in error.errors()]
        lines = [f"{key or 'the file'}: {message} (got {_short(got)})" for key, message, got in problems]
        raise SchemaError("; ".join(lines), field=problems[0][0] or None) from error
    found = list(consistency.problems(schema))
    if found:
        raise SchemaError("; ".join(map(str, found)), field=found[0].key)
    return schema


def load_schema(path: Path) -> DomainSchema:
    """A domain from a file named `<domain>.v<version>.yaml`.

    Raises:
        SchemaError: as `parse_schema`, with the file's name; or the name does not agree with the content.
    """
    named = _FILE_NAME(path.name)
    if named is None:
        raise SchemaError(f"expected a file name such as repo_assistant.v1.yaml, got {path.name}", field="domain")
    try:
        schema = parse_schema(path.read_text(encoding="utf-8"))
    except SchemaError as error:
        raise SchemaError(f"{path.name}: {error.message}", field=error.field) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    if (schema.domain, schema.version) != (named["domain"], int(named["version"])):
        wanted = f"{schema.domain}.v{schema.version}.yaml"
        raise SchemaError(f"{path.name} holds {schema.domain} version {schema.version}; rename it to {wanted}", field="domain")
    return schema


def schema_sha256(path: Path) -> str:
    """Hash of the file's bytes, by which a released version is known."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
