"""The commands of the benchmarks refuse what is wrong with their options by name, before they measure anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import constraints
from benchmarks.qlora import __main__ as qlora


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "-1"], "error: expected steps"),
        (["stpes=4"], "error: unknown key 'stpes'; did you mean steps?"),
        (["--out", "none/report.json"], "error: expected --out in a folder that exists"),
    ],
)
def test_constraints_refuses_by_name(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert constraints.main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parts", "foo"], "expected speed,curve or one of them, got 'foo'"),
        (["--parts", "speed,curves"], "got 'curves'"),
        (["--steps", "-1"], "argument --steps: expected at least 1, got -1"),
        (["--rounds", "0"], "argument --rounds: expected at least 1, got 0"),
    ],
)
def test_qlora_refuses_by_name(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        qlora.main(["--out", str(tmp_path / "out"), *arguments])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_qlora_says_where_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert qlora.main(["--out", str(tmp_path / "file" / "out")]) == 2
    assert f"error: could not write to {tmp_path / 'file' / 'out'}: Not a directory" in capsys.readouterr().err


def test_a_rehearsal_says_what_it_does_and_leaves_the_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def curves(steps: int, every: int, write: object) -> dict[str, dict[str, float]]:
        said.append(capsys.readouterr().out)
        return {"time_to_loss": {"steps": steps}}

    monkeypatch.setattr(qlora, "curves", curves)
    monkeypatch.setattr(qlora, "write_plot", lambda report, path: path.write_text("plot"))
    assert qlora.main(["--out", str(tmp_path / "out"), "--parts", "curve", "--dry-run"]) == 0
    assert said == [f"rehearsing curve in tiny shapes; {tmp_path / 'out'} is left alone\n"]
    assert not (tmp_path / "out").exists()
    assert qlora.main(["--out", str(tmp_path / "out"), "--parts", "curve", "--steps", "7"]) == 0
    assert (tmp_path / "out" / "curve.svg").is_file()
    assert '"steps": 7' in capsys.readouterr().out
