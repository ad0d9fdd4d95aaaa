"""From a goal to an answer: a proposed plan is checked, run step by step with real tools, and answered from its trace."""

from __future__ import annotations

from builderbrain.agent.domain_runtime import DomainRuntime, open_domain
from builderbrain.agent.executor import Runtime, WorkingRoot, execute, execute_async, resume, run_plan, run_streamed
from builderbrain.agent.goal import GoalResult, GoalRunner
from builderbrain.agent.ledger import Ledger
from builderbrain.agent.proposal import PlanProposal, PlanRequest, proposed_in_thread
from builderbrain.agent.report import ExecutionReport
from builderbrain.agent.runs import PlanRuns
from builderbrain.agent.trace import TraceEntry

__all__ = [
    "DomainRuntime",
    "ExecutionReport",
    "GoalResult",
    "GoalRunner",
    "Ledger",
    "PlanProposal",
    "PlanRequest",
    "PlanRuns",
    "Runtime",
    "TraceEntry",
    "WorkingRoot",
    "execute",
    "execute_async",
    "open_domain",
    "proposed_in_thread",
    "resume",
    "run_plan",
    "run_streamed",
]
