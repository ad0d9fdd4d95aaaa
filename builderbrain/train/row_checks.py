"""What no batch may hold: rows of another vocabulary, and rows padded on the left.

Either trains without an error, on nonsense: an id of another tokenizer is some other token here, and a position that counts
padding is never met again when plans are decoded.
"""

from __future__ import annotations

from collections.abc import Sequence

from builderbrain.errors import DataError
from builderbrain.hosts.base import Tokenizer
from builderbrain.train.rows import Row


def check_rows(rows: Sequence[Row], tokenizer: Tokenizer) -> None:
    """Look at every row before it enters a batch.

    Raises:
        DataError: names the row and what is wrong with it.
    """
    for index, row in enumerate(rows):
        if not row.prompt or not row.answer:
            raise DataError(f"row {index}: expected a prompt and an answer, got none; look at the row source", field="rows")
        for token in (*row.prompt, *row.answer):
            if not 0 <= token < tokenizer.vocab_size:
                raise DataError(
                    f"row {index}: expected token ids of the base's tokenizer, 0 to {tokenizer.vocab_size - 1}, got {token}; "
                    "the row was encoded with another vocabulary, encode it with the tokenizer of this host",
                    field="rows",
                )
        if row.prompt[0] == tokenizer.eos_token_id:
            raise DataError(
                f"row {index}: expected a prompt that begins with its first token, got padding (token {row.prompt[0]}); rows "
                "are padded on the right, by the collator: give them without padding",
                field="rows",
            )
