"""Find the parts of a causal LM without knowing its family.

Every family names its parts differently (`model.layers` and `model.norm`, `transformer.h` and `transformer.ln_f`, ...),
and some scale or cap the logits after the head. Instead of a table of families, the parts are found by structure and
by watching one forward pass over three tokens:

- the layers are the outermost module list with as many entries as the configuration has layers;
- the final norm is what the decoder runs on the last layer's output;
- the logit rule is the one, among those the configuration has a value for, that reproduces the model's logits bit for bit.

The same pass proves the promise of `BaseStates`. A model for which it does not hold is refused, never approximated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from builderbrain.errors import UnsupportedModelError

# Configuration values with which some family alters its logits after the head. The same name divides in one family
# and multiplies in another, which is why candidates are tried against the model's own logits.
_LOGIT_RULES: tuple[tuple[str, Literal["cap", "divide", "multiply"]], ...] = (
    ("final_logit_softcapping", "cap"),
    ("logits_scaling", "divide"),
    ("logits_scaling", "multiply"),
    ("logit_scale", "multiply"),
    ("lm_head_multiplier", "multiply"),
    ("output_multiplier", "multiply"),
)


@dataclass(frozen=True, kw_only=True)
class LogitRule:
    """What the model does to the head's output: nothing, `value * tanh(x / value)`, `x / value` or `x * value`."""

    kind: Literal["none", "cap", "divide", "multiply"]
    value: float = 1.0

    def apply(self, logits: Tensor) -> Tensor:
        """[..., V] -> [..., V], in the order of operations that the models use, so that the result is bit-equal."""
        if self.kind == "cap":
            return torch.tanh(logits / self.value) * self.value
        if self.kind == "divide":
            return logits / self.value
        if self.kind == "multiply":
            return logits * self.value
        return logits


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """The parts of a causal LM that a host needs; modules are the model's own objects."""

    decoder: nn.Module
    """Runs tokens through the layers, without computing logits."""
    layers: tuple[nn.Module, ...]
    final_norm: nn.Module
    """`nn.Identity` for a model without one."""
    head: nn.Module
    logit_rule: LogitRule
    d_model: int
    vocab_size: int
    dtype: torch.dtype
    """Of the hidden states."""


def layer_output(output: Any) -> Tensor:
    """The hidden states in what a decoder layer returns: itself, or the first entry of a tuple."""
    return output[0] if isinstance(output, tuple) else output


def layer_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The hidden states among the arguments of a decoder layer: the first positional one, or the one of that name."""
    return args[0] if args else kwargs["hidden_states"]


def dissect(model: Any) -> Anatomy:
    """Find the parts of `model` (a `transformers.PreTrainedModel` with a language-model head) and prove them.

    Runs the model twice over three tokens, without autograd.

    Raises:
        UnsupportedModelError: no layers to tap, attention that looks ahead, hidden states of another shape than
            [B, T, d], or logits that are not `head(final_norm(last state))` up to a known rule.
    """
    decoder, layers = _find_layers(model)
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Module):
        raise _unsupported(model, "a language-model head", "no output embeddings")
    for layer in layers:
        for name, part in layer.named_modules():
            if getattr(part, "is_causal", True) is False:
                raise _unsupported(model, "causal attention in every layer", f"`{name}`, which looks at later tokens")

    probe = _run_probe(model, decoder, layers)
    _check_causal(model, probe)
    last = probe.states[-1]
    normed = probe.final_norm(last)
    if normed.shape != last.shape:
        raise _unsupported(model, "a final norm that keeps the width", f"{tuple(last.shape)} -> {tuple(normed.shape)}")
    raw_logits = head(normed)
    for rule in _candidate_rules(model):
        if torch.equal(rule.apply(raw_logits).float(), probe.logits.float()):
            return Anatomy(
                decoder=decoder,
                layers=layers,
                final_norm=probe.final_norm,
                head=head,
                logit_rule=rule,
                d_model=last.shape[-1],
                vocab_size=raw_logits.shape[-1],
                dtype=last.dtype,
            )
    raise _unsupported(model, "logits equal to head(final_norm(last state))", "others: an unknown scaling after the head")


@dataclass(frozen=True)
class _Probe:
    states: list[Tensor]
    """[1, 3, d] after each layer."""
    changed_states: list[Tensor]
    """The same after another last token."""
    logits: Tensor
    final_norm: nn.Module


def _find_layers(model: Any) -> tuple[nn.Module, tuple[nn.Module, ...]]:
    count = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", None)
    search = model.get_decoder()
    lists = [
        (name, part)
        for name, part in search.named_modules()
        if isinstance(part, nn.ModuleList) and count is not None and len(part) == count
    ]
    if not lists:
        raise _unsupported(model, f"a list of {count} decoder layers", "none: a host without taps")
    # Lists of experts may have the same length; the layer list is the one nearest to the root.
    name, found = min(lists, key=lambda entry: entry[0].count("."))
    layers = tuple(found)
    if len({id(layer) for layer in layers}) != len(layers):
        raise _unsupported(model, "a module of its own for every layer", f"layers of `{name}` that share one")
    return search.get_submodule(name.rpartition(".")[0]), layers


def _run_probe(model: Any, decoder: nn.Module, layers: tuple[nn.Module, ...]) -> _Probe:
    states: list[Tensor] = []
    after_layers: list[nn.Module] = []

    def on_layer(_module: nn.Module, _args: Any, output: Any) -> None:
        states.append(layer_output(output))
        after_layers.clear()

    def on_child(module: nn.Module, _args: Any, _output: Any) -> None:
        after_layers.append(module)

    # A module list is not called itself, so its entry among the children is inert.
    handles = [layer.register_forward_hook(on_layer) for layer in layers]
    handles += [child.register_forward_hook(on_child) for child in decoder.children()]
    try:
        with torch.no_grad():
            logits = _logits(model, last_token=3)
            first, tail = list(states), list(after_layers)
            states.clear()
            _logits(model, last_token=4)
    finally:
        for handle in handles:
            handle.remove()
    if len(first) != len(layers) or any(not _is_hidden_state(state, first[0]) for state in first):
        raise _unsupported(model, "each layer to run once and give [B, T, d]", f"{[tuple(state.shape) for state in first]}")
    if len(tail) > 1:
        raise _unsupported(model, "at most one final norm after the last layer", f"{[type(part).__name__ for part in tail]}")
    return _Probe(states=first, changed_states=list(states), logits=logits, final_norm=tail[0] if tail else nn.Identity())


def _logits(model: Any, *, last_token: int) -> Tensor:
    tokens = torch.tensor([[1, 2, last_token]], device=model.device)
    logits: Tensor = model(input_ids=tokens, use_cache=False).logits
    return logits


def _is_hidden_state(state: Any, like: Tensor) -> bool:
    return isinstance(state, Tensor) and state.ndim == 3 and state.shape[:2] == (1, 3) and state.shape == like.shape


def _check_causal(model: Any, probe: _Probe) -> None:
    # Rounding may differ between the runs (8-bit outliers, expert grouping), by far less than the square root of the
    # precision; looking ahead moves the earlier positions by a share of what the changed one moves.
    for index, (state, changed) in enumerate(zip(probe.states, probe.changed_states, strict=True)):
        difference = (state.float() - changed.float()).abs().amax(dim=-1)[0]
        if difference[:-1].max() > difference[-1] * torch.finfo(state.dtype).eps ** 0.5:
            raise _unsupported(model, "states that do not depend on later tokens", f"a layer {index} that looks ahead")


def _candidate_rules(model: Any) -> list[LogitRule]:
    config = model.config.get_text_config(decoder=True)
    rules = []
    for name, kind in _LOGIT_RULES:
        value = getattr(config, name, None)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value != 0:
            rules.append(LogitRule(kind=kind, value=value))
    return [*rules, LogitRule(kind="none")]


def _unsupported(model: Any, expected: str, got: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{type(model).__name__} cannot be a host: expected {expected}, got {got}; "
        "use a decoder-only causal language model such as Llama, Qwen, Mistral, Gemma, GPT-2 or gpt-oss",
        field="model",
    )
