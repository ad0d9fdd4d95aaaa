"""Which pages of a cache are taken, and which hold the beginning of some text and can be shared.

A page is free, or held by sequences, or kept: nobody holds it, but a later sequence that begins with the same tokens may. The
page that was let go longest ago is given away first. Pages are known by a hash of all tokens up to their end, so that two
texts share a page exactly as far as they begin alike.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from builderbrain.errors import ConfigError


class PagePool:
    """`num_pages` pages of `page_size` positions. Used by one thread.

    Args:
        forget: told of each named page that is given away.
    """

    def __init__(self, num_pages: int, page_size: int, forget: Callable[[int], None] = lambda page: None) -> None:
        if num_pages < 1 or page_size < 1:
            raise ConfigError(f"expected at least one page of one position, got {num_pages} of {page_size}", field="pages")
        self.num_pages, self.page_size = num_pages, page_size
        self._forget = forget
        self._free = deque(range(num_pages))
        self._holders = [0] * num_pages
        self._key_of: dict[int, bytes] = {}
        self._page_of: dict[bytes, int] = {}
        self._kept: OrderedDict[int, None] = OrderedDict()
        self.evictions = 0
        """Pages that held the beginning of a text and were given away for want of free ones."""

    @property
    def available(self) -> int:
        """Pages that `take` can give: free ones and kept ones."""
        return len(self._free) + len(self._kept)

    @property
    def num_named(self) -> int:
        """Pages that a later text may begin with."""
        return len(self._key_of)

    def keys(self, tokens: Sequence[int]) -> list[bytes]:
        """A key for each full page of these tokens."""
        found, key = [], b""
        for first in range(0, len(tokens) - self.page_size + 1, self.page_size):
            here = array("q", tokens[first : first + self.page_size]).tobytes()
            key = hashlib.blake2b(key + here, digest_size=16).digest()
            found.append(key)
        return found

    def find(self, key: bytes) -> int | None:
        """The page that holds this text, if one does."""
        return self._page_of.get(key)

    def hold(self, page: int) -> None:
        """Hold a page that others hold as well, or that is kept."""
        self._kept.pop(page, None)
        self._holders[page] += 1

    def take(self) -> int | None:
        """A page of one's own; None when all are held."""
        if self._free:
            page = self._free.popleft()
        elif self._kept:
            page, _ = self._kept.popitem(last=False)
            self._lose(page)
            self.evictions += 1
        else:
            return None
        self._holders[page] = 1
        return page

    def name(self, page: int, key: bytes) -> None:
        """Say what a held page holds, now that it is full. Where another page holds the same, `find` gives that one still."""
        if page not in self._key_of:
            self._key_of[page] = key
            self._page_of.setdefault(key, page)

    def holds(self, page: int, key: bytes) -> bool:
        """Whether a page was named so, and was not given away since."""
        return self._key_of.get(page) == key

    def let_go(self, page: int) -> None:
        """Hold a page no longer."""
        self._holders[page] -= 1
        if self._holders[page]:
            return
        if page in self._key_of:
            self._kept[page] = None
        else:
            self._free.append(page)

    def forget_all(self) -> int:
        """Let no later text begin with what pages hold now; held pages stay with their holders. Returns how many were known."""
        known = tuple(self._key_of)
        for page in known:
            self._lose(page)
        self._free.extend(self._kept)
        self._kept.clear()
        return len(known)

    def _lose(self, page: int) -> None:
        key = self._key_of.pop(page)
        if self._page_of.get(key) == page:
            del self._page_of[key]
        self._forget(page)
