"""Ingest: every row ends in a split, in the quarantine or among the repeated ones, scrubbed, and always in the same place."""

import json
from pathlib import Path

import pytest

from builderbrain.data import open_dataset
from builderbrain.data.ingest import IngestConfig, ingest
from builderbrain.data.split import SPLITS, SplitConfig
from builderbrain.errors import ConfigError, DataError
from builderbrain.plan import Reference
from builderbrain.signing import SigningKey
from builderbrain.train.__main__ import main
from tests.data.tool_graph_folder import graph_row, write_folder


def chat(request: str, *more: dict, **keys: object) -> dict:
    return {"messages": [{"role": "user", "content": request}, *more], **keys}


def write_rows(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")
    return path


def many(count: int) -> list[dict]:
    return [chat(f"request number {number}") for number in range(count)]


def config(folder: Path, *inputs: Path, **others: object) -> IngestConfig:
    SigningKey(folder / "key").create()
    return IngestConfig(inputs=inputs, output=folder / "out", key=folder / "key", **others)


CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "x", "type": "function", "function": {"name": "look_up", "arguments": '{"mail": "jane@x.org"}'}}],
}
RESULT = {"role": "tool", "tool_call_id": "x", "content": '{"phone": "+49 30 901820", "customer": "C-1044"}'}
SEND = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "y", "type": "function", "function": {"name": "send", "arguments": '{"to": "+49 30 901820"}'}}],
}
SENT = {"role": "tool", "tool_call_id": "y", "content": "sent"}


def test_a_chat_is_scrubbed_and_its_plan_survives_the_scrubbing(tmp_path):
    rows = write_rows(tmp_path / "chats.jsonl", chat("Text jane@x.org hello", CALL, RESULT, SEND, SENT, tools=[]))
    dataset = ingest(config(tmp_path, rows, split=SplitConfig(validation=0, test=0), domain="phone"))
    (trace,) = dataset.rows("train")
    assert trace.request == "Text <EMAIL_1> hello"
    assert trace.calls[0].args == {"mail": "<EMAIL_1>"}
    assert trace.calls[0].result == {"phone": "<PHONE_1>", "customer": "C-1044"}
    assert trace.plan.steps[1].args == {"to": Reference("s1", "phone")}
    assert trace.plan_source == "extracted"
    assert (trace.domain, len(trace.id)) == ("phone", 16)
    assert dataset.information["scrubbed"] == {"EMAIL": 2, "PHONE": 2}
    assert dataset.information["ignored_keys"] == {"tools": 1}
    stored = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert b"jane" not in stored
    assert b"901820" not in stored


def test_every_row_is_accounted_for(tmp_path):
    bad = chat("x", CALL | {"tool_calls": [{"id": "x", "function": {"name": "t", "arguments": '{"to": jane@x.org}'}}]})
    spelled = {"role": "jane@x.org", "content": ""}
    rows = write_rows(tmp_path / "a.jsonl", *many(50), "{torn", bad, chat("y", spelled), *many(5), "")
    dataset = ingest(config(tmp_path, rows))
    information = dataset.information
    assert information["repeated"] == 5
    assert information["quarantined"] == 3
    assert sum(information["rows"].values()) == 50
    assert all(len(list(dataset.rows(split))) == information["rows"][split] > 0 for split in SPLITS)
    quarantined = [json.loads(line) for line in (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()]
    assert [(row["file"], row["line"]) for row in quarantined] == [(str(rows), 51), (str(rows), 52), (str(rows), 53)]
    assert "messages[1].tool_calls[0].function.arguments: expected one JSON object" in quarantined[1]["reason"]
    assert "got '<EMAIL_1>'" in quarantined[2]["reason"]


def splits_of(dataset) -> dict[str, str]:
    return {trace.id: split for split in SPLITS for trace in dataset.rows(split)}


def test_rows_keep_their_split_when_others_are_added_before_them(tmp_path):
    (tmp_path / "more").mkdir()
    before = splits_of(ingest(config(tmp_path, write_rows(tmp_path / "a.jsonl", *many(100)))))
    rows = write_rows(tmp_path / "b.jsonl", *many(300)[::-1])
    after = splits_of(ingest(config(tmp_path / "more", rows)))
    assert before.items() <= after.items()
    assert len(after) == 300
    shares = [list(after.values()).count(split) / 300 for split in SPLITS]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.06)
    (tmp_path / "seed").mkdir()
    assert splits_of(ingest(config(tmp_path / "seed", rows, split=SplitConfig(seed=1)))) != after


def test_one_story_never_falls_into_two_splits(tmp_path):
    spelled = [chat(request) for n in range(60) for request in (f"book  Room {n}", f"Book room {n}\n")]
    dataset = ingest(config(tmp_path, write_rows(tmp_path / "a.jsonl", *spelled)))
    requests = {split: {" ".join(t.request.lower().split()) for t in dataset.rows(split)} for split in SPLITS}
    assert sum(map(len, requests.values())) == 60
    (tmp_path / "groups").mkdir()
    told = [
        {"id": f"{n} {skin}", "domain": "d", "group": f"g{n}", "messages": [{"role": "user", "content": f"{skin} {n}"}]}
        for n in range(60)
        for skin in ("one", "two")
    ]
    dataset = ingest(config(tmp_path / "groups", write_rows(tmp_path / "b.jsonl", *told)))
    groups = {split: {trace.group for trace in dataset.rows(split)} for split in SPLITS}
    assert sum(map(len, groups.values())) == 60


def test_several_formats_and_a_folder_in_one_run(tmp_path, capsys):
    folder = tmp_path / "graph"
    folder.mkdir()
    write_folder(folder, [graph_row(str(n), f"play song {n}", ["find_song", "play_song"]) for n in range(20)])
    chats = write_rows(tmp_path / "chats.jsonl", *many(20))
    traces = write_rows(tmp_path / "t.jsonl", {"id": "1", "domain": "z", "messages": [{"role": "user", "content": "hi"}]})
    arguments = ["ingest", str(folder), str(chats), str(traces), "--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    first = capsys.readouterr().out
    assert "train.jsonl.gz: toolgraph" in first
    assert "plans: 20 given, 21 none" in first
    dataset = open_dataset(tmp_path / "out", key=tmp_path / "signing.key")
    assert dataset.information["domains"] == {"openai_chat": 20, "toolgraph": 20, "z": 1}
    assert main(arguments) == 0
    assert capsys.readouterr().out == first
    chats.write_text(json.dumps(many(1)[0]) + "\n")
    assert main(arguments) == 2
    assert "was made of other inputs, with other options or by another version" in capsys.readouterr().err


def test_what_is_stored_is_ingested_again_without_a_change(tmp_path):
    rows = write_rows(tmp_path / "a.jsonl", *many(40), chat("mail jane@x.org", CALL, RESULT, SEND, SENT))
    first = ingest(config(tmp_path, rows))
    (tmp_path / "again").mkdir()
    second = ingest(config(tmp_path / "again", *(tmp_path / "out" / f"{split}.jsonl" for split in SPLITS)))
    assert second.content_hash == first.content_hash
    assert second.information["scrubbed"] == {}


def test_a_folder_that_was_changed_or_signed_by_another_is_refused(tmp_path):
    ingest(config(tmp_path, write_rows(tmp_path / "a.jsonl", *many(20))))
    (tmp_path / "other").write_bytes(b"k" * 32)
    (tmp_path / "other").chmod(0o600)
    with pytest.raises(DataError, match="was not signed with"):
        open_dataset(tmp_path / "out", key=tmp_path / "other")
    train = tmp_path / "out" / "train.jsonl"
    train.write_bytes(train.read_bytes().replace(b"number 1", b"number 7"))
    with pytest.raises(DataError, match=r"train.jsonl was altered"):
        open_dataset(tmp_path / "out")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (["{torn", "{torn too"], ["--format", "traces"], "expected at least one good row, got none of 2, the first because of"),
        (['{"a": 1}'], [], "of no known format; say which with --format"),
        ([], [], "expected at least one good row, but every input is empty"),
        ([chat("x")], ["--validation", "0.7", "--test", "0.4"], "validation + test of at most 1"),
        ([chat("x")], ["--output", "missing/out"], "--output in a folder that exists"),
        ([chat("x")], ["a.jsonl"], "expected every file once"),
        ([chat("x")], ["nowhere"], "expected a file or a folder with"),
    ],
)
def test_what_cannot_be_ingested_is_refused_and_leaves_nothing(tmp_path, monkeypatch, capsys, rows, options, message):
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "a.jsonl", *rows)
    assert main(["ingest", "--output", "out", "a.jsonl", *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_shares_outside_the_unit_interval_are_refused():
    with pytest.raises(ConfigError, match="test"):
        SplitConfig(test=-0.1)


def people(count: int) -> list[dict]:
    """Two rows of each person, whose group is an address."""
    return [
        {"id": f"{n} {k}", "domain": "d", "group": f"p{n}@x.org", "messages": [{"role": "user", "content": f"wish {n} {k}"}]}
        for n in range(count)
        for k in range(2)
    ]


def test_groups_that_are_personal_fall_apart_and_are_not_stored(tmp_path):
    dataset = ingest(config(tmp_path, write_rows(tmp_path / "a.jsonl", *people(80))))
    assert all(dataset.information["rows"][split] > 0 for split in SPLITS)
    found = splits_of(dataset)
    assert all(found[f"{n} 0"] == found[f"{n} 1"] for n in range(80))
    assert {trace.group for split in SPLITS for trace in dataset.rows(split)} == {"<EMAIL_1>"}
    stored = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert b"x.org" not in stored
    (tmp_path / "again").mkdir()
    rows = write_rows(tmp_path / "b.jsonl", *people(100)[::-1])
    more = IngestConfig(inputs=(rows,), output=tmp_path / "again" / "out", key=tmp_path / "key")
    assert found.items() <= splits_of(ingest(more)).items()
    (tmp_path / "other").mkdir()
    assert not found.items() <= splits_of(ingest(config(tmp_path / "other", rows))).items(), "who lacks the key cannot tell"


def test_a_split_that_stays_empty_is_said(tmp_path, capsys):
    told = [{"id": str(n), "domain": "d", "group": "g", "messages": [{"role": "user", "content": f"{n}"}]} for n in range(30)]
    rows = write_rows(tmp_path / "a.jsonl", *told)
    assert main(["ingest", str(rows), "--output", str(tmp_path / "out"), "--test", "0"]) == 0
    errors = capsys.readouterr().err
    assert "warning: no row fell into validation, whose share is 0.1" in errors
    assert "fell into test" not in errors
    assert main(["ingest", str(rows), "--output", str(tmp_path / "all"), "--validation", "1", "--test", "0"]) == 0
    assert "warning: no row fell into train" in capsys.readouterr().err


def test_empty_files_of_a_folder_are_skipped_and_said(tmp_path, capsys):
    folder = tmp_path / "logs"
    folder.mkdir()
    write_rows(folder / "a.jsonl", *many(5))
    (folder / "empty.jsonl").touch()
    (folder / "b.jsonl").write_text("\n \n")
    assert main(["ingest", str(folder), "--output", str(tmp_path / "out")]) == 0
    output = capsys.readouterr().out
    assert "empty.jsonl: empty, skipped" in output
    assert "b.jsonl: empty, skipped" in output
    dataset = open_dataset(tmp_path / "out")
    assert sum(dataset.information["rows"].values()) == 5
    assert len(dataset.information["job"]["inputs"]) == 3


def test_a_byte_order_mark_costs_no_row(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in many(5)), encoding="utf-8-sig")
    dataset = ingest(config(tmp_path, path))
    assert sum(dataset.information["rows"].values()) == 5
    assert dataset.information["quarantined"] == 0


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("options", [[], ["--format", "openai-chat"]])
def test_other_encodings_are_named(tmp_path, capsys, encoding, options):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in many(5)), encoding=encoding)
    assert main(["ingest", str(path), "--output", str(tmp_path / "out"), *options]) == 2
    name = encoding[:6].upper()
    assert f"expected UTF-8 in {path}, got {name}; convert it, e.g. with `iconv -f {name}" in capsys.readouterr().err


def test_an_output_that_holds_something_else_is_refused_and_left_alone(tmp_path, capsys):
    rows = write_rows(tmp_path / "a.jsonl", *many(5))
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo").touch()
    (tmp_path / "file").touch()
    for name in ("holiday", "file"):
        assert main(["ingest", str(rows), "--output", str(tmp_path / name)]) == 2
        assert f"{tmp_path / name} holds something else; name another folder" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "file", "holiday"]


def test_a_key_that_is_named_must_be_there_and_good(tmp_path, capsys):
    rows, key = write_rows(tmp_path / "a.jsonl", *many(5)), tmp_path / "tpyo"
    arguments = ["ingest", str(rows), "--output", str(tmp_path / "out"), "--key", str(key)]
    assert main(arguments) == 2
    assert f"there is no {key}; mend the name, or leave --key out" in capsys.readouterr().err
    assert not key.exists()
    for content, mode in ((b"k" * 31, 0o600), (b"k" * 32, 0o644)):
        key.write_bytes(content)
        key.chmod(mode)
        assert main(arguments) == 2
        assert "must hold 32 bytes and be private" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == [".ingest.lock", "a.jsonl", "tpyo"]
    key.chmod(0o600)
    assert main(arguments) == 0


def test_parts_of_another_key_are_not_taken_up(tmp_path, monkeypatch):
    rows = write_rows(tmp_path / "a.jsonl", *people(40))
    for name in ("one", "two"):
        SigningKey(tmp_path / name).create()

    def with_key(name: str, output: str) -> IngestConfig:
        return IngestConfig(inputs=(rows,), output=tmp_path / output, key=tmp_path / name)

    calm = splits_of(ingest(with_key("two", "calm")))

    def full(*arguments: object, **options: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr("builderbrain.data.ingest.assemble", full)
        with pytest.raises(DataError, match="what was finished is kept"):
            ingest(with_key("one", "out"))
    assert splits_of(ingest(with_key("two", "out"))) == calm
