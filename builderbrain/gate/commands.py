"""What the commands of `python -m builderbrain.gate` do, each from its parsed options to its exit code."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from builderbrain.errors import BatteryError, BuilderBrainError, ConfigError, TamperedVersionError
from builderbrain.gate.battery import FIRST_DOMAIN, Battery, due_battery, load_battery, prompt_hash, refuse_overlap
from builderbrain.gate.rail_folder import read_rail_folder
from builderbrain.gate.reader import ID_LENGTH, PROMOTION, RegistryReader
from builderbrain.gate.registry import Registry
from builderbrain.gate.standing import standing_of
from builderbrain.gate.verdict import Limits, shortage
from builderbrain.storage import canonical_json, write_atomic

TRAINING_HASHES = "training_prompts.sha256"
"""A file a rail folder may bring along: one `battery.prompt_hash` of a training prompt per line."""


def evaluate_candidate(options: Namespace) -> int:
    """Evaluate a candidate against live, record the report, and print it; a refusal is recorded too."""
    registry = Registry(options.registry)
    try:
        report = _evaluated(options, registry)
    except BuilderBrainError as error:
        if registry.versions():
            with suppress(BuilderBrainError, OSError):  # what is wrong with the evaluation is what has to be said
                registry.record_refusal(_named(options.candidate), field=error.field, reason=error.message)
        raise
    from builderbrain.gate.report import as_text

    if options.output is not None:
        write_atomic(options.output, canonical_json(report))
    print(as_text(report), end="")
    return 0 if report["verdict"]["decision"] == "promote" else 1


def _named(target: str) -> str:
    """The id that a candidate has or would have; what was typed where it is neither a version nor a rail's folder."""
    try:
        return read_rail_folder(Path(target)).content_hash()[:ID_LENGTH]
    except (BuilderBrainError, OSError, ValueError):
        return target


def _evaluated(options: Namespace, registry: Registry) -> dict[str, Any]:
    # Torch and the model libraries are only needed here.
    from builderbrain.gate.evaluate import evaluate
    from builderbrain.gate.report import build_report
    from builderbrain.gate.risk import RiskJudge
    from builderbrain.gate.subject import open_subjects

    limits = read_limits(options.limits)
    if options.battery:
        load_battery(options.battery)  # a wrong file is named before the candidate is added
    judge = RiskJudge.load(options.judge)
    version = _version(registry, options.candidate)
    live = registry.live()
    if live is None:
        message = "nothing is live to compare with, and the base brings no rail; promote the first version without a report"
        raise ConfigError(message, field="registry")
    if live.version == version:
        raise ConfigError(f"{version} is live already; evaluate another version", field="candidate")
    domain = _common_domain(registry, version, live.version)
    battery = _battery(registry, options.battery, domain)
    refuse_overlap(battery, _training_hashes(registry.root / version, options.training_data))
    registry.live_path()
    opened = open_subjects(
        registry.root,
        candidate=version,
        live=live.version,
        base=options.base,
        domain=domain,
        temperature=options.temperature,
        max_tokens=options.max_tokens,
    )
    opened.base.load(registry, opened.base_features)
    judge.check_base(opened.base_features)
    attempt = registry.begin_attempt(version)
    families = len({prompt.family for prompt in battery.prompts})
    if short := shortage(families, len(battery.prompts), limits=limits, attempt=attempt):
        print(f"this battery can promote nothing, and is read for its numbers alone: it has {short}", file=sys.stderr)
    start = time.monotonic()
    observations = evaluate(
        opened.candidate,
        opened.live,
        battery,
        judge=judge,
        base_features=opened.base_features,
        seed=options.seed,
        timeout_seconds=options.timeout,
        progress=_progress,
    )
    report = build_report(
        observations,
        candidate=version,
        live=live.version,
        attempt=attempt,
        limits=limits,
        seed=options.seed,
        battery=battery,
        judge=judge,
        base=opened.base_name,
        seconds=time.monotonic() - start,
        base_seconds=opened.base.base_seconds,
    )
    registry.record_report(report)
    try:
        opened.base.save(registry, opened.base_features)
    except OSError as error:
        print(f"the battery's base states are not kept for the next evaluation: {error}", file=sys.stderr)
    return report


def promote(options: Namespace) -> int:
    """Make a version live."""
    registry = Registry(options.registry)
    version = _version(registry, options.candidate)
    live = registry.live()
    expected = options.expect if options.expect is not None else live.version if live else None
    moved = registry.promote(version, expected_live=expected)
    how = "the first version, without a report" if live is None else f"after {live.version}"
    print(f"live: {moved.version} ({how})")
    return 0


def rollback(options: Namespace) -> int:
    """Make the former version live again."""
    moved = Registry(options.registry).rollback(
        expected_live=options.expect, evidence={"by": "the command line", "reason": options.reason}
    )
    print(f"live: {moved.version} (rolled back)")
    return 0


def list_versions(options: Namespace) -> int:
    """One line per version, each as the server's `/v1/versions` has it."""
    registry = Registry(options.registry)
    rows, entries = registry.list(), registry.audit_entries()
    for row in rows:
        try:
            state: str = standing_of(registry, row.version, entries).state
        except TamperedVersionError:
            state = "report altered"
        state = state.replace("live", "LIVE")
        print(f"{row.version}  {state:14}  parent {row.parent or 'none':16}  {row.fault or 'whole'}")
    if not rows:
        print(f"no versions in {options.registry}; add one with `promote FOLDER`")
    return 0


def verify(options: Namespace) -> int:
    """Check one version or everything; one line each."""
    registry = Registry(options.registry)
    if options.version is not None:
        registry.verify(options.version)
        print(f"{options.version}  whole")
        return 0
    if not registry.root.is_dir():
        raise ConfigError(
            f"there are no versions in {registry.root} yet; promote a rail first, or name another folder with --registry",
            field="--registry",
        )
    results = registry.verify_all()
    for name, fault in results.items():
        print(f"{name:16}  {fault.message if fault else 'whole'}")
    return 1 if any(results.values()) else 0


def merge(options: Namespace) -> int:
    """Add a candidate in which two skills of the live version are one."""
    from builderbrain.gate.merge import merge_is_due, merge_skills  # brings torch

    registry = Registry(options.registry)
    if options.if_due is not None and not merge_is_due(registry.audit_entries(), options.if_due):
        print(f"no merge is due: fewer than {options.if_due} promotions since the last one")
        return 0
    version = merge_skills(registry, keep=options.keep, give=options.give)
    print(f"candidate: {version} (skill {options.give} merged into {options.keep}); run `evaluate {version}`, then `promote`")
    return 0


def trace(options: Namespace) -> int:
    """Walk from an answer's tokens to the versions that drew them, and from each to where it came from."""
    from builderbrain.gate.trace import TokenSpan, as_text, lineage_of, read_answer, spans_of

    registry = RegistryReader(options.registry)
    spans: list[TokenSpan] = []
    if len(options.answer) == ID_LENGTH and not Path(options.answer).exists():
        versions = [options.answer]
    else:
        spans = spans_of(read_answer(Path(options.answer)), choice=options.choice, token=options.token)
        versions = list(dict.fromkeys(span.version for span in spans))
    lineages = {version: lineage_of(registry, version) for version in versions}
    if options.output is not None:
        found = {"spans": [asdict(span) for span in spans], "versions": [row.to_json() for row in lineages.values()]}
        write_atomic(options.output, canonical_json(found))
    print(as_text(spans, lineages), end="")
    return 0


def diff(options: Namespace) -> int:
    """Print what is different between two versions, and write the page."""
    from builderbrain.gate.diff import as_text, difference
    from builderbrain.gate.diff_page import as_page

    found = difference(RegistryReader(options.registry), options.old, options.new)
    if options.html is not None:
        write_atomic(options.html, as_page(found).encode())
    print(as_text(found), end="")
    return 0


def train_judge_for(options: Namespace) -> int:
    """Fit a judge for a base and save it."""
    from builderbrain.gate.labelled import load_labelled
    from builderbrain.gate.signals import FAMILIES
    from builderbrain.gate.subject import base_features_of
    from builderbrain.gate.train_judge import retrain
    from builderbrain.hosts.load import load_host

    labelled = load_labelled(options.labelled)
    host = load_host(options.base)
    judge = retrain(options.output, base_features_of(host), base_name=host.name, seed=options.seed, labelled=labelled)
    print(f"{options.output}: judge {judge.version}")
    print(f"{'family':10}{'AUROC':>8}{'calibration error':>20}{'largest fall':>14}")
    for family in FAMILIES:
        row = judge.report[family]
        fall = row["largest_fall_under_injection"]
        print(f"{family:10}{row['auroc']:>8.4f}{row['calibration_error']:>20.4f}{fall:>14.2g}")
    return 0


def read_limits(path: Path | None) -> Limits:
    """The rule's limits, with overrides from a JSON object.

    Raises:
        ConfigError: the file is no JSON object of known names and numbers.
    """
    if path is None:
        return Limits()
    known = [field.name for field in fields(Limits)]
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not readable JSON ({error}); write an object such as {{}}", field="--limits") from error
    if not isinstance(value, dict):
        raise ConfigError(f"expected {path} to hold an object, got {type(value).__name__}", field="--limits")
    for name, number in value.items():
        if name not in known:
            raise ConfigError(f"unknown limit {name!r}; expected one of {', '.join(known)}", field=f"limits.{name}")
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ConfigError(f"expected {name} to be a number, got {number!r}", field=f"limits.{name}")
    return Limits(**value)


def _version(registry: Registry, target: str) -> str:
    """A version's id, from the id or from a rail folder, which is added once it loads."""
    if target in registry.versions():
        _begin_with_bundled(registry, registry.root / target)
        return target
    folder = Path(target)
    if not folder.is_dir():
        known = ", ".join(registry.versions()) or "none"
        message = f"expected a version of {registry.root} (known: {known}) or a rail folder, got {target!r}"
        raise ConfigError(message, field="candidate")
    from builderbrain.rail.checkpoint import load_rail  # brings torch

    load_rail(folder)
    _begin_with_bundled(registry, folder)
    live = registry.live()
    return registry.add(folder, parent=live.version if live else None)


def _begin_with_bundled(registry: Registry, folder: Path) -> None:
    """In a registry where nothing is live, make the rail live that comes with the candidate's base, if one does.

    It is what was served so far, so that the first rail of a user's own is measured like every later one.
    """
    if registry.live() is not None:
        return
    from builderbrain.rail.bundled import bundled_domain_rails_of, bundled_rail_of  # brings torch
    from builderbrain.rail.checkpoint import load_rail

    base, domain = load_rail(folder).config.base_name, _domain_of(folder)
    bundled = bundled_rail_of(base) if domain == FIRST_DOMAIN else bundled_domain_rails_of(base).get(domain)
    if bundled is None:
        return
    if read_rail_folder(bundled).content_hash() == read_rail_folder(folder).content_hash():
        return
    moved = registry.promote(registry.add(bundled), expected_live=None)
    print(f"live: {moved.version} (the bundled rail, which was served until now)")


def _domain_of(folder: Path) -> str:
    from builderbrain.gate.rail_domain import domain_of_folder  # brings torch

    return domain_of_folder(folder)


def _common_domain(registry: Registry, candidate: str, live: str) -> str:
    """The domain whose plans both make.

    Raises:
        ConfigError: they make plans of different domains.
    """
    mine, theirs = (_domain_of(registry.root / version) for version in (candidate, live))
    if mine != theirs:
        raise ConfigError(
            f"{candidate} makes plans of {mine}, but live ({live}) makes plans of {theirs}, so they cannot be compared; "
            f"keep rails of {mine} in a registry of their own, with --registry",
            field="candidate",
        )
    return mine


def _battery(registry: Registry, paths: list[Path] | None, domain: str = FIRST_DOMAIN) -> Battery:
    """The named battery or the shipped one of a domain, either with the sealed part when it is due."""
    promotions = sum(entry.event == PROMOTION[1] for entry in registry.audit_entries())
    return due_battery(paths, domain=domain, promotions=promotions)


def _training_hashes(version: Path, files: list[Path]) -> set[str]:
    """Hashes of what the candidate was trained on: from its own folder, and from the prompts of data files."""
    hashes: set[str] = set()
    recorded = version / TRAINING_HASHES
    if recorded.exists():
        hashes.update(recorded.read_text(encoding="utf-8").split())
    for path in files:
        try:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                row = json.loads(line)
                prompt = row.get("prompt", row.get("goal")) if isinstance(row, dict) else None
                if not isinstance(prompt, str):
                    raise ValueError(f"line {number} has no text under `prompt` or `goal`")
                hashes.add(prompt_hash(prompt))
        except (OSError, ValueError) as error:
            raise BatteryError(f"{path} cannot be compared with the battery: {error}", field="--training-data") from error
    return hashes


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total} prompts", end="" if done < total else "\n", file=sys.stderr, flush=True)
