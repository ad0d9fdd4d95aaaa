"""Training by hand over HTTP: gradients, steps and samples in any order, and what is saved is a candidate."""

from __future__ import annotations

from typing import Any

import httpx
import torch

from builderbrain.rail.checkpoint import load_rail
from tests.learn.serving import ADMIN, Learning

ROWS = [{"goal": "search for gate", "plan": 's1=search(pattern="gate")'}, {"goal": "list docs", "plan": 's1=list(path="docs")'}]


def call(server: Learning, path: str, body: dict[str, Any] | None = None, status: int = 200) -> Any:
    reply: httpx.Response = server.http.post(f"/v1/training/sessions{path}", json=body or {}, headers=ADMIN)
    assert reply.status_code == status, reply.text
    return reply.json()


def test_steps_lower_the_loss_and_what_is_saved_is_no_more_than_a_candidate(server: Learning) -> None:
    live = server.registry.live()
    assert live is not None
    before = {name: tensor.clone() for name, tensor in load_rail(server.registry.live_path()).state_dict().items()}
    session = call(server, "", {"seed": 1})
    assert session == {"id": session["id"], "parent": live.version, "steps": 0, "pending_rows": 0}
    place = f"/{session['id']}"
    losses = []
    for step in range(4):
        found = call(server, f"{place}/forward_backward", {"data": ROWS})
        assert found["rows"] == 2
        losses.append(found["loss"])
        stepped = call(server, f"{place}/optim_step", {"learning_rate": 0.003})
        assert stepped["steps"] == step + 1
        assert stepped["gradient_norm"] > 0
    assert losses[-1] < losses[0]
    text = call(server, f"{place}/sample", {"goal": "search for gate", "max_tokens": 6})["text"]
    assert text.startswith("s1=")
    version = call(server, f"{place}/save_state")["version"]
    assert server.registry.verify(version).information["trained_by"] == session["id"]
    assert server.registry.live() == live
    assert server.http.post("/v1/versions/load", json={"version": version}, headers=ADMIN).status_code == 403
    after = load_rail(server.registry.live_path()).state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    gone = server.http.delete(f"/v1/training/sessions{place}", headers=ADMIN)
    assert gone.json() == {"id": session["id"], "deleted": True}
    call(server, f"{place}/save_state", status=404)


def test_a_step_needs_gradients_and_rows_need_to_fit(server: Learning) -> None:
    place = f"/{call(server, '')['id']}"
    assert "forward_backward first" in call(server, f"{place}/optim_step", status=409)["error"]["message"]
    for data, field in (
        ([], "data"),
        ([{"goal": "x", "plan": "s1=nothing("}], "data[0].plan"),
        ([ROWS[0], {"goal": "w " * 1900, "plan": ROWS[0]["plan"]}], "data[1]"),
        ([{"goal": "x"}], "data.0.plan"),
    ):
        assert call(server, f"{place}/forward_backward", {"data": data}, 400)["error"]["param"] == field
    call(server, f"{place}/forward_backward", {"data": ROWS, "loss_fn": "ppo"}, 400)


def test_there_are_few_sessions_at_a_time(server: Learning) -> None:
    open_now = server.http.get("/v1/training/sessions", headers=ADMIN).json()["data"]
    made = [call(server, "")["id"] for _ in range(4 - len(open_now))]
    assert "at most 4" in call(server, "", status=409)["error"]["message"]
    server.http.delete(f"/v1/training/sessions/{made[0]}", headers=ADMIN)
    call(server, "")
