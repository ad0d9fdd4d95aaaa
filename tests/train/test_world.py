"""A run of the world model: resuming is bit-equal, dead gradients refuse to start, and what is watched says what it should."""

from __future__ import annotations

import json
import math
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from builderbrain.config import load_config
from builderbrain.data.read_trace import read_traces
from builderbrain.data.split import SplitConfig, split_of
from builderbrain.data.trace import trace_to_json
from builderbrain.errors import CheckpointError, ConfigError, DataError, DeadGradientError
from builderbrain.train.world import decisions
from builderbrain.train.world.config import WatchSection, WorldTrainConfig
from builderbrain.train.world.objective import (
    filtered_states,
    observation_log_probability,
    reconstructed,
    rollout_losses,
    told_by,
    world_loss,
)
from builderbrain.train.world.repository import RepositorySession
from builderbrain.train.world.sequences import load_sequences, marginal_entropy, to_sequences
from builderbrain.train.world.sessions import decision_traces
from builderbrain.train.world.situations import Circumstance
from builderbrain.train.world.trainer import WorldTrainer
from builderbrain.train.world.watch import WorldReading, read_world
from builderbrain.world import model
from builderbrain.world.decision import ACTS, DECISION_DOMAINS, KINDS
from builderbrain.world.encoding import ACTIONS
from builderbrain.world.latent import sample_straight_through
from builderbrain.world.model import State, WorldConfig, WorldModel

SMALL = (
    "batch_size=8", "steps=12", "evaluation_every=6", "checkpoint_every=4", "tensorboard=never", "held_out=0.25",
    "model.width=16", "model.classes=8", "model.hidden=16", "loss.rollout_steps=3", "watch.rows=2", "watch.rollout_paths=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of sessions of all domains."""
    path = tmp_path_factory.mktemp("sessions") / "decisions.jsonl"
    assert decisions.main(["--output", str(path), "--sessions", "24"]) == 0
    return path


def arguments(sessions: Path, output: Path, *more: str) -> list[str]:
    return [f"data={sessions}", f"output={output}", *SMALL, *more]


def trainer(sessions: Path, output: Path, *more: str) -> WorldTrainer:
    return WorldTrainer(load_config(WorldTrainConfig, None, arguments(sessions, output, *more)))


def weights(output: Path) -> bytes:
    return (output / "world" / "world.safetensors").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(sessions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a run that nothing disturbed."""
    output = tmp_path_factory.mktemp("whole") / "run"
    trainer(sessions, output).run()
    return output


def test_sessions_come_again_with_their_seed_and_are_traces_of_every_domain(sessions: Path) -> None:
    traces = read_traces(sessions)
    again = list(decision_traces(sessions=24, seed=0))
    assert [trace.calls for trace in again] == [trace.calls for trace in traces]
    assert {trace.domain for trace in traces} == {domain.name for domain in DECISION_DOMAINS}
    assert len({trace.group for trace in traces}) == 24
    assert all(4 <= len(trace.calls) <= 20 for trace in traces)
    harmful = [trace for trace in traces for call in trace.calls if call.tool in ACTS and call.result["harmful"]]
    assert all(trace.risk is not None and trace.risk.harmful for trace in harmful)


def test_real_tools_find_what_the_hidden_kind_put_there() -> None:
    circumstances = [Circumstance(cue="guess", kind=kind) for kind in KINDS]
    with RepositorySession(circumstances, random.Random(5)) as session:
        for request in session.requests:
            found = request.look_up("search").found
            assert found is not None
            files = [path for path in found if path.endswith(".py")]
            expected = {"as_said": [request.hint], "absent": []}.get(request.kind)
            assert expected is None or files == expected
            assert request.kind != "otherwise" or (len(files) == 1 and files[0] != request.hint)
            assert request.kind != "several" or len(files) >= 2
            assert bool(request.look_up("read").found) == (request.kind == "as_said")


def test_a_run_that_stops_at_any_step_goes_on_bit_equal(sessions: Path, uninterrupted: Path, tmp_path: Path) -> None:
    for stop in (3, 7):
        output = tmp_path / f"run-{stop}"
        halted = trainer(sessions, output)
        step = halted.train_step

        def until_stop(halted: WorldTrainer = halted, step: object = step, stop: int = stop) -> object:
            if halted.state.step == stop:
                raise KeyboardInterrupt
            return step()  # type: ignore[operator]

        halted.train_step = until_stop  # type: ignore[method-assign,assignment]
        with pytest.raises(KeyboardInterrupt):
            halted.run()
        trainer(sessions, output).run()
        assert weights(output) == weights(uninterrupted)
        assert (output / "log.jsonl").read_text() == (uninterrupted / "log.jsonl").read_text()


def test_a_killed_process_goes_on_bit_equal(sessions: Path, uninterrupted: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    command = [sys.executable, "-m", "builderbrain.train", "world", *arguments(sessions, output)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while process.poll() is None and not (output / "checkpoints").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    assert process.wait(timeout=60) in (0, -signal.SIGKILL)
    subprocess.run(command, check=True, timeout=200, capture_output=True)
    assert weights(output) == weights(uninterrupted)


def test_another_configuration_or_other_data_in_the_same_folder_is_refused(
    sessions: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="learning_rate="):
        trainer(sessions, uninterrupted, "learning_rate=0.5").run()
    other = tmp_path / "decisions.jsonl"
    other.write_bytes(b"\n".join(sessions.read_bytes().splitlines()[:20]))
    with pytest.raises(CheckpointError, match="data="):
        trainer(other, uninterrupted).run()


def test_every_parameter_gets_a_gradient_and_a_cut_graph_is_refused(sessions: Path, tmp_path: Path) -> None:
    run = trainer(sessions, tmp_path / "run")
    run.check()
    run.world.prior_head.register_forward_hook(lambda _module, _args, output: output.detach())
    with pytest.raises(DeadGradientError, match="prior_head"):
        run.check()


def test_a_loss_that_is_not_finite_changes_nothing_and_five_in_a_row_stop_the_run(sessions: Path, tmp_path: Path) -> None:
    run = trainer(sessions, tmp_path / "run")
    before = {name: tensor.clone() for name, tensor in run.world.state_dict().items()}
    for _ in range(4):
        run.move(math.nan, 1.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.world.state_dict().items())
    with pytest.raises(ConfigError, match="not finite 5 steps in a row"):
        run.move(math.nan, 1.0)


def test_the_loss_falls(sessions: Path, tmp_path: Path) -> None:
    run = trainer(sessions, tmp_path / "run", "steps=80", "learning_rate=0.02", "evaluation_every=80")
    run.run()
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_a_file_that_holds_no_sessions_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="`decisions` writes one"):
        trainer(tmp_path / "none.jsonl", tmp_path / "run")
    foreign = tmp_path / "foreign.jsonl"
    rows = [
        {"id": str(i), "group": str(i), "domain": "shop", "calls": [{"id": "c1", "tool": "buy", "args": {}, "result": 1}]}
        for i in range(20)
    ]
    foreign.write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(DataError, match="as `decisions` writes it"):
        trainer(foreign, tmp_path / "run")
    talk = {"id": "1", "domain": "shop", "messages": [{"role": "user", "content": "hi"}]}
    for few in (json.dumps(rows[0]), json.dumps(talk)):  # too few for two splits, but that is not what is wrong with them
        foreign.write_text(few)
        with pytest.raises(DataError, match=r"trace [01]: expected a session as `decisions` writes it"):
            trainer(foreign, tmp_path / "run")
    foreign.write_text("")
    with pytest.raises(DataError, match="got none; `decisions` writes some"):
        trainer(foreign, tmp_path / "run")


def test_parts_of_a_file_are_those_of_their_sessions_alone(tmp_path: Path) -> None:
    traces = list(decision_traces(sessions=40, seed=0))
    path, split = tmp_path / "sessions.jsonl", SplitConfig(validation=0.3, test=0)
    path.write_text("".join(json.dumps(trace_to_json(trace)) + "\n" for trace in traces))
    for found, name in zip(load_sequences(path, split), ("train", "validation"), strict=True):
        alone = to_sequences([trace for trace in traces if split_of(trace, split) == name])
        assert all(torch.equal(getattr(found, field), getattr(alone, field)) for field in vars(alone))


def test_the_marginal_counts_what_each_kind_of_step_varies_in() -> None:
    """Two sessions of two steps that differ in one field, in half of the cases, at one of the two steps: ln 2 a session."""
    sequences = to_sequences(list(decision_traces(sessions=2, seed=0)))
    observations = torch.zeros(2, 2, 5, dtype=torch.int64)
    observations[1, 1, 4] = 1
    actions = torch.tensor([[0, ACTIONS.index("ask")]] * 2)
    present = torch.ones(2, 2, dtype=torch.bool)
    two = replace(sequences, actions=actions, observations=observations, present=present)
    assert marginal_entropy(two) == pytest.approx(math.log(2) / 2)


def test_imagined_paths_are_judged_together() -> None:
    """The loss of M paths is that of their mixture: never above the mean of the losses of each path alone (Jensen)."""
    sequences = to_sequences(list(decision_traces(sessions=8, seed=1)))
    torch.manual_seed(0)
    small = WorldModel(WorldConfig(width=8, classes=4, hidden=8)).eval()
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(*sequences.actions.shape, 1, generator=generator)
    states = filtered_states(small, sequences, noise)[0]
    starts = torch.zeros(8, dtype=torch.int64)
    paths = torch.rand(3, 6, 8, 1, generator=generator)
    mixture, _, there = rollout_losses(small, sequences, states, starts, paths)
    alone = torch.stack([rollout_losses(small, sequences, states, starts, paths[:, m : m + 1])[0] for m in range(6)]).mean(0)
    assert there.all()
    assert (mixture <= alone + 1e-5).all()
    torch.testing.assert_close(mixture[0], alone[0])  # the first step has the same h on every path


def test_every_thing_that_a_kind_of_step_says_begins_in_a_class_of_its_own() -> None:
    sequences = to_sequences(list(decision_traces(sessions=80, seed=1)))
    world = WorldModel(WorldConfig())
    own = world.own_class(sequences.observations)
    for action in range(len(ACTIONS)):
        there = sequences.present & (sequences.actions == action)
        said = torch.unique(sequences.observations[there], dim=0)
        assert len(torch.unique(own[there])) == len(said)
    posterior = world.posterior(torch.zeros(*own.shape, 64), sequences.observations).squeeze(-2)
    assert torch.equal(posterior.argmax(-1)[sequences.present], own[sequences.present])


def test_the_exact_reconstruction_is_the_mean_over_drawn_latents() -> None:
    torch.manual_seed(0)
    world = WorldModel(WorldConfig(width=8, classes=4, hidden=8)).eval()
    hidden, seen, rewards = torch.randn(1, 8), torch.tensor([[0, 1, 2, 1, 0]]), torch.tensor([0.5])
    with torch.no_grad():
        posterior = world.posterior(hidden, seen)
        told = told_by(world, hidden, seen, torch.zeros(1, 1, 1))
        drawn = State(
            hidden.expand(20_000, -1), sample_straight_through(posterior.expand(20_000, -1, -1), torch.rand(20_000, 1))
        )
        exact, error = reconstructed(world, told, posterior, drawn, seen, rewards)
        sampled = -observation_log_probability(world, drawn, seen.expand(20_000, -1))
        squared = (world.reward(drawn) - rewards) ** 2
    assert exact.item() == pytest.approx(sampled.mean().item(), abs=5 * sampled.std().item() / 20_000**0.5 + 1e-6)
    assert error.item() == pytest.approx(squared.mean().item(), abs=5 * squared.std().item() / 20_000**0.5 + 1e-6)


def test_a_collapsed_posterior_a_drifting_rollout_and_wrong_gains_alarm_by_name() -> None:
    healthy = WorldReading(
        kl=0.5, reconstruction=0.3, marginal=1.8, drift=(1.0, 1.2), drift_rows=(50, 50),
        predicted_gain=0.2, realised_gain=0.22, calls=9,
    )  # fmt: skip

    def names(**changed: object) -> list[str]:
        return [alarm.name for alarm in replace(healthy, **changed).alarms(WatchSection())]  # type: ignore[arg-type]

    assert names() == []
    assert names(kl=0.001) == []
    assert names(kl=0.001, reconstruction=1.79) == ["posterior_collapse"]
    assert names(drift=(1.0, 1.9)) == ["rollout_drift"]
    assert names(drift=(1.0, 1.9), drift_rows=(50, 3)) == []
    assert names(predicted_gain=0.5) == ["evsi_off"]
    assert names(predicted_gain=0.5, calls=0) == []


def test_a_model_whose_posterior_ignores_what_it_sees_is_seen_to_have_collapsed(
    sessions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "_HEAD_START", 0.0)
    run = trainer(sessions, tmp_path / "run")
    with torch.no_grad():
        for head in (run.world.prior_head[2], run.world.posterior_head.leave):
            head.weight.zero_()
            head.bias.zero_()
    reading = read_world(run.world, run.held_out, run.config.watch, marginal=run.marginal, seed=0)
    assert reading.kl == pytest.approx(0.0, abs=1e-6)
    assert "posterior_collapse" in {alarm.name for alarm in reading.alarms(run.config.watch)}


def test_equal_generators_give_equal_losses_and_padding_changes_nothing(sessions: Path, tmp_path: Path) -> None:
    run = trainer(sessions, tmp_path / "run")
    short = run.train.present.sum(1).argmin().reshape(1)
    alone = run.train.rows(short)
    assert alone.present.all()
    padded = replace(
        run.train,
        **{
            name: getattr(run.train, name)[short]
            for name in ("actions", "observations", "rewards", "harmful", "acted", "present")
        },
    )
    section = run.config.loss
    first, second = (world_loss(run.world, alone, section, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.total, second.total)
    states = filtered_states(run.world, padded, torch.rand(*padded.actions.shape, 1))[0]
    starts, noise = torch.tensor([int(padded.present.sum()) - 2]), torch.rand(3, 2, 1, 1)
    assert rollout_losses(run.world, padded, states, starts, noise)[2].flatten().tolist() == [True, False, False]
