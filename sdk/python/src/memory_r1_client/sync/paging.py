"""From page to page, by the cursors that lists answer with.

Made by sdk/generate.py from openapi/openapi.json; do not edit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar


class Page(Protocol):
    """What every list answers."""

    next_cursor: str | None


P = TypeVar("P", bound=Page)
LARGEST = 200
"""Entries of a page."""


def pages(list_page: Callable[..., P], *arguments: Any, **filters: Any) -> Iterator[P]:
    """Every page of a list, by its generated function, each fetched when it is asked for."""
    filters.setdefault("limit", LARGEST)
    while True:
        page = list_page(*arguments, **filters)
        yield page
        if page.next_cursor is None:
            return
        filters["cursor"] = page.next_cursor
