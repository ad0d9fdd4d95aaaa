"""`python -m builderbrain.train skills show|name|merge|distil|retire|pack|undo FOLDER ...`.

FOLDER is the output folder of a run, or that of a rail, which has no history. Nothing is changed in place: every operation
writes a new output folder with the changed rail, the whole history, and what takes the operation back.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from builderbrain.config import load_config
from builderbrain.errors import BuilderBrainError, CheckpointError, OutputError, SkillError
from builderbrain.rail.checkpoint import WEIGHTS_NAME, load_rail, save_rail
from builderbrain.rail.pair import Pair
from builderbrain.rail.rail import BuilderRail
from builderbrain.rail.skill_book import SkillBook
from builderbrain.train.batch import Batch
from builderbrain.train.config import TrainConfig
from builderbrain.train.lifecycle.events import SkillHistory
from builderbrain.train.lifecycle.functions import cosines, record_states
from builderbrain.train.lifecycle.measure import measure
from builderbrain.train.lifecycle.operations import Change, distil, merge, pack, rename, retire, take_back
from builderbrain.train.setup import gather_materials

_DISTILLED_ROWS = 96
"""Goals whose tokens a distilled skill is fitted to."""


class Workbench:
    """A trained rail beside its base, with data of its domain to judge by."""

    def __init__(self, folder: Path, settings: Sequence[str]) -> None:
        """Load all of it; `settings` are keys of training, e.g. `data=scan`.

        Raises:
            BuilderBrainError: the folder holds no rail, the data is of another domain, a key is unknown.
        """
        self.config = load_config(TrainConfig, None, [*settings, f"start={rail_of(folder)}"])
        materials = gather_materials(self.config)
        self.rail = materials.rail.to(materials.host.device).eval()
        self.pair = Pair(materials.host, self.rail)
        collate = materials.collator(self.config)
        self.held_out: Batch = collate(materials.source.held_out(self.config.evaluation_rows))
        self._collate, self._source = collate, materials.source

    def cosine(self, one: int, other: int) -> float:
        """How alike two live skills are."""
        book = self.rail.book
        return float(cosines(self.rail, record_states(self.pair, self.held_out))[book.row_of(one), book.row_of(other)])

    def distil(self, skills: Sequence[int]) -> Change:
        """See `operations.distil`; fitted to rows of training."""
        return distil(
            self.rail, skills, record_states(self.pair, self._collate(self._source.rows(0, _DISTILLED_ROWS)), most=4096)
        )

    def pack(self) -> Change:
        """See `operations.pack`; the bench then holds the smaller rail."""
        self.rail, change = pack(self.rail)
        self.pair = Pair(self.pair.host, self.rail.eval())
        return change

    def share(self, skill: int) -> float:
        """Share of the held-out tokens that a skill answers for."""
        usage = measure(self.pair, self.held_out).usage
        return float(usage[self.rail.book.row_of(skill)] / usage.sum())


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 0 done, 2 refused with a reason."""
    options = _parser().parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], None] = options.command
        command(options)
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    return 0


def rail_of(folder: Path) -> Path:
    """The rail's own folder, of an output folder or of itself."""
    return folder if (folder / WEIGHTS_NAME).is_file() else folder / "rail"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m builderbrain.train skills",
        description="Look at the skills of a trained rail, or write a new folder with some merged, distilled or retired",
        epilog="example: skills retire builderbrain/bundled/nano_rail --output runs/retired --skill 0 "
        "--set data=repo_assistant; docs/skills.md goes on from there",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, command: Callable[[argparse.Namespace], None], text: str, *, writes: bool = True, reads: bool = True
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(command=command)
        made.add_argument("folder", type=Path, metavar="FOLDER", help="output folder of a run, or the folder of a rail")
        if writes:
            made.add_argument("--output", type=Path, required=True, help="folder to write; must not exist")
        if reads:
            made.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="keys of training, e.g. data=scan")
        return made

    add("show", _show, "print the skill book; with --set data=... also usage and likeness on held-out rows", writes=False)
    made = add("name", _name, "give a skill a name", reads=False)
    made.add_argument("--skill", type=int, required=True)
    made.add_argument("--name", required=True)
    made = add("merge", _merge, "let one skill answer for another, if they are alike and the held-out loss allows it")
    made.add_argument("--keep", type=int, required=True)
    made.add_argument("--give", type=int, required=True)
    made = add("distil", _distil, "fit one skill to the work of several")
    made.add_argument("--skills", type=int, nargs="+", required=True)
    made = add("retire", _retire, "close a skill that hardly any token takes")
    made.add_argument("--skill", type=int, required=True)
    add("pack", _pack, "leave out the parameters of skills that answer for nothing")
    add("undo", _undo, "take the newest event back", reads=False)
    return parser


def _show(options: argparse.Namespace) -> None:
    rail = load_rail(rail_of(options.folder))
    print(*describe(rail.book), sep="\n")
    if not options.set:
        return
    bench = Workbench(options.folder, options.set)
    found, likeness = measure(bench.pair, bench.held_out), cosines(bench.rail, record_states(bench.pair, bench.held_out))
    live = [(record.id, record.row) for record in bench.rail.book.live if record.row is not None]
    share = found.usage / found.usage.sum()
    print(f"held-out loss {found.loss:.4f} nats per token, entropy of usage {found.entropy:.2f} nats")
    print(f"dead on these rows: {sum(not found.usage[row] for _, row in live)} of {len(live)}")
    print(*(f"skill {skill}: {share[row]:.1%} of the tokens" for skill, row in live), sep="\n")
    alike = sorted(
        ((float(likeness[a, b]), one, other) for i, (one, a) in enumerate(live) for other, b in live[i + 1 :]), reverse=True
    )
    print(*(f"skills {one} and {other}: cosine {cosine:.3f}" for cosine, one, other in alike[:5]), sep="\n")


def describe(book: SkillBook) -> list[str]:
    """One line per skill that ever was."""
    lines = []
    for record in book.records:
        place = f"row {record.row}" if record.state == "live" else f"{record.state} into {book.resolve(record.id).id}"
        place = record.state if record.state in ("retired", "withdrawn") else place
        parents = f", from {', '.join(map(str, record.parents))}" if record.parents else ""
        pinned = ", pinned" if book.is_pinned(record.id) else ""
        lines.append(
            f"{record.id:4d}  {record.name}  version {record.version}, {place}{pinned}, born at step {record.born}{parents}, "
            f"{record.tokens} tokens"
        )
    return lines


def _name(options: argparse.Namespace) -> None:
    rail = load_rail(rail_of(options.folder))
    _write(options, rail, rename(rail, options.skill, options.name), {}, None, None)


def _merge(options: argparse.Namespace) -> None:
    bench = _bench(options)
    cosine, least = bench.cosine(options.keep, options.give), bench.config.skills.merge_cosine
    if cosine < least:
        raise SkillError(
            f"expected skills {options.keep} and {options.give} with a cosine of at least {least}, got {cosine:.3f}; keep "
            "both, or lower skills.merge_cosine",
            field="skills.merge_cosine",
        )
    trigger = {"cosine": cosine, "merge_cosine": least}
    _judge(options, bench, lambda: merge(bench.rail, keep=options.keep, give=options.give), trigger)


def _distil(options: argparse.Namespace) -> None:
    bench = _bench(options)
    _judge(options, bench, lambda: bench.distil(options.skills), {})


def _retire(options: argparse.Namespace) -> None:
    bench = _bench(options)
    share, most = bench.share(options.skill), bench.config.skills.retire_under
    if share >= most and share > 0:
        raise SkillError(
            f"expected skill {options.skill} with less than {most} of the tokens, got {share:.4f}; keep it, or raise "
            "skills.retire_under",
            field="skills.retire_under",
        )
    _judge(options, bench, lambda: retire(bench.rail, options.skill), {"share": share, "retire_under": most})


def _pack(options: argparse.Namespace) -> None:
    bench = _bench(options)
    _judge(options, bench, bench.pack, {})


def _undo(options: argparse.Namespace) -> None:
    history = SkillHistory(options.folder)
    event = history.last()
    rail = take_back(load_rail(rail_of(options.folder)), history.change_of(event))
    with _whole(options.output) as folder:
        history.copy_to(folder).append_undo(event)
        save_rail(rail, folder / "rail")
    print(f"event {event.number} ({event.kind} of skills {list(event.skills)}) taken back: {options.output / 'rail'}")


def _bench(options: argparse.Namespace) -> Workbench:
    _expect_absent(options.output)
    return Workbench(options.folder, options.set)


def _judge(options: argparse.Namespace, bench: Workbench, operation: Callable[[], Change], trigger: dict[str, float]) -> None:
    """Do it, and write it if the held-out loss rises by no more than the tolerance."""
    tolerance = bench.config.skills.tolerance
    before = measure(bench.pair, bench.held_out).loss
    change = operation()
    after = measure(bench.pair, bench.held_out).loss
    if not after - before <= tolerance:
        raise SkillError(
            f"expected a held-out loss that rises by at most {tolerance} nats per token, got {before:.4f}, then {after:.4f} "
            f"after the {change.kind}; leave these skills as they are, or raise skills.tolerance",
            field="skills.tolerance",
        )
    _write(options, bench.rail, change, {**trigger, "tolerance": tolerance}, before, after)
    print(f"held-out loss {before:.4f}, then {after:.4f} nats per token")


def _write(
    options: argparse.Namespace,
    rail: BuilderRail,
    change: Change,
    trigger: dict[str, float],
    before: float | None,
    after: float | None,
) -> None:
    with _whole(options.output) as folder:
        history = SkillHistory(options.folder).copy_to(folder)
        history.append(change, step=None, parents=(), trigger=trigger, before=before, after=after)
        save_rail(rail, folder / "rail")
    parameters = sum(tensor.numel() for tensor in rail.parameters())
    print(f"{change.kind} of skills {list(change.ids)}: {options.output / 'rail'}, {parameters:,} parameters")


@contextmanager
def _whole(output: Path) -> Iterator[Path]:
    """A folder to write into that becomes `output` at the end; what an attempt that was cut off left there is removed.

    Raises:
        CheckpointError: `output` exists.
        OutputError: the disk is full or gone; nothing is left.
    """
    _expect_absent(output)
    folder = output.with_name(f".{output.name}.unfinished")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
        folder.rename(output)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise OutputError(
            f"could not write {output}: {error.strerror or error}; make room there and give the same command again",
            field="output",
        ) from error


def _expect_absent(output: Path) -> None:
    if output.exists():
        raise CheckpointError(f"expected a folder that does not exist yet, got {output}; name another", field="output")
