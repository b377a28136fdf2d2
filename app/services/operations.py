"""The operation log of a bank: reading it, and undoing what it tells of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import undo
from app.core.changes import LoggedOperation, Verdict
from app.core.errors import IngestionUnderWay, NothingToUndo, UnknownIngestion, UnknownOperation
from app.core.values import Value
from app.db import lanes, oplog, queries, tables
from app.db.engine import Sessions
from app.db.oplog import OperationRecord, Origin
from app.db.queries import BankKey, in_bank
from app.services import events
from app.services.once import Once


class Order(StrEnum):
    """Which lines of the log come first."""

    NEWEST = "newest"
    OLDEST = "oldest"


class Which(Value):
    """Which lines of the log are wanted; what is None does not matter."""

    memory_id: UUID | None = None
    ingestion_id: UUID | None = None
    turn_id: UUID | None = None
    verdict: Verdict | None = None
    origin: Origin | None = None


class OperationPage(Value):
    operations: tuple[OperationRecord, ...]
    next: int | None
    """The number to continue after."""


class Undone(Value):
    """What an undo did: operations in their own right, which can be undone in turn."""

    operations: tuple[OperationRecord, ...]
    skipped: tuple[int, ...] = ()
    """Numbers of operations of the post whose effect stays, since what their undoing needs has been erased."""


async def page(
    sessions: Sessions, key: BankKey, which: Which, limit: int, after: int | None, order: Order = Order.NEWEST
) -> OperationPage:
    """Lines of the log by number."""
    number = tables.operations.c.number
    statement = _which(key, which).limit(limit + 1)
    if order is Order.NEWEST:
        statement = statement.order_by(number.desc())
        statement = statement if after is None else statement.where(number < after)
    else:
        statement = statement.order_by(number)
        statement = statement if after is None else statement.where(number > after)
    async with sessions.begin(key.tenant_id) as session:
        found = await oplog.read(session, statement)
    return OperationPage(operations=tuple(found[:limit]), next=found[limit - 1].number if len(found) > limit else None)


async def read(sessions: Sessions, key: BankKey, number: int) -> OperationRecord:
    """One line of the log. Raises `UnknownOperation`."""
    async with sessions.begin(key.tenant_id) as session:
        return await _read(session, key, number)


async def undo_one(sessions: Sessions, key: BankKey, number: int, once: Once, key_id: UUID | None = None) -> Undone:
    """Undo an operation. Raises `UnknownOperation`, `NothingToUndo`, `UndoConflict`, `IdempotencyConflict`."""
    async with sessions.begin(key.tenant_id) as session:
        if (earlier := await once.claim(session, key.tenant_id)) is not None:
            return Undone.model_validate_json(json.dumps(earlier))
        await lanes.lock(session, key)
        undone = await _undo(session, key, [await _read(session, key, number)], key_id)
        await once.keep(session, key.tenant_id, undone, key, holds_text=True)
    return undone


async def undo_ingestion(
    sessions: Sessions, key: BankKey, ingestion_id: UUID, once: Once, key_id: UUID | None = None
) -> Undone:
    """Undo all that a post of turns did to the bank and that is in force, newest first; or nothing, where something
    later stands in the way. What can never be undone, since versions that it needs were erased, is skipped and named.

    Raises `UnknownIngestion`, `IngestionUnderWay`, `NothingToUndo`, `UndoConflict`, `IdempotencyConflict`.
    """
    async with sessions.begin(key.tenant_id) as session:
        if (earlier := await once.claim(session, key.tenant_id)) is not None:
            return Undone.model_validate_json(json.dumps(earlier))
        await lanes.lock(session, key)
        await _check_ended(session, key, ingestion_id)
        lines = _which(key, Which(ingestion_id=ingestion_id, verdict=Verdict.APPLIED))
        in_force = await oplog.read(session, lines.where(tables.operations.c.undone_by.is_(None)))
        undone = await _undo(session, key, in_force, key_id)
        await once.keep(session, key.tenant_id, undone, key, holds_text=True)
    return undone


async def _read(session: AsyncSession, key: BankKey, number: int) -> OperationRecord:
    found = await oplog.read(session, oplog.lines_of(key).where(tables.operations.c.number == number))
    if not found:
        raise UnknownOperation(number)
    return found[0]


def _which(key: BankKey, which: Which) -> Select[Any]:
    operations = tables.operations.c
    wanted = {name: value for name, value in which.model_dump().items() if value is not None}
    return oplog.lines_of(key).where(*(operations[name] == value for name, value in wanted.items()))


async def _check_ended(session: AsyncSession, key: BankKey, ingestion_id: UUID) -> None:
    """Under the lane's lock: no turn of it is decided upon until the transaction ends."""
    inbox, ingestions = tables.inbox, tables.ingestions
    known = select(ingestions.c.id).where(in_bank(ingestions, key), ingestions.c.id == ingestion_id)
    if await session.scalar(known) is None:
        raise UnknownIngestion(ingestion_id)
    waiting = select(inbox.c.position).where(
        in_bank(inbox, key), inbox.c.ingestion_id == ingestion_id, inbox.c.state.in_(lanes.WAITING)
    )
    if await session.scalar(waiting.limit(1)) is not None:
        raise IngestionUnderWay()


async def _undo(session: AsyncSession, key: BankKey, undone: Sequence[OperationRecord], key_id: UUID | None) -> Undone:
    """Under the lane's lock: plan, apply and log the undoing of operations."""
    if not undone:
        raise NothingToUndo("Nothing that the ingestion did is in force.")
    about = {operation.memory_id for operation in undone if operation.memory_id is not None}
    history = await oplog.applied_since(session, key, about, min(operation.number for operation in undone))
    standings = await oplog.standings(session, key, about)
    # Thousands of operations take a while, and the lane is locked, but the process goes on.
    steps, skipped = await asyncio.to_thread(undo.plan, undone, standings, history)
    lines: list[LoggedOperation] = [step.line for step in steps]
    written = await lanes.stamp(session, key, len(lines))
    for changes in undo.waves(steps):
        await queries.apply_changes(session, key, changes, written.at)
    await oplog.write(session, key, written, lines, Origin.UNDO, key_id=key_id)
    undone_by = {line.undoes: number for number, line in enumerate(lines, written.first) if line.undoes is not None}
    await oplog.mark_undone(session, key, undone_by)
    await events.memory_changed(session, key, written, lines, Origin.UNDO)
    new = oplog.lines_of(key).where(tables.operations.c.number >= written.first)
    operations = await oplog.read(session, new.order_by(tables.operations.c.number))
    return Undone(operations=tuple(operations), skipped=skipped)
