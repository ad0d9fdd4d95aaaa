"""From a request's sampling fields to work for the engine, and from the engine's thread back to the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from builderbrain.decode.base import Generation, SamplingParameters, Step, TokenLogprob
from builderbrain.decode.beam_scores import BeamParameters
from builderbrain.decode.generate import attempt_seed
from builderbrain.decode.parameters import check_token_ids
from builderbrain.errors import BuilderBrainError, ConstraintViolatedError, MaskEmptyError
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.serve.backend import WAITING, Backend
from builderbrain.serve.engine import Engine, Work
from builderbrain.serve.requests import SamplingRequest
from builderbrain.serve.sampling_fields import requested_temperature

SEED_BITS = 63
ATTEMPTS = 4
"""Tries for a constrained output."""


@dataclass(frozen=True, kw_only=True)
class OutputRequest:
    """One output to decode. `attempts` over 1 samples again, with derived seeds, when the validator refuses.

    Where the mask is looser than the constraint, steps are held back until the validator has accepted the whole text: what was
    sent cannot be taken back. Under soft energy there is one attempt, whose steps go out as they come.
    """

    model: str
    prompt: tuple[int, ...]
    parameters: SamplingParameters
    constraint: CompiledConstraint | None = None
    constraint_field: str | None = None
    """Where the constraint stands in the request."""
    stop_tokens: frozenset[int] = frozenset()
    attempts: int = 1
    beams: BeamParameters | None = None
    """A search instead of samples, which gives up to `beams.count` outputs."""

    @property
    def held(self) -> bool:
        """Whether steps are held back until the validator has accepted the text."""
        soft = self.parameters.energy_scale is not None
        return self.constraint is not None and bool(self.constraint.declared) and not soft


@dataclass(frozen=True, kw_only=True)
class OutputEvent:
    """Something happened to output `index`: a token, or its end."""

    index: int
    step: Step | None = None
    generation: Generation | None = None


def attempts_for(constraint: CompiledConstraint | None, *, stream: bool) -> int:
    """How often an output may be tried: a stream whose steps go out as they come has one try."""
    return 1 if constraint is None or (stream and not constraint.declared) else ATTEMPTS


def choice_seed(seed: int, index: int) -> int:
    """An independent seed for the index-th choice of a request; the 0th keeps the request's own."""
    if index == 0:
        return seed
    digest = hashlib.sha256(f"choice {index} of {seed}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> (64 - SEED_BITS)


def sampling_parameters(
    body: SamplingRequest, *, max_tokens: int, logprobs: int | None, vocab_size: int, stops: Sequence[str] = ()
) -> SamplingParameters:
    """The request's sampling fields with their defaults. A request without a seed gets a random one.

    Args:
        stops: further texts that end the output; they are no part of it, whatever the request says of its own.

    Raises:
        InvalidRequestError: a token id is beyond the vocabulary, or a schedule's domain is unknown.
    """
    names = ("temperature", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
    given: dict[str, Any] = {name: float(value) for name in names if (value := getattr(body, name)) is not None}
    if body.temperature_schedule is not None:
        given["temperature"] = requested_temperature(body.temperature_schedule)
    own, ignores_ends = tuple(body.stop or ()), bool(body.ignore_eos)
    parameters = SamplingParameters(
        max_tokens=max_tokens,
        logprobs=logprobs,
        token_details=body.builderbrain is not None and body.builderbrain.token_details,
        top_k=max(body.top_k or 0, 0),
        seed=secrets.randbits(SEED_BITS) if body.seed is None else body.seed % (1 << SEED_BITS),
        stop=(*(() if body.include_stop_str_in_output else own), *(() if ignores_ends else stops)),
        stop_included=own if body.include_stop_str_in_output else (),
        stop_token_ids=tuple(body.stop_token_ids or ()),
        logit_bias=tuple((int(token), float(value)) for token, value in (body.logit_bias or {}).items()),
        min_tokens=body.min_tokens or 0,
        ignore_eos=ignores_ends,
        energy_scale=body.energy_scale(),
        **given,
    )
    check_token_ids(parameters, vocab_size)
    return parameters


def several(request: OutputRequest, count: int) -> list[OutputRequest]:
    """The `n` outputs of one request; a search gives all of them at once."""
    if request.beams is not None:
        return [request]
    seed = request.parameters.seed
    return [replace(request, parameters=replace(request.parameters, seed=choice_seed(seed, index))) for index in range(count)]


def score(backend: Backend, model: str, tokens: Sequence[int], alternatives: int) -> Work:
    """Work that returns the log-probabilities of given tokens, see `Backend.score`."""

    def work() -> Generator[Step | None, None, list[TokenLogprob | None]]:
        found: list[TokenLogprob | None] = []
        for entry in backend.score(model, tokens, alternatives):
            if entry is not WAITING:
                found.append(entry)
            yield None
        return found

    return work


def generate(backend: Backend, request: OutputRequest) -> Work:
    """Work that decodes one output and returns its `Generation`; fails rather than return an invalid one."""
    single = request.parameters.is_greedy or request.parameters.energy_scale is not None
    attempts = 1 if single else request.attempts
    holds = request.held

    def work() -> Generator[Step | None, None, Generation]:
        failure: BuilderBrainError | None = None
        for attempt in range(attempts):
            parameters = replace(request.parameters, seed=attempt_seed(request.parameters.seed, attempt))
            output = backend.begin(request.model, request.prompt, parameters, request.constraint, request.stop_tokens)
            held: list[Step] = []
            try:
                while True:
                    while not output.ready():
                        yield None
                    if (step := output.step()) is None:
                        break
                    if holds:
                        held.append(step)
                    yield None if holds else step
            except MaskEmptyError as error:
                failure = _placed(error, request)
                continue
            finally:
                output.close()
            generation = replace(output.result(), attempts=attempt + 1)
            report = generation.constraint
            if report is None or generation.may_be_returned:
                yield from held
                return generation
            failure = ConstraintViolatedError(
                f"expected an output that satisfies its {report.kind}, but the validator refuses what was decoded "
                f"(attempts: {attempt + 1}); the mask does not enforce {', '.join(report.declared) or 'all of it'}: "
                "simplify that, or ask again with another seed or temperature",
                field=report.declared[0] if report.declared else None,
            )
        raise failure or ConstraintViolatedError("expected at least one attempt")

    return work


def search(backend: Backend, request: OutputRequest, beams: BeamParameters) -> Work:
    """Work that runs a beam search and returns its `Generation`s, best first. There is no chance in it, so it is tried once."""

    def work() -> Generator[Step | None, None, list[Generation]]:
        running = backend.search(
            request.model, request.prompt, request.parameters, beams, request.constraint, request.stop_tokens
        )
        try:
            while True:
                while not running.ready():
                    yield None
                if not running.step():
                    return list(running.results())
                yield None
        except MaskEmptyError as error:
            raise _placed(error, request) from error
        finally:
            running.close()

    return work


def _placed(error: MaskEmptyError, request: OutputRequest) -> MaskEmptyError:
    """The error with the field of the constraint that left no token; who decodes knows of no request."""
    field = request.constraint_field
    return error if field is None else MaskEmptyError(f"{field}: {error.message}", field=field)


def choices(backend: Backend, request: OutputRequest) -> Work:
    """Work that returns a list: what a search found, or the one output that is sampled."""
    if request.beams is not None:
        return search(backend, request, request.beams)
    sampled = generate(backend, request)

    def work() -> Generator[Step | None, None, list[Generation]]:
        return [(yield from sampled())]

    return work


@asynccontextmanager
async def running(engine: Engine, works: Sequence[Work], *, steps: bool) -> AsyncIterator[AsyncIterator[tuple[int, Any]]]:
    """Run works and iterate over (index, Step or result) as they come; leaving cancels what is unfinished.

    Args:
        steps: whether to hear of every token or of results alone.

    Raises:
        QueueFullError, NotReadyError: on entering. The first failure of a work is raised by the iteration.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()  # bounded by the works' max_tokens

    def put(index: int, item: Any) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, (index, item))

    def listener(index: int) -> Callable[[Step], None]:
        return lambda step: put(index, step)

    tickets = engine.submit_all(works, [listener(index) if steps else None for index in range(len(works))])
    for index, ticket in enumerate(tickets):
        ticket.future.add_done_callback(partial(put, index))

    async def events() -> AsyncIterator[tuple[int, Any]]:
        left = len(tickets)
        while left:
            index, item = await queue.get()
            if isinstance(item, Future):
                left -= 1
                item = item.result()
            yield index, item

    try:
        yield events()
    finally:
        for ticket in tickets:
            ticket.cancel()


async def results(engine: Engine, works: Sequence[Work]) -> list[Any]:
    """The results of all works, in their order."""
    found: list[Any] = [None] * len(works)
    async with running(engine, works, steps=False) as events:
        async for index, result in events:
            found[index] = result
    return found


async def output_events(
    engine: Engine, backend: Backend, requests: Sequence[OutputRequest]
) -> AsyncGenerator[OutputEvent, None]:
    """Decode outputs together, token by token. Closing the iterator cancels them."""
    works = [generate(backend, request) for request in requests]
    async with running(engine, works, steps=True) as events:
        async for index, item in events:
            if not isinstance(item, Step):
                yield OutputEvent(index=index, generation=item)
                continue
            # The token that ends an output is no part of it, so its log-probability is not reported either.
            yield OutputEvent(index=index, step=replace(item, logprob=None) if item.ends else item)
