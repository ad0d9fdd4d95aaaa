"""Byte-level BPE in which a word has the same ids wherever it stands.

The common pre-tokenisation glues the space to the word, so `" gate"` in a goal and `"gate"` inside quotes are different
tokens, and a small model must learn every word's two spellings before it can copy. Here spaces, digits and punctuation
are pieces of their own: copying a name from a goal into a plan is copying ids. The price is about 1.6x as many tokens
on prose; bits per byte, the measure that is reported, does not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

END_TOKEN = "<|end|>"
"""The only special token: end of document, end of sequence, padding. Id 0."""

_PIECES = Regex(r"[A-Za-z]+|[0-9]|\n[ ]*| +|[^A-Za-z0-9\s]|\s")


def train_tokenizer(documents: Iterable[str], *, vocab_size: int) -> Tokenizer:
    """Learn the merges.

    Args:
        documents: training text.
        vocab_size: ids in all, the 256 bytes and the special token included.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(_PIECES, behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, *, max_length: int) -> None:
    """Write `tokenizer.json` and the configuration that `transformers` reads beside it."""
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_TOKEN,
        eos_token=END_TOKEN,
        pad_token=END_TOKEN,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
