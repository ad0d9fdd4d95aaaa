"""Both ways through the dispatch give the same engine: what a CPU runs, and the kernels under the interpreter."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from bbkernels.dispatch import launches_kernels
from builderbrain.config import load_config
from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.generate import generate
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts import load_host
from builderbrain.hosts.ragged import RaggedBatch
from builderbrain.rail.model import RailModel
from builderbrain.rail.pair import Pair
from builderbrain.train.config import TrainConfig
from builderbrain.train.setup import build_trainer
from builderbrain.train.trainer import Trainer
from tests.hosts.tiny_models import llama, save_model
from tests.rail.conftest import family_host, make_rail

GRAMMAR = 'root ::= "open " [a-z]{1,6} (" and " [a-z]{1,6}){0,2} "."'


def gradients(pair: Pair, tokens: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    assert pair.rail is not None
    pair.rail.zero_grad()
    output = pair.forward(tokens)
    pair.logits(output.fused).float().logsumexp(-1).mean().backward()
    return output.fused.detach(), {name: p.grad.clone() for name, p in pair.rail.named_parameters() if p.grad is not None}


def assert_same_gradients(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


def test_a_rail_gives_the_same_values_and_gradients_through_kernels_as_through_references(
    request: pytest.FixtureRequest,
) -> None:
    host = family_host("llama")
    pair = Pair(host, make_rail(host, jitter=0.1))
    tokens = torch.randint(0, host.vocab_size, (2, 9), generator=torch.Generator().manual_seed(0))
    assert not launches_kernels(torch.zeros(1))
    fused, expected = gradients(pair, tokens)
    request.getfixturevalue("interpreted")
    assert launches_kernels(torch.zeros(1))
    kernel_fused, found = gradients(pair, tokens)
    torch.testing.assert_close(kernel_fused, fused)
    assert_same_gradients(found, expected)


def one_step(base: Path, traces: Path, output: Path) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """What a training step logs, and the gradients that it left."""
    settings = [
        "batch_size=1", "micro_batches=1", "base_text_rows=1", "evaluation_rows=1", "tensorboard=never", "rail.width=16",
        "rail.head_size=8", "rail.num_skills=4", "budget.steps=[1.0]", f"data={traces}",
    ]  # fmt: skip
    trainer: Trainer = build_trainer(load_config(TrainConfig, None, [f"model={base}", f"output={output}", *settings]))[0]
    values, _ = trainer.train_step()
    numbers = {name: value for name, value in values.items() if isinstance(value, float)}
    for name, reading in values["constraints"].items():
        numbers[name] = reading["reading"]
    return numbers, {name: p.grad.clone() for name, p in trainer.state.named if p.grad is not None}


def test_a_training_step_gives_the_same_losses_readings_and_gradients(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    base = save_model(llama(max_position_embeddings=1024), tmp_path / "base")
    traces = tmp_path / "traces.jsonl"
    traces.write_text(20 * (json.dumps({"goal": "list a", "plan": 's1=list(path="a")'}) + "\n"))
    expected, expected_gradients = one_step(base, traces, tmp_path / "reference")
    assert {"plan", "cfs_energy", "kl_budget"} <= expected.keys()
    request.getfixturevalue("interpreted")
    found, found_gradients = one_step(base, traces, tmp_path / "kernels")
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert_same_gradients(found_gradients, expected_gradients)


def test_sampling_under_a_grammar_with_penalties_gives_the_same_tokens(request: pytest.FixtureRequest) -> None:
    host = family_host("llama")
    model = RailModel(host, make_rail(host, jitter=0.1))
    grammar = XGrammarEngine(host.tokenizer, host.vocab_size).compile(Constraint(kind="grammar", source=GRAMMAR), trusted=True)
    settings = SamplingParameters(temperature=1.3, top_p=0.9, top_k=20, presence_penalty=0.4, seed=5, max_tokens=16)
    prompt = host.tokenizer.encode("read the first path")

    def tokens() -> list[int]:
        return list(generate(model, prompt, settings, grammar).tokens)

    expected = tokens()
    assert len(expected) > 3
    request.getfixturevalue("interpreted")
    assert tokens() == expected


def test_a_packed_base_gives_the_same_states(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if importlib.util.find_spec("bitsandbytes") is None:
        pytest.skip("bitsandbytes is not installed")
    host = load_host(str(save_model(llama(), tmp_path)), quantization="nf4", device="cpu")
    tokens = torch.randint(0, host.vocab_size, (1, 7), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = host.forward(tokens).taps[-1]
        request.getfixturevalue("interpreted")
        torch.testing.assert_close(host.forward(tokens).taps[-1], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["gemma2", "gpt_oss"])  # windows and a soft cap; windows and sinks
def test_many_texts_in_one_row_give_the_same_states(family: str, request: pytest.FixtureRequest) -> None:
    host = family_host(family)

    def states() -> list[torch.Tensor]:
        pages = host.new_pages(num_pages=5, page_size=4)
        batches = [([[5, 9, 2, 7, 1, 3], [3]], [0, 0]), ([[8], [4, 4]], [6, 1])]
        batches = [RaggedBatch.of(new, known, [[4, 1], [0]], page_size=4) for new, known in batches]
        return [host.forward_ragged(batch, pages).taps[-1] for batch in batches]

    expected = states()
    request.getfixturevalue("interpreted")
    for found, state in zip(states(), expected, strict=True):
        torch.testing.assert_close(found, state, rtol=1e-4, atol=1e-5)
