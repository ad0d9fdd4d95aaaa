"""Over HTTP: what is kept and what is not, corrections, what the learner says of itself, and who may ask."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from builderbrain.errors import ConfigError
from builderbrain.learn import __main__ as command
from builderbrain.serve import __main__ as serve_command
from builderbrain.serve import site
from builderbrain.serve.compose import compose
from builderbrain.serve.settings import ServeSettings
from tests.learn.serving import Learning, learn_settings

PLAN = 's1=search(pattern="gate")'


def test_a_goal_names_its_trace_and_a_correction_makes_an_example(server: Learning) -> None:
    reply = server.ask("find gate")
    assert reply["trace_id"].startswith("trc_")
    told = server.http.post("/v1/traces", json={"id": reply["trace_id"], "plan": PLAN})
    assert told.json() == {"id": reply["trace_id"], "domain": "repo_assistant", "corrected": True}
    assert [example.text for example in server.learner.traces.examples()][-1:] == ["find gate"]
    outcome = server.http.post("/v1/outcomes", json={"id": reply["trace_id"], "right": False}).json()
    assert (outcome["domain"], outcome["threshold"]) == ("repo_assistant", None)
    said = server.http.get("/v1/learning").json()
    assert said["phase"] == "collecting"
    assert said["counts"]["outcomes"] >= 2
    assert server.metric("bb:learner_traces_total") >= 1


def test_a_request_that_says_so_leaves_no_trace(server: Learning) -> None:
    kept = server.learner.traces.kept
    assert "trace_id" not in server.ask("find the secret gate", store=False)
    assert server.learner.traces.kept == kept
    assert not any("secret gate" in str(row) for row in server.learner.traces.log.rows())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"id": "trc_unknown", "right": True}, "id"),
        ({"id": "x", "plan": "s1=rm(path="}, "plan"),
        ({"id": "x", "plan": {"steps": 1}}, "plan"),
        ({"id": "x", "pland": PLAN}, "pland"),
        ({"right": True}, "id"),
        ({"id": "x"}, "right"),
        ({"id": "x", "plan": None}, "right"),
        ({"id": "x", "right": True, "plan": PLAN}, "plan"),
    ],
)
def test_bad_feedback_is_refused_by_its_field(server: Learning, body: dict[str, object], field: str) -> None:
    reply = server.http.post("/v1/traces", json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, field)


def test_a_server_with_a_rail_of_its_own_or_a_bad_config_refuses_to_learn(tmp_path: Path) -> None:
    from builderbrain.learn.attach import attach

    settings = learn_settings(tmp_path)
    (tmp_path / "bad.yaml").write_text("least_rowz: 3\n")
    with pytest.raises(ConfigError, match="least_rowz"):
        compose(ServeSettings(**{**vars(settings), "learn_config": str(tmp_path / "bad.yaml")}), learner=attach)
    with pytest.raises(ConfigError, match="--rail"):
        compose(ServeSettings(**{**vars(settings), "rail": "none"}), learner=attach)
    with pytest.raises(ConfigError, match="--learn FOLDER"):
        ServeSettings(learn_config="x.yaml")


def test_a_server_finds_the_installed_learner_and_watch_or_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        def load(self) -> str:
            return "a factory"

    groups = ("builderbrain.learner", "builderbrain.watch")
    monkeypatch.setattr(site, "entry_points", lambda group: [Point()] if group in groups else [])
    assert site.installed_learner() == site.installed_watch() == "a factory"
    monkeypatch.setattr(site, "entry_points", lambda group: [])
    with pytest.raises(ConfigError, match=r"python -m builderbrain\.learn"):
        site.installed_learner()
    with pytest.raises(ConfigError, match="--no-canary"):
        site.installed_watch()


def test_the_command_serves_with_a_learner_in_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def serve(arguments: list[str], *, learner: object) -> int:
        assert learner is not None
        seen.append(arguments)
        return 0

    monkeypatch.setattr(serve_command, "main", serve)
    assert command.main(["--port", "0"]) == 0
    assert command.main(["--learn=there"]) == 0
    assert seen == [["--port", "0", "--learn", "learning"], ["--learn=there"]]


def test_the_administrators_routes_are_closed_to_others(server: Learning) -> None:
    for path in ("/v1/fine_tuning/jobs", "/v1/training/sessions"):
        assert httpx.get(f"{server.url}{path}", trust_env=False).status_code == 403
