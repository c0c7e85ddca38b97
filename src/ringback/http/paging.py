"""Pages of lists.

PowerAuth Cloud counts pages from 0 (`pageNumber`, `pageSize`). A page far away would have to count all that lies before
it, so it is refused; the native API goes on from a cursor instead, however long the list is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, TypeVar

from litestar.params import QueryParameter

from ringback.errors import invalid_field

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 500
MOST_SKIPPED = 10_000
"""Rows before the page. Counting that many ids in an index takes a few milliseconds, however large the table is."""

PageNumber = Annotated[int, QueryParameter(name="pageNumber", ge=0, le=2**31 - 1)]
PageSize = Annotated[int, QueryParameter(name="pageSize", ge=1, le=1000)]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=200)]
Cursor = Annotated[str, QueryParameter(name="cursor", max_length=2000)]


def rows_before(page_number: int, page_size: int, way_out: str) -> int:
    """How many rows lie before the page. `way_out`: what to do instead when the page is too far away.

    Raises InvalidRequest that names pageNumber.
    """
    skipped = page_number * page_size
    if skipped > MOST_SKIPPED:
        hint = f"At most {MOST_SKIPPED} rows may lie before a page. {way_out}"
        raise invalid_field("pageNumber", hint, page_number)
    return skipped


def cut_page(found: list[T], limit: int, key: Callable[[T], str]) -> tuple[list[T], str | None]:
    """A page of at most `limit`, and the cursor of the next one; `found` has one more when there is a next one."""
    shown = found[:limit]
    return shown, make_cursor(key(shown[-1])) if len(found) > limit else None


def make_cursor(key: str) -> str:
    """Where the next page begins, as a text that means nothing to whoever sends it back."""
    return base64.urlsafe_b64encode(key.encode()).decode("ascii")


def open_cursor(cursor: str) -> str:
    """The key in a cursor; empty for an empty one. Raises InvalidRequest."""
    try:
        key = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid_field("cursor", "Send the nextCursor of the page before.") from error
    if "\0" in key:
        raise invalid_field("cursor", "Send the nextCursor of the page before.")
    return key
