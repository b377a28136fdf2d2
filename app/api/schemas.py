"""What clients send, with every bound. What they get is in `app.services` as values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from app.core.agents.answerer import MAX_CANDIDATES
from app.core.agents.extractor import MAX_TURN_CHARACTERS
from app.core.values import Candidate, Memory, Value
from app.services.answer import SourceTurn
from app.services.banks import BankSummary
from app.services.ingest import State

MAX_TURNS = 10_000
MAX_METADATA_BYTES = 4096
MAX_QUESTION_CHARACTERS = 2000
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain the character NUL")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _in_range(moment: datetime) -> datetime:
    if not EARLIEST <= moment < LATEST:
        raise ValueError("must be from the year 1900 to 2199")
    return moment


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        written = json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError("must be plain JSON without NaN, infinities or lone surrogates") from error
    if len(written) > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes as JSON")
    if "\\u0000" in written.decode():
        raise ValueError("must not contain the character NUL")
    return metadata


Line = Annotated[str, AfterValidator(_storable), AfterValidator(_not_blank)]
SaidAt = Annotated[AwareDatetime, AfterValidator(_in_range)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class PostedTurn(Body):
    """One dialogue turn."""

    speaker: Line = Field(max_length=100, examples=["Alice"])
    """Who said it."""
    text: Line = Field(max_length=MAX_TURN_CHARACTERS, examples=["I adopted a dog named Buddy yesterday."])
    """What was said."""
    said_at: SaidAt | None = Field(None, examples=["2023-05-08T13:56:00Z"])
    """When it was said, with its offset; now if left out. Relative dates are resolved against it."""
    session: Line | None = Field(None, max_length=200)
    """The conversation or session that it belongs to."""
    external_id: Line | None = Field(None, max_length=200)
    """Your id of the turn; posting it again stores nothing twice."""
    metadata: Annotated[dict[str, Any], AfterValidator(_small)] = Field(default_factory=dict)
    """Anything else, kept with the turn and shown to no model."""


class PostTurns(Body):
    """One or many turns, in the order in which they were said."""

    turns: list[PostedTurn] = Field(min_length=1, max_length=MAX_TURNS)


class PostedReceipt(Value):
    """Everything that was posted is stored for good; the worker takes it from there."""

    ingestion_id: UUID
    state: State
    turn_ids: tuple[UUID, ...]
    """One for each posted turn, in order."""
    duplicates: int
    """How many were stored before, by external id."""


class Search(Body):
    """What to look for in a bank."""

    query: Line = Field(max_length=MAX_QUESTION_CHARACTERS)
    limit: int = Field(10, ge=1, le=MAX_CANDIDATES)
    lexical: bool | None = None
    """With or without the lexical arm; the service's setting if left out."""
    per_speaker: bool = False
    """Retrieve as `/answer` does: half of `limit` for each speaker where the bank has two."""


class Found(Value):
    """Memories, best first."""

    candidates: tuple[Candidate, ...]


class MemoryList(Value):
    """A page of memories, oldest first."""

    memories: tuple[Memory, ...]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last."""


class MemoryDetail(Value):
    """A memory with its versions and the turns that it came from."""

    memory: Memory
    versions: tuple[Memory, ...]
    """Oldest first; the last one is `memory`."""
    sources: tuple[SourceTurn, ...]


class BankList(Value):
    """A page of banks by name."""

    banks: tuple[BankSummary, ...]
    next_cursor: str | None


class Question(Body):
    """What to answer from a bank."""

    question: Line = Field(max_length=MAX_QUESTION_CHARACTERS, examples=["Which pets does Alice have?"])


class Retried(Value):
    """How many failed turns are worked on again."""

    turns: int


class Health(Value):
    """State of the service."""

    status: str
