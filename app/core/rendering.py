"""Prompts as text files: `[system]`, `[user]` and `[assistant]` sections, the same in every call, then what varies."""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

from app.core.values import Message

MONTHS = "January February March April May June July August September October November December".split()
_SECTION = re.compile(r"^\[(system|user|assistant)\]\n", re.MULTILINE)


@cache
def constant_messages(name: str) -> tuple[Message, ...]:
    """The sections of `prompts/<name>.txt`: the instructions and their examples."""
    text = prompt_text(name)
    parts = _SECTION.split(text)[1:]
    roles, contents = parts[::2], parts[1::2]
    return tuple(
        Message(role=cast(Literal["system", "user", "assistant"], role), content=content.strip())
        for role, content in zip(roles, contents, strict=True)
    )


@cache
def prompt_text(name: str) -> str:
    """The prompt file as it is."""
    return (files("app.core") / "prompts" / f"{name}.txt").read_text(encoding="utf-8")


def prompt_version(name: str, options: str) -> str:
    """What traces, checkpoints and responses carry: name, and a hash of the constant text and the options."""
    digest = hashlib.sha256(f"{prompt_text(name)}\n{options}".encode()).hexdigest()
    return f"{name}-{digest[:12]}"


def day(moment: datetime | date) -> str:
    """'7 May 2023', whatever the locale."""
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def one_line(text: str, limit: int) -> str:
    """The text on one line, at most `limit` characters long; a cut is shown."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with exactly these properties, all required, in this order."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def text_schema(limit: int) -> dict[str, Any]:
    """One line of at most so many characters that does not end in a space.

    A small model that copies ` "Emma"` from a turn takes the quotation mark unescaped, and so ends its own text.
    """
    return {"type": "string", "pattern": rf"^.{{0,{limit - 1}}}\S$"}


def list_schema(items: dict[str, Any], most: int, least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}
