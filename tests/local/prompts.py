"""Prompts of any form for the in-process engine."""

from __future__ import annotations

from typing import Any

from app.core.values import Message, Prompt, Role

SYSTEM = "You read facts out of one turn of a dialogue, and you reply in JSON. " * 12


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with exactly these properties."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def text(least: int = 1, most: int = 30) -> dict[str, Any]:
    return {"type": "string", "minLength": least, "maxLength": most}


def a_prompt(
    said: str = "I moved to Žilina.",
    schema: dict[str, Any] | None = None,
    *,
    system: str = SYSTEM,
    role: Role = Role.EXTRACTOR,
) -> Prompt:
    messages = (Message(role="system", content=system), Message(role="user", content=said))
    return Prompt(role=role, messages=messages, reply_schema=schema or closed({"text": text()}), version="test")
