"""Causal attention of many sequences' new tokens over their pages of keys and values, in one call."""

from bbkernels.ragged_attention.op import attend_unchecked, ragged_attention

__all__ = ["attend_unchecked", "ragged_attention"]
