"""The operation log of a bank: numbered without gaps, in the order in which its changes were applied."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Uuid, any_, cast, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import metrics
from app.core.changes import LoggedOperation, Verdict
from app.core.rejections import reason_class
from app.core.undo import Recorded, Standing
from app.core.values import Value
from app.db import committed, tables
from app.db.lanes import Stamp
from app.db.queries import BankKey, in_bank

# Undoing an undoing puts the operation before that into force again, and so on down to what a turn or a client did.
_MARK_UNDONE = text(
    """
    WITH RECURSIVE chain AS (
        SELECT operations.number, operations.undoes, pair.undoing AS undoer, true AS undone
        FROM unnest(CAST(:undone AS bigint[]), CAST(:undoing AS bigint[])) AS pair (undone, undoing)
        JOIN operations ON operations.number = pair.undone
        WHERE operations.tenant_id = :tenant_id AND operations.bank_id = :bank_id
        UNION ALL
        SELECT operations.number, operations.undoes, chain.number, NOT chain.undone
        FROM chain JOIN operations ON operations.number = chain.undoes AND operations.number < chain.number
        WHERE operations.tenant_id = :tenant_id AND operations.bank_id = :bank_id
    )
    UPDATE operations SET undone_by = CASE WHEN chain.undone THEN chain.undoer END
    FROM chain
    WHERE operations.tenant_id = :tenant_id AND operations.bank_id = :bank_id AND operations.number = chain.number
    """
)


class Origin(StrEnum):
    """Who decided on an operation."""

    WORKER = "worker"
    """The Memory Manager, for a turn."""
    CLIENT = "client"
    UNDO = "undo"
    ERASURE = "erasure"
    """What is left of a memory whose newest version was erased comes back."""


class ShownMemory(Value):
    """A memory that the Memory Manager saw when it decided, in the version that it saw."""

    id: UUID
    version: int


class OperationRecord(Recorded):
    """A line of the operation log with all that led to it."""

    origin: Origin
    ingestion_id: UUID | None
    turn_id: UUID | None
    key_id: UUID | None
    """The API key of the client that asked for it."""
    reasoning: str | None
    shown: tuple[ShownMemory, ...]
    policy: str | None
    prompt_version: str | None
    created_at: datetime


async def write(
    session: AsyncSession, key: BankKey, stamp: Stamp, lines: Sequence[LoggedOperation], origin: Origin, **of_all: Any
) -> None:
    """Append lines under the numbers of a stamp that was made for just as many; `of_all` are columns of each."""
    if not lines:
        return
    shared = {**key._asdict(), "origin": origin.value, "created_at": stamp.at, **of_all}
    rows = [
        {**shared, "number": number, **line.model_dump(exclude={"number"})}
        for number, line in enumerate(lines, stamp.first)
    ]
    await session.execute(insert(tables.operations), rows)
    for line in lines:
        committed.count(session, metrics.OPERATIONS, line.kind.value, line.verdict.value, origin.value)
        if line.verdict is Verdict.REJECTED:
            committed.count(session, metrics.OPERATIONS_REJECTED, reason_class(line.reason))


async def mark_undone(session: AsyncSession, key: BankKey, undone_by: Mapping[int, int]) -> None:
    """Note by which operation each of these was undone; what they had undone themselves is in force again."""
    pairs = {"undone": list(undone_by), "undoing": list(undone_by.values())}
    await session.execute(_MARK_UNDONE, {**key._asdict(), **pairs})


def lines_of(key: BankKey) -> Select[Any]:
    """The log of a bank, in the columns of `record_of`."""
    return select(tables.operations).where(in_bank(tables.operations, key))


def record_of(row: Row[Any]) -> OperationRecord:
    """A line of the log from a row of `operations`."""
    fields = {name: getattr(row, name) for name in OperationRecord.model_fields if name != "shown"}
    return OperationRecord(**fields, shown=tuple(ShownMemory.model_validate(memory) for memory in row.shown))


async def read(session: AsyncSession, statement: Select[Any]) -> list[OperationRecord]:
    """The lines of a statement that `lines_of` began."""
    return [record_of(row) for row in await session.execute(statement)]


async def applied_since(
    session: AsyncSession, key: BankKey, memory_ids: Collection[UUID], number: int
) -> list[OperationRecord]:
    """What was applied to memories, from an operation on."""
    operations = tables.operations.c
    statement = lines_of(key).where(
        operations.memory_id == any_(cast(list(memory_ids), ARRAY(Uuid))),
        operations.number >= number,
        operations.verdict == Verdict.APPLIED.value,
    )
    return await read(session, statement.order_by(operations.number))


async def standings(session: AsyncSession, key: BankKey, memory_ids: Collection[UUID]) -> dict[UUID, Standing]:
    """How memories stand; those that are wholly erased are left out."""
    heads, versions = tables.memories, tables.memory_versions
    among = cast(list(memory_ids), ARRAY(Uuid))
    wanted = select(versions.c.memory_id, versions.c.version, versions.c.restores, versions.c.text).where(
        in_bank(versions, key), versions.c.memory_id == any_(among)
    )
    contents: dict[UUID, dict[int, int]] = {}
    texts: dict[UUID, dict[int, str]] = {}
    for row in await session.execute(wanted):
        contents.setdefault(row.memory_id, {})[row.version] = row.restores or row.version
        texts.setdefault(row.memory_id, {})[row.version] = row.text
    newest = select(heads.c.id, heads.c.version, heads.c.live).where(in_bank(heads, key), heads.c.id == any_(among))
    return {
        row.id: Standing(row.version, row.live, contents.get(row.id, {}), texts.get(row.id, {}))
        for row in await session.execute(newest)
    }
