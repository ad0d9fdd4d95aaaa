"""The `Tokenizer` protocol over a `transformers` fast tokenizer.

Text comes from users and files, so it must not be able to forge a special token: `"<|end|>"` in a goal is eight or so
ordinary tokens. Encoding goes through a private copy of the Rust tokenizer, configured once. The `transformers` wrapper
would reconfigure its shared one at every call, which fails ("Already borrowed") when two threads encode.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from builderbrain.errors import InvalidRequestError, UnsupportedModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class HuggingFaceTokenizer:
    """See `builderbrain.hosts.base.Tokenizer`. Safe to share between threads."""

    def __init__(self, backend: PreTrainedTokenizerFast) -> None:
        """Wrap `backend`.

        Raises:
            UnsupportedModelError: it is not a fast tokenizer, or has no end-of-sequence token.
        """
        from tokenizers import Tokenizer

        if not getattr(backend, "is_fast", False):
            raise UnsupportedModelError(
                f"expected a fast tokenizer (tokenizer.json), got {type(backend).__name__}; "
                "save the tokenizer with transformers to get a tokenizer.json",
                field="model",
            )
        if backend.eos_token_id is None:
            raise UnsupportedModelError(
                "expected a tokenizer with an end-of-sequence token, got none; name eos_token in tokenizer_config.json",
                field="model",
            )
        self.backend = backend
        """The `transformers` tokenizer, for grammar engines and chat templates. Its `encode` lets text forge specials."""
        self.vocab_size: int = max(backend.get_vocab().values()) + 1
        self.eos_token_id: int = backend.eos_token_id
        self.bos_token_id: int | None = backend.bos_token_id
        """What the model expects before any text, if anything; never added by `encode`."""
        self.special_ids = frozenset(backend.all_special_ids) | {
            index for index, token in backend.added_tokens_decoder.items() if token.special
        }
        self._tokenizer = Tokenizer.from_str(backend.backend_tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # text that spells a special token is split like any other
        # A character that a model has no token for legitimately becomes the unknown token.
        self._forbidden = self.special_ids - {backend.unk_token_id}
        # Cutting each spelling after its first character leaves no piece that contains one.
        spellings = [str(backend.convert_ids_to_tokens(index)) for index in self._forbidden]
        self._cut = re.compile(
            "|".join(f"(?<={re.escape(text[0])})(?={re.escape(text[1:])})" for text in spellings if len(text) > 1)
        )

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text, without anything added around it.

        Raises:
            InvalidRequestError: the tokenizer's vocabulary turns this text into a special token however it is cut.
        """
        return self.encode_with_offsets(text)[0]

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids of plain text, and per token the half-open range of characters that it stands for.

        Raises:
            InvalidRequestError: as `encode`.
        """
        ids, offsets = self._encode(text)
        if self._forbidden.isdisjoint(ids):
            return ids, offsets
        # Unigram models may hold special tokens as ordinary pieces, which the switch above does not cover.
        ids, offsets, start = [], [], 0
        for piece in self._cut.split(text):
            more, ranges = self._encode(piece)
            ids += more
            offsets += [(start + first, start + last) for first, last in ranges]
            start += len(piece)
        if not self._forbidden.isdisjoint(ids):
            found = sorted(self._forbidden.intersection(ids))
            raise InvalidRequestError(
                f"expected plain text, got text that this model's tokenizer reads as the special tokens {found}; "
                "remove or respell them",
                field="text",
            )
        return ids, offsets

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the ids; special tokens and ids beyond the vocabulary give nothing, torn UTF-8 gives U+FFFD."""
        text: str = self._tokenizer.decode([index for index in token_ids if index not in self.special_ids])
        return text

    def _encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets
