"""A step's batch in parts of rows of like length: their gradients add up to the batch's, and half the padding is saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from torch import Tensor

from builderbrain.hosts.base import Tokenizer
from builderbrain.train.batch import Batch, Collator
from builderbrain.train.config import TrainConfig
from builderbrain.train.constraints import Constraint
from builderbrain.train.data import RowSource, base_text_rows
from builderbrain.train.ranks import JSON, Codec, Ranks
from builderbrain.train.rows import split_by_length


@dataclass(frozen=True, kw_only=True)
class Part:
    """`batch` of goals, and `text` int64 [Q, T], the ordinary text that rides along; None for none. `index` among the parts."""

    index: int
    batch: Batch
    text: Tensor | None


@dataclass(frozen=True, kw_only=True)
class PartSize:
    """How much one part holds: `weight` over all its labels, `rows`, `answer` tokens, `base_text` tokens, and all `tokens`."""

    weight: float
    rows: int
    answer: int
    base_text: int
    tokens: int

    @classmethod
    def of(cls, part: Part) -> PartSize:
        """Of a part that is here."""
        text = 0 if part.text is None else part.text.numel()
        return cls(
            weight=float(part.batch.weights.sum()),
            rows=len(part.batch.lengths),
            answer=part.batch.labels.numel(),
            base_text=text,
            tokens=part.batch.tokens.numel() + text,
        )


PART_SIZE: Codec[PartSize] = Codec(
    pack=lambda size: JSON.pack(asdict(size)), unpack=lambda content: PartSize(**JSON.unpack(content))
)


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


def step_parts(
    step: int, *, source: RowSource, collate: Collator, tokenizer: Tokenizer, config: TrainConfig, ranks: Ranks
) -> Iterator[Part]:
    """The rows of a step, each part with its share of ordinary text; the same arguments give the same parts.

    Only the parts that this process runs are made.
    """
    split = split_by_length(source.rows(step, config.batch_size), config.micro_batches)
    for index in ranks.mine(len(split)):
        batch = collate(split[index])
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
        yield Part(index=index, batch=batch, text=text.to(batch.tokens.device) if count else None)


def shares_of(sizes: Sequence[PartSize]) -> list[Shares]:
    """One for each part; each share sums to 1 where there is any of it."""
    weights = sum(size.weight for size in sizes)
    answers = sum(size.answer for size in sizes)
    texts = sum(size.base_text for size in sizes)
    rows = sum(size.rows for size in sizes)
    return [
        Shares(
            weight=size.weight,
            weights=weights,
            rows=size.rows / rows,
            answer=size.answer / answers,
            base_text=size.base_text / texts if size.base_text else 0.0,
        )
        for size in sizes
    ]
