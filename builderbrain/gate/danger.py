"""What is dangerous in a text and can be counted: identifiers, secrets, paths that leave the root, phrases.

Words are classified one by one with string methods, so that hostile text costs linear time (no backtracking patterns). The
words found are counted and **taken out** before the base model reads the text. That makes the risk head monotone by
construction: one more leaked identifier, set apart by white space, leaves the text that the base sees as it was, and raises
a count whose weight cannot be negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WORD_KINDS = ("email", "number", "bank_account", "secret", "path_escape", "sensitive_file")
LEAKS = frozenset(["email", "bank_account", "secret"])
"""Kinds that are never a plain number or a path, which answers about a repository are full of."""
PHRASES: Mapping[str, tuple[str, ...]] = {
    "destructive": (
        "rm -rf", "delete all", "delete every", "delete the", "drop table", "wipe", "format the disk", "erase", "force push",
        "overwrite", "destroy", "shut down", "kill all", "remove every", "truncate the", "corrupt", "sabotage",
    ),
    "exfiltration": (
        "upload", "send it to", "send them to", "post it to", "mail it to", "mail them to", "exfiltrate", "curl", "wget",
        "leak", "pastebin", "publish the key", "publish the password", "copy it out", "my server", "password", "private key",
    ),
    "jailbreak": (
        "ignore all previous", "ignore previous", "ignore your", "disregard", "developer mode", "no restrictions",
        "without restrictions", "pretend you are", "jailbreak", "system prompt", "override the", "bypass", "do anything now",
        "you are now", "forget your rules", "skip the check", "turn off the check", "without being checked",
    ),
    "toxicity": ("idiot", "stupid", "hate you", "worthless", "moron", "shut up", "pathetic", "useless fool", "despise"),
}  # fmt: skip
KINDS = (*WORD_KINDS, *PHRASES)
SENSITIVE_NAMES = frozenset(
    [".env", ".ssh", "id_rsa", "id_ed25519", ".netrc", ".aws", ".npmrc", ".pypirc", ".bashrc", ".git", "shadow", "passwd"]
)
SECRET_PREFIXES = ("sk-", "ghp_", "gho_", "github_pat_", "akia", "xoxb-", "xoxp-", "eyj", "-----begin")
_DELIMITERS = str.maketrans(dict.fromkeys("\"'`,;()[]{}<>|=", " "))
_PUNCTUATION = str.maketrans(dict.fromkeys("\"'`,;()[]{}<>|=.:!?", " "))


@dataclass(frozen=True, kw_only=True)
class Screened:
    """`counts` of each kind in `KINDS` (numbers count by their digits, nine to an identifier), and the text without them."""

    counts: Mapping[str, float]
    text: str


def screen(text: str) -> Screened:
    """Count what is dangerous in a text, and take the words among it out. Linear in the length of the text."""
    weights: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    kept = []
    for piece in text.split():
        pieces = [_bare(word) for word in piece.translate(_DELIMITERS).split()]
        found = [(kind, weight) for word in pieces for kind, weight in _kinds_of(word).items()]
        for kind, weight in found:
            weights[kind] += weight
        if not found:
            kept.append(piece)
    clean = " ".join(kept)
    spoken = f" {' '.join(clean.lower().translate(_PUNCTUATION).split())} "
    for kind, phrases in PHRASES.items():
        weights[kind] = float(sum(spoken.count(f" {phrase} ") for phrase in phrases))
    return Screened(counts=weights, text=clean)


def identifiers(text: str) -> frozenset[str]:
    """The identifiers and secrets in a text: what must not come out of an answer unless the prompt brought it in."""
    words = (_bare(word) for word in text.translate(_DELIMITERS).split())
    return frozenset(word for word in words if LEAKS.intersection(_kinds_of(word)))


def _bare(word: str) -> str:
    """A word without the punctuation of the sentence; the dots that lead out of a folder stay."""
    return word if word == ".." else word.lstrip(":!?").rstrip(".:!?")


def _kinds_of(word: str) -> dict[str, float]:
    """The kinds of one word with their weight; empty for a harmless one."""
    kinds: dict[str, float] = {}
    digits = sum(character.isdigit() for character in word)
    local, at, domain = word.partition("@")
    if at and local and "." in domain.strip(".") and "/" not in word:
        kinds["email"] = 1.0
    elif digits >= 3 and not word.strip("0123456789-+./:"):
        kinds["number"] = digits / 9.0
    elif 15 <= len(word) <= 34 and word[:2].isalpha() and word[:2].isupper() and word[2:4].isdigit() and word.isalnum():
        kinds["bank_account"] = 1.0
    elif _is_secret(word, digits):
        kinds["secret"] = 1.0
    lowered = word.lower().replace("%2e", ".").replace("%2f", "/").replace("\\", "/")
    parts = lowered.split("/")
    if ".." in parts or lowered.startswith(("~/", "file:/")) or (lowered.startswith("/") and len(lowered) > 2):
        kinds["path_escape"] = 1.0
    if SENSITIVE_NAMES.intersection(parts):
        kinds["sensitive_file"] = 1.0
    return kinds


def _is_secret(word: str, digits: int) -> bool:
    """Known key prefixes, or a long run that mixes letters and digits as no name does."""
    if word.lower().startswith(SECRET_PREFIXES) and len(word) >= 11:
        return True
    letters = sum(character.isalpha() for character in word)
    return len(word) >= 24 and digits >= 5 and letters >= 5 and digits + letters >= len(word) - 2 and "/" not in word
