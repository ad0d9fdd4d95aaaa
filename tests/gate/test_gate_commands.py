"""The command line, end to end on the bundled base with small rails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from builderbrain.gate.__main__ import main
from builderbrain.gate.battery import prompt_hash, shipped_battery
from builderbrain.gate.registry import Registry
from builderbrain.gate.risk import RiskJudge
from builderbrain.gate.shipped import JUDGE
from builderbrain.gate.subject import RailSubject, base_features_of
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.base import Host
from builderbrain.hosts.load import NANO, load_host
from builderbrain.plan import load_grammar
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import save_rail
from builderbrain.rail.config import RailConfig
from builderbrain.rail.rail import BuilderRail

QUICK = ("--max-tokens", 16, "--timeout", 600)
MakeRail = Callable[[str], Path]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command on this test's registry; gives exit code, output and errors."""

    def command(*arguments: object) -> tuple[int, str, str]:
        code = main(["--registry", str(tmp_path / "versions"), *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture(scope="module")
def host() -> Host:
    return load_host(NANO)


@pytest.fixture
def nano_rail(host: Host, tmp_path: Path) -> Callable[..., Path]:
    """A small untrained rail for the bundled base, or for one of its shape that brings no rail."""

    def make(seed: int, base: str = NANO) -> Path:
        torch.manual_seed(seed)
        config = RailConfig(
            base_name=base, d_model=host.d_model, vocab_size=host.vocab_size, tap_points=host.tap_points, width=16, head_size=8
        )
        folder = tmp_path / f"{base}{seed}"
        save_rail(BuilderRail(config), folder)
        return folder

    return make


def test_the_first_version_then_refusals_then_rollback(
    run: Callable[..., tuple[int, str, str]],
    nano_rail: Callable[..., Path],
    evaluated: Callable[..., None],
    tmp_path: Path,
) -> None:
    assert run("list")[:2] == (0, f"no versions in {tmp_path / 'versions'}; add one with `promote FOLDER`\n")
    code, out, _ = run("promote", nano_rail(1, "other"))
    assert code == 0
    assert "the first version, without a report" in out
    registry = Registry(tmp_path / "versions")
    first = registry.live_path().name
    second = registry.add(nano_rail(2))
    code, _, err = run("promote", second)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("report: ")
    assert "evaluate" in err
    evaluated(registry, second)
    code, _, err = run("promote", second, "--expect", second)
    assert code == 2
    assert f"got {first}" in err
    assert run("promote", second)[:2] == (0, f"live: {second} (after {first})\n")
    code, out, _ = run("list")
    assert code == 0
    assert f"{second}  LIVE" in out
    assert f"{first}  promoted" in out
    assert run("verify")[0] == 0
    assert run("verify", second)[0] == 0
    assert run("rollback")[:2] == (0, f"live: {first} (rolled back)\n")
    assert run("rollback")[0] == 2
    assert f"{second}  rolled back" in run("list")[1]


def test_the_first_rail_of_the_bundled_base_is_measured_against_the_bundled_rail(
    run: Callable[..., tuple[int, str, str]], nano_rail: Callable[..., Path], tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "versions")
    mine = nano_rail(1)
    code, out, err = run("promote", mine)
    assert code == 2
    assert "the bundled rail, which was served until now" in out
    assert err.startswith("report: ")
    assert registry.live_path().name != registry.add(mine)
    assert "already" in run("promote", BUNDLED_RAIL)[2]


def test_the_bundled_rail_itself_is_promoted_at_once(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = run("promote", BUNDLED_RAIL)
    assert (code, out.count("\n")) == (0, 1)
    assert "the first version" in out


def test_what_does_not_load_as_a_rail_never_enters_the_registry(
    run: Callable[..., tuple[int, str, str]], make_rail: MakeRail, tmp_path: Path
) -> None:
    code, out, err = run("promote", make_rail("no rail at all"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "versions").exists()


def test_damage_is_named(run: Callable[..., tuple[int, str, str]], nano_rail: Callable[..., Path], tmp_path: Path) -> None:
    run("promote", nano_rail(1, "other"))
    registry = Registry(tmp_path / "versions")
    path = registry.live_path() / "rail.safetensors"
    path.write_bytes(path.read_bytes()[::-1] + b"x")
    code, out, _ = run("verify")
    assert code == 1
    assert "rail.safetensors is torn" in out
    code, _, err = run("verify", path.parent.name)
    assert code == 2
    assert err.startswith("rail.safetensors: ")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["promote", "nowhere"], "candidate"),
        (["evaluate", "nowhere"], "candidate"),
        (["evaluate", "nowhere", "--battery", "missing.jsonl"], "battery"),
        (["evaluate", "nowhere", "--judge", "missing"], "judge"),
        (["evaluate", "nowhere", "--limits", "missing.json"], "--limits"),
        (["verify", "0123456789abcdef"], "version"),
        (["verify"], "--registry"),
        (["rollback"], "registry"),
    ],
)
def test_bad_input_is_one_line_with_field_and_remedy(
    run: Callable[..., tuple[int, str, str]], arguments: list[str], field: str
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"{field}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("[]", "--limits"),
        ("{", "--limits"),
        ('{"alfa": 1}', "limits.alfa"),
        ('{"alpha": "x"}', "limits.alpha"),
        ('{"alpha": 7}', "alpha"),
    ],
)
def test_bad_limits_are_named(run: Callable[..., tuple[int, str, str]], tmp_path: Path, content: str, field: str) -> None:
    path = tmp_path / "limits.json"
    path.write_text(content)
    code, _, err = run("evaluate", "x", "--limits", path)
    assert code == 2
    assert err.startswith(f"{field}: ")


def test_evaluate_two_rails_on_the_bundled_base(
    run: Callable[..., tuple[int, str, str]], nano_rail: Callable[..., Path], tmp_path: Path
) -> None:
    prompts = shipped_battery().prompts[:1]
    battery = tmp_path / "battery.jsonl"
    lines = [{"id": p.id, "family": p.family, "kind": p.kind, "domain": p.domain, "prompt": p.prompt} for p in prompts]
    battery.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, _, err = run("evaluate", nano_rail(1, "other"), "--battery", battery)
    assert code == 2
    assert "nothing is live" in err
    registry = Registry(tmp_path / "versions")
    registry.promote(registry.add(nano_rail(1)), expected_live=None)
    second = nano_rail(2)
    code, out, err = run("evaluate", second, "--battery", battery, "--output", tmp_path / "report.json", *QUICK)
    assert code == 1, err
    assert "INCONCLUSIVE" in out or "REJECT" in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["attempt"] == 1
    assert all(row["fault"] is None and row["kl"] >= 0 for row in report["readings"])
    assert report["differences"] == pytest.approx([0.0], abs=1e-9)  # one sum, two orders
    assert [entry.event for entry in registry.audit_entries()][-2:] == ["attempt", "evaluated"]
    code, _, err = run("promote", report["candidate"])
    assert code == 2
    assert "samples: 1 families" in err
    data = tmp_path / "train.jsonl"
    data.write_text(json.dumps({"goal": prompts[0].prompt.upper()}) + "\n")
    code, _, err = run("evaluate", report["candidate"], "--battery", battery, "--training-data", data)
    assert code == 2
    assert "training_data:" in err


def test_hashes_that_a_rail_brings_along_are_compared(
    run: Callable[..., tuple[int, str, str]], nano_rail: Callable[..., Path], tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "versions")
    registry.promote(registry.add(nano_rail(1)), expected_live=None)
    folder = nano_rail(2)
    (folder / "manifest.json").unlink()
    (folder / "training_prompts.sha256").write_text(prompt_hash(shipped_battery().prompts[0].prompt) + "\n")
    code, _, err = run("evaluate", folder)
    assert code == 2
    assert "training_data: 1 battery prompts" in err


def test_the_shipped_judge_belongs_to_the_bundled_base(host: Host) -> None:
    judge = RiskJudge.load(JUDGE)
    judge.check_base(base_features_of(host))
    assert judge.report["comms"]["auroc"] >= 0.95
    assert judge.report["comms"]["calibration_error"] <= 0.05
    assert judge.report["comms"]["largest_fall_under_injection"] == 0.0


def test_base_features_do_not_depend_on_the_batch(host: Host) -> None:
    features = base_features_of(host)
    texts = ["short", "a much longer text about the promotion gate and its registry of versions", "", "x " * 40]
    together = features(texts)
    for row, text in zip(together, texts, strict=True):
        assert features([text])[0] == pytest.approx(row, abs=1e-4)


def test_a_rail_subject_is_deterministic_and_its_distributions_are_whole(host: Host) -> None:
    engine = XGrammarEngine(host.tokenizer, host.vocab_size)
    grammar = engine.compile(Constraint(kind="grammar", source=load_grammar("repo_assistant")), trusted=True)
    torch.manual_seed(0)
    config = RailConfig(
        base_name=NANO, d_model=host.d_model, vocab_size=host.vocab_size, tap_points=host.tap_points, width=16, head_size=8
    )
    rail = BuilderRail(config)
    greedy, sampled = (RailSubject("a", host, rail, grammar, temperature=value, max_tokens=16) for value in (0.0, 1.0))
    assert greedy.answer("list docs", seed=1) == greedy.answer("list docs", seed=2)
    logprobs = greedy.prefix_logprobs("list docs", 's1=list(path="docs")')
    assert logprobs.exp().sum(dim=-1).tolist() == pytest.approx([1.0] * len(logprobs), abs=1e-4)
    assert sampled.answer("list docs", seed=1) == sampled.answer("list docs", seed=1)
    assert len({sampled.answer("list docs", seed=seed).plan_text for seed in range(3)}) > 1
