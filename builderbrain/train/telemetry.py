"""What a run writes down: one JSON line a step, TensorBoard scalars, a progress bar or plain lines."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from builderbrain.errors import ConfigError
from builderbrain.storage import write_atomic


class Telemetry:
    """Open for the length of a run; `close` flushes."""

    def __init__(self, folder: Path, *, steps: int, first_step: int, tensorboard: bool) -> None:
        """Open the log; lines of steps that will be run again are dropped from it."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "log.jsonl"
        if path.exists():
            lines = [line for line in path.read_text().splitlines() if _step_of(line) < first_step]
            write_atomic(path, "".join(line + "\n" for line in lines).encode())
        self._log = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._writer = _open_tensorboard(folder / "tensorboard", first_step) if tensorboard else None
        self._steps, self._first, self._started = steps, first_step, time.monotonic()
        self._tokens = 0
        self._bar = _Bar(steps, first_step) if sys.stderr.isatty() else None

    def record(self, step: int, values: Mapping[str, Any], *, tokens: int, headline: str | None = None) -> None:
        """Note the values of a step (JSON values; nested mappings become `a/b` in TensorBoard).

        Args:
            headline: what to show of them; None for that of a rail.
        """
        self._tokens += tokens
        self._log.write(json.dumps({"step": step, **values}) + "\n")
        if self._writer is not None:
            for name, value in _flat(values):
                self._writer.add_scalar(name, value, step)
        seconds = time.monotonic() - self._started
        done = step + 1 - self._first
        text = f"{_rail_headline(values) if headline is None else headline}  {self._tokens / seconds:.0f} tok/s"
        if self._bar is not None:
            self._bar.update(done, text)
        elif step % 25 == 0 or step + 1 == self._steps:
            remaining = seconds / done * (self._steps - step - 1)
            print(f"step {step + 1}/{self._steps}  {text}  {remaining / 60:.1f} min left", flush=True)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bar is not None:
            self._bar.print(text)
        else:
            print(text, flush=True)

    def flush(self) -> None:
        """Make the log durable up to here; called before a checkpoint.

        Raises:
            OSError: the disk is full or gone.
        """
        self._log.flush()
        os.fsync(self._log.fileno())

    def close(self) -> None:
        """Flush and stop.

        Raises:
            OSError: the disk is full or gone; everything is closed all the same.
        """
        try:
            self._log.close()
        finally:
            if self._bar is not None:
                self._bar.close()
            if self._writer is not None:
                self._writer.close()


class SilentTelemetry:
    """The same for processes of a run whose first one writes down and shows everything."""

    def record(self, step: int, values: Mapping[str, Any], *, tokens: int, headline: str | None = None) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class _Bar:
    def __init__(self, steps: int, first: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("", total=steps, completed=first)
        self._first = first
        self._progress.start()

    def update(self, done: int, text: str) -> None:
        self._progress.update(self._task, completed=self._first + done, description=text)

    def print(self, text: str) -> None:
        self._progress.console.print(text, markup=False)

    def close(self) -> None:
        self._progress.stop()


def _rail_headline(values: Mapping[str, Any]) -> str:
    duals = " ".join(f"{name} {entry['dual']:.2f}" for name, entry in values.get("constraints", {}).items())
    return f"loss {values['plan']:.3f}  budget {values['alpha_budget']:.2f}  duals {duals}"


def _step_of(line: str) -> int:
    """Step of a log line; a torn last line counts as never written."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return sys.maxsize


def wants_tensorboard(mode: Literal["auto", "always", "never"]) -> bool:
    """Whether to write TensorBoard files.

    Raises:
        ConfigError: "always", and TensorBoard is not installed.
    """
    installed = importlib.util.find_spec("tensorboard") is not None
    if mode == "always" and not installed:
        raise ConfigError(
            "expected TensorBoard to be installed; pip install 'builderbrain[train]', or set tensorboard=auto",
            field="tensorboard",
        )
    return installed and mode != "never"


def _open_tensorboard(folder: Path, first_step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=first_step)


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    out: list[tuple[str, float]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            out += _flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            out.append((f"{prefix}{name}", float(value)))
    return out
