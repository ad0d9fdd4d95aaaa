"""The recipe of the bundled base: tokenizer, corpus, schedule, floors, resuming."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from builderbrain.nano.corpus import build_corpus
from builderbrain.nano.ngram import ngram_bits_per_byte
from builderbrain.nano.pretrain import NanoConfig, batch_at, export, learning_rate_scale, pretrain
from builderbrain.nano.tokenizer import END_TOKEN, train_tokenizer
from builderbrain.train.base_text import synthetic_documents


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a few small text files, in place of the standard library."""
    folder = tmp_path_factory.mktemp("library")
    for i in range(60):
        (folder / f"module_{i}.py").write_text(f"def function_{i}(value):\n    return value + {i}\n" * 5)
    (folder / "test").mkdir()
    (folder / "test" / "skipped.py").write_text("SKIPPED = True\n")
    return folder


def test_a_word_has_the_same_ids_in_a_goal_and_inside_quotes() -> None:
    tokenizer = train_tokenizer(synthetic_documents(40, seed=1), vocab_size=600)
    for name in ("promotion", "frobnicate_widget2", "src/deep/path.py", "two words"):
        alone = tokenizer.encode(name).ids
        for frame in (f"open {name} please", f'x(path="{name}")', f"({name}, {name})"):
            ids = tokenizer.encode(frame).ids
            assert any(ids[i : i + len(alone)] == alone for i in range(len(ids))), (name, frame)


def test_every_byte_survives_and_the_end_token_comes_first() -> None:
    tokenizer = train_tokenizer(["plain text only"], vocab_size=300)
    text = "".join(map(chr, range(1, 300))) + "é漢字🙂\n\t  x"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.token_to_id(END_TOKEN) == 0


def test_the_corpus_is_the_same_every_time_holds_files_out_and_knows_no_plan(sources: Path) -> None:
    first, second = (build_corpus(synthetic_documents_count=150, seed=0, root=sources) for _ in range(2))
    assert first == second
    held_out = tuple(document for documents in first.held_out.values() for document in documents)
    assert held_out
    assert not set(first.train) & set(held_out)
    text = "".join(first.train + held_out)
    assert "SKIPPED" not in text
    for forbidden in ("Goal:", "Plan:", "s1=", "first_path", "search(pattern="):
        assert forbidden not in text
    assert build_corpus(synthetic_documents_count=150, seed=1, root=sources).digest != first.digest


def test_ngram_floors_equal_counting_by_hand() -> None:
    train, held_out = b"abracadabra", b"abrac"
    unigram = Counter(train)
    total, kinds = len(train), len(unigram)
    p = [(unigram[b] + kinds / 256) / (total + kinds) for b in held_out]
    assert ngram_bits_per_byte(train, held_out, max_order=2)[0] == pytest.approx(-sum(map(math.log2, p)) / len(p))
    pairs = Counter(pairwise(train))
    followers: dict[int, Counter[int]] = {}
    for (a, b), n in pairs.items():
        followers.setdefault(a, Counter())[b] = n
    second = [p[0]]
    for i, (a, b) in enumerate(pairwise(held_out), 1):
        after = followers[a]
        second.append((after[b] + len(after) * p[i]) / (sum(after.values()) + len(after)))
    assert ngram_bits_per_byte(train, held_out, max_order=2)[1] == pytest.approx(-sum(map(math.log2, second)) / len(second))


def test_batches_depend_on_the_step_alone_and_the_rate_ends_at_zero() -> None:
    config = NanoConfig(sequence_length=8, batch_size=2, steps=100)
    stream = torch.arange(1000)
    assert torch.equal(batch_at(stream, config, 5), batch_at(stream, config, 5))
    assert not torch.equal(batch_at(stream, config, 5), batch_at(stream, config, 6))
    assert learning_rate_scale(config, 50) == 1.0
    assert 0 < learning_rate_scale(config, 99) < 0.05


def test_a_tiny_run_stops_resumes_exports_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: Path) -> None:
    from builderbrain.hosts.load import load_host
    from builderbrain.nano import pretrain as module

    monkeypatch.setattr(module, "build_corpus", lambda **arguments: build_corpus(**arguments, root=sources))
    monkeypatch.setattr(torch, "compile", lambda function: function)  # compiling takes a minute and changes no meaning
    shape = {
        "vocab_size": 320,
        "d_model": 16,
        "num_layers": 2,
        "num_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 32,
    }
    config = NanoConfig(**shape, synthetic_documents=20, sequence_length=16, batch_size=2, steps=6, warmup_steps=2)  # type: ignore[arg-type]
    whole = pretrain(config, output=tmp_path / "whole", checkpoint_every=3)

    class Stop(Exception):
        pass

    def stop_at_four(*arguments: object) -> float:
        if arguments[2].equal(batch_at(module.token_stream(config, tmp_path / "cut"), config, 4)):  # type: ignore[attr-defined]
            raise Stop
        return step(*arguments)  # type: ignore[arg-type]

    step = module.train_step
    monkeypatch.setattr(module, "train_step", stop_at_four)
    with pytest.raises(Stop):
        pretrain(config, output=tmp_path / "cut", checkpoint_every=3)
    monkeypatch.setattr(module, "train_step", step)
    resumed = pretrain(config, output=tmp_path / "cut", checkpoint_every=3)
    for (name, mine), (_, theirs) in zip(resumed.named_parameters(), whole.named_parameters(), strict=True):
        assert torch.equal(mine, theirs), name
    export(config, run=tmp_path / "cut", output=tmp_path / "model")
    host = load_host(str(tmp_path / "model"))
    assert (host.d_model, host.num_layers, host.vocab_size) == (16, 2, 320)
