"""From page to page, by the cursors that lists answer with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar


class Page(Protocol):
    """What every list answers."""

    next_cursor: str | None


P = TypeVar("P", bound=Page)
LARGEST = 200
"""Entries of a page."""


async def pages(list_page: Callable[..., Awaitable[P]], *arguments: Any, **filters: Any) -> AsyncIterator[P]:
    """Every page of a list, by its generated function, each fetched when it is asked for."""
    filters.setdefault("limit", LARGEST)
    while True:
        page = await list_page(*arguments, **filters)
        yield page
        if page.next_cursor is None:
            return
        filters["cursor"] = page.next_cursor
