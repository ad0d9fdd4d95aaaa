"""What the commands `composition` and `ablation` do once their options are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from builderbrain.domains.scan import DOMAIN, SPLITS
from builderbrain.errors import SubjectError
from builderbrain.eval import ablation
from builderbrain.eval.composition import CompositionRun, NearestCommand, decode_plans, draw_commands, judge_plans
from builderbrain.eval.composition_report import as_json, bars_of, print_report
from builderbrain.eval.folders import kind_of, load_model
from builderbrain.eval.output import progress_bar, write_report
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.base import Host
from builderbrain.plan import load_grammar

NEAREST = "nearest"
SPLIT_PLACE, SEED_PLACE = "{split}", "{seed}"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A name for the table and the folder of its models; `{split}` and `{seed}` in it stand for theirs."""

    label: str
    folder: str

    def folder_of(self, split: str, seed: int | None) -> Path:
        """Where the model of a split and seed lies."""
        return Path(self.folder.replace(SPLIT_PLACE, split).replace(SEED_PLACE, str(seed))).expanduser()


def parse_subject(text: str) -> Subject:
    """`nearest`, a folder, or `label=folder`.

    Raises:
        SubjectError: an empty label or folder.
    """
    if text == NEAREST:
        return Subject(label=NEAREST, folder="")
    label, separator, folder = text.partition("=")
    if not separator:
        label = folder = text
    if not label or not folder:
        raise SubjectError(f"expected --subject {NEAREST}, FOLDER or LABEL=FOLDER, got {text!r}", field="subject")
    return Subject(label=label, folder=folder)


def measure_composition(
    subjects: Sequence[Subject],
    target: Path | None,
    *,
    model: str,
    device: str | None,
    splits: Sequence[str],
    seeds: Sequence[int],
    commands: int,
) -> int:
    """Run the suite for every subject, split and seed; print the table, write JSON and plot where a target is named."""
    runs: list[CompositionRun] = []
    wanted = list(_wanted(subjects, splits, seeds))
    with progress_bar() as progress:
        for subject, split, seed in wanted:
            examples = draw_commands(split, commands)
            label = f"{subject.label} {split} {'' if seed is None else seed}"
            task = progress.add_task(label, total=len(examples))
            asked = [example.command for example in examples]
            if subject.label == NEAREST:
                plans = NearestCommand(split).plans(asked)
            else:
                pair = load_model(subject.folder_of(split, seed), model, device=device).pair
                plans = decode_plans(pair, asked, _grammar(pair.host), on_commands=partial(progress.advance, task))
            progress.update(task, completed=len(examples))
            runs.append(judge_plans(examples, plans, subject=subject.label, split=split, seed=seed))
    console = Console()
    print_report(runs, console)
    if target is not None:
        write_report(target, as_json(runs), title="composition: right commands", bars=bars_of(runs), console=console)
    return 0


def measure_ablation(
    subject: Subject,
    target: Path | None,
    *,
    model: str,
    device: str | None,
    splits: Sequence[str],
    seeds: Sequence[int],
    commands: int,
) -> int:
    """Run the ablation suite for the rails of a subject; print the table, write JSON and plot where a target is named."""
    found: list[ablation.SkillAblation] = []
    with progress_bar() as progress:
        wanted = list(_wanted([subject], splits, seeds))
        task = progress.add_task("ablation", total=len(wanted))
        for _, split, seed in wanted:
            loaded = load_model(subject.folder_of(split, seed), model, device=device)
            grammar = _grammar(loaded.pair.host)
            found += ablation.ablate_skills(loaded.pair, draw_commands(split, commands), grammar, split=split, seed=seed)
            progress.advance(task)
    console = Console()
    ablation.print_report(found, console)
    if target is not None:
        title = "ablation: right commands without a skill"
        write_report(target, ablation.as_json(found), title=title, bars=ablation.bars_of(found), console=console)
    return 0


def _wanted(
    subjects: Sequence[Subject], splits: Sequence[str], seeds: Sequence[int]
) -> Iterator[tuple[Subject, str, int | None]]:
    """Every subject, split and seed whose folder holds a model.

    Raises:
        SubjectError: a folder holds none, or there are no seeds for it.
    """
    for subject in subjects:
        if SEED_PLACE in subject.folder and not seeds:
            raise SubjectError(
                f"expected --seeds for the folder {subject.folder!r}, got none; add --seeds 0 1 2", field="seeds"
            )
        mine: Sequence[int | None] = seeds if SEED_PLACE in subject.folder else (None,)
        for split in splits:
            for seed in mine:
                if subject.label != NEAREST:
                    kind_of(subject.folder_of(split, seed))
                yield subject, split, seed


def check_splits(splits: Sequence[str]) -> tuple[str, ...]:
    """The splits asked for, all of them for none.

    Raises:
        SubjectError: an unknown one.
    """
    for split in splits:
        if split not in SPLITS:
            raise SubjectError(f"expected a split, one of {', '.join(SPLITS)}, got {split!r}", field="splits")
    return tuple(dict.fromkeys(splits)) or tuple(SPLITS)


def _grammar(host: Host) -> CompiledConstraint:
    engine = XGrammarEngine(host.tokenizer, host.vocab_size)
    return engine.compile(Constraint(kind="grammar", source=load_grammar(DOMAIN)), trusted=True)
