"""Versions of memories as entity tags (RFC 9110): `ETag`, `If-Match` and `If-None-Match`."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

from fastapi import Depends, Header, Request

from app.core.errors import InvalidInput

_TAG = r'(W/)?"[!#-~]*"'
TAGS = rf"^[ \t]*(\*|{_TAG}([ \t]*,[ \t]*{_TAG})*)[ \t]*$"
MAX_TAGS_LENGTH = 1000
_TAGS = re.compile(TAGS)
_EACH = re.compile(r'(W/)?"([!#-~]*)"')
_VERSION = re.compile(r"([1-9][0-9]{0,8})(?:-[0-9a-f]{16})?")
_BOUND = {"pattern": TAGS, "max_length": MAX_TAGS_LENGTH}

ETAG = {"ETag": {"description": 'The memory\'s version, such as `"3"`.', "schema": {"type": "string"}}}
"""The header as responses to writes document it."""
SHOWN_ETAG = {
    "ETag": {
        "description": 'The memory\'s version and a digest of what is shown, such as `"3-1f9c0a5be2d74c68"`. '
        "`If-Match` compares the version alone, `If-None-Match` the whole.",
        "schema": {"type": "string"},
    }
}
"""The header as responses to reads document it."""


def etag_of(version: int) -> str:
    """`"3"`: what `If-Match` asks for."""
    return f'"{version}"'


def shown_etag_of(version: int, shown: str) -> str:
    """`"3-1f9c0a5be2d74c68"`: erasing a turn may change what is shown of a memory, and not its version."""
    return f'"{version}-{hashlib.sha256(shown.encode()).hexdigest()[:16]}"'


def get_expected(
    request: Request,
    if_match: Annotated[
        str | None,
        Header(
            **_BOUND,
            description='Write only where the memory is at one of these versions, such as `"3"`; else 412. Of the '
            "`ETag` of a read, the version counts.",
        ),
    ] = None,
) -> frozenset[int] | None:
    """The versions of `If-Match`; None where any will do. Weak tags match nothing."""
    if if_match is None:
        return None
    tags = _tags(request, "if-match")
    if tags is None:
        return None
    versions = [_VERSION.fullmatch(tag) for weak, tag in tags if not weak]
    return frozenset(int(version[1]) for version in versions if version)


def get_known(
    request: Request,
    if_none_match: Annotated[
        str | None, Header(**_BOUND, description="Answer 304 where what would be shown has one of these entity tags.")
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
