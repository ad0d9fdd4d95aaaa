"""Keys and values of new tokens into their pages, both in one launch."""

from bbkernels.page_write.op import write_pages, write_unchecked

__all__ = ["write_pages", "write_unchecked"]
