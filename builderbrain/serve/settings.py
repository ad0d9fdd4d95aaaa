"""What the server can be told, on the command line or in a YAML file whose keys are the fields below.

The names are vLLM's where the meaning is the same. A command line option wins over the file, the file over the default.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from builderbrain.config import load_config
from builderbrain.errors import ConfigError

NO_RAIL = "none"


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


def _mapping(metavar: str, text: str) -> Any:
    return field(default_factory=dict, metadata={"help": text, "metavar": metavar})


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """One field per option; `--max-num-seqs` is `max_num_seqs`."""

    model: str = _option("builderbrain-nano", "folder or Hugging Face name of the base, or the bundled builderbrain-nano")
    served_model_name: str | None = _option(None, "the name requests use; the model's own name when not given")
    host: str = _option("127.0.0.1", "address to listen on")
    port: int = _option(8000, "port to listen on; 0 takes a free one")
    rail: str | None = _option(None, "folder of a builder rail, or none for the base alone; default: live, else bundled")
    domain_rail: Mapping[str, str] = _mapping(
        "DOMAIN=FOLDER", "rail that makes plans of a domain from words, or none; default: the one that comes with the base"
    )
    registry: str = _option("versions", "folder of the version registry")
    root: str = _option(".", "folder that the tools of /v1/goals and /v1/plans/run may read")
    tools: str | None = _option(None, "YAML file that says where an API is, which site, what may be cited, which MCP servers")
    state_dir: str | None = _option(None, "folder of the ledger and the journals of executions; plans with effects need it")
    allow_writes: bool = _option(False, "let plans use mutating skills, where a request grants them")
    allow_meta: bool = _option(False, "let plans use meta skills, where a request grants them")
    confirm_writes: bool = _option(False, "ask a person before every mutating or meta step, whatever its schema says")
    tool_cache: str | None = _option(
        None, "most results of tools kept by domain: DOMAIN=ENTRIES:BYTES,...; 512:4194304 for any that is not named"
    )
    hand_off_file: str | None = _option(None, "file that goals are appended to for a person when no plan is accepted")
    max_model_len: int | None = _option(None, "tokens of prompt and output together; the model's own length when not given")
    quantization: Literal["none", "nf4", "int8", "mxfp4"] = _option("none", "how the base is kept in memory")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = _option("auto", "dtype of the base")
    device: str = _option("auto", "device of the base: auto, cpu, cuda, cuda:1, ...")
    max_num_seqs: int = _option(32, "outputs decoded together")
    max_num_batched_tokens: int = _option(512, "tokens that one pass of the model takes; longer prompts are run in pieces")
    kv_cache_tokens: int | None = _option(None, "tokens that there are cache pages for; eight times the context when not given")
    enforce_eager: bool = _option(False, "run passes operation by operation on a CUDA device too, without captured graphs")
    max_cudagraph_capture_size: int | None = _option(
        None, "tokens of the largest pass that is captured in a CUDA graph; twice --max-num-seqs, at most 512, when not given"
    )
    enable_prefix_caching: bool = _option(True, "let prompts take over pages of earlier ones that began alike")
    max_waiting: int = _option(128, "outputs that may wait; more get 429")
    request_timeout: float = _option(300.0, "seconds one output may take, waiting included")
    max_body_bytes: int = _option(4 * 1024 * 1024, "largest request body")
    enable_client_grammars: bool = _option(False, "accept EBNF grammars from clients")
    api_key: str | None = _option(None, "clients must send this key as Authorization: Bearer KEY")
    admin_api_key: str | None = _option(None, "key that also opens the routes that change the server")
    api_keys_file: str | None = _option(None, "file of further client keys, one a line")
    rate_limit_requests_per_minute: int | None = _option(None, "requests that each client key may send a minute; more get 429")
    rate_limit_concurrent_requests: int | None = _option(None, "requests of each client key that may be under way")
    decision_calibration: str | None = _option(None, "file of a fitted calibration for /v1/decisions, or a folder of several")
    deferral: str | None = _option(
        None, "folder of fitted confidence and thresholds, by which unsure plans and answers are deferred"
    )
    world: str | None = _option(None, "folder of a world model, which says when to look something up before a person is asked")
    learn: str | None = _option(None, "folder of traces: keep what goals asked and became, and train candidates from it")
    learn_config: str | None = _option(None, "YAML file of the learner's limits (docs/learning.md); needs --learn")
    canary: bool = _option(True, "watch the live version of the registry and roll it back when it is worse than the one before")
    canary_limit: float = _option(0.05, "share of goals whose risk may rise over the version before")
    canary_alpha: float = _option(0.01, "chance that a version within the limits is ever rolled back")
    judge: str | None = _option(None, "folder of the risk judge; the shipped one, fitted for the bundled base, when not given")
    max_loaded_versions: int = _option(8, "builder versions that may be loaded beside the live one")

    def __post_init__(self) -> None:
        for name, low, high in (
            ("port", 0, 65535),
            ("max_num_seqs", 1, 4096),
            ("max_num_batched_tokens", 1, 1 << 20),
            ("kv_cache_tokens", 1, 1 << 32),
            ("max_cudagraph_capture_size", 1, 4096),
            ("max_waiting", 0, 65536),
            ("max_body_bytes", 1024, 1 << 30),
            ("request_timeout", 0.001, 86400),
            ("max_model_len", 2, 1 << 24),
            ("rate_limit_requests_per_minute", 1, 1 << 24),
            ("rate_limit_concurrent_requests", 1, 65536),
            ("max_loaded_versions", 0, 256),
            ("canary_limit", 1e-6, 0.999),
            ("canary_alpha", 1e-9, 0.999),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ConfigError(f"expected {name} between {low} and {high}, got {value}", field=name)
        for name in ("api_key", "admin_api_key"):
            if getattr(self, name) == "":
                raise ConfigError(f"expected {name} to be a non-empty key, got an empty string", field=name)
        if (self.allow_writes or self.allow_meta) and self.state_dir is None:
            raise ConfigError(
                "expected --state-dir beside --allow-writes and --allow-meta, got none; name a folder for the ledger, so that "
                "no effect happens twice",
                field="state_dir",
            )
        if self.learn_config is not None and self.learn is None:
            raise ConfigError("expected --learn FOLDER beside --learn-config, got none; name the folder", field="learn")
        if not Path(self.root).is_dir():
            raise ConfigError(f"expected --root to be a folder, got {self.root!r}, which is none", field="root")


def parse_settings(arguments: Sequence[str]) -> ServeSettings:
    """Settings from a command line; leaves through argparse (exit code 2) on an unknown option.

    Raises:
        ConfigError: the file or a value is wrong; `field` names the key.
    """
    parser = argparse.ArgumentParser(
        prog="python -m builderbrain.serve",
        description="Serve a base and its builder rail over an OpenAI-compatible API.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="YAML file with these options as keys, as in max_model_len: 512"
    )
    hints = get_type_hints(ServeSettings)
    for option in fields(ServeSettings):
        flag = "--" + option.name.replace("_", "-")
        kinds = [kind for kind in get_args(hints[option.name]) or (hints[option.name],) if kind is not type(None)]
        shared: dict[str, Any] = {"dest": option.name, "default": argparse.SUPPRESS, "help": option.metadata["help"]}
        if get_origin(hints[option.name]) is Mapping:
            parser.add_argument(flag, type=_pair, action="append", metavar=option.metadata["metavar"], **shared)
        elif kinds == [bool]:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, **shared)
        elif isinstance(kinds[0], str):
            parser.add_argument(flag, choices=kinds, **shared)
        else:
            parser.add_argument(flag, type=kinds[0], metavar=kinds[0].__name__.upper(), **shared)
    given = vars(parser.parse_args(arguments))
    path = given.pop("config")
    for name, value in given.items():
        if get_origin(hints[name]) is Mapping:
            given[name] = _unique(name, value)
    # JSON is YAML, so what was typed on the command line arrives as it was typed.
    return load_config(ServeSettings, path, [f"{name}={json.dumps(value)}" for name, value in given.items()])


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals or not value:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return key, value


def _unique(name: str, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in pairs:
        if key in found:
            raise ConfigError(f"--{name.replace('_', '-')} names {key} twice; keep one", field=name)
        found[key] = value
    return found


def state_folder(settings: ServeSettings) -> Path | None:
    """The folder of what outlasts the server, made where it is not there; None without one.

    Raises:
        ConfigError: it cannot be made.
    """
    if settings.state_dir is None:
        return None
    folder = Path(settings.state_dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be made ({error.strerror or error}); name another --state-dir", field="state_dir"
        ) from error
    return folder
