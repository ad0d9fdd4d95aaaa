"""A run killed, and a disk filled, at its writes: the last good checkpoint loads, the same command ends with the same bytes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from builderbrain.train.checkpoint import load_checkpoint
from tests.hosts.tiny_models import llama, save_model
from tests.train.processes import Command, Trouble, contents

RUN = (
    "data=scan", "scan.skins=0", "wrong_steps=0", "batch_size=2", "micro_batches=1", "base_text_rows=1", "evaluation_rows=2",
    "evaluation_every=2", "checkpoint_every=2", "tensorboard=never", "rail.width=16", "rail.head_size=8", "rail.num_skills=6",
    "budget.steps=[1.0]", "steps=6", "constraints.reuse.enabled=true", "constraints.reuse.cap=0", "constraints.reuse.skills=2",
    "constraints.reuse.target=5", "constraints.build.enabled=true", "constraints.build.cap=0", "constraints.build.target=0",
    "skills.live=2", "skills.births=true", "skills.every=3", "skills.window=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random base."""
    return save_model(llama(max_position_embeddings=1024), tmp_path_factory.mktemp("base") / "llama")


def command(base: Path, output: Path, trouble: Trouble | None = None, *more: str) -> Command:
    return Command(
        arguments=[f"model={base}", f"output={output}", *RUN, *more],
        folder=output.with_name(f"{output.name}-printed"),
        trouble=trouble or Trouble(),
    )


@pytest.fixture(scope="module")
def points(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Output of a run that nothing disturbed, and the fail points that it passed."""
    output = tmp_path_factory.mktemp("whole") / "run"
    run = command(base, output, Trouble(points=output.with_name("points")))
    assert run.status() == 0, run.errors
    return output, output.with_name("points").read_text().split()


def places(names: list[str]) -> dict[str, int]:
    """One fail point for each kind of write, the middle one of its kind: identity, events of skills, checkpoints, the rail."""
    rail = max(index for index, name in enumerate(names) if name == "directory.before_file")
    first = names.index("directory.before_file")
    found = {
        "run.json": names.index("file.after_write"),
        "skills.jsonl": names.index("file.after_write", names.index("file.after_write") + 1),
        "log flushed, checkpoint not begun": first,
        "checkpoint tensors": names.index("directory.after_file"),
        "checkpoint manifest": names.index("directory.before_manifest", first + 1),
        "checkpoint rename": names.index("directory.before_rename", names.index("directory.before_rename") + 1),
        "checkpoint renamed": names.index("directory.after_rename", names.index("directory.after_rename") + 1),
        "final rail": rail,
    }
    assert len(set(found.values())) == len(found)
    return found


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("run.json", "kill"),
        ("log flushed, checkpoint not begun", "kill"),
        ("checkpoint tensors", "kill"),
        ("checkpoint renamed", "kill"),
        ("skills.jsonl", "kill"),
        ("final rail", "kill"),
        ("skills.jsonl", "full"),
        ("checkpoint manifest", "full"),
        ("checkpoint rename", "full"),
        ("final rail", "full"),
    ],
)
def test_cut_off_at_a_write_the_same_command_ends_with_the_same_bytes(
    place: str, kind: str, base: Path, points: tuple[Path, list[str]], tmp_path: Path
) -> None:
    whole, names = points
    output = tmp_path / "run"
    cut = command(base, output, Trouble(at=places(names)[place], kind=kind))
    if kind == "kill":
        assert cut.status() == -signal.SIGKILL
    else:
        assert cut.status() == 2
        assert f"error: could not write to {output}: No space left on device" in cut.errors
        assert "give the same command again" in cut.errors
        assert "Traceback" not in cut.errors
    saved = load_checkpoint(output / "checkpoints")
    if kind == "full":
        expected = "there is no checkpoint yet" if saved is None else f"{output}/checkpoints/step_{saved.step:08d}"
        assert expected in cut.errors
    again = command(base, output)
    assert again.status() == 0, again.errors
    assert contents(output) == contents(whole)


@pytest.mark.parametrize("kind", ["kill", "full"])
def test_an_operation_on_skills_is_whole_or_absent(kind: str, points: tuple[Path, list[str]], tmp_path: Path) -> None:
    def operation(output: Path, trouble: Trouble) -> Command:
        named = ["--skill", "1", "--name", "chosen", "--output", str(output)]
        return Command(arguments=["skills", "name", str(points[0]), *named], folder=tmp_path / "printed", trouble=trouble)

    calm = operation(tmp_path / "calm", Trouble(points=tmp_path / "points"))
    assert calm.status() == 0, calm.errors
    names = (tmp_path / "points").read_text().split()
    for at in map(names.index, ("file.after_rename", "directory.before_manifest", "directory.after_rename")):
        output = tmp_path / f"cut-{at}"
        cut = operation(output, Trouble(at=at, kind=kind))
        assert cut.status() == (-signal.SIGKILL if kind == "kill" else 2)
        assert kind == "kill" or f"error: could not write {output}: No space left on device" in cut.errors
        assert not output.exists()
        again = operation(output, Trouble())
        assert again.status() == 0, again.errors
        assert contents(output) == contents(tmp_path / "calm")


@pytest.mark.parametrize("file", ["log.jsonl", "checkpoints/step_00000006/state.safetensors"])
def test_a_file_that_may_not_grow_ends_a_run_with_a_message(
    file: str, base: Path, points: tuple[Path, list[str]], tmp_path: Path
) -> None:
    whole, output = points[0], tmp_path / "run"
    every = "6" if file == "log.jsonl" else "2"  # the log is flushed before the only checkpoint
    cut = command(base, output, Trouble(largest_file=(whole / file).stat().st_size - 1), f"checkpoint_every={every}")
    assert cut.status() == 2, cut.errors
    assert f"error: could not write to {output}: File too large" in cut.errors
    assert "Traceback" not in cut.errors
    again = command(base, output)
    assert again.status() == 0, again.errors
    assert contents(output) == contents(whole)
