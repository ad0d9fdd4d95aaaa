"""From a goal to an answer: a proposed plan is checked, run step by step with real tools, and answered from its trace."""

from __future__ import annotations

from builderbrain.agent.executor import WorkingRoot, execute, execute_async
from builderbrain.agent.goal import GoalResult, GoalRunner, PlanProposal
from builderbrain.agent.trace import TraceEntry

__all__ = ["GoalResult", "GoalRunner", "PlanProposal", "TraceEntry", "WorkingRoot", "execute", "execute_async"]
