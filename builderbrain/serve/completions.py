"""`POST /v1/completions`, with `echo`, `logprobs` and token-id prompts, so that likelihoods can be read off prompts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.decode.base import Generation, Step, TokenLogprob
from builderbrain.serve.fields import read_request
from builderbrain.serve.generation import (
    OutputRequest,
    attempts_for,
    choices,
    output_events,
    results,
    sampling_parameters,
    score,
    several,
)
from builderbrain.serve.openapi import GENERATING, described
from builderbrain.serve.replies import json_reply
from builderbrain.serve.reply_models import CompletionReply
from builderbrain.serve.requests import CompletionRequest
from builderbrain.serve.service import Service
from builderbrain.serve.shapes import choice_extension, completion_logprobs, ending, envelope, extension, stream_head, usage
from builderbrain.serve.streaming import EVENT_STREAM, SentText, stream_reply

DEFAULT_TOKENS = 16
"""OpenAI's default of max_tokens for completions."""


@dataclass(frozen=True, kw_only=True)
class _Prompt:
    text: str
    tokens: list[int]


def completions_router(service: Service) -> APIRouter:
    """The route over one service."""
    router = APIRouter()

    @router.post("/v1/completions")
    @described(
        "Continue prompts or score them, at once or as a stream of events.",
        body=CompletionRequest,
        reply=CompletionReply,
        other_replies=(EVENT_STREAM,),
        raises=GENERATING,
    )
    async def completions(request: Request) -> Response:
        body = await read_request(request, CompletionRequest)
        model = service.served(body.model).name
        prompts = [await _prompt(service, prompt, body.add_special_tokens) for prompt in body.prompts()]
        outputs = await _outputs(service, body, model, prompts)
        if body.stream:
            return await stream_reply(_chunks(service, body, model, outputs), request.state.request_id)
        return json_reply(await _reply(service, body, model, prompts, outputs))

    return router


async def _prompt(service: Service, prompt: str | list[int], add_special_tokens: bool) -> _Prompt:
    if isinstance(prompt, str):
        prefix = list(service.backend.prefix) if add_special_tokens else []
        return _Prompt(text=prompt, tokens=prefix + await service.encode(prompt, field="prompt"))
    service.room(prompt, 0, default=None, field="prompt")  # bounds before the ids reach the tokenizer
    return _Prompt(text=await service.off_loop(len(prompt), lambda: service.backend.tokenizer.decode(prompt)), tokens=prompt)


async def _outputs(service: Service, body: CompletionRequest, model: str, prompts: list[_Prompt]) -> list[OutputRequest]:
    """`n` outputs per prompt, or with `max_tokens` 0 one per prompt that is only scored."""
    constraint = await service.constraint(body)
    found: list[OutputRequest] = []
    for prompt in prompts:
        room = service.room(prompt.tokens, body.max_tokens, default=DEFAULT_TOKENS, field="prompt")
        output = OutputRequest(
            model=model,
            prompt=tuple(prompt.tokens),
            parameters=sampling_parameters(
                body, max_tokens=room, logprobs=body.logprobs, vocab_size=service.backend.vocab_size
            ),
            constraint=constraint,
            constraint_field=body.format_field(),
            attempts=attempts_for(constraint, stream=bool(body.stream)),
            beams=body.beams(body.n or 1),
        )
        found += several(output, body.n or 1)
    return found


async def _reply(
    service: Service, body: CompletionRequest, model: str, prompts: list[_Prompt], outputs: list[OutputRequest]
) -> dict[str, Any]:
    count = body.n or 1
    version = service.served(model).version  # now: when the results are there the name may be gone
    scored = body.echo and body.logprobs is not None
    works = [score(service.backend, model, prompt.tokens, body.logprobs or 0) for prompt in prompts if scored]
    only_scored = body.max_tokens == 0
    works += [] if only_scored else [choices(service.backend, output) for output in outputs]
    found = await results(service.engine, works)
    scores: list[list[TokenLogprob | None]] = found[: len(prompts)] if scored else []
    made: list[list[Generation]] = [[_empty(output, version)] for output in outputs] if only_scored else found[len(scores) :]
    per_prompt = len(outputs) // len(prompts)
    said = []
    generations: list[Generation] = []
    for place, prompt in enumerate(prompts):
        own = [generation for each in made[place * per_prompt : (place + 1) * per_prompt] for generation in each]
        generations += own
        for number, generation in enumerate(own):
            service.record(generation)
            said.append(
                {
                    "index": place * count + number,
                    "text": (prompt.text if body.echo else "") + generation.text,
                    "logprobs": _logprobs(service, prompt, scores[place] if scored else None, generation)
                    if body.logprobs is not None
                    else None,
                    **choice_extension(service.backend.tokenizer, generation.details),
                    **ending(generation),
                }
            )
    return {
        **envelope("cmpl", "text_completion", model, service.fingerprint(generations[0].weight_version)),
        "choices": said,
        "usage": usage(
            sum(len(prompt.tokens) for prompt in prompts),
            sum(len(each.tokens) for each in generations),
            sum(each[0].cached_tokens for each in made[::per_prompt]),
        ),
        "builderbrain": extension(generations),
    }


def _empty(output: OutputRequest, version: str) -> Generation:
    return Generation(tokens=(), text="", finish_reason="length", prompt_tokens=len(output.prompt), weight_version=version)


def _logprobs(
    service: Service, prompt: _Prompt, scores: list[TokenLogprob | None] | None, generation: Generation
) -> dict[str, Any]:
    tokens = [entry.token for entry in generation.logprobs]
    if scores is None:
        return completion_logprobs(service.backend.tokenizer, tokens, generation.logprobs)
    return completion_logprobs(service.backend.tokenizer, [*prompt.tokens, *tokens], [*scores, *generation.logprobs])


async def _chunks(
    service: Service, body: CompletionRequest, model: str, outputs: list[OutputRequest]
) -> AsyncGenerator[dict[str, Any], None]:
    with_usage = body.stream_options is not None and body.stream_options.include_usage
    fingerprint = service.fingerprint(service.served(model).version)
    head = stream_head("cmpl", "text_completion", model, fingerprint, with_usage=with_usage)
    sent = [SentText() for _ in outputs]
    generated = cached = 0

    def chunk(index: int, text: str, step: Step | None = None, **more: Any) -> dict[str, Any]:
        logprobs = None
        if step is not None and step.logprob is not None:
            logprobs = completion_logprobs(service.backend.tokenizer, [step.token], [step.logprob], offset=sent[index].length)
        if step is not None:
            more |= choice_extension(service.backend.tokenizer, step.details)
        choice = {"index": index, "text": sent[index].add(text), "logprobs": logprobs, "finish_reason": None, **more}
        return {**head, "choices": [choice]}

    async with aclosing(output_events(service.engine, service.backend, outputs)) as events:
        async for found in events:
            if found.step is not None and (found.step.text or found.step.logprob is not None or found.step.details):
                yield chunk(found.index, found.step.text, found.step)
            if found.generation is not None:
                generation = found.generation
                service.record(generation)
                generated += len(generation.tokens)
                cached += generation.cached_tokens if found.index % (body.n or 1) == 0 else 0
                last = chunk(
                    found.index,
                    sent[found.index].rest(generation.text),
                    **ending(generation),
                )
                yield {**last, "builderbrain": extension([generation])}
    if with_usage:
        prompt_tokens = sum(len(output.prompt) for output in outputs[:: body.n or 1])
        yield {**head, "choices": [], "usage": usage(prompt_tokens, generated, cached)}
