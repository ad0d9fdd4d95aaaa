"""From files of several formats to one signed folder of traces.

Per row: read strictly, convert, scrub, extract the plan where none is given, hash, choose the split. Then over all rows: drop
repetitions, write `train.jsonl`, `validation.jsonl`, `test.jsonl` and `quarantine.jsonl`, and a manifest of digests, counts and
inputs, signed. The output depends on inputs, options and key alone, not on when or how often the work was interrupted.

What no row may do is vanish: it is in a split, in the quarantine with file, line and reason, or counted as a repetition.

A group that is a person's address would be the same placeholder in every row. So that such groups still fall apart, a group
that scrubbing changed is hashed under the signing key for the choice of the split; neither it nor the hash is stored.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from builderbrain.data.assemble import assemble
from builderbrain.data.dataset import Dataset, open_dataset
from builderbrain.data.extract import with_plan
from builderbrain.data.formats import FormatName, Reader, has_rows, open_reader, row_files
from builderbrain.data.json_lines import Line, parse_object, read_lines
from builderbrain.data.read_trace import trace_from_json
from builderbrain.data.scrub import Scrubber
from builderbrain.data.split import SplitConfig, split_of
from builderbrain.data.staging import PART_LINES, Staging
from builderbrain.data.trace import trace_to_json
from builderbrain.errors import BuilderBrainError, DataError
from builderbrain.signing import SigningKey
from builderbrain.storage import MANIFEST_NAME, exclusive_lock, remove_stale, sha256_file

PIPELINE_VERSION = 2
"""Part of every job: parts that were converted by other rules are not taken up again. Raise it when the rules change."""
KEY_NAME, LOCK_NAME = "signing.key", ".ingest.lock"
GROUP_PURPOSE, KEY_PURPOSE = "builderbrain.data.group", "builderbrain.data.key"


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """What to ingest.

    Args:
        inputs: files, or folders of them.
        output: folder to make; its parent exists.
        format: None to tell it file by file.
        domain: for rows that name none.
        split: shares and seed.
        key: file of the signing key, which must exist; by default `signing.key` beside the output, made when missing.
    """

    inputs: tuple[Path, ...]
    output: Path
    format: FormatName | None = None
    domain: str | None = None
    split: SplitConfig = field(default_factory=SplitConfig)
    key: Path | None = None


def ingest(config: IngestConfig, *, on_lines: Callable[[int], None] = lambda lines: None) -> Dataset:
    """Make the folder, or go on where a killed ingest stopped; a finished one is verified and given back.

    Args:
        on_lines: told how many more lines were read, parts that were finished before among them.

    Raises:
        DataError: an input cannot be read or is of no known format, no row is good, `output` holds another job or something
            else, `key` names no file, or the disk is full; in the last case everything finished so far is kept for the next
            attempt.
        TamperedVersionError: the key is malformed or readable by others.
        RegistryBusyError: another ingest works in the same parent folder.
    """
    output = config.output
    parent = output.absolute().parent
    if not parent.is_dir():
        raise DataError(f"expected --output in a folder that exists, got {output}; make {parent} first", field="output")
    if output.exists() and not (output / MANIFEST_NAME).is_file():
        raise DataError(
            f"expected --output that is new or was made by ingest, but {output} holds something else; name another folder",
            field="output",
        )
    if config.key is not None and not config.key.exists():
        raise DataError(
            f"expected the file of a signing key with --key, but there is no {config.key}; mend the name, or leave --key out "
            f"to have {parent / KEY_NAME} made",
            field="key",
        )
    files = row_files(config.inputs)
    try:
        with exclusive_lock(parent / LOCK_NAME):
            key = SigningKey(config.key or parent / KEY_NAME)
            key.create()
            try:
                return _ingest(config, files, key, on_lines)
            except BuilderBrainError:
                Staging(output).clear()  # the same command would be refused again
                raise
    except OSError as error:
        raise DataError(
            f"could not finish {output}: {error.strerror or error}; what was finished is kept, give the same command again "
            "once that is mended",
            field="output",
        ) from error


def _ingest(config: IngestConfig, files: tuple[Path, ...], key: SigningKey, on_lines: Callable[[int], None]) -> Dataset:
    job = {
        "pipeline": PIPELINE_VERSION,
        "format": config.format,
        "domain": config.domain,
        "split": asdict(config.split),
        "inputs": [{"path": str(file), "sha256": sha256_file(file), "size": file.stat().st_size} for file in files],
    }
    output, staging = config.output, Staging(config.output)
    remove_stale(output.absolute().parent, target=glob.escape(output.name))
    signed = key.sign(KEY_PURPOSE, b"").decode()  # splits depend on the key; it is read before anything is begun
    if not output.exists():
        staging.begin({**job, "key": signed})
        remove_stale(staging.folder)
        for number, file in enumerate(files):
            if not has_rows(file):
                continue
            reader = open_reader(file, format=config.format, domain=config.domain)
            for part, lines in enumerate(_parts(read_lines(file))):
                if not staging.has(number, part):
                    staging.write(number, part, [_record(file, line, reader, config.split, key) for line in lines])
                on_lines(len(lines))
        assemble(staging, output, job=job, key=key)
    dataset = open_dataset(output, key=key.path)
    if dataset.information["job"] != job:
        message = (
            f"{output} was made of other inputs, with other options or by another version; remove it or name another --output"
        )
        raise DataError(message, field="output")
    staging.clear()
    return dataset


def _record(file: Path, line: Line, reader: Reader, split: SplitConfig, key: SigningKey) -> dict[str, Any]:
    """What becomes of a line: a row with its split, or a rejection. Nothing in it is unscrubbed."""
    scrubber = Scrubber()
    try:
        row = parse_object(line)
        written = trace_to_json(reader.convert(row))
        told = written.get("group")
        del written["sha256"]
        trace = with_plan(trace_from_json(scrubber.row(_named(written))))
    except DataError as error:
        return {"rejected": {"file": str(file), "line": line.number, "reason": Scrubber().text(error.message)}}
    written = trace_to_json(trace)
    if trace.id == _UNNAMED:
        written["id"] = written["sha256"][:16]
    return {
        "row": written,
        "split": split_of(trace, split, group=_hidden_group(told, trace.group, key)),
        "scrubbed": dict(scrubber.counts),
        "ignored": sorted(set(row) - reader.keys),
    }


def _hidden_group(told: str | None, stored: str | None, key: SigningKey) -> str | None:
    """The keyed hash of a group that scrubbing changed; None for one that it left as it was, whose split needs no key."""
    return None if told is None or told == stored else key.sign(GROUP_PURPOSE, told.encode()).decode()


_UNNAMED = "unnamed"


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row must have an id to be read; one that came without gets its own once its content is final."""
    return {**row, "id": row["id"] or _UNNAMED}


def _parts(lines: Iterator[Line]) -> Iterator[list[Line]]:
    part: list[Line] = []
    for line in lines:
        part.append(line)
        if len(part) == PART_LINES:
            yield part
            part = []
    if part:
        yield part
