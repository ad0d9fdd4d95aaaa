"""One argument of a plan, decoded under the grammar of its type: what repair asks for when nothing else completes a plan."""

from __future__ import annotations

from collections.abc import Callable

from anyio import from_thread

from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.errors import BuilderBrainError, ConstraintViolatedError, GrammarRefusedError, MaskEmptyError, SchemaError
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.plan.ebnf import argument_grammar
from builderbrain.plan.repair import ArgumentRequest, WriteArgument
from builderbrain.serve.generation import OutputRequest, generate, results
from builderbrain.serve.service import Service

MAX_ARGUMENT_TOKENS = 48

_NOT_WRITTEN: tuple[type[BuilderBrainError], ...] = (SchemaError, GrammarRefusedError, ConstraintViolatedError, MaskEmptyError)
"""Nothing can be written there; the plan is then refused for its own faults."""


def argument_writer(
    service: Service, compile_grammar: Callable[[str], CompiledConstraint], model_of: Callable[[str], str] | None = None
) -> WriteArgument:
    """Writes arguments. To be called from a thread of the event loop that serves.

    Args:
        compile_grammar: from EBNF of the project's own to a constraint for the model's tokenizer.
        model_of: the name of the model that writes for a domain; may block. By default the default model writes for all.
    """

    async def decode(request: ArgumentRequest, model: str, constraint: CompiledConstraint) -> str | None:
        tokenizer = service.backend.tokenizer
        begun = f"{request.before}\n" if request.before else ""
        begun = f"{begun}s{request.number}={request.skill}({request.argument}="
        prompt = [*plan_prompt(tokenizer, request.goal), *tokenizer.encode(begun)]
        room = service.room(prompt, None, default=MAX_ARGUMENT_TOKENS, field="goal")
        output = OutputRequest(
            model=model,
            prompt=tuple(prompt),
            parameters=SamplingParameters(max_tokens=room, temperature=0.0),
            constraint=constraint,
        )
        generation: Generation = (await results(service.engine, [generate(service.backend, output)]))[0]
        service.record(generation)
        return generation.text if generation.finish_reason == "stop" else None

    def write(request: ArgumentRequest) -> str | None:
        try:
            grammar = argument_grammar(request.domain, request.version, request.skill, request.argument, request.number)
            model = service.served(None).name if model_of is None else model_of(request.domain)
            return from_thread.run(decode, request, model, compile_grammar(grammar))
        except _NOT_WRITTEN:
            return None

    return write
