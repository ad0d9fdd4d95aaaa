"""Data of somebody's own: what is read, what is refused by file and line, what is left out and counted."""

from __future__ import annotations

import gzip
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from builderbrain.data import Message, RiskLabels, Trace, trace_to_json
from builderbrain.data.synthetic import synthetic_traces
from builderbrain.errors import BuilderBrainError, ConfigError, DataError
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.plan import load_grammar, parse_text
from builderbrain.rail.config import RailConfig
from builderbrain.rail.reading import literal_tokens
from builderbrain.train import ingest
from builderbrain.train.__main__ import main
from builderbrain.train.config import TrainConfig
from builderbrain.train.data import FileRows, GeneratedGoals
from builderbrain.train.data_files import read_requests
from builderbrain.train.domain import TrainingDomain
from builderbrain.train.goals import REPO_ASSISTANT, generate_goals
from builderbrain.train.goals.from_plan import goal_from_plan
from builderbrain.train.mixed_rows import MixedRows
from builderbrain.train.scan.goals import goal_from_plan as scan_goal_from_plan
from builderbrain.train.scan.goals import goal_of, scan_domain
from builderbrain.train.setup import gather_materials
from tests.hosts.tiny_models import tiny_tokenizer

TOKENIZER = HuggingFaceTokenizer(tiny_tokenizer())
_, LINES = literal_tokens(TOKENIZER)
ENGINE = XGrammarEngine(TOKENIZER, TOKENIZER.vocab_size)
GOOD = '{"goal": "find x1", "plan": "s1=search(pattern=\\"x1\\")", "intent": "search", "pattern": "x1"}'


def config_of(domain: TrainingDomain) -> RailConfig:
    return RailConfig(
        base_name="x", d_model=8, vocab_size=8, tap_points=(0,), width=8, intents=domain.intents, actions=domain.actions,
        span_slots=domain.span_slots, token_slots=domain.token_slots, choice_slots=domain.choice_slots, line_tokens=LINES,
    )  # fmt: skip


def rows_of(data: Path, *, domain: TrainingDomain = REPO_ASSISTANT, max_length: int = 1024) -> FileRows:
    grammar = ENGINE.compile(Constraint(kind="grammar", source=load_grammar(domain.name)), trusted=True)
    requests = read_requests(str(data))
    return FileRows(requests, domain, TOKENIZER, config_of(domain), seed=0, grammar=grammar, max_length=max_length)


def trace(number: int, *, domain: str = "repo_assistant", plan: str | None = None, **more: Any) -> dict[str, Any]:
    text = f's1=search(pattern="x{number}")' if plan is None else plan
    made = Trace(
        id=str(number),
        domain=domain,
        messages=(Message(role="user", content=f"find x{number}"),),
        plan=parse_text(text, domain=domain) if text else None,
        plan_source="given" if text else None,
        **more,
    )
    return trace_to_json(made)


def written(path: Path, rows: Sequence[dict[str, Any] | str]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_goals_with_plans_train_and_every_tenth_is_held_out(tmp_path: Path) -> None:
    source = rows_of(written(tmp_path / "traces.jsonl", [GOOD] * 20))
    assert len(source.held_out(50)) == 2
    (row,) = source.rows(0, 1)
    assert TOKENIZER.decode(row.answer) == 's1=search(pattern="x1")'
    assert "18 rows of repo_assistant" in source.summary


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "line 20: expected one JSON object"),
        ("[" * 100_000, "line 20: .*nested"),
        ('{"goal": "x"}', "line 20: .*got no 'plan'"),
        ('{"say": "x"}', "line 20: .*got no 'goal'"),
        ('{"goal": 3, "plan": "s1=list()"}', "line 20: goal: expected a non-empty string, got 3"),
        ('{"goal": "", "plan": "s1=list()"}', "line 20: goal: expected a non-empty string"),
        ('{"goal": " ", "plan": "s1=list()"}', "line 20: goal: expected a request in words"),
        ('{"goal": "\\ud800", "plan": "s1=list()"}', "line 20: .*lone surrogate"),
        ('{"goal": "x", "plan": 3}', "line 20: plan: expected a non-empty string, got 3"),
        ('{"goal": "x", "plan": "s1=fly()"}', "line 20: .*refused"),
        (GOOD.replace('"intent": "search"', '"intent": "seek"'), "line 20: intent: expected one of .*got 'seek'"),
        (GOOD.replace('"intent": "search"', '"pick": "zzz"'), "line 20: pick: expected one of none, first, last, got 'zzz'"),
        (GOOD.replace('"pattern": "x1"', '"pattern": "y"'), "line 20: pattern: expected a part of the goal"),
        ('{"id": "1", "domain": "scan", "mesages": []}', "line 20: unknown key 'mesages'; did you mean messages"),
        (GOOD.replace("find x1", "find x1 " * 500), r"line 20: a row longer than the 1024 tokens .*: \d+ tokens; shorten it"),
    ],
)
def test_a_bad_row_is_refused_by_file_and_line(bad: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"traces.jsonl {message}") as caught:
        rows_of(written(tmp_path / "traces.jsonl", [*[GOOD] * 19, bad]))
    assert caught.value.field == "data"


def test_files_that_cannot_be_read_or_hold_too_little_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"at least 20 rows .* got 1"):
        rows_of(written(tmp_path / "one.jsonl", [GOOD]))
    with pytest.raises(ConfigError, match=r"a folder that `ingest` made, or a JSONL file of traces, got .*absent\.jsonl"):
        read_requests(str(tmp_path / "absent.jsonl"))
    with pytest.raises(ConfigError, match="got none; the file is empty"):
        read_requests(str(written(tmp_path / "empty.jsonl", [])))
    (tmp_path / "latin.jsonl").write_bytes(b'{"goal": "caf\xe9", "plan": "s1=list()"}\n')
    with pytest.raises(DataError, match=r"latin\.jsonl line 1: expected UTF-8, got byte 0xe9"):
        read_requests(str(tmp_path / "latin.jsonl"))
    (tmp_path / "torn.jsonl.gz").write_bytes(gzip.compress((GOOD * 9).encode())[:-9])
    with pytest.raises(DataError, match=r"torn\.jsonl\.gz"):
        read_requests(str(tmp_path / "torn.jsonl.gz"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_requests(str(tmp_path / "folder"))


def test_a_gzipped_file_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl.gz"
    path.write_bytes(gzip.compress((GOOD + "\n").encode() * 20))
    assert len(rows_of(path).held_out(50)) == 2


def test_an_ingested_folder_trains_with_its_own_validation_split(tmp_path: Path) -> None:
    written(tmp_path / "logs.jsonl", [trace(number) for number in range(60)])
    assert ingest.main([str(tmp_path / "logs.jsonl"), "--output", str(tmp_path / "mine"), "--validation", "0.3"]) == 0
    source = rows_of(tmp_path / "mine")
    validation = (tmp_path / "mine" / "validation.jsonl").read_text().splitlines()
    assert len(source.held_out(99)) == len(validation) > 6
    assert "held out (its validation split)" in source.summary
    answers = {TOKENIZER.decode(row.answer) for row in source.rows(0, 200)}
    assert answers.isdisjoint(f's1=search(pattern="{json.loads(line)["messages"][0]["content"][5:]}")' for line in validation)
    assert len(rows_of(tmp_path / "mine" / "train.jsonl").held_out(99)) > 1

    rows = tmp_path / "mine" / "train.jsonl"
    rows.write_text(rows.read_text().replace("find x", "fetch x", 1))
    with pytest.raises(DataError, match=r"train\.jsonl"):
        read_requests(str(tmp_path / "mine"))


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    rows = [
        *(trace(number) for number in range(20)),
        trace(90, plan=""),
        trace(91, plan=""),
        trace(92, domain="shop", plan="s1=buy()"),
        trace(93, risk=RiskLabels(harmful=True, kinds=("secret",))),
        trace(94, plan="s1=fly()"),
        {**trace(95), "sha256": None, "messages": [{"role": "user", "content": "find x1 " * 500}]},
        trace(96, domain="scan", plan='s1=do(act="jump")'),
        GOOD.replace('"intent"', '"note": 1, "intent"'),
    ]
    summary = rows_of(written(tmp_path / "mixed.jsonl", rows)).summary
    for expected in (
        "18 rows of repo_assistant",
        "left out: 2 without a plan (the first: mixed.jsonl line 21)",
        "left out: 1 of the domain 'shop', which has no schema here (the first: mixed.jsonl line 23)",
        "left out: 1 labelled harmful",
        "left out: 1 whose plan the checker refuses (the first: mixed.jsonl line 25: ",
        "left out: 1 longer than the 1024 tokens that the base can read (the first: mixed.jsonl line 26: ",
        "left out: 1 of scan, since most are of repo_assistant",
        "not read: the key 'note' of 1 rows",
    ):
        assert expected in summary


def test_the_example_of_the_documentation_trains(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8").partition("## Data of your own")[2]
    commands, rows = (text.partition(f"```{language}\n")[2].partition("```")[0].splitlines() for language in ("sh", "jsonl"))
    traced, given = rows
    assert len(rows_of(written(tmp_path / "both.jsonl", [traced, given] * 10)).held_out(9)) == 2
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "logs.jsonl", [traced.replace("retry policy", f"retry policy {number}") for number in range(40)])
    made, trained = (shlex.split(line.removeprefix("python -m builderbrain.train ")) for line in commands)
    assert main(made) == 0
    small = ("steps=1", "batch_size=2", "micro_batches=1", "base_text_rows=1", "evaluation_rows=2", "tensorboard=never",
             "rail.width=16", "rail.head_size=8", "rail.num_skills=4")  # fmt: skip
    assert main([*trained, f"model={base}", *small]) == 0
    assert (tmp_path / "runs" / "mine" / "rail" / "rail.safetensors").is_file()


def test_a_domain_without_a_schema_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = written(tmp_path / "made-up.jsonl", [trace_to_json(one) for one in synthetic_traces(rows=8, seed=0, skins=1)])
    with pytest.raises(BuilderBrainError, match=r"of the domain '\w+', which has no schema here.*schemas/.*data=toolgraph"):
        read_requests(str(path))


def test_traces_of_scan_train_its_grammar(tmp_path: Path) -> None:
    goals = [goal_of(command) for command in ("jump", "walk left twice", "run and jump", "look after walk")] * 6
    rows = [trace(number, domain="scan", plan=goal.plan) for number, goal in enumerate(goals)]
    for row, goal in zip(rows, goals, strict=True):
        row["messages"][0]["content"] = goal.text
        del row["sha256"]
    path = written(tmp_path / "scan.jsonl", rows)
    assert read_requests(str(path)).domain == "scan"
    source = rows_of(path, domain=scan_domain("simple", skins=0.0))
    assert {TOKENIZER.decode(row.answer) for row in source.rows(0, 90)} == {goal.plan for goal in goals}


def test_labels_that_follow_from_a_plan_are_those_of_generated_goals() -> None:
    for index, goal in zip(range(300), generate_goals(3), strict=False):
        made = goal_from_plan(goal.text, parse_text(goal.plan))
        assert (made.plan, made.actions) == (goal.plan, goal.actions), index
        assert (made.intent, made.pick) == (goal.intent, goal.pick)
    for command in ("jump opposite left twice and walk", "look after run around right", "walk"):
        goal = goal_of(command)
        assert scan_goal_from_plan(command, parse_text(goal.plan, domain="scan")) == goal
    assert scan_goal_from_plan("please go", parse_text('s1=do(act="go")', domain="scan")).spans == {"act": None, "to": None}


def test_generated_goals_are_replayed_beside_a_file(tmp_path: Path) -> None:
    data = written(tmp_path / "traces.jsonl", [GOOD] * 40)
    own = rows_of(data)
    generated = GeneratedGoals(TOKENIZER, config_of(REPO_ASSISTANT), seed=0)
    mixed = MixedRows(own.training, generated, own_share=0.25, seed=0, own_held_out=own.held_out(100))
    mine = own.training[0].prompt
    assert sum(row.prompt == mine for row in mixed.rows(0, 20)) == 5
    assert sum(row.prompt == mine for row in mixed.held_out(8)) == 2
    assert len(mixed.held_out(100)) == 100, "where the file has too few, goals take their place"
    assert mixed.rows(3, 9) == mixed.rows(3, 9)


def test_replay_is_a_share_beside_data_of_your_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected replay=0 with data=repo_assistant") as caught:
        gather_materials(TrainConfig(replay=0.5))
    assert caught.value.field == "replay"
    with pytest.raises(ConfigError, match="replay"):
        TrainConfig(replay=1.0)
