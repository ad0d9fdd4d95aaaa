"""Mix the builder's proposal into a base state, channel by channel."""

from bbkernels.gated_fusion.op import gated_fusion

__all__ = ["gated_fusion"]
