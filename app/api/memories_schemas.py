"""What clients send to write memories, and what they read about them."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from app.api.schemas import Body, Line, SaidAt
from app.core.changes import MAX_MEMORY_LENGTH
from app.core.values import Value
from app.services.provenance import AnswerUse

_TEXT = "Alice adopted a dog named Buddy."


class NewMemory(Body):
    """A memory to add; it comes from no turn."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": _TEXT, "speaker": "Alice"}]})

    text: Line = Field(max_length=MAX_MEMORY_LENGTH, examples=[_TEXT])
    """What is to be remembered; kept as one line."""
    speaker: Line = Field(max_length=100, examples=["Alice"])
    """Whose memory it is."""
    said_at: SaidAt | None = Field(None, examples=["2023-05-08T13:56:00Z"])
    """When it was said, with its offset; now if left out."""


class RevisedMemory(Body):
    """What a memory is to say from now on; at least one of the two."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": _TEXT}], "minProperties": 1})

    text: Line | None = Field(None, max_length=MAX_MEMORY_LENGTH, examples=[_TEXT])
    """Its new text; stays as it is if left out."""
    said_at: SaidAt | None = Field(None, examples=["2023-05-08T13:56:00Z"])
    """When that was said, with its offset; stays as it is if left out."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.text is None and self.said_at is None:
            raise ValueError("needs text or said_at")
        return self


class AnswerList(Value):
    """A page of answers that stand on a memory, newest first."""

    answers: tuple[AnswerUse, ...]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last."""
