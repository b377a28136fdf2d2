"""What clients send, with every bound. What they get is in `app.services` as values."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.core.agents.answerer import MAX_CANDIDATES
from app.core.agents.extractor import MAX_TURN_CHARACTERS
from app.core.metadata import check_metadata
from app.core.values import Candidate, Memory, Value
from app.services.answer import SourceTurn
from app.services.banks import BankSummary
from app.services.ingest import State, TurnProgress
from app.services.provenance import MemoryVersion

MAX_TURNS = 10_000
MAX_LABEL_CHARACTERS = 200
MAX_QUESTION_CHARACTERS = 2000
_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain the character NUL")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("must not contain lone surrogates") from error
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _written_as_date(said_at: Any) -> Any:
    # Pydantic would read numbers, and strings of digits, as seconds since 1970.
    if said_at is not None and not (isinstance(said_at, str) and _DATE.match(said_at)):
        raise ValueError("must be a date and time as RFC 3339 has it, such as 2023-05-08T13:56:00Z")
    return said_at


def _in_range(moment: datetime) -> datetime:
    if not EARLIEST <= moment < LATEST:
        raise ValueError("must be from the year 1900 to 2199")
    return moment


_VISIBLE: dict[str, Any] = {"pattern": r"\S"}
Line = Annotated[
    str, Field(min_length=1, json_schema_extra=_VISIBLE), AfterValidator(_storable), AfterValidator(_not_blank)
]
Label = Annotated[
    str,
    Field(min_length=1, max_length=MAX_LABEL_CHARACTERS, json_schema_extra=_VISIBLE),
    AfterValidator(_storable),
    AfterValidator(_not_blank),
]
SaidAt = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written_as_date), AfterValidator(_in_range)]


StoredState = Literal["queued", "retrying", "done", "failed"]
"""States of a single turn."""


class Body(BaseModel):
    """What a client sends: nothing is coerced, and nothing unknown is ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, body: Any) -> Any:
        # One fault, however many there are, and without their names, which are the client's.
        if isinstance(body, dict) and not body.keys() <= cls.model_fields.keys():
            raise ValueError(f"has an unknown field; known are {', '.join(cls.model_fields)}")
        return body


class PostedTurn(Body):
    """One dialogue turn."""

    speaker: Line = Field(max_length=100, examples=["Alice"])
    """Who said it."""
    text: Line = Field(max_length=MAX_TURN_CHARACTERS, examples=["I adopted a dog named Buddy yesterday."])
    """What was said."""
    said_at: SaidAt | None = Field(None, examples=["2023-05-08T13:56:00Z"])
    """When it was said, with its offset; now if left out. Relative dates are resolved against it."""
    session: Label | None = Field(None, examples=["chat-17"])
    """The conversation or session that it belongs to."""
    external_id: Label | None = Field(None, examples=["chat-17:3"])
    """Your id of the turn; posting it again stores nothing twice."""
    metadata: Annotated[dict[str, Any], AfterValidator(check_metadata)] = Field(default_factory=dict)
    """Anything else, kept with the turn and shown to no model."""


class PostTurns(Body):
    """One or many turns, in the order in which they were said."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "turns": [
                        {
                            "speaker": "Alice",
                            "text": "I adopted a dog named Buddy yesterday.",
                            "said_at": "2023-05-08T13:56:00Z",
                            "external_id": "chat-17:3",
                        }
                    ]
                }
            ]
        }
    )

    turns: list[PostedTurn] = Field(min_length=1, max_length=MAX_TURNS)


class PostedReceipt(Value):
    """Everything that was posted is stored for good; the worker takes it from there."""

    ingestion_id: UUID
    state: State
    turn_ids: tuple[UUID, ...]
    """One for each posted turn, in order."""
    duplicates: int
    """How many were stored before, by external id; they are not worked on again."""
    earlier_ingestion_ids: tuple[UUID, ...]
    """The ingestions that stored the duplicates: follow those to learn what becomes of them."""


class Search(Body):
    """What to look for in a bank."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "pets", "limit": 5}]})

    query: Line = Field(max_length=MAX_QUESTION_CHARACTERS, examples=["pets"])
    limit: int = Field(10, ge=1, le=MAX_CANDIDATES)
    lexical: bool | None = None
    """With or without the lexical arm; the service's setting if left out."""
    per_speaker: bool = False
    """As `/answer` does: of two speakers, each has half of `limit`, or the one that the query names three quarters."""
    as_of: SaidAt | None = None
    """Search the bank as it was at this date and time, with its offset; it must not lie in the future."""


class Found(Value):
    """Memories, best first."""

    candidates: tuple[Candidate, ...]
    as_of: datetime | None
    """The moment that was asked about; null: now."""


class MemoryList(Value):
    """A page of memories, oldest first."""

    memories: tuple[Memory, ...]
    as_of: datetime | None
    """The moment that was asked about; null: now. The next page takes it too."""
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last."""


class MemoryDetail(Value):
    """A memory with its versions and the turns that it came from."""

    memory: Memory
    deleted: bool
    """Whether the bank has forgotten it; `memory` is then as it last was."""
    versions: tuple[MemoryVersion, ...]
    """Oldest first."""
    sources: tuple[SourceTurn, ...]


class BankList(Value):
    """A page of banks by name."""

    banks: tuple[BankSummary, ...]
    next_cursor: str | None


class Question(Body):
    """What to answer from a bank."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"question": "Which pets does Alice have?"}]})

    question: Line = Field(max_length=MAX_QUESTION_CHARACTERS, examples=["Which pets does Alice have?"])
    as_of: SaidAt | None = None
    """Answer from the bank as it was at this date and time, with its offset; it must not lie in the future."""
    best_guess: bool = False
    """Answer with what is most likely where the memories do not clearly tell, and abstain only where there are none."""


class TurnList(Value):
    """A page of turns in order of arrival."""

    turns: tuple[TurnProgress, ...]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last."""


class Health(Value):
    """State of the service."""

    status: str
