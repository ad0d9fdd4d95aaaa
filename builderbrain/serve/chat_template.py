"""Chat prompts: a small fixed set of templates of our own, chosen by the special tokens the base has.

A template is never taken from a request or from a model folder, where it would be a program written by a stranger. A
prompt is built of token ids: the marks between turns are ids of special tokens, what users wrote is encoded as plain
text, so no text can forge a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Encode = Callable[[str], list[int]]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One message: `role` is system, user or assistant."""

    role: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ChatTemplate:
    """How one family of bases marks turns.

    Each pattern is a sequence of pieces; a piece that is one of `marks` becomes that special token, `{text}` becomes
    the message, anything else is plain text. `opening` starts the assistant's turn. A system message goes through
    `system`, or into the next user message when that is None.
    """

    name: str
    marks: tuple[str, ...]
    system: tuple[str, ...] | None
    user: tuple[str, ...]
    assistant: tuple[str, ...]
    opening: tuple[str, ...]
    stop_marks: tuple[str, ...] = ()
    stop_strings: tuple[str, ...] = ()

    def stop_tokens(self, special_tokens: Mapping[str, int]) -> frozenset[int]:
        """Ids that end the assistant's turn."""
        return frozenset(special_tokens[mark] for mark in self.stop_marks)

    def render(
        self, turns: Sequence[Turn], special_tokens: Mapping[str, int], encode: Encode, prefix: Sequence[int]
    ) -> list[int]:
        """Token ids of the conversation up to where the assistant speaks.

        Args:
            turns: the conversation, at least one.
            special_tokens: ids of the tokenizer's special tokens by their text.
            encode: plain text to ids.
            prefix: ids before any text (a begin-of-sequence token, if the base wants one).
        """
        ids = list(prefix)
        plain = ""
        for piece in self._pieces(turns):
            if isinstance(piece, _Mark):
                ids += encode(plain) if plain else []
                plain = ""
                ids.append(special_tokens[piece.text])
            else:
                plain += piece
        return ids + (encode(plain) if plain else [])

    def _pieces(self, turns: Sequence[Turn]) -> list[str | _Mark]:
        pieces: list[str | _Mark] = []
        held = ""
        for turn in turns:
            if turn.role == "system" and self.system is None:
                held += turn.text + "\n\n"
                continue
            pattern = {"system": self.system, "user": self.user}.get(turn.role) or self.assistant
            text = turn.text
            if turn.role == "user":
                text, held = held + text, ""
            pieces += self._fill(pattern, text)
        if held:
            pieces += self._fill(self.user, held.rstrip("\n"))
        return pieces + self._fill(self.opening, "")

    def _fill(self, pattern: tuple[str, ...], text: str) -> list[str | _Mark]:
        return [_Mark(piece) if piece in self.marks else (text if piece == "{text}" else piece) for piece in pattern]


@dataclass(frozen=True)
class _Mark:
    text: str


PLAIN = ChatTemplate(
    name="plain",
    marks=(),
    system=("System: ", "{text}", "\n"),
    user=("User: ", "{text}", "\n"),
    assistant=("Assistant: ", "{text}", "\n"),
    opening=("Assistant:",),
    stop_strings=("\nUser:", "\nSystem:"),
)


def _chatml_turn(role: str) -> tuple[str, ...]:
    return ("<|im_start|>", f"{role}\n", "{text}", "<|im_end|>", "\n")


CHATML = ChatTemplate(
    name="chatml",
    marks=("<|im_start|>", "<|im_end|>"),
    system=_chatml_turn("system"),
    user=_chatml_turn("user"),
    assistant=_chatml_turn("assistant"),
    opening=("<|im_start|>", "assistant\n"),
    stop_marks=("<|im_end|>",),
)


def _llama_turn(role: str) -> tuple[str, ...]:
    return ("<|start_header_id|>", role, "<|end_header_id|>", "\n\n", "{text}", "<|eot_id|>")


LLAMA3 = ChatTemplate(
    name="llama3",
    marks=("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    system=_llama_turn("system"),
    user=_llama_turn("user"),
    assistant=_llama_turn("assistant"),
    opening=("<|start_header_id|>", "assistant", "<|end_header_id|>", "\n\n"),
    stop_marks=("<|eot_id|>",),
)
GEMMA = ChatTemplate(
    name="gemma",
    marks=("<start_of_turn>", "<end_of_turn>"),
    system=None,
    user=("<start_of_turn>", "user\n", "{text}", "<end_of_turn>", "\n"),
    assistant=("<start_of_turn>", "model\n", "{text}", "<end_of_turn>", "\n"),
    opening=("<start_of_turn>", "model\n"),
    stop_marks=("<end_of_turn>",),
)
MISTRAL = ChatTemplate(
    name="mistral",
    marks=("[INST]", "[/INST]", "</s>"),
    system=None,
    user=("[INST]", "{text}", "[/INST]"),
    assistant=("{text}", "</s>"),
    opening=(),
)


def _harmony_turn(head: str) -> tuple[str, ...]:
    return ("<|start|>", head, "<|message|>", "{text}", "<|end|>")


HARMONY = ChatTemplate(
    name="harmony",
    marks=("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>"),
    system=_harmony_turn("developer"),
    user=_harmony_turn("user"),
    assistant=("<|start|>", "assistant", "<|channel|>", "final", "<|message|>", "{text}", "<|end|>"),
    opening=("<|start|>", "assistant", "<|channel|>", "final", "<|message|>"),
    stop_marks=("<|end|>", "<|return|>"),
)
TEMPLATES = (HARMONY, CHATML, LLAMA3, GEMMA, MISTRAL, PLAIN)


def choose_template(special_tokens: Mapping[str, int]) -> ChatTemplate:
    """The first template whose marks the tokenizer has; `plain`, which has none, always fits."""
    return next(template for template in TEMPLATES if all(mark in special_tokens for mark in template.marks))
