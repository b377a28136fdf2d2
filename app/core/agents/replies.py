"""Reading a model's JSON reply into a value; a reply that does not fit is an outcome, never an empty success."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

Reply = TypeVar("Reply", bound=BaseModel)
_anything = TypeAdapter(dict[str, Any])


def read(reply: str, form: type[Reply]) -> Reply | None:
    """The reply as `form`, or None where it is not JSON of that form."""
    try:
        return form.model_validate_json(reply)
    except ValidationError:
        return None


def read_object(reply: str) -> dict[str, Any] | None:
    """The reply as an object of any form, or None."""
    try:
        return _anything.validate_json(reply)
    except ValidationError:
        return None


def read_beginning(reply: str) -> dict[str, Any]:
    """What the beginning of a reply holds so far: strings as far as they go, without half an escape; empty where that
    is no object.
    """
    try:
        read = from_json(reply, allow_partial="trailing-strings")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def clean(text: str) -> str:
    """The text on one line, without control characters: a database refuses some of them."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in text).split())
