"""Pages of a list in OpenAI's shape: `limit` rows behind the one whose id is `after`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import Field

from builderbrain.errors import InvalidRequestError
from builderbrain.serve.fields import MAX_NAME, RequestModel

T = TypeVar("T")


class PageRequest(RequestModel):
    """Which part of a list."""

    after: str | None = Field(default=None, min_length=1, max_length=MAX_NAME)
    limit: int = Field(default=20, ge=1, le=100)


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """Rows of a list, and whether more follow."""

    rows: Sequence[T]
    has_more: bool


def page_of(rows: Sequence[T], ids: Sequence[str], *, after: str | None, limit: int) -> Page[T]:
    """The page.

    Args:
        ids: of `rows`, one for each.

    Raises:
        InvalidRequestError: `after` is none of them.
    """
    if after is not None and after not in ids:
        raise InvalidRequestError(f"after: expected an id of this list, got {after!r:.80}", field="after")
    start = 0 if after is None else ids.index(after) + 1
    return Page(rows=rows[start : start + limit], has_more=len(rows) > start + limit)


def page_to_json(data: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """JSON values of a page that names its first and last row."""
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }
