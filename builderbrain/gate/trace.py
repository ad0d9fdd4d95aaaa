"""From an answer back to what made it: tokens, version, training step and data, the gate's report, and who promoted it.

    python -m builderbrain.gate trace answer.json --token 17
    python -m builderbrain.gate trace VERSION

An answer says in `weight_versions` which version drew which tokens. A version's manifest is signed and names the training
step, the configuration and the data by their hashes; the audit log, chained and signed, names the report by its hash. Every
link is checked on the way, so a walk that ends has not passed anything that was altered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builderbrain.errors import ConfigError, TamperedVersionError, VersionNotFoundError
from builderbrain.gate.audit import AuditEntry
from builderbrain.gate.reader import PROMOTION, ROLLBACK, RegistryReader
from builderbrain.gate.standing import report_digest

MAX_ANSWER_BYTES = 64 << 20
TRAINING_KEYS = ("step", "seed", "config_sha256", "data", "duals", "libraries")


@dataclass(frozen=True, kw_only=True)
class TokenSpan:
    """The half-open range of an answer's tokens that one version drew; `end` is None where the answer does not count them."""

    choice: int
    start: int
    end: int | None
    version: str


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """One version's way: its files, its training, its evaluations and its moves, newest last.

    `files` is the digest of its manifest, None when it was pruned. `report` is the last evaluation whose hash the log has.
    """

    version: str
    parent: str | None
    files: str | None
    training: Mapping[str, Any]
    events: tuple[AuditEntry, ...]
    report: Mapping[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """JSON values; of the report what identifies it and what it found."""
        report = None
        if self.report is not None:
            keys = ("candidate", "live", "attempt", "seed", "hashes", "base", "created")
            report = {key: self.report[key] for key in keys if key in self.report}
            report |= {"sha256": report_digest(self.report), "verdict": self.report["verdict"]}
        return {
            "version": self.version,
            "parent": self.parent,
            "files": self.files,
            "training": dict(self.training),
            "events": [asdict(entry) for entry in self.events],
            "report": report,
        }


def spans_of(answer: object, *, choice: int = 0, token: int | None = None) -> list[TokenSpan]:
    """The spans of an answer, or the one a token lies in.

    Args:
        answer: JSON of a reply of `/v1/chat/completions`, `/v1/completions`, `/v1/responses` or `/v1/goals`.
        choice: which of several outputs.
        token: place of a token in that output, from 0.

    Raises:
        ConfigError: the answer names no version, has no such choice, or no such token; `field` says which.
    """
    if not isinstance(answer, Mapping):
        raise ConfigError(f"expected the JSON object of an answer, got {type(answer).__name__}", field="answer")
    holder: Any = answer
    if "choices" in answer:
        choices = answer["choices"]
        if not isinstance(choices, list) or not 0 <= choice < len(choices):
            count = len(choices) if isinstance(choices, list) else 0
            raise ConfigError(f"expected a choice from 0 to {count - 1}, got {choice}", field="--choice")
        holder = choices[choice]
    try:
        if "weight_versions" in holder:
            found = [
                TokenSpan(choice=choice, start=int(row["start"]), end=int(row["end"]), version=str(row["version"]))
                for row in holder["weight_versions"]
            ]
        else:
            found = [TokenSpan(choice=choice, start=0, end=None, version=str(holder["weight_version"]))]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"the answer does not say which version gave it ({error!r})", field="weight_versions") from error
    if token is None:
        return found
    inside = [span for span in found if span.start <= token and (span.end is None or token < span.end)]
    if not inside:
        last = max((span.end or 0 for span in found), default=0)
        raise ConfigError(f"expected a token from 0 to {last - 1}, got {token}", field="--token")
    return inside


def lineage_of(registry: RegistryReader, version: str) -> Lineage:
    """Walk back from a version, checking every file, hash and signature on the way.

    Raises:
        VersionNotFoundError: neither a version nor the log knows it.
        TamperedVersionError: something on the way was altered.
    """
    entries = registry.audit_entries()
    mine = tuple(entry for entry in entries if version in (entry.details.get("version"), entry.details.get("from")))
    if version not in registry.versions():
        if not mine:
            known = ", ".join(registry.versions()) or "none"
            raise VersionNotFoundError(
                f"neither {registry.root} nor its audit log knows {version!r}; known: {known}", field="version"
            )
        return Lineage(version=version, parent=None, files=None, training={}, events=mine, report=None)
    manifest = registry.verify(version)
    report = registry.report(version)
    evaluated = [entry for entry in mine if entry.event == "evaluated"]
    if report is not None and (not evaluated or evaluated[-1].details["report_sha256"] != report_digest(report)):
        raise TamperedVersionError(f"the report on {version} is not the last one recorded; evaluate again", field="report")
    information = manifest.information
    return Lineage(
        version=version,
        parent=information.get("parent"),
        files=manifest.content_hash(),
        training={key: information[key] for key in TRAINING_KEYS if key in information},
        events=mine,
        report=report,
    )


def read_answer(path: Path) -> Any:
    """The JSON of an answer in a file.

    Raises:
        ConfigError: it cannot be read, is too large, or is not JSON.
    """
    try:
        if path.stat().st_size > MAX_ANSWER_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_ANSWER_BYTES >> 20} MiB; name one answer", field="answer")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path} is no JSON answer ({error}); save a reply of the server, or name a version"
        raise ConfigError(message, field="answer") from error


def as_text(spans: Sequence[TokenSpan], lineages: Mapping[str, Lineage]) -> str:
    """The walk for a person."""
    lines: list[str] = []
    for span in spans:
        lines += [
            f"tokens {span.start} to {'the end' if span.end is None else span.end} of choice {span.choice}: {span.version}"
        ]
    for lineage in lineages.values():
        lines += [*([""] if lines else []), *_told(lineage)]
    return "\n".join(lines) + "\n"


def _told(lineage: Lineage) -> list[str]:
    lines = [f"version {lineage.version}, parent {lineage.parent or 'none'}"]
    lines.append(f"  files     {lineage.files or 'pruned; the log below still has its way'}")
    training = lineage.training
    if training:
        lines.append(f"  training  step {training.get('step', 'unknown')}, seed {training.get('seed', 'unknown')}")
        for name in ("config_sha256", "data", "libraries"):
            if name in training:
                value = training[name]
                shown = ", ".join(f"{key} {part}" for key, part in value.items()) if isinstance(value, Mapping) else value
                lines.append(f"            {name.removesuffix('_sha256')} {shown}")
    else:
        lines.append("  training  its manifest does not say")
    report = lineage.report
    if report is None:
        lines.append("  report    none")
    else:
        hashes = ", ".join(f"{name} {value[:12]}" for name, value in report.get("hashes", {}).items())
        lines.append(f"  report    {report_digest(report)}, try {report['attempt']} against {report['live']}")
        lines.append(f"            {report['verdict']['decision']}; {hashes}")
    moves = {*PROMOTION, *ROLLBACK, "added", "attempt", "evaluated", "refused", "pruned"}
    for entry in lineage.events:
        if entry.event in moves:
            lines.append(f"  log       {entry.sequence:>4}  {entry.time}  {entry.event} by {entry.actor}")
    return lines
