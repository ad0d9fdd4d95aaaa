"""How good the bundled base is: held-out bits per byte, beside n-gram floors on the same bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from builderbrain.hosts.base import Host
from builderbrain.nano.corpus import Corpus
from builderbrain.nano.ngram import ngram_bits_per_byte


@dataclass(frozen=True, kw_only=True)
class NanoReport:
    """Bits per byte of the base and of byte n-grams of orders 1, 2, ...; `held_out_bytes` were scored."""

    bits_per_byte: float
    ngram_bits_per_byte: tuple[float, ...]
    held_out_bytes: int
    corpus_digest: str


@torch.no_grad()
def bits_per_byte(host: Host, documents: list[str], *, window: int = 256) -> float:
    """Mean over all bytes; tokens are scored with at least half a window of context, where a document has that much."""
    nats, size = 0.0, 0
    stride = window // 2
    for document in documents:
        size += len(document.encode())
        ids = [host.tokenizer.eos_token_id, *host.tokenizer.encode(document)]
        for start in range(0, max(1, len(ids) - 1), stride):
            piece = torch.tensor([ids[start : start + window + 1]])
            if piece.shape[1] < 2:
                break
            states = host.forward(piece[:, :-1])
            logits = host.lm_head(host.final_norm(states.taps[-1]))[0].float()
            loss = F.cross_entropy(logits, piece[0, 1:], reduction="none")
            nats += float(loss[0 if start == 0 else stride :].sum())
            if start + window + 1 >= len(ids):
                break
    return nats / math.log(2) / size


def report(host: Host, corpus: Corpus, *, max_bytes: int = 200_000, max_order: int = 6) -> NanoReport:
    """Score the base on the first held-out documents and count n-grams of the whole training text."""
    documents: list[str] = []
    for document in sorted(corpus.held_out, key=len):
        if sum(map(len, documents)) + len(document) > max_bytes:
            break
        documents.append(document)
    train = "".join(corpus.train).encode()
    floors = ngram_bits_per_byte(train, "".join(documents).encode(), max_order=max_order)
    return NanoReport(
        bits_per_byte=bits_per_byte(host, documents),
        ngram_bits_per_byte=tuple(floors),
        held_out_bytes=len("".join(documents).encode()),
        corpus_digest=corpus.digest,
    )
