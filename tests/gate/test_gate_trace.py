"""From an answer's tokens to the training data, and what is different between two versions."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from builderbrain.errors import BuilderBrainError, ConfigError, TamperedVersionError
from builderbrain.gate.__main__ import main
from builderbrain.gate.diff import difference
from builderbrain.gate.diff_page import as_page, histogram
from builderbrain.gate.registry import Registry
from builderbrain.gate.standing import report_digest
from builderbrain.gate.trace import lineage_of, spans_of
from builderbrain.storage import write_directory_atomic
from tests.gate.conftest import report_of

TRAINED = {"step": 1200, "seed": 3, "config_sha256": "c" * 64, "data": {"name": "rows.jsonl", "data": "d" * 64},
           "duals": {"plan": 1.5, "kl": 0.2}, "libraries": {"torch": "2"}}  # fmt: skip


def trained(folder: Path, name: str, **information: Any) -> Path:
    target = folder / "rails" / name
    target.parent.mkdir(exist_ok=True)
    files = {"rail.safetensors": name.encode() * 50, "config.json": b"{}"}
    write_directory_atomic(target, files, information={**TRAINED, **information})
    return target


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A first version, and a second that was evaluated with changed answers and promoted."""
    registry = Registry(tmp_path / "versions")
    first = registry.add(trained(tmp_path, "first"))
    registry.promote(first, expected_live=None)
    second = registry.add(trained(tmp_path, "second", step=2400, duals={"plan": 2.5, "kl": 0.2, "pii": 0.1}), parent=first)
    report = report_of(second, first, registry.begin_attempt(second))
    report |= {
        "hashes": {"battery": "b" * 64, "judge": "j" * 16, "code": "e" * 64},
        "plans": {"compared": 150, "edits": 3, "by_prompt": {"p1": 3}},
        "goldens": {"repo_assistant": {"all": 9, "old": 4, "new": 6, "won": 3, "lost": 1}},
        "changed": [
            {"prompt_id": "p1", "prompt": "<script>alert(1)</script>", "delta": -0.25, "old": "s1=a()", "new": "s1=b()"}
        ],
    }
    registry.record_report(report)
    registry.promote(second, expected_live=first)
    return registry


@pytest.fixture
def run(registry: Registry, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def command(*arguments: object) -> tuple[int, str, str]:
        code = main(["--registry", str(registry.root), *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def pair(registry: Registry) -> tuple[str, str]:
    live = registry.live()
    assert live is not None
    return live.previous[0], live.version


def test_from_a_token_to_training_data_and_report(
    registry: Registry, run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    first, second = pair(registry)
    spans = [{"version": first, "start": 0, "end": 12}, {"version": second, "start": 12, "end": 40}]
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps({"choices": [{"weight_versions": [spans[0]]}, {"weight_versions": spans}]}))
    code, out, _ = run("trace", answer, "--choice", 1, "--token", 17, "--output", tmp_path / "walk.json")
    assert code == 0
    report = registry.report(second)
    assert report is not None
    for words in (f"tokens 12 to 40 of choice 1: {second}", f"parent {first}", "step 2400, seed 3", "d" * 64, "c" * 64,
                  report_digest(report), f"against {first}", "battery bbbbbbbbbbbb", "promoted by"):  # fmt: skip
        assert words in out
    assert f"version {first}" not in out
    walk = json.loads((tmp_path / "walk.json").read_text())
    (version,) = walk["versions"]
    assert version["training"]["data"]["data"] == "d" * 64
    assert version["report"]["sha256"] == report_digest(report)
    assert [event["event"] for event in version["events"]] == ["added", "attempt", "evaluated", "promoting", "promoted"]
    assert run("trace", second)[0] == 0
    both = run("trace", answer, "--choice", 1)[1]
    assert f"version {first}" in both


def test_other_forms_of_answers_are_read() -> None:
    assert spans_of({"weight_versions": [{"version": "v", "start": 0, "end": 3}]})[0].end == 3
    assert spans_of({"weight_version": "v"}, token=100)[0].version == "v"


@pytest.mark.parametrize(
    ("answer", "options", "field"),
    [
        ([], {}, "answer"),
        ({"choices": []}, {}, "--choice"),
        ({"choices": [{}]}, {"choice": 1}, "--choice"),
        ({"choices": [{}]}, {}, "weight_versions"),
        ({"weight_versions": [{"version": "v", "start": 0}]}, {}, "weight_versions"),
        ({"weight_versions": [{"version": "v", "start": 0, "end": 3}]}, {"token": 3}, "--token"),
        ({"weight_versions": [{"version": "v", "start": 0, "end": 3}]}, {"token": -1}, "--token"),
    ],
)
def test_answers_that_lead_nowhere_are_refused(answer: object, options: dict[str, int], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spans_of(answer, **options)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_a_walk_over_altered_ground_is_refused(registry: Registry, run: Callable[..., tuple[int, str, str]]) -> None:
    _, second = pair(registry)
    for path in (
        registry.root / second / "rail.safetensors",
        registry.root / "reports" / f"{second}.json",
        registry.root / "audit.jsonl",
    ):
        content = path.read_bytes()
        path.write_bytes(content.replace(b"s", b"S", 1))
        with pytest.raises(TamperedVersionError):
            lineage_of(registry, second)
        path.write_bytes(content)
    assert lineage_of(registry, second).training["step"] == 2400
    assert run("trace", "0" * 16)[0] == 2
    assert run("trace", "nowhere.json")[0] == 2


def test_the_log_still_has_the_way_of_a_pruned_version(registry: Registry, tmp_path: Path) -> None:
    few = Registry(registry.root, keep=1)
    gone = [few.add(trained(tmp_path, f"candidate {index}")) for index in range(3)]
    _, second = pair(registry)
    third = few.add(trained(tmp_path, "third"))
    few.record_report(report_of(third, second, few.begin_attempt(third)))
    few.promote(third, expected_live=second)
    lineage = lineage_of(few, gone[0])
    assert lineage.files is None
    assert [event.event for event in lineage.events] == ["added", "pruned"]


# --- diff -----------------------------------------------------------------------------------------------------------


def test_the_difference_as_text(registry: Registry, run: Callable[..., tuple[int, str, str]]) -> None:
    first, second = pair(registry)
    code, out, _ = run("diff", first, second)
    assert code == 0
    assert re.search(r"plan +1.5 +2.5 +\+1", out)
    assert re.search(r"pii +none +0.1 +new", out)
    assert "1 did not move" in out
    for words in ("PROMOTE", "step: 1200 -> 2400", "delta V_s: 0% +0.0000", "1 of 150 differ, 3 edits", "goldens won 3, lost 1",
                  "p1 (-0.2500, 3 edits)", "old: s1=a()"):  # fmt: skip
        assert words in out
    assert "was live then" not in out
    assert "3 did not move" in run("diff", second, second)[1]


def test_a_version_without_a_report_is_refused(registry: Registry) -> None:
    first, second = pair(registry)
    with pytest.raises(ConfigError, match="run `evaluate`"):
        difference(registry, second, first)
    with pytest.raises(BuilderBrainError, match="known"):
        difference(registry, first, "0" * 16)


class Tags(HTMLParser):
    """Collects tags and attributes, and sees that they are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(
    registry: Registry, run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    first, second = pair(registry)
    assert run("diff", first, second, "--html", tmp_path / "diff.html")[0] == 0
    page = (tmp_path / "diff.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    names = [tag for tag, _ in tags.seen]
    assert names.count("svg") == 3
    assert not {"script", "link", "img", "iframe", "object"} & set(names)
    assert not [attributes for _, attributes in tags.seen if {"src", "href", "onload", "onclick"} & set(attributes)]
    assert "http" not in page
    assert "url(" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page == as_page(difference(registry, first, second))


@pytest.mark.parametrize("values", [(), (0.0,), (0.0, 0.0), (-1.0, 1.0), (5.0,), (-0.1,) * 300])
def test_histograms_count_every_value(values: tuple[float, ...]) -> None:
    svg = histogram("x", values, symmetric=True)
    assert sum(int(count) for count in re.findall(r"<title>(\d+) at", svg)) == len(values)


def test_a_report_without_readings_makes_a_page(registry: Registry) -> None:
    first, second = pair(registry)
    found = difference(registry, first, second)
    bare = dataclasses.replace(found, deltas=(), kls=(), duals={}, plans={}, changed=(), settings={}, missing=150, direct=False)
    tags = Tags()
    tags.feed(as_page(bare))
    assert tags.open == []
