"""What becomes of an uploaded file before anything of it is stored: every row is checked and scrubbed of personal data.

What is left are rows as docs/training.md writes them, one JSON object a line, which a job reads again without a fault.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from io import BytesIO

from builderbrain.data.json_lines import Line, lines_of, parse_object
from builderbrain.data.scrub import Scrubber
from builderbrain.errors import DataError, InvalidRequestError
from builderbrain.learn.trace_log import MAX_ROW_BYTES
from builderbrain.storage import canonical_json
from builderbrain.train.data_files import LeftOut, Request, request_of

HOLD_SECONDS = 0.001
"""After which the interpreter is given to whoever decodes, where it would else be asked for five times as long."""
_GZIP = b"\x1f\x8b"
_ADVICE = 'write rows as {"goal": text, "plan": plan} or as traces (docs/training.md)'


@dataclass(frozen=True, kw_only=True)
class ScrubbedRows:
    """Rows that may be stored.

    Args:
        content: the rows, one JSON object a line.
        rows: how many can be trained on.
        scrubbed: how many values became placeholders, by kind.
        left_out: how many rows are not trained on, and which keys are not read; one line for each reason.
    """

    content: bytes
    rows: int
    scrubbed: dict[str, int]
    left_out: tuple[str, ...]


def scrubbed_rows(content: bytes, name: str) -> ScrubbedRows:
    """Check and scrub the rows of a file; `name` is what errors call it.

    Raises:
        InvalidRequestError: a row is bad (names file, line and key), or none can be trained on.
    """
    if content.startswith(_GZIP):
        raise InvalidRequestError(f"file: expected JSON lines in {name}, got a gzip file; unpack it", field="file")
    written: list[bytes] = []
    rows, counts, left_out, given = 0, Counter[str](), LeftOut(), time.monotonic()
    try:
        for line in lines_of(BytesIO(content), name):
            where = f"{name} line {line.number}"
            scrubber = Scrubber()
            try:
                row, request = _row(line, where, scrubber, left_out)
            except DataError as error:
                raise InvalidRequestError(f"file: {where}: {error.message}", field="file") from error
            rows += request is not None
            counts.update(scrubber.counts)
            written.append(row)
            if time.monotonic() > given + HOLD_SECONDS:
                time.sleep(0)
                given = time.monotonic()
    except DataError as error:  # of the whole file
        raise InvalidRequestError(f"file: {error.message}", field="file") from error
    if not rows:
        reasons = "; ".join(left_out.lines()) or "the file is empty"
        raise InvalidRequestError(f"file: expected rows to train on in {name}, got none: {reasons}; {_ADVICE}", field="file")
    return ScrubbedRows(content=b"".join(written), rows=rows, scrubbed=dict(counts), left_out=tuple(left_out.lines()))


def _row(line: Line, where: str, scrubber: Scrubber, left_out: LeftOut) -> tuple[bytes, Request | None]:
    """The line as it is stored, and its request; what cannot be trained on is counted.

    Raises:
        DataError: the row is bad, or is none any more without what was scrubbed.
    """
    size = MAX_ROW_BYTES + 1 if line.content is None else len(line.content)
    if size > MAX_ROW_BYTES:
        raise DataError(f"expected a row of at most {MAX_ROW_BYTES} bytes, got a longer one; split it", field="")
    row = parse_object(line)
    clean = scrubber.row({key: value for key, value in row.items() if key != "sha256"})  # it was of what is scrubbed now
    if not scrubber.counts:
        return canonical_json(clean), request_of(row, where, left_out)
    request_of(row, where, LeftOut())
    try:
        return canonical_json(clean), request_of(clean, where, left_out)
    except DataError as error:
        found = ", ".join(sorted(scrubber.counts))
        raise DataError(
            f"without its personal data ({found}) the row is no good: {error.message}; write it without them", field=""
        ) from error
