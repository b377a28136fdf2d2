"""Versions of memories as entity tags (RFC 9110): `ETag`, `If-Match` and `If-None-Match`."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Request

from app.core.errors import InvalidInput

_TAG = r'(W/)?"[!#-~]*"'
TAGS = rf"^[ \t]*(\*|{_TAG}([ \t]*,[ \t]*{_TAG})*)[ \t]*$"
MAX_TAGS_LENGTH = 1000
_TAGS = re.compile(TAGS)
_EACH = re.compile(r'(W/)?"([!#-~]*)"')
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_BOUND = {"pattern": TAGS, "max_length": MAX_TAGS_LENGTH}

ETAG = {"ETag": {"description": "The memory's version.", "schema": {"type": "string"}}}
"""The header as responses document it."""


def etag_of(version: int) -> str:
    """`"3"`: as long as a memory is live, its version tells what it says."""
    return f'"{version}"'


def get_expected(
    request: Request,
    if_match: Annotated[
        str | None,
        Header(
            **_BOUND,
            description='Write only where the memory is at one of these versions, such as `"3"`; else 412.',
        ),
    ] = None,
) -> frozenset[int] | None:
    """The versions of `If-Match`; None where any will do. Weak tags match nothing."""
    if if_match is None:
        return None
    tags = _tags(request, "if-match")
    return None if tags is None else frozenset(int(tag) for weak, tag in tags if not weak and _VERSION.fullmatch(tag))


def get_known(
    request: Request,
    if_none_match: Annotated[
        str | None, Header(**_BOUND, description="Answer 304 where the memory is still at one of these versions.")
    ] = None,
) -> frozenset[str]:
    """The tags of `If-None-Match`; `*` for any."""
    if if_none_match is None:
        return frozenset()
    tags = _tags(request, "if-none-match")
    return frozenset("*") if tags is None else frozenset(f'"{tag}"' for _, tag in tags)


Expected = Annotated[frozenset[int] | None, Depends(get_expected)]
Known = Annotated[frozenset[str], Depends(get_known)]


def _tags(request: Request, header: str) -> list[tuple[str, str]] | None:
    """(weakness, content) of each tag, from all lines of the header; None for `*`. Raises `InvalidInput`."""
    value = ",".join(request.headers.getlist(header))
    if len(value) > MAX_TAGS_LENGTH or not _TAGS.fullmatch(value):
        raise InvalidInput("The precondition is no list of entity tags.")
    return None if value.strip() == "*" else _EACH.findall(value)
