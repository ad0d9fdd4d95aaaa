"""Skills pinned to node types: which skill writes which token, and a router that learns it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from builderbrain.errors import ConfigError
from builderbrain.hosts.load import NANO, load_host
from builderbrain.rail.config import RailConfig
from builderbrain.rail.reading import literal_tokens
from builderbrain.train.goals import REPO_ASSISTANT
from builderbrain.train.pins import pins_of
from builderbrain.train.rows import IGNORED, row_of
from builderbrain.train.scan.goals import goal_of

PINNED = ("next", "do", "then", "follows")


@pytest.fixture(scope="module")
def tokenizer():  # type: ignore[no-untyped-def]
    return load_host(NANO, device="cpu").tokenizer


def config_of(tokenizer, **changes) -> RailConfig:  # type: ignore[no-untyped-def]
    quotes, lines = literal_tokens(tokenizer)
    plain = RailConfig(
        base_name="nano", d_model=8, vocab_size=tokenizer.vocab_size, tap_points=(0,), width=8, line_tokens=lines,
        quote_tokens=quotes, intents=("clause", "and", "after"), actions=PINNED[1:], span_slots=("act", "to"), choice_slots=(),
        pinned_skills=PINNED,
    )  # fmt: skip
    return replace(plain, **changes)


def test_next_chooses_and_a_node_type_writes_its_arguments(tokenizer) -> None:  # type: ignore[no-untyped-def]
    plan = 's1=do(act="jump",to="(left")\ns2=do(act="walk")\ns3=follows(a=s1.actions,b=s2.actions)'
    answer = [*tokenizer.encode(plan), tokenizer.eos_token_id]
    written: dict[str, str] = {}
    spoken = ""
    for token, pin in zip(answer, pins_of(answer, tokenizer, config_of(tokenizer)), strict=True):
        text = "<end>" if token == tokenizer.eos_token_id else tokenizer.decode([token])
        written[PINNED[pin]] = written.get(PINNED[pin], "") + text
        spoken += text
    assert spoken == plan + "<end>"
    assert written == {
        "next": "s1=do(\ns2=do(\ns3=follows(<end>",
        "do": 'act="jump",to="(left")act="walk")',
        "follows": "a=s1.actions,b=s2.actions)",
    }


def test_a_rail_without_pinned_skills_has_no_pins(tokenizer) -> None:  # type: ignore[no-untyped-def]
    assert pins_of([1, 2, 3], tokenizer, config_of(tokenizer, pinned_skills=())) == ()


def test_a_step_that_the_goal_does_not_ask_for_is_pinned_to_nothing(tokenizer) -> None:  # type: ignore[no-untyped-def]
    row = row_of(goal_of("jump and walk left"), tokenizer, config_of(tokenizer), wrong_step=(0, 'do(act="run")'))
    first, end = row.unscored
    assert end > first
    assert set(row.pins[first:end]) == {IGNORED}
    assert IGNORED not in row.pins[end:]


@pytest.mark.parametrize("names", [("do", "next"), ("next", *(f"skill_{number}" for number in range(40)))])
def test_pinned_skills_begin_with_next_and_there_are_enough_skills(tokenizer, names) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="pinned_skills"):
        config_of(tokenizer, pinned_skills=names)


def test_the_router_learns_its_pins_and_free_rails_pay_nothing(tmp_path, tokenizer) -> None:  # type: ignore[no-untyped-def]
    from builderbrain.config import load_config
    from builderbrain.train.config import TrainConfig
    from builderbrain.train.setup import build_trainer

    small = ["device=cpu", "data=scan", "wrong_steps=0", "batch_size=4", "base_text_rows=1", "steps=16", "rail.width=16",
             "rail.head_size=8", "learning_rate=0.03", f"output={tmp_path}"]  # fmt: skip
    trainer = build_trainer(load_config(TrainConfig, None, [*small, "rail.pinned=true"]))[0]
    assert trainer.rail.config.pinned_skills == PINNED
    pins = []
    for trainer.state.step in range(16):
        pins.append(trainer.train_step()[0]["pins"])
    assert pins[0] > 2.0
    assert pins[-1] < 0.7 * pins[0]
    free = build_trainer(load_config(TrainConfig, None, small))[0]
    assert free.train_step()[0]["pins"] == 0.0
    assert REPO_ASSISTANT.actions
    assert torch.equal(free.collate(free.source.rows(0, 2)).pins.unique(), torch.tensor([IGNORED]))
