"""Where things came from and what became of them: versions of memories, their turns, and the answers that used them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Uuid, and_, any_, cast, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.changes import Verdict
from app.core.errors import UnknownMemory, UnknownTurn
from app.core.values import Memory, Value
from app.db import queries, tables
from app.db.engine import Sessions
from app.db.queries import BankKey, in_bank
from app.services import ingest
from app.services.ingest import TurnProgress


class MemoryVersion(Memory):
    """A memory in one version: when it was what the bank remembered, and what made it so."""

    valid_from: datetime
    valid_to: datetime | None
    """When the next version took its place, or the memory was removed; null while it stands."""
    restores: int | None
    """The version whose content an undo brought back in it."""
    operation: int | None
    """The number of the operation that made it."""


class TurnOrigin(Value):
    """A turn with all that came from it."""

    turn: TurnProgress
    ingestion_id: UUID
    received_at: datetime
    memories: tuple[MemoryVersion, ...]
    """The versions of memories that have the turn among their sources, by memory and version."""


class AnswerUse(Value):
    """An answer that stands on a memory."""

    id: UUID
    question: str
    answer: str | None
    version: int
    """The version of the memory that was used."""
    created_at: datetime


class Place(NamedTuple):
    """Where a page of answers ended."""

    created_at: datetime
    id: UUID


class AnswerUsePage(Value):
    answers: tuple[AnswerUse, ...]
    """Newest first."""
    next: Place | None


async def versions_of(session: AsyncSession, key: BankKey, memory_id: UUID) -> list[MemoryVersion]:
    """All versions of a memory, oldest first; none where nobody knows it."""
    rows = (await session.execute(queries.versions_of(key, memory_id))).all()
    return await _with_operations(session, key, rows)


async def read_turn(sessions: Sessions, key: BankKey, turn_id: UUID) -> TurnOrigin:
    """A turn with what became of it. Raises `UnknownTurn`."""
    turns, versions = tables.turns, tables.memory_versions
    received = select(turns.c.ingestion_id, turns.c.received_at).where(in_bank(turns, key), turns.c.id == turn_id)
    async with sessions.begin(key.tenant_id) as session:
        row = (await session.execute(received)).one_or_none()
        if row is None:
            raise UnknownTurn(turn_id)
        progress = await ingest.read_turn(session, key, turn_id)
        derived = queries.versions(key).where(any_(versions.c.sources) == turn_id)
        ordered = derived.order_by(tables.memories.c.seq, versions.c.version)
        memories = await _with_operations(session, key, (await session.execute(ordered)).all())
    return TurnOrigin(
        turn=progress, ingestion_id=row.ingestion_id, received_at=row.received_at, memories=tuple(memories)
    )


async def answers_of(
    sessions: Sessions, key: BankKey, memory_id: UUID, limit: int, after: Place | None
) -> AnswerUsePage:
    """The answers that distilled a memory, newest first. Raises `UnknownMemory`."""
    answers, heads = tables.answers, tables.memories
    told = [answers.c.body[name].label(name) for name in ("question", "answer", "memories")]
    statement = (
        select(answers.c.id, answers.c.created_at, *told)
        .where(in_bank(answers, key), any_(answers.c.distilled_ids) == memory_id)
        .order_by(answers.c.created_at.desc(), answers.c.id.desc())
        .limit(limit + 1)
    )
    if after is not None:
        statement = statement.where(tuple_(answers.c.created_at, answers.c.id) < tuple_(*after))
    async with sessions.begin(key.tenant_id) as session:
        if await session.scalar(select(heads.c.id).where(in_bank(heads, key), heads.c.id == memory_id)) is None:
            raise UnknownMemory(memory_id)
        rows = (await session.execute(statement)).all()
    found = tuple(use for row in rows[:limit] for use in _uses_of(row, memory_id))
    last = rows[limit - 1] if len(rows) > limit else None
    return AnswerUsePage(answers=found, next=Place(last.created_at, last.id) if last is not None else None)


def _uses_of(row: Row[Any], memory_id: UUID) -> Iterator[AnswerUse]:
    """The use of the memory; none where the answer does not hold what its row names."""
    told = {"id": row.id, "question": row.question, "answer": row.answer, "created_at": row.created_at}
    for memory in row.memories:
        if UUID(memory["id"]) == memory_id:
            yield AnswerUse(**told, version=memory["version"])
            return


async def _with_operations(session: AsyncSession, key: BankKey, rows: Iterable[Row[Any]]) -> list[MemoryVersion]:
    rows = list(rows)
    made = {(row.memory_id, row.version_after): row.number for row in await session.execute(_made(key, rows))}
    return [
        MemoryVersion(
            **queries.memory_of(row).model_dump(),
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            restores=row.restores,
            operation=made.get((row.id, row.version)),
        )
        for row in rows
    ]


def _made(key: BankKey, rows: Iterable[Row[Any]]) -> Select[Any]:
    """The operations that made versions of these memories."""
    operations = tables.operations
    about = cast(sorted({row.id for row in rows}), ARRAY(Uuid))
    return select(operations.c.memory_id, operations.c.version_after, operations.c.number).where(
        and_(in_bank(operations, key), operations.c.memory_id == any_(about)),
        operations.c.version_after.is_not(None),
        operations.c.verdict == Verdict.APPLIED.value,
    )
