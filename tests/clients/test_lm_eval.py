"""lm-evaluation-harness (`local-completions`): likelihoods of token-id prompts and generations, on a task made here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from tests.hosts.tiny_models import tiny_tokenizer
from tests.serve.running import RunningServer

ROWS = [
    {"question": "where is the gate?", "choices": [" in docs", " nowhere at all"], "answer": 0},
    {"question": "open the first", "choices": [" yes", " no", " perhaps"], "answer": 1},
    {"question": "list 12 files", "choices": [" a", " b"], "answer": 1},
]


@pytest.fixture(scope="module")
def lm_eval() -> Any:
    """Imported here, after its settings are made."""
    return pytest.importorskip("lm_eval")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tokenizer as a folder, and the rows."""
    folder = tmp_path_factory.mktemp("lm_eval")
    tiny_tokenizer().save_pretrained(folder / "tokenizer")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return folder


def evaluate(lm_eval: Any, files: Path, server: RunningServer, task: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """The samples of one task."""
    data = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(files / "rows.jsonl")}, "cache_dir": str(files)},
    }
    place = {"model": "tiny", "base_url": f"{server.url}/v1/completions", "tokenizer": str(files / "tokenizer")}
    found = lm_eval.simple_evaluate(
        model="local-completions",
        model_args={**place, "tokenizer_backend": "huggingface", "max_length": 256, "max_retries": 1, **more},
        tasks=[{"task": "tiny", "test_split": "test", "doc_to_text": "{{question}}", **data, **task}],
        bootstrap_iters=0,
        task_manager=lm_eval.tasks.TaskManager(include_defaults=False),  # else it reads thousands of task files
    )
    return found["samples"]["tiny"]


def continuation_logprob(server: RunningServer, context: list[int], continuation: list[int]) -> float:
    """From the base itself, without the server."""
    model: Any = server.service.backend
    host = model._models["tiny"].batcher.host
    tokens = context + continuation
    with torch.no_grad():
        logits = host.model(input_ids=torch.tensor([tokens])).logits[0].float()
    logprobs = torch.log_softmax(logits[:, : host.tokenizer.vocab_size], dim=-1)
    return float(sum(logprobs[place - 1, tokens[place]] for place in range(len(context), len(tokens))))


@pytest.mark.parametrize("more", [{}, {"batch_size": 2, "num_concurrent": 2}, {"tokenized_requests": False}], ids=str)
def test_loglikelihoods_are_those_of_the_base(lm_eval: Any, files: Path, server: RunningServer, more: dict[str, Any]) -> None:
    task = {
        "output_type": "multiple_choice",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{answer}}",
        "target_delimiter": "",
    }
    samples = evaluate(lm_eval, files, server, task, **more)
    assert len(samples) == len(ROWS)
    tokenizer = tiny_tokenizer()
    for sample in samples:
        row = sample["doc"]
        context = tokenizer(row["question"]).input_ids
        for choice, (logprob, _) in zip(row["choices"], sample["filtered_resps"], strict=True):
            continuation = tokenizer(row["question"] + choice).input_ids[len(context) :]
            assert float(logprob) == pytest.approx(continuation_logprob(server, context, continuation), abs=1e-3)
        best = max(range(len(row["choices"])), key=lambda place: float(sample["filtered_resps"][place][0]))
        assert sample["acc"] == float(best == row["answer"])


def test_generations_end_where_they_are_told(lm_eval: Any, files: Path, server: RunningServer) -> None:
    generation = {"until": ["e"], "max_gen_toks": 24, "temperature": 0.0, "do_sample": False}
    task = {"output_type": "generate_until", "doc_to_target": "x", "generation_kwargs": generation}
    for sample in evaluate(lm_eval, files, server, task):
        prompt = tiny_tokenizer()(sample["doc"]["question"]).input_ids
        asked = {"model": "tiny", "prompt": prompt, "max_tokens": 24, "temperature": 0, "stop": ["e"]}
        reply = httpx.post(f"{server.url}/v1/completions", json=asked, trust_env=False, timeout=60)
        assert sample["resps"][0][0] == reply.json()["choices"][0]["text"]
        assert "e" not in sample["resps"][0][0]
