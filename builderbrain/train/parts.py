"""A step's batch in parts of rows of like length: their gradients add up to the batch's, and half the padding is saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from builderbrain.hosts.base import Tokenizer
from builderbrain.train.batch import Batch, Collator
from builderbrain.train.config import TrainConfig
from builderbrain.train.constraints import Constraint
from builderbrain.train.data import RowSource, base_text_rows


@dataclass(frozen=True, kw_only=True)
class Part:
    """`batch` of goals, and `text` int64 [Q, T], the ordinary text that rides along; None for none. `index` among the parts."""

    index: int
    batch: Batch
    text: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Which share of the whole batch one part holds: `weight` of the batch's `weights` over all labels, and shares in [0, 1] of
    its rows and of the tokens that constraints read."""

    weight: float
    weights: float
    rows: float
    answer: float
    base_text: float

    def of(self, constraint: Constraint) -> float:
        """The share that a constraint's reading is weighed by."""
        return {"answer": self.answer, "base_text": self.base_text, "rows": self.rows}[constraint.reads]


def step_parts(step: int, *, source: RowSource, collate: Collator, tokenizer: Tokenizer, config: TrainConfig) -> list[Part]:
    """The rows of a step, each part with its share of ordinary text; the same arguments give the same parts."""
    split = collate.parts(source.rows(step, config.batch_size), config.micro_batches)
    parts: list[Part] = []
    for index, batch in enumerate(split):
        drawn = step * len(split) + index
        count = config.base_text_rows // len(split) + (index < config.base_text_rows % len(split))
        text = base_text_rows(
            tokenizer,
            seed=config.seed,
            step=drawn % config.base_text_pool if config.base_text_pool else drawn,
            count=count,
            width=batch.tokens.shape[1],
            domain=source.domain,
        )
        parts.append(Part(index=index, batch=batch, text=text.to(batch.tokens.device) if count else None))
    return parts


def shares_of(parts: Sequence[Part]) -> list[Shares]:
    """One for each part; each share sums to 1 where there is any of it."""
    weights = sum(float(part.batch.weights.sum()) for part in parts)
    answers = sum(part.batch.labels.numel() for part in parts)
    texts = text_tokens(parts)
    rows = sum(len(part.batch.lengths) for part in parts)
    return [
        Shares(
            weight=float(part.batch.weights.sum()),
            weights=weights,
            rows=len(part.batch.lengths) / rows,
            answer=part.batch.labels.numel() / answers,
            base_text=0.0 if part.text is None else part.text.numel() / texts,
        )
        for part in parts
    ]


def text_tokens(parts: Sequence[Part]) -> int:
    """Tokens of ordinary text."""
    return sum(part.text.numel() for part in parts if part.text is not None)
