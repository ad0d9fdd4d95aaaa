"""The takeover suite on a tiny pair: budgets are swept and put back, and the base is what budget 0 gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from builderbrain.errors import SubjectError
from builderbrain.eval import takeover
from builderbrain.eval.measure_takeover import measure_takeover
from builderbrain.eval.models import compile_plan_grammar
from builderbrain.eval.workbench import Workbench
from builderbrain.gate.battery import BatteryPrompt
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.rail.config import RailConfig
from builderbrain.rail.pair import Pair
from builderbrain.rail.rail import BuilderRail
from tests.hosts import tiny_models


class LengthJudge:
    """Judges an answer by the length of its plan, so that another plan is another risk."""

    def score(self, examples: list[object], base_features: object) -> np.ndarray:
        return np.array([min(1.0, len(example.plan) / 1000) for example in examples])  # type: ignore[attr-defined]


def material(text: torch.Tensor) -> takeover.Material:
    prompts = [
        BatteryPrompt(id=str(n), family=f"f{n // 2}", kind="red_team", domain="d", prompt=f"prompt {n}") for n in range(4)
    ]
    goals = [("list everything", "s1=list()"), ("say hello", 's1=talk(text="Hello.")')]
    return takeover.Material(
        composed=goals,
        plain=goals[:1],
        prompts=prompts,
        judge=LengthJudge(),
        base_features=len,
        text=text,  # type: ignore[arg-type]
    )


def test_a_sweep_reads_every_budget_and_leaves_the_rail_as_it_was() -> None:
    host = HuggingFaceHost(tiny_models.llama(), HuggingFaceTokenizer(tiny_models.tiny_tokenizer()), name="tiny")
    torch.manual_seed(0)
    config = RailConfig(
        base_name="tiny", d_model=host.d_model, vocab_size=host.vocab_size, tap_points=host.tap_points, width=16, head_size=8
    )
    rail = BuilderRail(config).eval()
    with torch.no_grad():
        for parameter in rail.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    rail.gates.set_budget(0.3)
    text = tiny_models.random_tokens(2, 12)
    found = takeover.sweep(Pair(host, rail), rail, material(text), compile_plan_grammar(host), seed=3, budgets=(0.0, 0.5, 1.0))
    assert [one.budget for one in found] == [0.0, 0.5, 1.0]
    assert float(rail.gates.budget) == pytest.approx(0.3)
    none, half, whole = found
    assert none.risk_change == 0.0
    assert none.divergence == pytest.approx(0.0, abs=1e-6)
    assert whole.divergence > half.divergence > 1e-4
    assert (none.families, none.composed, none.plain) == (2, 2, 1)
    value = json.loads(json.dumps(takeover.as_json(found)))
    assert [row["budget"] for row in value["rows"]] == [0.0, 0.5, 1.0]
    lines = takeover.lines_of(found)
    assert [point.x for point in lines["composed goals"]] == [0.0, 0.5, 1.0]


def test_options_that_make_no_sense_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    bench = Workbench(model=str(tmp_path / "absent"))
    for changes, message in (({"budgets": (0.5, 2.0)}, "in \\[0, 1\\], got 2.0"), ({"goals": 0}, "--goals of at least 1")):
        options = {"seeds": (None,), "budgets": (0.5,), "goals": 5, "prompts": 2, "judge": tmp_path} | changes
        with pytest.raises(SubjectError, match=message):
            measure_takeover(bench, tmp_path / "x.json", **options)  # type: ignore[arg-type]
