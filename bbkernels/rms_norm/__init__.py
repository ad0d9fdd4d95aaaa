"""RMSNorm of narrow float32 streams in training on a CPU; the reference is `torch.nn.functional.rms_norm`."""

from bbkernels.rms_norm.native import rms_norm, takes

__all__ = ["rms_norm", "takes"]
