"""A rail that is shipped in 16 bits: half the bytes, the same answers to the eye, and refused when a byte is not as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from builderbrain.errors import CheckpointError
from builderbrain.hosts.base import Host
from builderbrain.rail.checkpoint import CONFIG_NAME, WEIGHTS_NAME, load_rail, load_rail_config, rail_version, save_rail
from builderbrain.rail.model import RailModel
from builderbrain.rail.shipping import main
from builderbrain.storage import read_verified_directory
from tests.rail.conftest import make_rail


@pytest.fixture
def trained(llama: Host, tmp_path: Path) -> Path:
    rail = make_rail(llama, jitter=0.05)
    rail.config = replace(rail.config, actions=("look", "move"))
    save_rail(rail, tmp_path / "trained")
    return tmp_path / "trained"


@pytest.mark.parametrize(("dtype", "error"), [("float16", 1e-3), ("bfloat16", 8e-3)])
def test_a_shipped_rail_has_half_the_bytes_and_says_the_same(
    trained: Path, llama: Host, tmp_path: Path, dtype: str, error: float, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "shipped"
    assert main([str(trained), "robot_cell", "--dtype", dtype, "--output", str(target)]) == 0
    before, after = load_rail(trained), load_rail(target)
    assert rail_version(after) in capsys.readouterr().out
    assert (target / WEIGHTS_NAME).stat().st_size < 0.6 * (trained / WEIGHTS_NAME).stat().st_size
    assert load_rail_config(target) == before.config
    told = read_verified_directory(target).information
    assert (told["domain"], told["of"]) == ("robot_cell", rail_version(before))
    for (name, old), new in zip(before.state_dict().items(), after.state_dict().values(), strict=True):
        assert new.dtype is old.dtype, name
        if old.is_floating_point():
            assert float((new - old).abs().max()) <= error * float(old.abs().max())
        else:
            assert new.equal(old)
    prompt = [5, 6, 7, 8]
    logits = [RailModel(llama, rail).start(prompt).logits() for rail in (before, after)]
    assert torch.allclose(*logits, atol=30 * error)
    assert logits[0].argmax() == logits[1].argmax()


def test_a_byte_that_is_not_as_it_was_is_found(trained: Path) -> None:
    for name in (WEIGHTS_NAME, CONFIG_NAME):
        path = trained / name
        right = path.read_bytes()
        place = len(right) - 1 if name == WEIGHTS_NAME else right.index(b'"alpha_budget": 0.5') + len('"alpha_budget": 0.')
        path.write_bytes(right[:place] + bytes([right[place] ^ 1]) + right[place + 1 :])
        with pytest.raises(CheckpointError, match="torn or was altered") as refused:
            load_rail(trained)
        assert refused.value.field == name
        path.write_bytes(right)
    load_rail(trained)


def test_a_rail_is_shipped_for_its_own_domain_and_not_twice(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "shipped")
    for arguments, words in (
        ([str(trained), "ui_macro"], "ui_macro has no skill move"),
        ([str(trained), "nowhere"], "expected a domain"),
        ([str(tmp_path / "none"), "robot_cell"], "missing"),
    ):
        assert main([*arguments, "--output", target]) == 2
        assert words in capsys.readouterr().err
    assert main([str(trained), "robot_cell", "--output", target]) == 0
    assert main([str(trained), "robot_cell", "--output", target]) == 2
    assert "exists" in capsys.readouterr().err


def test_a_weight_beyond_16_bits_is_refused(trained: Path, llama: Host, tmp_path: Path) -> None:
    rail = load_rail(trained)
    with torch.no_grad():
        next(rail.parameters()).view(-1)[0] = 1e6
    save_rail(rail, tmp_path / "wide")
    assert main([str(tmp_path / "wide"), "robot_cell", "--output", str(tmp_path / "shipped")]) == 2
    wide = [str(tmp_path / "wide"), "robot_cell", "--dtype", "bfloat16", "--output", str(tmp_path / "shipped")]
    assert main(wide) == 0
