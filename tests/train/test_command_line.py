"""The commands that train: options in any order, helps that list keys and commands, a near miss named, an early Ctrl-C."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from builderbrain.train import __main__ as command
from builderbrain.train.__main__ import main
from builderbrain.train.command_line import parse_run
from builderbrain.train.config import TrainConfig


@pytest.mark.parametrize(
    "arguments",
    [["seed=1", "--dry-run", "steps=2"], ["--dry-run", "seed=1", "steps=2"], ["seed=1", "steps=2", "--dry-run"]],
)
def test_options_may_stand_between_overrides(arguments: list[str]) -> None:
    options = parse_run(
        [*arguments, "--config", "x.yaml", "rail.width=3"],
        prog="x", description="", epilog="", defaults=TrainConfig(), dry_run=True,
    )  # fmt: skip
    assert options.dry_run
    assert options.config == Path("x.yaml")
    assert options.overrides == ["seed=1", "steps=2", "rail.width=3"]


def test_helps_list_commands_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    expected = {
        (): [*command.COMMANDS, "constraints.kl_budget.target=0.03", 'data="repo_assistant"'],
        ("chain",): ["tool_graph.rows=", "epochs=36"],
        ("world",): ['data="FILE"', 'output="DIR"', "loss.rollout_steps=5"],
    }
    for given, words in expected.items():
        with pytest.raises(SystemExit):
            main([*given, "--help"])
        text = capsys.readouterr().out
        assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ingets", "x"], "got 'ingets'; did you mean ingest?"),
        (["steps"], "got 'steps'; `steps=VALUE` sets a key"),
        (["world"], "expected data=VALUE and output=VALUE, got nothing"),
        (["world", "data=x", "output={tmp}", "device=cuda:7"], "device: expected one of "),
        (["world", "data=x", "output={tmp}", "device=gpu"], "device: expected cpu, cuda or cuda:N, got 'gpu'"),
        (["--config", "{tmp}/latin.yaml"], "expected UTF-8"),
        (["chain", "--config", "{tmp}/absent.yaml"], "expected a readable YAML file"),
    ],
)
def test_a_mistake_is_named_with_status_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"output: caf\xe9\n")
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert message in printed


def test_an_interrupt_while_modules_are_imported_prints_no_stack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        def find_spec(self, name: str, path: object, target: object = None) -> None:
            if name.startswith("builderbrain.train."):
                raise KeyboardInterrupt

    for name in [name for name in sys.modules if name.startswith("builderbrain.train.") and not name.endswith("__main__")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    for arguments in (["steps=2"], ["world"], ["ingest", "x"]):
        with monkeypatch.context() as patched:
            import builderbrain.train

            for name in ("ingest", "world", "config", "command_line"):
                patched.delattr(builderbrain.train, name, raising=False)
            assert main(arguments) == 130
        assert capsys.readouterr().err == "\nstopped; give the same command again\n"


def test_what_is_printed_counts_steps_from_1(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ("data=scan", "wrong_steps=0", "steps=1", "batch_size=2", "micro_batches=1", "base_text_rows=1", "evaluation_rows=2",
            "evaluation_every=1", "tensorboard=never", "rail.width=16", "rail.head_size=8", "rail.num_skills=4",
            "watch.concept_cosine=0", "watch.concept_after=1")  # fmt: skip
    assert main([f"model={base}", f"output={tmp_path / 'run'}", *keys]) == 0
    printed = capsys.readouterr().out
    alarms = json.loads((tmp_path / "run" / "log.jsonl").read_text())["alarms"]
    assert [alarm["name"] for alarm in alarms] == ["concept_collapse"]
    assert "step 1/1 " in printed
    assert "alarm concept_collapse, step 1: " in printed
