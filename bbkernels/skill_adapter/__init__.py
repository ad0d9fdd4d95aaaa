"""Low-rank adapters chosen per token."""

from bbkernels.skill_adapter.op import skill_adapter

__all__ = ["skill_adapter"]
