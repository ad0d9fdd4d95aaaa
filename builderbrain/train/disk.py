"""What a run says when its output folder cannot be written, or when it has to end: where it can go on from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builderbrain.errors import OutputError
from builderbrain.train.checkpoint import newest_checkpoint


def last_good(output: Path) -> str:
    """Names the checkpoint that the run in `output` would go on from."""
    newest = newest_checkpoint(output / "checkpoints")
    return "there is no checkpoint yet" if newest is None else f"the last good checkpoint is {newest}"


@contextmanager
def failed_writes_named(output: Path) -> Iterator[None]:
    """Around all that a run writes into its folder.

    Raises:
        OutputError: in place of an OSError, with the folder, the reason and the last good checkpoint.
    """
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise OutputError(
            f"could not write to {output}: {error.strerror or error}{where}; {last_good(output)}. Make room there, or mend "
            "what is wrong with the folder, and give the same command again: nothing that was saved is lost",
            field="output",
        ) from error
