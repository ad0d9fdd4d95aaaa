"""`python -m benchmarks.accelerator`: what it judges, writes and refuses. That kernels pass it is for a GPU, or `--dry-run`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.accelerator import bases, cases, decode_step, serving
from benchmarks.accelerator import timing as timing_module
from benchmarks.accelerator.__main__ import OPERATIONS, main
from benchmarks.accelerator.case import Case
from benchmarks.accelerator.check import check
from benchmarks.accelerator.floors import Floors
from benchmarks.accelerator.report import Row, as_table
from benchmarks.accelerator.timing import Timing
from tests.repository.tree import ROOT


def doubled(x: torch.Tensor) -> torch.Tensor:
    return 2.0 * x


def a_case(run=doubled, **more) -> Case:
    return Case(
        operation="doubling",
        name="eight values",
        make=lambda device, generator: (torch.randn(8, generator=generator, device=device),),
        run=run,
        truth=doubled,
        **more,
    )


def timing(seconds: float, extra_bytes: int) -> Timing:
    return Timing(median=seconds, low=seconds, high=seconds, graph=True, extra_bytes=extra_bytes)


def test_the_processor_is_measured_and_a_report_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing_module, "_SECONDS", 0.01)
    assert main(["--cpu", "--only", "skill_adapter", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "accelerator.json").read_text())
    assert found["environment"]["scale"] == "processor"
    assert {case["operation"] for case in found["cases"]} == {"skill_adapter"}
    for case in found["cases"]:
        assert case["check"]["right"]
        assert case["share_of_bound"] > 0
        assert case["peers"]["loop"]["median"] > 0
        assert case["name"] in (tmp_path / "accelerator.md").read_text()


def test_a_wrong_kernel_ends_in_its_row_and_in_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such | kernel\nand more")

    wrong = [a_case(lambda x: 2.001 * x), a_case(broken), a_case(lambda x: torch.empty_like(x)), a_case()]
    monkeypatch.setattr(cases, "all_cases", lambda scale: wrong)
    assert main(["--cpu", "--out", str(tmp_path)]) == 1
    faults = [case["fault"] for case in json.loads((tmp_path / "accelerator.json").read_text())["cases"]]
    assert [fault and fault.split(":")[0] for fault in faults] == ["wrong", "RuntimeError", "wrong", None]
    assert faults[1] == "RuntimeError: no such / kernel"
    assert "**wrong" in capsys.readouterr().out


def test_values_within_rounding_are_right_and_nan_is_not() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, generator=generator)
    assert check(a_case(lambda x: (1 + 1e-7) * 2.0 * x), (x,)).right
    assert not check(a_case(lambda x: 2.0 * x + 1e-4), (x,)).right
    assert not check(a_case(lambda x: x * float("nan")), (x,)).right


def test_targets_are_judged_by_what_was_measured() -> None:
    case = a_case(bytes=1000, target=0.8, beats={"peer": 2.0, "absent": 2.0}, lean={"peer": 0.5})
    floors = Floors(copy=1e9, matrix=1e12)
    peers = {"peer": timing(3e-6, 10), "failed": "ImportError: none"}
    met = Row(case=case, timings=(timing(1.2e-6, 5), timing(1.2e-6, 5)), peers=peers)
    assert met.targets(floors) == [("80% of the bound", True), ("2x peer", True), ("50% of the memory of peer", True)]
    missed = Row(case=case, timings=(timing(1.6e-6, 6), timing(1.6e-6, 6)), peers=peers)
    assert [reached for _, reached in missed.targets(floors)] == [False, False, False]
    table = as_table([missed], floors, {"device": "a device", "date": "today", "versions": {}})
    assert "62% (bytes)" in table
    assert "2x peer **missed**" in table
    assert "failed: ImportError: none" in table


def test_shares_above_the_bound_are_explained_and_others_are_not() -> None:
    floors = Floors(copy=1e9, matrix=1e12)
    rows = {
        bound: Row(case=a_case(bytes=1000, operations=10**6, bound=bound), timings=(timing(0.5e-6, 0),))
        for bound in ("bytes", "matrix")
    }
    about = {"device": "a device", "date": "today", "versions": {}}
    slow = Row(case=a_case(bytes=1000), timings=(timing(2e-6, 0),))
    assert "Above" not in as_table([slow], floors, about)
    for bound, words in (("bytes", "caches"), ("matrix", "products")):
        lines = [line for line in as_table([slow, rows[bound]], floors, about).splitlines() if line.startswith("Above 100 %")]
        assert len(lines) == 1
        assert f"({bound})" in lines[0]
        assert words in lines[0]


WITHOUT_DEVICE = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cpu", "--only", "no_such"], ["--only", "no_such", "gated_fusion"]),
        (["--dry-run", "--only", "no_such"], ["--only", "no_such", "gated_fusion"]),
        (["--dry-run", "--architecture", "12"], ["--architecture", "12", "80, 90, 100"]),
        (["--cpu", "--out", "file"], ["--out", "file"]),
        pytest.param([], ["CUDA device", "--cpu", "--dry-run"], marks=WITHOUT_DEVICE),
    ],
)
def test_unusable_input_is_named_before_pytorch_is_imported(arguments: list[str], said: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    where = [] if "--out" in arguments else ["--out", "folder"]
    script = (
        "import os, sys; from benchmarks.accelerator.__main__ import main; os.chdir(sys.argv[1]); status = main(sys.argv[2:]); "
        "print('torch' in sys.modules); sys.exit(status)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), *arguments, *where], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 2
    for word in said:
        assert word in ran.stderr
    assert ran.stdout == "False\n"
    assert not (tmp_path / "folder").exists()


def test_operations_that_can_be_named_are_those_that_have_cases() -> None:
    assert {case.operation for case in cases.all_cases("rehearsal")} == set(OPERATIONS)


@pytest.mark.parametrize("scale", ["rehearsal", "processor", "accelerator"])
def test_cases_have_names_of_their_own_and_something_to_judge_them_by(scale) -> None:
    every = list(cases.all_cases(scale))
    names = [(case.operation, case.name) for case in every]
    assert len(set(names)) == len(names)
    for case in every:
        assert case.truth is not None or case.judge is not None
        assert case.bound is None or (case.bytes if case.bound == "bytes" else case.operations) > 0
    assert {case.operation for case in every} >= {"gated_fusion", "cross_attention", "masked_sample", "governed_loss"}


def test_whole_bases_are_measured_by_name_and_say_what_a_cpu_cannot(tmp_path: Path) -> None:
    assert main(["--cpu", "--only", "decode_step", "serving", "--out", str(tmp_path)]) == 0
    steps, served = (json.loads((tmp_path / f"{name}.json").read_text())["rows"] for name in ("decode_step", "serving"))
    assert [row["sequences"] for row in steps] == [1, 3]
    assert all(row["eager_seconds"] > 0 and row["captured_seconds"] is None for row in steps)
    assert {row["refusal"] for row in (*steps, *served)} == {"no CUDA device"}
    asked = serving.requests(4, 3, 8)
    assert served[0]["prompt_tokens"] == sum(len(one.prompt) for one in asked)
    assert served[0]["tokens"] <= sum(one.tokens for one in asked)
    assert served[0]["beside"]["generate"]["tokens_per_second"] > 0
    for name in ("decode_step", "serving"):
        assert "these times mean nothing" in (tmp_path / f"{name}.md").read_text()
    assert not (tmp_path / "accelerator.json").exists(), "no kernel was asked for"


def test_a_shape_that_is_not_known_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cpu", "--only", "decode_step", "--shapes", "7B", "--out", str(tmp_path)]) == 2
    assert "--shapes: expected 0.6B or 8B or 14B, got 7B" in capsys.readouterr().err


def test_a_step_is_judged_by_the_bytes_that_it_must_read() -> None:
    host = bases.random_host(bases.TINY, "nf4", torch.device("cpu"), 32)
    layers = 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 128)
    assert bases.weight_bytes(host, "nf4") == pytest.approx(layers * 0.5 + layers / 64 + 4 * 320 * 64, rel=0.01)
    assert host.forward(torch.tensor([[3, 1, 2]])).taps[-1].isfinite().all()
    row = {"base": "8B", "weights": "bf16", "sequences": 1, "floor_seconds": 4e-3, "eager_seconds": 20e-3, "refusal": None}
    [good] = decode_step.as_table([row | {"captured_seconds": 4.8e-3}])[2:]
    assert "| 4.80 | 4.2 | 20% | 83% (goal met) |" in good
    [bad] = decode_step.as_table([row | {"captured_seconds": 5.2e-3}])[2:]
    assert "77% (**goal of 80% missed**)" in bad
