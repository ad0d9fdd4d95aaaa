"""The suite `evsi`: what each policy is charged and given, what nobody can exceed, and the report."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from builderbrain.eval import measure_asking
from builderbrain.eval.cli import main
from builderbrain.eval.evsi import SCALES, Recall, constant_chooser, gate_chooser, play, run_session
from builderbrain.eval.evsi_informed import InformedGate, count_answers
from builderbrain.eval.evsi_report import as_json, calibration, differences, estimate
from builderbrain.eval.plot import Point, line_chart
from builderbrain.eval.statistics import Interval, ratio_interval
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.storage import sha256_file
from builderbrain.train.world.sessions import open_session
from builderbrain.world.checkpoint import WEIGHTS_NAME, save_policy, save_world
from builderbrain.world.decision import DECISION_DOMAINS, decision_domain
from builderbrain.world.encoding import LISTEN, action_number, observe, start_state
from builderbrain.world.gate import AskGate
from builderbrain.world.model import WorldConfig, WorldModel
from builderbrain.world.policy import Policy, PolicyConfig


@pytest.fixture(scope="module")
def model() -> WorldModel:
    """A world model that has learned nothing."""
    torch.manual_seed(0)
    return WorldModel(WorldConfig(width=8, classes=4, hidden=8)).eval()


@pytest.fixture(scope="module")
def informed() -> InformedGate:
    """A gate that knows how sessions are drawn."""
    return InformedGate(count_answers(sessions=2, seed=9))


def test_policies_pay_for_their_calls_and_nobody_has_more_than_the_oracle(model: WorldModel, informed: InformedGate) -> None:
    recall = Recall(AskGate(model, particles=2))
    for domain in DECISION_DOMAINS:
        with open_session(domain, 0, seed=3) as requests:
            result = run_session(domain, requests, recall, informed)
            best = sum(domain.best(request.kind) for request in requests)
        assert result.requests == len(requests)
        assert result.oracle == pytest.approx(best)
        assert result.never.calls == 0
        assert result.never.cost == 0
        for tool, played in result.always.items():
            assert played.calls == len(requests)
            assert played.cost == pytest.approx(domain.costs[tool] * len(requests))
            assert played.net(2.0) == pytest.approx(played.utility - 2 * played.cost)
        everything = [result.never, *result.always.values(), *result.gates.values()]
        assert all(played.utility <= result.oracle + 1e-9 for played in everything)
        assert len(result.predictions) == len(requests) * len(domain.costs)
        assert all(prediction.gross >= 0 for prediction in result.predictions)


def test_a_gate_that_pays_too_much_never_calls_and_one_that_never_calls_is_the_constant_policy(model: WorldModel) -> None:
    domain = decision_domain("synthetic_incidents")
    recall = Recall(AskGate(model, particles=2))
    with open_session(domain, 1, seed=3) as requests:
        dear = play(domain, requests, recall, gate_chooser(domain, recall, 1e6))
        assert dear == play(domain, requests, recall, constant_chooser(None))
        free = play(domain, requests, recall, gate_chooser(domain, recall, 0.0))
        assert free.calls >= dear.calls


def test_remembered_verdicts_are_those_of_the_gate(model: WorldModel) -> None:
    domain = decision_domain("synthetic_orders")
    gate = AskGate(model, particles=2)
    recall = Recall(gate)
    assert recall.worth(domain, [], "find").gross == gate.ask(domain, []).worth["find"].gross
    assert recall.act(domain, []).act == gate.ask(domain, []).act


def new_policy(*, world: str = "") -> Policy:
    torch.manual_seed(2)
    return Policy(PolicyConfig(features=12, hidden=8, world=world))


def test_a_trained_policy_pays_for_what_it_calls_and_acts_itself(model: WorldModel, informed: InformedGate) -> None:
    domain, policy = decision_domain("synthetic_incidents"), new_policy()
    with torch.no_grad():
        policy.actor[2].weight.zero_()
        policy.actor[2].bias.zero_()
        for number, name in enumerate(("find", "measure", "ask", "read")):
            policy.actor[2].bias[action_number(domain.name, name)] = 4.0 - number
    with open_session(domain, 2, seed=3) as requests:
        result = run_session(domain, requests, Recall(AskGate(model, particles=2)), informed, policy)
        asked = sum(domain.utility(request.kind, "ask") for request in requests)
    assert result.policy is not None
    assert result.policy.calls == 2 * len(requests)
    assert result.policy.cost == pytest.approx((domain.costs["find"] + domain.costs["measure"]) * len(requests))
    assert result.policy.utility == pytest.approx(asked)


def listened(domain: str, cue: str) -> tuple[int, tuple[int, ...]]:
    after = {**start_state(), "requests": 1, "cue": cue, "hint": "x"}
    return action_number(domain, LISTEN), observe(domain, LISTEN, ok=True, before=start_state(), after=after)


def test_the_informed_gate_has_the_beliefs_of_bayes_rule() -> None:
    """`sure`: 0.99 and 0.9 in the two moods, so 0.945; an accepted confirmation then speaks for a tidy place by 0.99 : 0.9."""
    domain = decision_domain("synthetic_orders")
    gate = InformedGate({(domain.name, "find"): torch.full((4, 36), 1 / 36, dtype=torch.float64)})
    sure = [listened(domain.name, "sure")]
    assert gate.kinds(domain, sure)[0].item() == pytest.approx(0.945)
    assert gate.act(domain, sure).act == "confirm"
    assert gate.worth(domain, sure, "find").gross == pytest.approx(0.0, abs=1e-12)
    before = start_state()
    good = observe(domain.name, "confirm", ok=True, before=before, after={**before, "outcomes": [True]})
    guess = [*sure, (action_number(domain.name, "confirm"), good), listened(domain.name, "guess")]
    tidy = 0.99 / (0.99 + 0.9)
    assert gate.kinds(domain, guess)[0].item() == pytest.approx(tidy * 0.6 + (1 - tidy) * 0.25)


def test_the_report_pairs_sessions_and_keeps_seeds_apart(model: WorldModel, informed: InformedGate) -> None:
    recall = Recall(AskGate(model, particles=2))
    rows = []
    for domain in DECISION_DOMAINS:
        for number in range(3):
            with open_session(domain, number, seed=4) as requests:
                rows.append(run_session(domain, requests, recall, informed))
    results = {0: rows, 1: rows}
    never = estimate(results, lambda row: row.never.net())
    assert never.seeds == {"0": pytest.approx(never.mean), "1": pytest.approx(never.mean)}
    assert never.interval.low <= never.mean <= never.interval.high
    gain = differences(results, 1.0)["never"]
    gate = estimate(results, lambda row: row.gates[1.0].net())
    assert gain.mean == pytest.approx(gate.mean - never.mean)
    report = json.loads(json.dumps(as_json(results, sessions=3, seed=4), allow_nan=False))
    assert [row["scale"] for row in report["sweep"]] == list(SCALES)
    assert "policy" not in {row["policy"] for row in report["sweep"][0]["policies"]}
    assert sum(row.count for row in calibration(results)) == sum(len(row.predictions) for row in [*rows, *rows])


def test_the_interval_of_a_ratio_holds_whole_groups_together() -> None:
    assert ratio_interval([2.0, 4.0, 6.0], [1, 2, 3]) == Interval(low=2.0, high=2.0)
    wide = ratio_interval([0.0, 10.0] * 10, [1] * 20)
    assert wide.low < 5.0 < wide.high
    narrow = ratio_interval([0.0, 10.0] * 100, [1] * 200)
    assert narrow.high - narrow.low < 0.5 * (wide.high - wide.low)
    with pytest.raises(ValueError, match="at least one group"):
        ratio_interval([], [])


def test_lines_are_drawn_within_the_picture() -> None:
    points = [Point(x=x, y=y, interval=Interval(low=y - 1, high=y + 1)) for x, y in ((0.0, -2.0), (1.0, 3.0))]
    picture = ElementTree.fromstring(line_chart("a < b", {"gate": points}, across="cost", up="net"))
    line = picture.find("{http://www.w3.org/2000/svg}polyline")
    assert line is not None
    places = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    assert places[0][1] > places[1][1]  # a higher value stands higher


def test_the_command_writes_report_and_plot_and_refuses_a_folder_without_a_model(
    model: WorldModel, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure_asking, "COUNTED", 1)
    save_world(model, tmp_path / "run-0" / "world")
    target = tmp_path / "evsi.json"
    world = str(tmp_path / "run-{seed}" / "world")
    assert main(["evsi", "--world", world, "--sessions", "1", "--json", str(target)]) == 0
    assert json.loads(target.read_text())["world_seeds"] == [0]
    ElementTree.fromstring(target.with_suffix(".svg").read_text())
    save_policy(new_policy(world=sha256_file(tmp_path / "run-0" / "world" / WEIGHTS_NAME)), tmp_path / "run-0" / "policy")
    policy = str(tmp_path / "run-{seed}" / "policy")
    assert main(["evsi", "--world", world, "--policy", policy, "--sessions", "1", "--json", str(target)]) == 0
    written = json.loads(target.read_text())
    last = written["sweep"][-1]
    gained = (written["policy_minus"]["all"]["gate"]["mean"], written["gate_minus"]["all"]["policy"]["mean"])
    assert gained[0] == pytest.approx(-gained[1])
    assert [row["policy"] for row in last["policies"]][:2] == ["gate", "policy"]
    assert set(last["gate_minus"]) == {"policy", "always", "never"}
    assert main(["evsi", "--world", world, "--seeds", "7"]) == 2
    assert f"there is no folder {tmp_path / 'run-7' / 'world'}" in capsys.readouterr().err


def test_what_is_no_world_model_is_said_to_be_something_else(
    model: WorldModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_world(model, tmp_path / "run" / "world")
    (tmp_path / "photos").mkdir()
    expected = {
        BUNDLED_RAIL: "is a rail, not a world model",
        tmp_path / "run": f"is the folder of its run; name {tmp_path / 'run' / 'world'}",
        tmp_path / "photos": "holds no world.safetensors",
    }
    for folder, message in expected.items():
        assert main(["evsi", "--world", str(folder)]) == 2
        assert message in capsys.readouterr().err
