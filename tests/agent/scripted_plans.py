"""A model that proposes what a test wants, one text after the other, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from builderbrain.agent import PlanProposal, PlanRequest
from builderbrain.plan.skeleton import Skeleton


class ScriptedPlans:
    """A `Propose`; the last text is repeated. An exception in place of a text is raised."""

    def __init__(
        self, *texts: str | Exception, tokens: int = 10, skeleton: Skeleton | None = None, cut: Sequence[int] = ()
    ) -> None:
        self.texts = list(texts)
        self.requests: list[PlanRequest] = []
        self.tokens = tokens
        self.skeleton = skeleton
        self.cut = cut

    async def __call__(self, request: PlanRequest) -> PlanProposal:
        at = min(len(self.requests), len(self.texts) - 1)
        self.requests.append(request)
        said: Any = self.texts[at]
        if isinstance(said, Exception):
            raise said
        finish: Literal["stop", "length"] = "length" if at in self.cut else "stop"
        return PlanProposal(text=said, weight_version="v7", finish_reason=finish, skeleton=self.skeleton, tokens=self.tokens)
