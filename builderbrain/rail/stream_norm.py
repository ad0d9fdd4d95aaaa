"""The norm of a rail's stream: `nn.RMSNorm`, in training on a CPU as one operation of the native library."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bbkernels.rms_norm import rms_norm, takes


class StreamNorm(nn.RMSNorm):
    """RMSNorm over the last dimension of [..., width], with a weight."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        if takes(x, self.weight):
            return rms_norm(x, self.weight, torch.finfo(x.dtype).eps if self.eps is None else self.eps)
        return super().forward(x)
