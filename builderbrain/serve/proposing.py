"""Plans for goals, decoded through the engine like any other output, so that a client that leaves cancels them at once."""

from __future__ import annotations

from builderbrain.agent.proposal import PlanProposal, PlanRequest, Propose
from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.serve.deferral import ALTERNATIVES, plan_confidence
from builderbrain.serve.generation import OutputRequest, generate, results
from builderbrain.serve.goal_domains import GoalDomain
from builderbrain.serve.service import Service

MAX_PLAN_TOKENS = 320
AGAIN_TEMPERATURE = 0.7
"""Of a plan that is decoded because the one before was refused: at the domain's own temperature it would be the same."""


def proposed_by(service: Service, domain: GoalDomain) -> Propose:
    """What decodes plans of a domain."""
    confidence = None if domain.deferral is None else domain.deferral.confidence

    async def propose(request: PlanRequest) -> PlanProposal:
        prompt = plan_prompt(service.backend.tokenizer, request.goal, request.observations)  # short, see `check_goal`
        room = service.room(prompt, None, default=MAX_PLAN_TOKENS, field="goal")
        again = request.attempt > 1
        output = OutputRequest(
            model=domain.model,
            prompt=tuple(prompt),
            parameters=SamplingParameters(
                max_tokens=room if request.max_tokens is None else min(room, request.max_tokens),
                temperature=AGAIN_TEMPERATURE if again else domain.temperature if confidence is None else 0.0,
                seed=request.attempt - 1,
                logprobs=None if confidence is None else ALTERNATIVES,
            ),
            constraint=domain.grammar,
        )
        generation: Generation = (await results(service.engine, [generate(service.backend, output)]))[0]
        service.record(generation)
        return PlanProposal(
            text=generation.text,
            weight_version=generation.weight_version,
            finish_reason=generation.finish_reason,
            tokens=len(generation.tokens),
            confidence=None if confidence is None else plan_confidence(confidence, generation),
            features={"tokens": float(len(prompt))},
        )

    return propose
