"""What clients keep with a turn: any small JSON object."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

MAX_METADATA_BYTES = 4096
MAX_METADATA_DEPTH = 16
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""Of JSON: an escaped NUL, and not the six characters after an escaped backslash."""


def check_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata. Raises `ValueError` where it is too large or too deep, or holds what no column can."""
    if _depth(metadata) > MAX_METADATA_DEPTH:
        raise ValueError(f"must be nested at most {MAX_METADATA_DEPTH} deep")
    try:
        written = json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        raise ValueError("must be plain JSON without NaN, infinities or lone surrogates") from error
    if len(written) > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes as JSON")
    if _NUL.search(written):
        raise ValueError("must not contain the character NUL")
    return metadata


def _depth(value: Any) -> int:
    """How deep lists and objects are nested, without a call for each level; it stops where that is too deep."""
    depth, level = 0, [value]
    while level and depth <= MAX_METADATA_DEPTH:
        depth += 1
        level = [inner for one in level for inner in _inside(one) if isinstance(inner, dict | list)]
    return depth


def _inside(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container
