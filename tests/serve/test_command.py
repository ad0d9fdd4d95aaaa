"""The command line: options, files, refusals, and a real process from start to SIGTERM."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from builderbrain import cli
from builderbrain.errors import ConfigError
from builderbrain.serve.__main__ import EXAMPLE_GOAL, bind, main
from builderbrain.serve.settings import ServeSettings, parse_settings


def test_defaults_bind_to_this_machine_alone() -> None:
    settings = parse_settings([])
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 8000, "builderbrain-nano")
    assert settings.enable_client_grammars is False
    assert settings.api_key is None


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("port: 9000\nmax_model_len: 512\nenable_client_grammars: true\nserved_model_name: brain\n")
    settings = parse_settings(["--config", str(file), "--port", "9001", "--model", "0123", "--api-key", "null"])
    assert settings == ServeSettings(
        port=9001, max_model_len=512, enable_client_grammars=True, served_model_name="brain", model="0123", api_key="null"
    )


@pytest.mark.parametrize(
    ("content", "field", "words"),
    [
        ("prt: 9000", "prt", "did you mean port?"),
        ("max_num_seq: 3", "max_num_seq", "did you mean max_num_seqs?"),
        ("port: many", "port", "whole number"),
        ("port: 70000", "port", "65535"),
        ("quantization: int3", "quantization", "nf4"),
        ("max_num_seqs: 0", "max_num_seqs", "between 1"),
        ("- port", "config", "mapping"),
        ("port: [", "config", "YAML"),
        ("api_key: ''", "api_key", "non-empty"),
        ("root: /nowhere/at/all", "root", "folder"),
    ],
)
def test_a_bad_file_is_refused_by_key(tmp_path: Path, content: str, field: str, words: str) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        parse_settings(["--config", str(file)])
    assert caught.value.field == field


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert main(["--config", str(tmp_path / "none.yaml")]) == 2


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--prot", "9000"])
    assert caught.value.code == 2
    assert "--prot" in capsys.readouterr().err


def test_a_taken_port_is_refused_before_anything_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert main(["--port", str(port), "--model", "/nowhere"]) == 2
    message = capsys.readouterr().err
    assert str(port) in message
    assert "--port" in message


def test_an_address_of_another_machine_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "192.0.2.1", "--port", "0"]) == 2
    assert "--host" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "/nowhere/model"], "/nowhere/model"),
        (["--rail", "/nowhere/rail"], "/nowhere/rail"),
        (["--rail", "none", "--max-model-len", "1000000"], "max_model_len"),
        (["--rail", "none", "--device", "abacus"], "abacus"),
    ],
)
def test_what_cannot_be_loaded_is_refused(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--port", "0", "--registry", str(tmp_path), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_bb_dispatches_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dance"]) == 2
    assert "serve, learn, train" in capsys.readouterr().err
    assert cli.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in cli.COMMANDS)
    assert cli.main(["serve", "--config", "/nowhere.yaml"]) == 2


def test_a_process_from_start_to_sigterm(tmp_path: Path) -> None:
    """The bundled base alone, on a free port."""
    arguments = ["--port", "0", "--rail", "none", "--registry", str(tmp_path / "versions"), "--root", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "builderbrain.serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            while "curl" not in said:
                line = process.stdout.readline()
                assert line, f"the server ended early: {said}"
                said += line
            assert EXAMPLE_GOAL in said
            url = re.search(r"http://127\.0\.0\.1:\d+", said)
            assert url is not None
            with httpx.Client(base_url=url[0], trust_env=False, timeout=60) as http:
                assert http.get("/ready").json()["models"] == ["builderbrain-nano"]
                reply = http.post("/v1/completions", json={"prompt": "the", "max_tokens": 3}).json()
                assert reply["choices"][0]["weight_versions"][0]["version"] == "base"
            process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            assert process.wait(timeout=30) in (0, -signal.SIGTERM)
            assert time.monotonic() - started < 30
        finally:
            process.kill()
