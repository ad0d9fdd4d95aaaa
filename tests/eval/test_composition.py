"""The suites over SCAN: gold answers score 1.0, others do not, and what a skill costs is counted where it is needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

import pytest
import torch

from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.generate import generate
from builderbrain.decode.host_model import HostModel
from builderbrain.domains.scan import SPLITS, Example, plan_of, split_examples
from builderbrain.errors import SubjectError
from builderbrain.eval import ablation
from builderbrain.eval.composition import NearestCommand, draw_commands, fault_of, judge_plans
from builderbrain.eval.composition_report import as_json, bars_of, cells_of
from builderbrain.eval.folders import kind_of
from builderbrain.eval.models import CUT_OFF
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.plan import print_text
from builderbrain.rail.greedy import follow
from builderbrain.rail.pair import Pair
from tests.hosts import tiny_models


def gold(examples: Sequence[Example]) -> list[str]:
    return [print_text(plan_of(example.command)) for example in examples]


def shuffled(examples: Sequence[Example]) -> list[str]:
    """Answers to other commands."""
    return [print_text(plan_of("walk" if "jump" in example.command else "jump left")) for example in examples]


def test_gold_plans_score_all_shuffled_ones_nothing_and_the_nearest_command_is_a_floor() -> None:
    examples = draw_commands("addprim_jump", 200)
    judge = partial(judge_plans, examples, split="addprim_jump")
    assert judge(gold(examples), subject="gold").score == 1.0
    assert judge(shuffled(examples), subject="shuffled").score < 0.01
    copied = NearestCommand("addprim_jump").plans([example.command for example in examples])
    nearest = judge(copied, subject="nearest")
    assert nearest.score < 0.2
    assert sum(nearest.faults().values()) == nearest.total - nearest.right


def test_draws_are_of_the_test_part_and_a_smaller_one_begins_a_larger_one() -> None:
    for split in SPLITS:
        some, more = draw_commands(split, 20), draw_commands(split, 60)
        assert more[:20] == some
        assert {example.command for example in more} <= {example.command for example in split_examples(split).test}
    assert len(draw_commands("addprim_turn_left", 0)) == len(split_examples("addprim_turn_left").test)


AND_WALK = '\ns2=do(act="walk")\ns3=then(a=s1.actions,b=s2.actions)'


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        ('s1=do(act="jump",to="left",times="twice")' + AND_WALK, None),
        ('s1=do(act="jump",to="left",times="twice")' + AND_WALK.replace("then", "follows"), "order of clauses"),
        ('s1=do(act="run",to="left",times="twice")' + AND_WALK, "verb"),
        ('s1=do(act="jump",to="right",times="twice")' + AND_WALK, "direction"),
        ('s1=do(act="jump",way="around",to="left",times="twice")' + AND_WALK, "way"),
        ('s1=do(act="jump",to="left")' + AND_WALK, "times"),
        ('s1=do(act="jump",to="left",times="twice")', "number of clauses"),
        ('s1=do(act="dance")', "refused"),
        ('s1=do(act="jump",to="left",times="tw' + CUT_OFF, "does not end"),
    ],
)
def test_a_wrong_plan_is_told_by_what_is_wrong_with_it(plan: str, fault: str | None) -> None:
    example = next(e for e in split_examples("simple").train if e.command == "jump left twice and walk")
    assert fault_of(example, plan) == fault


def test_another_way_to_say_the_same_moves_is_right() -> None:
    example = Example("jump twice", ("I_JUMP", "I_JUMP"))
    assert fault_of(example, 's1=do(act="jump")\ns2=do(act="jump")\ns3=then(a=s1.actions,b=s2.actions)') is None


def test_the_report_gives_the_least_seed_the_mean_and_the_faults() -> None:
    examples = draw_commands("simple", 4)
    answers = (gold(examples), [*gold(examples)[:3], *shuffled(examples)[3:]])
    runs = [judge_plans(examples, plans, subject="rail", split="simple", seed=seed) for seed, plans in enumerate(answers)]
    (cell,) = cells_of(runs)
    assert (cell.least, cell.mean, cell.seeds, sum(cell.faults.values())) == (0.75, 0.875, (0, 1), 1)
    assert json.loads(json.dumps(as_json(runs)))["cells"][0]["least"] == 0.75
    assert bars_of(runs)[0].score == 0.875


def test_what_is_followed_is_what_greedy_decoding_gives() -> None:
    tokenizer = HuggingFaceTokenizer(tiny_models.tiny_tokenizer())
    host = HuggingFaceHost(tiny_models.llama(), tokenizer, name="tiny")
    engine = XGrammarEngine(tokenizer, host.vocab_size)
    grammar = engine.compile(Constraint(kind="grammar", source='root ::= ("ab" | "cd" | "ef") ("gh" | "ij")'), trusted=True)
    texts = [first + second for first in ("ab", "cd", "ef") for second in ("gh", "ij")]
    answers = [[*tokenizer.encode(text), tokenizer.eos_token_id] for text in texts]
    parameters = SamplingParameters(max_tokens=12, temperature=0.0)
    hits = 0
    for prompt in (tokenizer.encode(text) for text in ("one", "another prompt", "a third", "and the last of them")):
        decoded = generate(HostModel(host), prompt, parameters, grammar)
        wanted = [decoded.finish_reason == "stop" and list(decoded.tokens) == answer[:-1] for answer in answers]
        followed = follow(Pair(host, None), [prompt] * len(answers), answers, grammar)
        assert [text is not None for text in followed] == wanted
        hits += sum(wanted)
    assert hits, "no answer was decoded as it is encoded: choose other texts"


def test_what_a_folder_holds_says_what_it_is(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for name, kind in (("rail.safetensors", "rail"), ("adapter_config.json", "lora"), ("full.safetensors", "full")):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / name).write_text("")
        assert kind_of(tmp_path / kind) == kind
    with pytest.raises(SubjectError, match="trained model"):
        kind_of(tmp_path)


def test_a_skill_is_counted_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    from builderbrain.rail.config import RailConfig
    from builderbrain.rail.rail import BuilderRail

    names = ("next", "do", "then", "follows")
    torch.manual_seed(0)
    rail = BuilderRail(
        RailConfig(base_name="t", d_model=8, vocab_size=9, tap_points=(0,), width=8, head_size=4, pinned_skills=names)
    )

    class Paired:
        def __init__(self, rail: BuilderRail | None) -> None:
            self.rail = rail

    def right(pair: Paired, asked: list[str], grammar: object) -> list[bool]:
        """A rail that needs exactly the skills that the reference uses, and always fails at `walk`."""
        assert pair.rail is not None
        gone = {names[number] for number in pair.rail.ablated_skills if number < len(names)}
        used = [{"next", *(step.skill for step in plan_of(command).steps)} for command in asked]
        return [not gone & skills and command != "walk" for command, skills in zip(asked, used, strict=True)]

    monkeypatch.setattr(ablation, "find_right", right)
    commands = ("walk", "jump", "jump and run", "jump after run", "run after jump")
    examples = [e for e in split_examples("simple").train + split_examples("simple").test if e.command in commands]
    examples = list({e.command: e for e in examples}.values())
    found = {one.skill: one for one in ablation.ablate_skills(Paired(rail), examples, None, split="simple", seed=3)}  # type: ignore[arg-type]
    assert rail.ablated_skills == frozenset()
    follows = found["follows"]
    assert (follows.needed, follows.needed_with, follows.needed_without) == (2, 2, 0)
    assert (follows.others, follows.others_with, follows.others_without) == (3, 2, 2)
    for name in ("next", ablation.ALL):
        assert (found[name].needed, found[name].others, found[name].needed_without) == (5, 0, 0)
    with pytest.raises(SubjectError, match=r"rail\.pinned=true"):
        ablation.ablate_skills(Paired(None), examples, None, split="simple", seed=None)  # type: ignore[arg-type]
