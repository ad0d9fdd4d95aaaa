"""A model without weights: logits that are a fixed pseudo-random function of the sequence so far.

The adversary of the grammar layer, which must keep every output valid however absurd the model, and a floor for suites.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor

from bbkernels.masked_sample import gumbel_noise
from builderbrain.decode.model import TokenState
from builderbrain.hosts.base import Tokenizer


class _RandomState:
    def __init__(self, model: RandomModel, prompt_tokens: Sequence[int]) -> None:
        self._model = model
        self._hash = 0
        for token in prompt_tokens:
            self.append(token)

    ready = True
    reused = 0

    def logits(self) -> Tensor:
        seed = torch.tensor([self._model.seed]), torch.tensor([self._hash])
        return gumbel_noise(*seed, self._model.vocab_size)[0] * self._model.scale + self._model.bias

    def append(self, token: int) -> None:
        self._hash = (self._hash * 6364136223846793005 + token + 1442695040888963407) % (1 << 62)

    def fork(self) -> _RandomState:
        return copy(self)

    def close(self) -> None:
        """Nothing is held."""


class RandomModel:
    """A `TokenModel` with Gumbel-distributed logits.

    Args:
        scale: spread of the logits; 0 gives the uniform model.
        end_bias: added to the logit of the end-of-sequence token, so that outputs end.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        vocab_size: int,
        *,
        seed: int = 0,
        scale: float = 1.0,
        end_bias: float = 0.0,
        max_length: int = 4096,
    ) -> None:
        self.tokenizer = tokenizer
        self.vocab_size = vocab_size
        self.eos_token_id = tokenizer.eos_token_id
        self.max_length = max_length
        self.weight_version = f"random-{seed}"
        self.seed = seed
        self.scale = scale
        self.bias = torch.zeros(vocab_size)
        self.bias[self.eos_token_id] = end_bias

    def start(self, prompt_tokens: Sequence[int]) -> TokenState:
        return _RandomState(self, prompt_tokens)
