"""Training attention of rails on a CPU, in the native library; its references are PyTorch's forms beside its uses."""

from bbkernels.causal_attention.op import attend_memory, attend_reading, takes

__all__ = ["attend_memory", "attend_reading", "takes"]
