"""The output folder of a run, for all that train: one run at a time, never mixed with another, and a result that is whole.

Beside checkpoints and log it holds `run.json`, what the run is (its kind, configuration and inputs), written before anything
else, and `.run.lock`, which is held while the run works and which the kernel gives back when its process dies.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from builderbrain.errors import CheckpointError, OutputError, RegistryBusyError
from builderbrain.storage import (
    MANIFEST_NAME,
    canonical_json,
    check_writable,
    exclusive_lock,
    read_verified_directory,
    remove_stale,
    set_aside,
    write_atomic,
)
from builderbrain.train.disk import failed_writes_named
from builderbrain.train.same_run import check_same_run

LOCK_NAME, IDENTITY_NAME, LOG_NAME = ".run.lock", "run.json", "log.jsonl"


def check_output(path: Path) -> None:
    """See that a run can write into a folder, before the base is loaded; nothing is left there.

    Raises:
        OutputError: it cannot be made or written.
    """
    with failed_writes_named(path):
        check_writable(path)


class RunFolder:
    """The folder `path`, in which a run leaves its `product`, such as `rail`."""

    def __init__(self, path: Path, product: str) -> None:
        self.path, self.product = path, path / product

    @contextmanager
    def held(self, *, writes: bool = True) -> Iterator[None]:
        """Around the whole run. `writes`: whether this process is the one of the run that writes.

        Raises:
            OutputError: another run is at work in the folder, or it cannot be written.
        """
        with failed_writes_named(self.path), ExitStack() as stack:
            if writes:
                self.path.mkdir(parents=True, exist_ok=True)
                try:
                    stack.enter_context(exclusive_lock(self.path / LOCK_NAME))
                except RegistryBusyError as error:
                    raise OutputError(
                        f"expected no other run at work in {self.path}, but one holds its {LOCK_NAME}; wait until it has "
                        "ended, or choose another output",
                        field="output",
                    ) from error
                remove_stale(self.path)
            yield

    def refuse_earlier(self, identity: Mapping[str, Any]) -> None:
        """For a run without a checkpoint: see that the folder holds nothing of an earlier one.

        What the same run wrote before its first checkpoint is no hindrance.

        Raises:
            OutputError: it holds the result or the log of an earlier run.
            CheckpointError: it holds the log of a run with another configuration, or over other data.
        """
        mend = "choose another output or remove it"
        if os.path.lexists(self.product):
            raise OutputError(
                f"{self.path} holds a {self.product.name} of an earlier run, whose checkpoints are gone; {mend}", field="output"
            )
        log = self.path / LOG_NAME
        if not (log.is_file() and log.stat().st_size):
            return
        try:
            earlier = json.loads((self.path / IDENTITY_NAME).read_bytes())
        except (OSError, ValueError) as error:
            raise OutputError(f"{self.path} holds a {LOG_NAME} of an earlier run, whose checkpoints are gone; {mend}",
                              field="output") from error  # fmt: skip
        check_same_run(self.path, identity, earlier)

    def begin(self, identity: Mapping[str, Any]) -> None:
        """At the first step: note what the run is, after `refuse_earlier`."""
        self.refuse_earlier(identity)
        write_atomic(self.path / IDENTITY_NAME, canonical_json(dict(identity)))

    def is_finished(self, say: Callable[[str], None]) -> bool:
        """Whether the result is there and every byte of it is what was written; one that is torn is told of."""
        if not os.path.lexists(self.product):
            return False
        try:
            others = {entry.name for entry in os.scandir(self.product)} - {MANIFEST_NAME}
            read_verified_directory(self.product, ignore=frozenset(others))
        except (CheckpointError, NotADirectoryError) as error:
            say(f"the {self.product.name} in {self.path} is not whole, it is saved anew from the last checkpoint: {error}")
            return False
        return True

    def finish(self, save: Callable[[Path], None], say: Callable[[str], None]) -> Path:
        """Save the result; what is in its place is set aside. Returns its folder."""
        if os.path.lexists(self.product):
            say(f"what was {self.product} before is now {set_aside(self.product)}")
        save(self.product)
        return self.product
