"""Cached states: the same for a row whatever lies beside it, kept within bounds, recomputed when a file is torn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from builderbrain.errors import InvalidRequestError, UnsupportedModelError
from builderbrain.hosts.base import BaseStates, Cache
from builderbrain.hosts.cached_states import WIDTH_STEP, CachedStates, base_identity
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.load import load_host
from builderbrain.hosts.state_rows import StorageType, from_bytes, pack, to_bytes
from builderbrain.hosts.state_store import FolderStore, MemoryStore, StateStore
from tests.hosts.tiny_models import FAMILIES, save_model

MIB = 2**20
KEY = "0" * 64


class Counting:
    """A host that counts the rows its base runs."""

    def __init__(self, host: HuggingFaceHost) -> None:
        self._host, self.rows = host, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def forward(self, tokens: Tensor, *, lengths: Tensor | None = None, cache: Cache | None = None) -> BaseStates:
        self.rows += tokens.shape[0]
        return self._host.forward(tokens, lengths=lengths, cache=cache)


@pytest.fixture(scope="module", params=["llama", "gpt2", "gemma2"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HuggingFaceHost:
    folder = tmp_path_factory.mktemp("base") / request.param
    loaded = load_host(str(save_model(FAMILIES[request.param](), folder)), device="cpu")
    assert isinstance(loaded, HuggingFaceHost)
    return loaded


def cached(host: Any, *stores: StateStore, kind: StorageType = "float32") -> CachedStates:
    return CachedStates(host, stores or (MemoryStore(64 * MIB),), kind=kind, identity="tiny")


def batch(*lengths: int, width: int | None = None, padding: int = 0) -> tuple[Tensor, Tensor]:
    """Rows that depend on their length alone."""
    tokens = torch.full((len(lengths), width or max(lengths)), padding)
    for i, length in enumerate(lengths):
        tokens[i, :length] = torch.randint(1, 256, (length,), generator=torch.Generator().manual_seed(length))
    return tokens, torch.tensor(lengths)


def run(host: Any, rows: tuple[Tensor, Tensor]) -> BaseStates:
    tokens, lengths = rows
    states: BaseStates = host.forward(tokens, lengths=lengths)
    return states


def streams(states: BaseStates) -> Tensor:
    return torch.stack([states.embedding, states.unembedding, *states.taps])


def real(states: BaseStates, lengths: Tensor) -> list[Tensor]:
    return [streams(states)[:, i, :length] for i, length in enumerate(lengths.tolist())]


def test_in_float32_rows_have_the_states_of_the_plain_host_whatever_their_padding(host: HuggingFaceHost) -> None:
    cache = cached(host)
    first = run(cache, batch(3, 17, 40, width=50))  # run at the next multiple
    tokens, lengths = batch(40, 61, 3, 17, width=2 * WIDTH_STEP, padding=9)  # one row is new
    plain, again = host.forward(tokens, lengths=lengths), cache.forward(tokens, lengths=lengths)
    for expected, got in zip(real(plain, lengths), real(again, lengths), strict=True):
        assert torch.equal(expected, got)
    assert torch.equal(real(first, torch.tensor([3, 17, 40]))[2], real(again, lengths)[0])
    assert torch.equal(again.tokens, tokens)
    assert [tap.shape for tap in again.taps] == [tap.shape for tap in plain.taps]
    assert not streams(again)[:, 2, 3:].any()
    assert cache.take_counts().to_json() == {
        "hits": 3, "misses": 4, "hit_rate": 3 / 7,
        "bytes_read": 4 * (40 + 3 + 17) * host.d_model * (2 + len(host.tap_points)),
        "bytes_written": 4 * (3 + 17 + 40 + 61) * host.d_model * (2 + len(host.tap_points)),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["bfloat16", "float32", "float8"])
def test_a_miss_gives_what_a_hit_will_give(host: HuggingFaceHost, kind: StorageType) -> None:
    cache = cached(host, kind=kind)
    rows = batch(5, 33)
    missed, hit = run(cache, rows), run(cache, rows)
    nothing_kept = cached(host, MemoryStore(0), kind=kind)
    alone = [run(nothing_kept, batch(length)) for length in (5, 33)]
    assert torch.equal(streams(missed), streams(hit))
    for i, length in enumerate((5, 33)):
        assert torch.equal(streams(alone[i])[:, 0], streams(hit)[:, i, :length])
    assert nothing_kept.take_counts().hits == 0
    assert hit.embedding.dtype == host.dtype
    exact = streams(run(host, batch(5, 33, width=WIDTH_STEP * 2)))[:, :, :33]
    error = max(
        float(((got - want).norm(dim=-1) / want.norm(dim=-1)).max())
        for got, want in zip(real(hit, rows[1]), [exact[:, 0, :5], exact[:, 1]], strict=True)
    )
    assert error <= {"bfloat16": 2**-8, "float32": 0.0, "float8": 2**-4}[kind]
    assert (error > 0) == (kind != "float32")


def test_on_a_hit_nothing_of_the_base_runs(host: HuggingFaceHost) -> None:
    cache = cached(host)
    rows = batch(5, 33)
    run(cache, rows)
    called: list[str] = []
    hooks = [
        module.register_forward_hook(lambda _module, _args, _out, name=name: called.append(name))
        for name, module in host.model.named_modules()
    ]
    try:
        states = run(cache, rows)
        assert called == []
        normed = cache.final_norm(states.taps[-1])
        cache.lm_head(normed)
    finally:
        for hook in hooks:
            hook.remove()
    assert len(called) == 2, called  # the norm and the head


def test_only_missing_rows_are_run(host: HuggingFaceHost) -> None:
    counting = Counting(host)
    cache = cached(counting)
    run(cache, batch(5, 33))
    run(cache, batch(33, 6, 5))
    assert counting.rows == 3
    cache.forward(batch(5)[0], cache=cache.new_cache())  # generation is not remembered
    assert counting.rows == 4


def test_the_least_recently_used_rows_leave_and_the_bound_holds(host: HuggingFaceHost, tmp_path: Path) -> None:
    row = 4 * 10 * host.d_model * (2 + len(host.tap_points))
    for store in (MemoryStore(3 * row), FolderStore(tmp_path / "states", 3 * row + 2000)):
        counting = Counting(host)
        cache = cached(counting, store)
        rows = [torch.full((1, 10), token) for token in (1, 2, 3, 4)]
        for i in (0, 1, 2, 0, 3):
            cache.forward(rows[i])
            assert 0 < store.size <= store.bound
            tick(tmp_path / "states")
        ran = counting.rows
        cache.forward(rows[0])
        assert counting.rows == ran, "the row that was read last had to stay"
        cache.forward(rows[1])
        assert counting.rows == ran + 1, "the row that was longest unused had to leave"
        cache.forward(torch.full((1, 60), 7))  # larger than the bound: used, and not kept
        assert store.size <= store.bound


def tick(folder: Path) -> None:
    """Move all files of a folder a second into the past, so that their order does not hang on the clock."""
    for path in folder.glob("*"):
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 10**9))


def test_a_folder_serves_a_later_run_and_memory_before_it(host: HuggingFaceHost, tmp_path: Path) -> None:
    rows = batch(5, 33)
    want = run(cached(host, FolderStore(tmp_path, MIB)), rows)
    counting = Counting(host)
    memory = MemoryStore(MIB)
    later = cached(counting, memory, FolderStore(tmp_path, MIB))
    assert torch.equal(streams(run(later, rows)), streams(want))
    assert counting.rows == 0
    for path in tmp_path.glob("*.states"):
        path.unlink()
    assert torch.equal(streams(run(later, rows)), streams(want))
    assert counting.rows == 0
    assert later.report()["memory_bytes"] == memory.size > 0


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "foreign", "of another row"])
def test_damaged_files_are_recomputed(host: HuggingFaceHost, tmp_path: Path, damage: str) -> None:
    counting = Counting(host)
    cache = cached(counting, FolderStore(tmp_path, MIB))
    rows = batch(5, 33)
    want = run(cache, rows)
    paths = sorted(tmp_path.glob("*.states"))
    content = paths[0].read_bytes()
    flipped = content[:-7] + bytes([content[-7] ^ 1]) + content[-6:]
    paths[0].write_bytes({
        "cut": content[: len(content) // 2], "flipped": flipped, "emptied": b"", "foreign": b"hello\n" * 99,
        "of another row": paths[1].read_bytes(),
    }[damage])  # fmt: skip
    assert torch.equal(streams(run(cache, rows)), streams(want))
    assert counting.rows == 3
    assert paths[0].read_bytes() == content


def test_what_is_no_file_of_states_is_left_alone(host: HuggingFaceHost, tmp_path: Path) -> None:
    others = [tmp_path / "notes.txt", tmp_path / "abc.states"]
    for other in others:
        other.write_bytes(b"x" * MIB)
    half = tmp_path / f".{KEY}.states.1.ab.tmp"
    half.write_bytes(b"torn")
    store = FolderStore(tmp_path, 2000)
    assert store.size == 0
    run(cached(host, store), batch(33))
    assert all(other.stat().st_size == MIB for other in others)
    assert not half.exists()


def test_a_folder_that_cannot_be_written_to_costs_only_time(
    host: HuggingFaceHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("builderbrain.hosts.state_store.write_atomic", refuse)
    store = FolderStore(tmp_path, MIB)
    cache = cached(host, store)
    assert torch.equal(streams(run(cache, batch(9))), streams(run(cache, batch(9))))
    assert (cache.take_counts().misses, store.size) == (2, 0)


def test_bad_rows_are_refused_as_by_the_host(host: HuggingFaceHost) -> None:
    cache = cached(host)
    tokens, lengths = batch(5, 9)
    for wrong in (lengths * 0, lengths + 1, lengths[:1]):
        with pytest.raises(InvalidRequestError):
            cache.forward(tokens, lengths=wrong)
    with pytest.raises(InvalidRequestError):
        cache.forward(tokens + host.vocab_size, lengths=lengths)


def test_another_base_taps_or_type_has_other_keys(tmp_path: Path) -> None:
    def load(name: str, **options: Any) -> HuggingFaceHost:
        loaded = load_host(str(tmp_path / name), device="cpu", **options)
        assert isinstance(loaded, HuggingFaceHost)
        return loaded

    save_model(FAMILIES["llama"](), tmp_path / "one")
    one, same = load("one"), load("one")
    assert base_identity(one) == base_identity(same)
    with torch.no_grad():
        same.model.get_input_embeddings().weight[200, 3] += 1e-3
    assert base_identity(one) != base_identity(same)
    counting = [Counting(h) for h in (one, same, load("one", tap_points=[0, 2]), load("one", dtype=torch.bfloat16))]
    kinds: tuple[StorageType, ...] = ("float32", "bfloat16")
    for each in counting:
        for kind in kinds:
            run(CachedStates(each, [FolderStore(tmp_path / "states", MIB)], kind=kind), batch(9))
    assert [each.rows for each in counting] == [2, 2, 2, 2]
    with pytest.raises(UnsupportedModelError, match="identity"):
        base_identity(object())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["bfloat16", "float32", "float8"])
def test_bytes_give_the_row_back(kind: StorageType) -> None:
    states = torch.randn(4, 7, 16, generator=torch.Generator().manual_seed(0)) * torch.logspace(-20, 20, 7)[:, None]
    states[1, 2] = 0.0
    row = pack(states, kind)
    again = from_bytes(to_bytes(row, KEY), KEY)
    one, two = torch.empty_like(states), torch.empty_like(states)
    row.unpack(one)
    again.unpack(two)
    assert torch.equal(one, two)
    assert row.size == again.size
    assert one.isfinite().all()
    with pytest.raises(ValueError, match="another key"):
        from_bytes(to_bytes(row, KEY), "1" * 64)
