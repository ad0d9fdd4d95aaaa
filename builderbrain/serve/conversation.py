"""From what was said, and with which tools, to outputs to decode: the way that chat and responses share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from builderbrain.grammar.base import CompiledConstraint
from builderbrain.serve.generation import OutputRequest, attempts_for, sampling_parameters, several
from builderbrain.serve.requests import SamplingRequest
from builderbrain.serve.said import Said, turns_of
from builderbrain.serve.service import Service
from builderbrain.serve.toolbox import Toolbox, invalid
from builderbrain.serve.turn_constraint import TurnConstraint


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What a request asks for, whatever its format. The fields `*_field` are the request's own names."""

    model: str
    said: tuple[Said, ...]
    said_field: str
    toolbox: Toolbox | None
    constraint: CompiledConstraint | None
    """Of the text. A toolbox has one of its own, so there cannot be both."""
    format_field: str
    sampling: SamplingRequest
    max_tokens: int | None
    max_tokens_field: str = "max_tokens"
    logprobs: int | None = None
    count: int = 1
    stream: bool = False


async def conversation_outputs(service: Service, asked: Conversation) -> list[OutputRequest]:
    """The outputs of a request.

    Raises:
        InvalidRequestError: a message, a tool or the length; `field` is its place in the request.
        GrammarLimitError, GrammarRefusedError: the parameters of a tool.
    """
    stop_tokens = service.template.stop_tokens(service.backend.special_tokens)
    constraint = asked.constraint
    soft = asked.sampling.energy_scale() is not None
    place: Callable[[str], str] = str
    if asked.toolbox is not None:
        if soft:
            raise invalid(
                "structured_outputs.enforcement",
                "expected no soft enforcement beside tools, whose calls are strict; send tool_choice none, or no tools",
            )
        if asked.sampling.ignore_eos:
            raise invalid(
                "ignore_eos", "an output that may call tools ends where its constraint does; remove ignore_eos or tools"
            )
        if constraint is not None:
            raise invalid(
                asked.format_field,
                "expected text without a format beside tools; send it with tool_choice none, or without tools",
            )
        place = asked.toolbox.place
        constraint = await service.compile(
            asked.toolbox.constraint, place, advice="; or send strict: false, which asks for any object"
        )
    prompt = await conversation_prompt(service, asked.said, asked.toolbox, field=asked.said_field)
    # Where the model is free to end its turn as it was trained to: by a token or a text of its own.
    free = constraint is None or soft or constraint.constraint.kind == "structural_tag"
    if free and constraint is not None:
        constraint = TurnConstraint(
            inner=constraint,
            eos_token_id=service.backend.tokenizer.eos_token_id,
            stop_tokens=stop_tokens,
            declared=tuple(map(place, constraint.declared)),
        )
    room = service.room(prompt, asked.max_tokens, default=None, field=asked.said_field, asked_field=asked.max_tokens_field)
    output = OutputRequest(
        model=asked.model,
        prompt=tuple(prompt),
        parameters=sampling_parameters(
            asked.sampling,
            max_tokens=room,
            logprobs=asked.logprobs,
            vocab_size=service.backend.vocab_size,
            stops=service.template.stop_strings if free else (),
        ),
        constraint=constraint,
        constraint_field=asked.format_field if asked.toolbox is None else "tools",
        stop_tokens=stop_tokens,
        attempts=attempts_for(constraint, stream=asked.stream),
        beams=asked.sampling.beams(asked.count),
    )
    return several(output, asked.count)


async def conversation_prompt(service: Service, said: Sequence[Said], toolbox: Toolbox | None, *, field: str) -> list[int]:
    """Token ids of a conversation, in the base's own template.

    Raises:
        InvalidRequestError: a result without its call, or arguments that are no JSON object.
        ContextLengthError: a text that alone is too long.
    """
    instructions = None if toolbox is None else toolbox.instructions()
    service.refuse_huge(instructions or "", field="tools")
    turns = turns_of(said, instructions)
    service.refuse_huge(*(turn.text for turn in turns), field=field)
    backend = service.backend
    return await service.off_loop(
        sum(len(turn.text) for turn in turns),
        lambda: service.template.render(turns, backend.special_tokens, backend.tokenizer.encode, backend.prefix),
    )
