"""The last step of an ingest: from finished parts to the folder, which appears whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from builderbrain.data.dataset import QUARANTINE, SIGNATURE_PURPOSE, split_file
from builderbrain.data.split import SPLITS
from builderbrain.data.staging import Staging
from builderbrain.errors import DataError
from builderbrain.signing import SigningKey
from builderbrain.storage import FileSource, canonical_json, write_directory_atomic


def assemble(staging: Staging, output: Path, *, job: Mapping[str, Any], key: SigningKey) -> None:
    """Write and sign the folder. Of rows with the same content the first counts.

    Raises:
        DataError: no row is good.
        OSError: a write failed; `output` does not exist.
    """
    seen: set[bytes] = set()
    repeated: set[int] = set()
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("rows", "domains", "plans", "scrubbed", "ignored_keys")}
    quarantined, first_reason = 0, ""
    for position, record in enumerate(staging.records()):
        if "rejected" in record:
            quarantined += 1
            rejected = record["rejected"]
            first_reason = first_reason or f"{rejected['file']}:{rejected['line']}: {rejected['reason']}"
            continue
        row = record["row"]
        digest = bytes.fromhex(row["sha256"])
        if digest in seen:
            repeated.add(position)
            continue
        seen.add(digest)
        counts["rows"][record["split"]] += 1
        counts["domains"][row["domain"]] += 1
        counts["plans"][row.get("plan_source", "none")] += 1
        counts["scrubbed"].update(record["scrubbed"])
        counts["ignored_keys"].update(record["ignored"])
    if not seen:
        got = f"got none of {quarantined}, the first because of {first_reason}" if quarantined else "but every input is empty"
        raise DataError(f"expected at least one good row, {got}", field="input")
    information = {
        "job": job,
        "rows": {split: counts["rows"][split] for split in SPLITS},
        "repeated": len(repeated),
        "quarantined": quarantined,
        **{name: dict(sorted(counts[name].items())) for name in ("domains", "plans", "scrubbed", "ignored_keys")},
    }
    sources: dict[str, FileSource] = {
        split_file(split): _writer(staging, lambda at, record, split=split: _row_of(at, record, split, repeated))  # type: ignore[misc]
        for split in SPLITS
    }
    sources[QUARANTINE] = _writer(staging, lambda at, record: record.get("rejected"))
    write_directory_atomic(output, sources, information=information, sign=lambda content: key.sign(SIGNATURE_PURPOSE, content))


def _row_of(position: int, record: Mapping[str, Any], split: str, repeated: set[int]) -> Mapping[str, Any] | None:
    wanted = record.get("split") == split and position not in repeated
    return record["row"] if wanted else None


def _writer(staging: Staging, choose: Callable[[int, Mapping[str, Any]], Mapping[str, Any] | None]) -> Callable[[Path], None]:
    """Writes one file in a pass over the parts, so that the rows need not fit into memory."""

    def write(path: Path) -> None:
        with open(path, "wb") as file:
            for position, record in enumerate(staging.records()):
                chosen = choose(position, record)
                if chosen is not None:
                    file.write(canonical_json(chosen))

    return write
