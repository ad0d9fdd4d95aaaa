"""What a phrase to search for may look like in files: as it is said, or with its words joined some other way."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[^\W\d_A-Za-z]+")
_FILLERS = frozenset({"the", "a", "an", "of", "for", "in", "to", "and", "is"})
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
MAX_WORDS = 8


def words_of(phrase: str) -> tuple[str, ...]:
    """Lower-case words of a phrase or an identifier (`RetryPolicy`, `retry_policy`), fillers at both ends dropped."""
    words = [word.lower() for word in _WORD.findall(phrase)]
    while words and words[0] in _FILLERS and len(words) > 1:
        words.pop(0)
    while words and words[-1] in _FILLERS and len(words) > 1:
        words.pop()
    return tuple(words)


def escaped(text: str) -> str:
    """A regular expression for the text itself, in the dialect that Python and ripgrep share (`re.escape` is not)."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def exact_pattern(phrase: str) -> str:
    """A regular expression for the phrase as it is said (matched whatever the case)."""
    return escaped(" ".join(phrase.split()) if "\n" in phrase else phrase)


def relaxed_pattern(phrase: str) -> str | None:
    """A regular expression for the words with anything small between them, plural or not; None when there is no word.

    `retry policies` finds `retry_policies`, `retry-policies`, `RetryPolicies`. Every repetition is bounded.
    """
    words = words_of(phrase)[:MAX_WORDS]
    if not words:
        return None
    return r"[\s_.\-/:]{0,3}".join(_singular(word) for word in words)


def _singular(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return f"{escaped(word[:-1])}s?"
    return escaped(word)
