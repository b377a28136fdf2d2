"""Exporting a bank: one snapshot of it, written line by line in little memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import ErasedMeanwhile, Overloaded, UnknownBank
from app.db import tables
from app.db.queries import BankKey, in_bank
from app.services import audit, banks
from app.services.callers import Caller
from app.services.service import Service
from app.services.transfer_lines import (
    AnswerLine,
    BankLine,
    EndLine,
    InboxState,
    IngestionLine,
    Line,
    MemoryLine,
    OperationLine,
    SpeakerLine,
    TraceLine,
    TurnLine,
    VersionLine,
    written,
)

CHUNK_BYTES = 64_000
ROWS_AT_ONCE = 200
IDLE_MARGIN_SECONDS = 10
_COUNTED = {
    "ingestion": tables.ingestions,
    "turn": tables.turns,
    "speaker": tables.speakers,
    "memory": tables.memories,
    "version": tables.memory_versions,
    "operation": tables.operations,
    "answer": tables.answers,
    "trace": tables.traces,
}


@asynccontextmanager
async def exported(service: Service, caller: Caller, name: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """The file of a bank as it is now, in chunks; the snapshot lasts as long as the block.

    Raises `UnknownBank`, or `Overloaded` where too many exports and imports are under way; between chunks
    `ErasedMeanwhile` where the bank, or a turn of it, is erased.
    """
    if service.transferring.locked():
        raise Overloaded("The service exports and imports as many banks as it can; try again later.")
    async with service.transferring:
        async with service.sessions.begin(caller.tenant_id) as session:
            key = await banks.find_in(session, caller.tenant_id, name)
            await audit.note(session, caller, "bank.exported", banks.name_digest(caller.tenant_id, name))
        idle = service.settings.server.transfer_seconds + IDLE_MARGIN_SECONDS
        async with service.sessions.snapshot(caller.tenant_id, idle) as session:
            lines = _Lines(session, key)
            header = await lines.header()
            async with aclosing(lines.rest()) as rest, aclosing(_chunks(rest, header)) as chunks:
                erasures = await _erasures(session, caller.tenant_id, name)
                async with aclosing(_unerased(chunks, service, caller, name, erasures)) as still_there:
                    yield still_there


async def _unerased(
    chunks: AsyncIterator[bytes], service: Service, caller: Caller, name: str, erasures: int
) -> AsyncGenerator[bytes]:
    """The chunks for as long as nothing was erased since the snapshot, which goes on showing it."""
    async for chunk in chunks:
        async with service.sessions.begin(caller.tenant_id) as session:
            if await _erasures(session, caller.tenant_id, name) != erasures:
                raise ErasedMeanwhile("What is being exported was erased meanwhile.")
        yield chunk


async def _erasures(session: AsyncSession, tenant_id: UUID, name: str) -> int:
    """How often a bank of that name, or a turn of it, was erased."""
    erasures = tables.erasures.c
    of_bank = erasures.body["bank"].astext == banks.name_digest(tenant_id, name)
    return await session.scalar(select(func.count()).where(erasures.tenant_id == tenant_id, of_bank)) or 0


async def _chunks(rest: AsyncIterator[Line], header: BankLine) -> AsyncGenerator[bytes]:
    digest, count = hashlib.sha256(), 1
    chunk = bytearray(written(header))
    async for line in rest:
        count += 1
        chunk += written(line)
        if len(chunk) >= CHUNK_BYTES:
            digest.update(chunk)
            yield bytes(chunk)
            chunk.clear()
    digest.update(chunk)
    chunk += written(EndLine(line=count + 1, lines=count, sha256=digest.hexdigest()))
    yield bytes(chunk)


class _Lines:
    """The lines of one bank, read in one transaction."""

    def __init__(self, session: AsyncSession, key: BankKey) -> None:
        self._session, self._key = session, key
        self._number = 1
        self._memory_id: UUID | None = None

    async def header(self) -> BankLine:
        """Raises `UnknownBank` where it was erased meanwhile."""
        banks_, lanes = tables.banks, tables.lanes
        own = select(banks_, lanes.c.blocked_by, lanes.c.written_at, lanes.c.last_operation).join_from(
            banks_, lanes, (lanes.c.tenant_id == banks_.c.tenant_id) & (lanes.c.bank_id == banks_.c.id)
        )
        own = own.where(banks_.c.tenant_id == self._key.tenant_id, banks_.c.id == self._key.bank_id)
        row = (await self._session.execute(own)).one_or_none()
        if row is None:
            raise UnknownBank(self._key.bank_id)
        fields = {name: getattr(row, name) for name in BankLine.model_fields if hasattr(row, name)}
        return BankLine(line=1, exported_at=datetime.now(UTC), counts=await self._counts(), **fields)

    async def _counts(self) -> dict[str, int]:
        counted = [
            select(literal(kind), func.count()).select_from(table).where(in_bank(table, self._key))
            for kind, table in _COUNTED.items()
        ]
        found = {str(kind): int(count) for kind, count in await self._session.execute(union_all(*counted))}
        return {kind: found[kind] for kind in _COUNTED}

    async def rest(self) -> AsyncGenerator[Line]:
        """Everything between header and footer."""
        for statement, lines in self._parts():
            result = await self._session.stream(statement, execution_options={"yield_per": ROWS_AT_ONCE})
            try:
                async for row in result:
                    for line in lines(row):
                        yield line
            finally:
                await result.close()

    def _parts(self) -> list[tuple[Select[Any], Callable[[Row[Any]], Iterable[Line]]]]:
        return [
            (self._of(tables.ingestions, "id"), lambda row: [self._line(IngestionLine, row)]),
            (self._turns(), lambda row: [self._line(TurnLine, row, inbox=_inbox(row))]),
            (self._of(tables.speakers, "first_position", "speaker"), lambda row: [self._line(SpeakerLine, row)]),
            (self._versions(), self._with_memory),
            (
                self._of(tables.operations, "number"),
                lambda row: [self._line(OperationLine, row, kind="operation", operation=row.kind)],
            ),
            (self._of(tables.answers, "id"), lambda row: [self._line(AnswerLine, row)]),
            (self._of(tables.traces, "id"), lambda row: [self._line(TraceLine, row)]),
        ]

    def _with_memory(self, row: Row[Any]) -> Iterable[Line]:
        """A version, with its memory before the first of them."""
        if row.memory_id != self._memory_id:
            self._memory_id = row.memory_id
            yield self._line(MemoryLine, row, id=row.memory_id, version=row.head_version)
        yield self._line(VersionLine, row, embedding=tuple(int(step) for step in row.embedding))

    def _line(self, form: type[Line], row: Row[Any], **fields: Any) -> Line:
        self._number += 1
        named = {name: getattr(row, name) for name in form.model_fields if name not in fields and hasattr(row, name)}
        # What is stored is written as it is: a bank can be taken out whatever an earlier version put in.
        return form.model_construct(None, line=self._number, **named, **fields)

    def _of(self, table: Any, *order: str) -> Select[Any]:
        return select(table).where(in_bank(table, self._key)).order_by(*(table.c[name] for name in order))

    def _turns(self) -> Select[Any]:
        turns, inbox = tables.turns, tables.inbox
        same = in_bank(inbox, self._key) & (inbox.c.position == turns.c.position)
        state = [inbox.c[name] for name in InboxState.model_fields]
        return self._of(turns, "position").add_columns(*state).join(inbox, same)

    def _versions(self) -> Select[Any]:
        heads, versions = tables.memories, tables.memory_versions
        own = [versions.c[n] for n in VersionLine.model_fields if n in versions.c]
        head = [heads.c.version.label("head_version"), heads.c.live, heads.c.created_at, heads.c.updated_at]
        same = in_bank(heads, self._key) & (heads.c.id == versions.c.memory_id)
        statement = select(*own, *head).join_from(versions, heads, same).where(in_bank(versions, self._key))
        return statement.order_by(heads.c.seq, versions.c.version)


def _inbox(row: Row[Any]) -> InboxState:
    return InboxState.model_construct(None, **{name: getattr(row, name) for name in InboxState.model_fields})
