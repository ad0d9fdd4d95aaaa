"""A host around any decoder-only causal LM of `transformers`.

Only the inner decoder runs in `forward`; the model's own logits are never computed. Taps are forward hooks on the
layers, registered once. A hook writes into the capture object of the call it runs in, kept in a context variable: two
threads in `forward` of one host never see each other's states, and using the model outside of `forward` records nothing.

No attention mask is passed. The base is causal (proved when the host is made), so tokens on the right of a row cannot
change it, and without a mask attention may take its fastest kernel.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bbkernels.governed_loss import OutputHead
from bbkernels.panel_linear import PanelLinear
from builderbrain.errors import ContextLengthError, InvalidRequestError, UnsupportedModelError
from builderbrain.hosts.anatomy import dissect, layer_input, layer_output
from builderbrain.hosts.base import BaseStates, Cache, Tokenizer
from builderbrain.hosts.directions import TokenDirections
from builderbrain.hosts.native_decoder import NativeDecoder, why_not_native
from builderbrain.hosts.ragged import Pages, RaggedBatch
from builderbrain.hosts.row_products import route_row_products, rows_apart
from builderbrain.hosts.taps import check_tap_points, default_tap_points

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from builderbrain.hosts.paged_cache import PagedCache
    from builderbrain.hosts.tokenizer import HuggingFaceTokenizer

logger = logging.getLogger(__name__)

_LENGTH_NAMES = ("max_position_embeddings", "max_seq_len", "seq_length")


@dataclass
class _Capture:
    owner: object
    embedding: Tensor | None = None
    taps: dict[int, Tensor] = field(default_factory=dict)


_capture: ContextVar[_Capture | None] = ContextVar("builderbrain_host_capture", default=None)


class HuggingFaceHost:
    """The `Host` protocol over a `transformers` model. Takes the model over: frozen, in eval mode, for good."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: HuggingFaceTokenizer,
        *,
        name: str,
        tap_points: Sequence[int] | None = None,
    ) -> None:
        """Freeze the model, find its parts and hook the tapped layers.

        Args:
            model: a causal LM with a language-model head, on its device.
            tokenizer: its tokenizer.
            name: folder name or hub name the model came from.
            tap_points: see `Host.tap_points`; None spreads eight evenly.

        Raises:
            UnsupportedModelError: the model is no decoder whose layers can be tapped, its configuration names no
                context length, or the tokenizer gives ids beyond its embedding.
            TapError: a tap is not a layer of the model.
        """
        model.requires_grad_(False)
        model.eval()
        anatomy = dissect(model)
        self.model = model
        self.name = name
        self.tokenizer: Tokenizer = tokenizer
        self.d_model = anatomy.d_model
        self.vocab_size = anatomy.vocab_size
        self.num_layers = len(anatomy.layers)
        self.max_length = _context_length(model)
        self.dtype = anatomy.dtype
        self.device: torch.device = model.device
        self.tap_points = (
            default_tap_points(self.num_layers) if tap_points is None else check_tap_points(tap_points, self.num_layers)
        )
        if tokenizer.vocab_size > self.vocab_size:
            raise UnsupportedModelError(
                f"{name}: expected a tokenizer of at most {self.vocab_size} ids, the width of the logits, "
                f"got {tokenizer.vocab_size}; use the tokenizer the model was trained with",
                field="model",
            )
        self._decoder = anatomy.decoder
        self._final_norm = anatomy.final_norm
        self._head = anatomy.head
        self._logit_rule = anatomy.logit_rule
        self._directions = TokenDirections(self.output_head().weight, self.final_norm)
        self._add_hooks(anatomy.layers)
        self._layers = anatomy.layers
        self._ragged = False
        self._native: NativeDecoder | None = None
        self._panels: dict[str, PanelLinear] = {}
        self._no_mask = torch.empty(1, 1, 1, 1, device=self.device)

    def new_cache(self) -> Cache:
        """An empty cache for one batch; layers with a sliding window keep only the window."""
        from transformers import DynamicCache

        return DynamicCache(config=self.model.config)

    @torch.no_grad()
    def forward(self, tokens: Tensor, *, lengths: Tensor | None = None, cache: Cache | None = None) -> BaseStates:
        """Run the base over new tokens; see `Host.forward`. States beyond a row's length are finite but meaningless.

        Raises:
            InvalidRequestError: `tokens` is not int64 [B, T] with ids below V, `lengths` is not [B] in 1..T, or both
                `lengths` and `cache` are given.
            ContextLengthError: the cached and the new tokens are more than `max_length`.
        """
        self._check(tokens, lengths, cache)
        return self._run(tokens, past_key_values=cache, use_cache=cache is not None)

    def _run(self, tokens: Tensor, **arguments: Any) -> BaseStates:
        """The inner decoder over int64 [B, T], and what its layers said."""
        tokens = tokens.to(self.device)
        if self.model.training:
            self.model.eval()  # dropout would make the base depend on chance
        capture = _Capture(owner=self)
        token = _capture.set(capture)
        try:
            self._decoder(input_ids=tokens, **arguments)
        finally:
            _capture.reset(token)
        if capture.embedding is None:  # the probe saw every layer run, so only outside interference gets here
            raise UnsupportedModelError(f"{self.name}: the decoder ran without its layers", field="model")
        return BaseStates(
            tokens=tokens,
            embedding=capture.embedding,
            unembedding=self._directions(tokens).to(capture.embedding.dtype),
            taps=tuple(capture.taps[index] for index in self.tap_points),
        )

    def new_pages(self, num_pages: int, page_size: int) -> Pages:
        """Pages for `forward_ragged`; see `Host.new_pages`.

        Raises:
            UnsupportedModelError: the family does not attend through the interface of `transformers`, turns its positions by
                the longest of a batch, or gives other states this way.
        """
        from builderbrain.hosts.paged_cache import PagedCache, check_ragged, route_host

        if not self._ragged:
            route_host(self)
            asked = check_ragged(self)
            reason = why_not_native(self._decoder, self._layers, asked)
            if reason is not None:
                logger.info("%s runs through its own modules: %s", self.name, reason)
            else:
                self._native = NativeDecoder(self._decoder, self._layers, self.max_length, asked)
                check_ragged(self)
            with rows_apart():
                self._directions.keep_all()
            self._panels = route_row_products(self.model if self._native is None else self._head)
            self._ragged = True
        return PagedCache(num_pages, page_size)

    @torch.no_grad()
    def forward_ragged(self, batch: RaggedBatch, pages: Pages) -> BaseStates:
        """Run the base over the new tokens of many sequences; see `Host.forward_ragged`."""
        from builderbrain.hosts.paged_cache import PagedCache, ragged_call

        if not isinstance(pages, PagedCache):
            raise InvalidRequestError(f"expected pages of this host, got {type(pages).__name__}", field="pages")
        batch = batch.to(self.device)
        if self._native is not None:
            return self._run_native(self._native, batch, pages)
        with ragged_call(batch, pages), rows_apart():
            # A mask of four dimensions is taken as it is; the attention does not look at it.
            return self._run(
                batch.tokens[None],
                past_key_values=pages,
                use_cache=True,
                position_ids=batch.positions[None],
                attention_mask=self._no_mask,
            )

    def _run_native(self, native: NativeDecoder, batch: RaggedBatch, pages: PagedCache) -> BaseStates:
        pages.make_layers(native.num_layers, native.groups, native.size)
        keys, values = ([held[layer] for layer in range(native.num_layers)] for held in (pages.keys, pages.values))
        embedding: Tensor = self.model.get_input_embeddings()(batch.tokens)
        taps = native.step(batch, embedding, keys, values, self.tap_points)
        with rows_apart():
            unembedding = self._directions(batch.tokens)
        return BaseStates(
            tokens=batch.tokens[None],
            embedding=embedding[None],
            unembedding=unembedding[None],
            taps=tuple(tap[None] for tap in taps),
        )

    @torch.no_grad()
    def ragged_logits(self, states: Tensor) -> Tensor:
        """Logits [N, V] of states [N, d] before the final norm; see `Host.ragged_logits`."""
        with rows_apart():
            return self.lm_head(self.final_norm(states))

    @property
    def prepared(self) -> dict[str, Tensor]:
        """What the base reads beside its model's own tensors; see `KeepsCopies`."""
        parts = {
            "layers": {} if self._native is None else self._native.prepared,
            "products": {name or "head": panels.kept for name, panels in self._panels.items()},
            "directions": self._directions.prepared,
        }
        return {f"prepared.{part}.{name}": value for part, found in parts.items() for name, value in found.items()}

    def final_norm(self, states: Tensor) -> Tensor:
        """The base's last norm, [..., d] -> [..., d], in the base's dtype. Differentiable in its input."""
        normed: Tensor = self._final_norm(states.to(self.dtype))
        return normed

    def lm_head(self, states: Tensor) -> Tensor:
        """Logits [..., V] of normed states [..., d], soft caps and scales included. Differentiable in its input."""
        return self._logit_rule.apply(self._head(states.to(self.dtype)))

    def output_head(self) -> OutputHead:
        """The head as plain tensors, for the loss kernel; see `Host.output_head`."""
        weight = getattr(self._head, "weight", None)
        if not isinstance(weight, Tensor) or not weight.is_floating_point() or weight.shape != (self.vocab_size, self.d_model):
            raise UnsupportedModelError(
                f"{self.name}: expected a linear head [{self.vocab_size}, {self.d_model}] in a floating dtype for training, "
                f"got {type(self._head).__name__}; load the model with its head left unquantised",
                field="model",
            )
        rule = self._logit_rule
        scale = {"divide": 1.0 / rule.value, "multiply": rule.value}.get(rule.kind, 1.0)
        bias = getattr(self._head, "bias", None)
        return OutputHead(weight=weight, bias=bias, scale=scale, soft_cap=rule.value if rule.kind == "cap" else None)

    def _add_hooks(self, layers: Sequence[nn.Module]) -> None:
        def on_input(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            capture = _capture.get()
            if capture is not None and capture.owner is self:
                capture.embedding = layer_input(args, kwargs)

        def on_output(index: int, output: Any) -> None:
            capture = _capture.get()
            if capture is not None and capture.owner is self:
                capture.taps[index] = layer_output(output)

        layers[0].register_forward_pre_hook(on_input, with_kwargs=True)
        for index in self.tap_points:
            layers[index].register_forward_hook(lambda _module, _args, output, index=index: on_output(index, output))

    def _check(self, tokens: Tensor, lengths: Tensor | None, cache: Cache | None) -> None:
        if tokens.ndim != 2 or tokens.dtype != torch.int64 or tokens.numel() == 0:
            raise InvalidRequestError(
                f"expected tokens as int64 [B, T] with at least one token, got {tokens.dtype} {list(tokens.shape)}",
                field="tokens",
            )
        # On an accelerator this would wait for the device; ids are born on the CPU, where looking is free.
        if tokens.device.type == "cpu" and (int(tokens.min()) < 0 or int(tokens.max()) >= self.vocab_size):
            raise InvalidRequestError(
                f"expected token ids in 0..{self.vocab_size - 1}, got {int(tokens.min())}..{int(tokens.max())}; "
                "encode the text with this host's tokenizer",
                field="tokens",
            )
        cached = 0
        if cache is not None:
            if lengths is not None:
                raise InvalidRequestError("expected lengths or cache, got both; a cached batch has no padding", field="lengths")
            cached = cache.get_seq_length()
        if cached + tokens.shape[1] > self.max_length:
            raise ContextLengthError(
                f"expected at most {self.max_length} tokens, got {cached} cached and {tokens.shape[1]} new ones; "
                "shorten the prompt or ask for fewer tokens",
                field="tokens",
            )
        if lengths is not None and (
            lengths.shape != tokens.shape[:1]
            or lengths.dtype != torch.int64
            or (lengths.device.type == "cpu" and (int(lengths.min()) < 1 or int(lengths.max()) > tokens.shape[1]))
        ):
            raise InvalidRequestError(
                f"expected lengths as int64 [{tokens.shape[0]}] in 1..{tokens.shape[1]}, "
                f"got {lengths.dtype} {lengths.tolist()}",
                field="lengths",
            )


def _context_length(model: PreTrainedModel) -> int:
    config = model.config.get_text_config(decoder=True)
    for name in _LENGTH_NAMES:
        length = getattr(config, name, None)
        if isinstance(length, int) and length > 0:
            return length
    raise UnsupportedModelError(
        f"expected a context length in the model's configuration ({', '.join(_LENGTH_NAMES)}), got none; "
        "add max_position_embeddings to config.json",
        field="model",
    )
