"""A chat completion as it streams: events cut out of the bytes, which stay as they are, and the reply in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from app.core.conversation import storable

MAX_EVENT_BYTES = 1_000_000
MAX_REPLY_CHARACTERS = 200_000
_END = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
DONE = b"[DONE]"


class Events:
    """Bytes in, whole events out; joined together they are the same bytes."""

    def __init__(self) -> None:
        self._held = b""

    def cut(self, chunk: bytes) -> Iterator[bytes]:
        """Each event that is complete with this chunk; what is too long for one is handed out as it comes."""
        self._held += chunk
        start = 0
        for end in _END.finditer(self._held):
            yield self._held[start : end.end()]
            start = end.end()
        self._held = self._held[start:]
        if len(self._held) > MAX_EVENT_BYTES:
            yield self.rest()

    def rest(self) -> bytes:
        """What is left of an event that did not end."""
        held, self._held = self._held, b""
        return held


def data_of(event: bytes) -> bytes:
    """The data of an event."""
    lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines).strip()


class Reply:
    """The text of the first choice, put together from deltas or taken from a whole completion."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._characters = 0
        self.is_whole = False
        """Whether it came to its end; a reply that only calls tools does, without a text."""
        self._calls_tools = False

    @property
    def text(self) -> str:
        """What was said to the user; empty where tools were called first, or where it broke off."""
        return "" if self._calls_tools or not self.is_whole else storable("".join(self._parts))

    def take(self, data: bytes) -> None:
        """One event's data, or the body of a completion that was not streamed."""
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            return
        for choice in _dicts(body.get("choices") if isinstance(body, dict) else None):
            if choice.get("index", 0) == 0:
                self._take(choice)

    def _take(self, choice: dict[str, Any]) -> None:
        said = choice.get("delta") or choice.get("message")
        if isinstance(said, dict):
            content = said.get("content")
            if isinstance(content, str) and self._characters < MAX_REPLY_CHARACTERS:
                self._parts.append(content)
                self._characters += len(content)
            self._calls_tools |= bool(said.get("tool_calls") or said.get("function_call"))
        self.is_whole |= choice.get("finish_reason") is not None


def _dicts(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
