"""A bank as a file: one JSON object a line, a header first, and last the number of lines with a digest of them.

Everything of the bank is there, with ids, numbers and times as they are. What belongs to its place is not: names of
tenant and bank, leases, and the lexical terms, which follow from the texts.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field

from app.core.agents.extractor import MAX_TURN_CHARACTERS, Extraction
from app.core.changes import MAX_MEMORY_LENGTH, Verdict
from app.core.metadata import check_metadata
from app.core.operations import OperationKind
from app.core.ranking import VECTOR_STEPS
from app.core.trace import Trace
from app.core.values import Role, Value
from app.db.oplog import Origin
from app.services.answer import Answered
from app.services.banks import OnFailure

FORMAT = "memory-r1 bank"
FORMAT_VERSION = 1
MAX_LINE_BYTES = 2_000_000
"""A vector of 1100 steps has 7 kB, a turn of 8000 characters at most 48 kB. The longest lines are answers and traces,
with 60 memories and what was said in their source turns: some 100 kB, and with many long turns as sources 1 MB. Who
reads a line holds the interpreter for as long as its JSON takes, so that it must not be much longer than that.
"""
MAX_OPENED = 100_000
"""Brackets in a line, texts included: half a million empty lists take a second to read, though they are short."""
MAX_DEPTH = 64
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_MAX_NUMBER, _MAX_COUNT = 10**15, 10**9


def _in_range(moment: datetime) -> datetime:
    if not EARLIEST <= moment < LATEST:
        raise ValueError("must be from the year 1900 to 2199")
    return moment


def _extraction(body: dict[str, Any]) -> dict[str, Any]:
    Extraction.model_validate_json(json.dumps(body))
    return body


def _answered(body: dict[str, Any]) -> dict[str, Any]:
    """As the service writes it: ids are looked for in it by their usual form."""
    return Answered.model_validate_json(json.dumps(body), strict=True).model_dump(mode="json")


def _traced(body: dict[str, Any]) -> dict[str, Any]:
    Trace.model_validate_json(json.dumps({**body, "role": Role.MANAGER.value}))
    return body


def _metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    check_metadata(_as_posted(metadata))
    return metadata


def _as_posted(value: Any) -> Any:
    """With large numbers as short as they may have been posted: Postgres holds 1e300 with all its digits."""
    if isinstance(value, dict):
        return {name: _as_posted(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_posted(inner) for inner in value]
    if isinstance(value, int) and _MAX_NUMBER < abs(value) < 10**308 and Decimal(repr(float(value))) == value:
        return float(value)
    return value


Moment = Annotated[AwareDatetime, AfterValidator(_in_range)]
Number = Annotated[int, Field(ge=0, le=_MAX_NUMBER)]
Count = Annotated[int, Field(ge=0, le=_MAX_COUNT)]
VersionNumber = Annotated[int, Field(ge=1, le=_MAX_COUNT)]
Speaker = Annotated[str, Field(min_length=1, max_length=100)]
Label = Annotated[str, Field(max_length=200)]
Long = Annotated[str, Field(max_length=100_000)]
Step = Annotated[int, Field(ge=-VECTOR_STEPS, le=VECTOR_STEPS)]
Ids = Annotated[tuple[UUID, ...], Field(max_length=100_000)]


class Line(Value):
    line: int
    """Its number in the file, from 1."""


class BankLine(Line):
    """The header."""

    kind: Literal["bank"] = "bank"
    format: Literal["memory-r1 bank"] = "memory-r1 bank"
    format_version: Literal[1] = 1
    exported_at: Moment
    on_failure: OnFailure
    blocked_by: Number | None
    """Position of the failed turn that the bank waits for."""
    created_at: Moment
    written_at: Moment
    last_position: Number
    last_operation: Number
    embedding_model: Annotated[str, Field(min_length=1, max_length=1000)]
    embedding_dimension: Annotated[int, Field(ge=1, le=16_000)]
    counts: dict[Label, Count]
    """Lines by kind."""


class IngestionLine(Line):
    kind: Literal["ingestion"] = "ingestion"
    id: UUID
    turn_count: Count
    created_at: Moment


class InboxState(Value):
    """How far the work on a turn got."""

    state: Literal["queued", "retrying", "done", "failed"]
    attempts: Count
    run_at: Moment
    error_type: Label | None
    error: Long | None
    extraction: Annotated[dict[str, Any], AfterValidator(_extraction)] | None
    updated_at: Moment


class TurnLine(Line):
    kind: Literal["turn"] = "turn"
    id: UUID
    ingestion_id: UUID
    position: Annotated[int, Field(ge=1, le=_MAX_NUMBER)]
    speaker: Speaker
    text: Annotated[str, Field(min_length=1, max_length=MAX_TURN_CHARACTERS)]
    said_at: Moment
    session: Label | None
    external_id: Label | None
    metadata: Annotated[dict[str, Any], AfterValidator(_metadata)]
    received_at: Moment
    inbox: InboxState


class SpeakerLine(Line):
    kind: Literal["speaker"] = "speaker"
    speaker: Speaker
    first_position: Number


class MemoryLine(Line):
    """A memory; its versions are the next lines, and it says what the last of them does."""

    kind: Literal["memory"] = "memory"
    id: UUID
    version: VersionNumber
    live: bool
    created_at: Moment
    updated_at: Moment


class VersionLine(Line):
    kind: Literal["version"] = "version"
    memory_id: UUID
    version: VersionNumber
    text: Annotated[str, Field(min_length=1, max_length=MAX_MEMORY_LENGTH)]
    speaker: Speaker
    said_at: Moment
    sources: Ids
    embedding: Annotated[tuple[Step, ...], Field(max_length=16_000)]
    """In whole steps; see `app.core.ranking`."""
    valid_from: Moment
    valid_to: Moment | None
    restores: VersionNumber | None


class Shown(Value):
    id: UUID
    version: VersionNumber


class OperationLine(Line):
    kind: Literal["operation"] = "operation"
    number: Annotated[int, Field(ge=1, le=_MAX_NUMBER)]
    origin: Origin
    ingestion_id: UUID | None
    turn_id: UUID | None
    key_id: UUID | None
    operation: OperationKind
    fact: Long | None
    verdict: Verdict
    reason: Long | None
    reasoning: Long | None
    fallback: bool
    shown: Annotated[tuple[Shown, ...], Field(max_length=10_000)]
    memory_id: UUID | None
    version_before: VersionNumber | None
    version_after: VersionNumber | None
    text_before: Long | None
    text_after: Long | None
    policy: Long | None
    prompt_version: Long | None
    undoes: Number | None
    undone_by: Number | None
    erased_at: Moment | None
    created_at: Moment


class AnswerLine(Line):
    kind: Literal["answer"] = "answer"
    id: UUID
    body: Annotated[dict[str, Any], AfterValidator(_answered)]
    memory_ids: Ids
    distilled_ids: Ids
    turn_ids: Ids
    created_at: Moment


class TraceLine(Line):
    kind: Literal["trace"] = "trace"
    id: UUID
    role: Role
    turn_id: UUID | None
    answer_id: UUID | None
    turn_ids: Ids | None
    memory_ids: Ids | None
    body: Annotated[dict[str, Any], AfterValidator(_traced)]
    created_at: Moment


class EndLine(Line):
    """The footer, without which the file was cut off."""

    kind: Literal["end"] = "end"
    lines: Count
    """How many stand before it."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Of all bytes before it."""


KINDS: dict[str, type[Line]] = {
    "bank": BankLine,
    "ingestion": IngestionLine,
    "turn": TurnLine,
    "speaker": SpeakerLine,
    "memory": MemoryLine,
    "version": VersionLine,
    "operation": OperationLine,
    "answer": AnswerLine,
    "trace": TraceLine,
    "end": EndLine,
}
"""By kind, in the order in which they stand in a file; versions follow their memory."""


def written(line: Line) -> bytes:
    """A line as it stands in a file."""
    return line.model_dump_json(warnings=False).encode() + b"\n"
