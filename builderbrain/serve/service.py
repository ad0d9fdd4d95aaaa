"""What every endpoint shares: the backend, the engine, and the way from texts to tokens and from schemas to masks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from anyio import to_thread

from builderbrain.decode.base import Generation
from builderbrain.errors import (
    ContextLengthError,
    GrammarLimitError,
    GrammarRefusedError,
    InvalidRequestError,
    UnknownModelError,
)
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.serve.backend import Backend, ServedModel
from builderbrain.serve.chat_template import ChatTemplate, choose_template
from builderbrain.serve.engine import Engine
from builderbrain.serve.fields import THREAD_BYTES
from builderbrain.serve.requests import SamplingRequest
from builderbrain.serve.telemetry import Telemetry

R = TypeVar("R")
LONGEST_TOKEN_BYTES = 256
"""No tokenizer in use has longer tokens, so a longer text over the context is refused before it is tokenised."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """The composed server, without HTTP."""

    backend: Backend
    engine: Engine
    telemetry: Telemetry
    client_grammars: bool = False
    template: ChatTemplate = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "template", choose_template(self.backend.special_tokens))

    def served(self, name: str | None) -> ServedModel:
        """The model of that name; the first one when a request names none.

        Raises:
            UnknownModelError: not served here; lists what is.
        """
        models = self.backend.models()
        for model in models:
            if name is None or model.name == name:
                return model
        known = ", ".join(model.name for model in models)
        raise UnknownModelError(f"the model {name!r} is not served here; served are: {known}", field="model")

    def refuse_huge(self, *texts: str, field: str) -> None:
        """Refuse text that cannot fit the context, before spending time on tokenising it.

        Raises:
            ContextLengthError: more bytes than any tokens that fit the context could have.
        """
        size = sum(len(text) if text.isascii() else len(text.encode()) for text in texts)
        if size > self.backend.max_length * LONGEST_TOKEN_BYTES:
            raise ContextLengthError(
                f"{field}: {self._context()}, which no text of {size} bytes fits; shorten it",
                field=field,
            )

    def _context(self) -> str:
        """In OpenAI's words, by which clients tell this refusal from others."""
        return f"this model's maximum context length is {self.backend.max_length} tokens"

    async def encode(self, text: str, *, field: str) -> list[int]:
        """Token ids of plain text; see `refuse_huge` for what it raises."""
        self.refuse_huge(text, field=field)
        return await self.off_loop(len(text), lambda: self.backend.tokenizer.encode(text))

    async def off_loop(self, size: int, work: Callable[[], R]) -> R:
        """Call `work`, in a helper thread when `size`, the characters it handles, is large."""
        return await to_thread.run_sync(work) if size > THREAD_BYTES else work()

    def room(
        self, prompt: list[int], asked: int | None, *, default: int | None, field: str, asked_field: str = "max_tokens"
    ) -> int:
        """Tokens the output may have: what was asked, else `default`, else what the context leaves.

        `field` and `asked_field` are where the prompt and the number stand in the request.

        Raises:
            InvalidRequestError: the prompt is empty or holds an id beyond the vocabulary.
            ContextLengthError: prompt and output do not fit.
        """
        if not prompt:
            raise InvalidRequestError(f"{field}: expected at least one token, got an empty prompt", field=field)
        worst = max(prompt) if min(prompt) >= 0 else min(prompt)
        if not 0 <= worst < self.backend.vocab_size:
            raise InvalidRequestError(
                f"{field}: expected token ids in 0..{self.backend.vocab_size - 1}, got {worst}", field=field
            )
        left = self.backend.max_length - len(prompt)
        if asked == 0 and left >= 0:
            return 0
        if left < 1 or (asked is not None and asked > left):
            wanted = "" if asked is None else f" and {asked_field} {asked}"
            raise ContextLengthError(
                f"{self._context()}, but the prompt has {len(prompt)}{wanted}; shorten the prompt or ask for fewer tokens",
                field=field if left < 1 else asked_field,
            )
        if asked is not None:
            return asked
        return left if default is None else min(default, left)

    async def constraint(self, body: SamplingRequest) -> CompiledConstraint | None:
        """The compiled constraint of a request, or None.

        Raises:
            GrammarLimitError, GrammarRefusedError: the schema or grammar; `field` is its place in the request.
        """
        found = requested_constraint(body)
        if found is None:
            return None
        path, constraint = found
        if constraint.kind == "grammar" and not self.client_grammars:
            raise InvalidRequestError(
                f"{path}: grammars from clients are off on this server; use json, regex or choice, or start it with "
                "--enable-client-grammars",
                field=path,
            )
        # The compiler names a place in the constraint, from its kind on; the path of the request ends with the kind.
        return await self.compile(constraint, lambda place: path + place.removeprefix(constraint.kind))

    async def compile(self, constraint: Constraint, place: Callable[[str], str], *, advice: str = "") -> CompiledConstraint:
        """Compile a constraint, off the event loop.

        Args:
            place: from a place in the constraint to the one in the request.
            advice: what else can be done about a refusal.

        Raises:
            GrammarLimitError, GrammarRefusedError: the schema or grammar; `field` is its place in the request.
        """
        try:
            return await to_thread.run_sync(self.backend.mask_engine.compile, constraint, abandon_on_cancel=True)
        except (GrammarLimitError, GrammarRefusedError) as error:
            field = place(error.field or "")
            raise type(error)(f"{field}: {error.message}{advice}", field=field) from error

    def fingerprint(self, version: str) -> str:
        """`system_fingerprint`: changes when the base, its numerics or the weights do."""
        digest = hashlib.sha256(f"{self.backend.description}\n{version}".encode()).hexdigest()
        return f"bb_{digest[:12]}"

    def record(self, generation: Generation) -> None:
        """Count a finished output."""
        self.telemetry.finished(
            prompt_tokens=generation.prompt_tokens,
            cached_tokens=generation.cached_tokens,
            tokens=len(generation.tokens),
            reason=generation.finish_reason,
        )
        if generation.constraint is not None:
            self.telemetry.constrained(generation.constraint)


def requested_constraint(body: SamplingRequest) -> tuple[str, Constraint] | None:
    """The one constraint of a request and the path of the field it stands in."""
    shape = body.response_format
    if shape is not None and shape.type == "json_object":
        return "response_format", Constraint(kind="json_object", source="{}")
    if shape is not None and shape.type == "structural_tag":
        return "response_format", Constraint(kind="structural_tag", source=json_text(shape.structural_tag(), "response_format"))
    if shape is not None and shape.json_schema is not None:
        path = "response_format.json_schema.schema"
        return path, Constraint(kind="json_schema", source=json_text(shape.json_schema.schema_, path))
    outputs = body.structured_outputs
    if outputs is None:
        return None
    if outputs.json_ is not None:
        path = "structured_outputs.json"
        source = outputs.json_ if isinstance(outputs.json_, str) else json_text(outputs.json_, path)
        return path, Constraint(kind="json_schema", source=source)
    if outputs.regex is not None:
        return "structured_outputs.regex", Constraint(kind="regex", source=outputs.regex)
    if outputs.choice is not None:
        return "structured_outputs.choice", Constraint(kind="choice", source=json.dumps(outputs.choice))
    if outputs.structural_tag is not None:
        path, tag = "structured_outputs.structural_tag", outputs.structural_tag
        return path, Constraint(kind="structural_tag", source=tag if isinstance(tag, str) else json_text(tag, path))
    if outputs.grammar is not None:
        return "structured_outputs.grammar", Constraint(kind="grammar", source=outputs.grammar)
    return "structured_outputs.json_object", Constraint(kind="json_object", source="{}")


def json_text(schema: Any, path: str) -> str:
    """The JSON text of what stands at `path` of a request.

    Raises:
        InvalidRequestError: it holds a number that JSON has not.
    """
    try:
        return json.dumps(schema, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise InvalidRequestError(f"{path}: expected JSON numbers, got {error}", field=path) from error
