"""The bank on Postgres; implements `app.core.ports.Bank`, one short transaction a call."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.changes import Changes
from app.core.errors import InvalidInput, UnknownBank, UnknownMemory
from app.core.metrics import RETRIEVAL
from app.core.telemetry import SILENT, AttributeValue, SpanKind, Telemetry
from app.core.values import Candidate, Memory, Query, Turn
from app.db import lanes, queries
from app.db.engine import Sessions
from app.db.queries import BankKey

_IS_PAST = text(
    """
    SELECT lanes.written_at >= :moment AND last.received_at >= :moment
    FROM lanes LEFT JOIN LATERAL (
        SELECT received_at FROM turns WHERE turns.tenant_id = lanes.tenant_id AND turns.bank_id = lanes.bank_id
        ORDER BY position DESC LIMIT 1
    ) AS last ON true
    WHERE lanes.tenant_id = :tenant_id AND lanes.bank_id = :bank_id
    """
)
_WAIT_FOR_WRITERS = text(
    """
    SELECT clock_timestamp() FROM banks JOIN lanes ON lanes.tenant_id = banks.tenant_id AND lanes.bank_id = banks.id
    WHERE banks.tenant_id = :tenant_id AND banks.id = :bank_id
    FOR SHARE OF banks FOR SHARE OF lanes
    """
)


class PostgresBank:
    """One bank of one tenant, as it stands or as it was at a moment."""

    def __init__(
        self, sessions: Sessions, key: BankKey, as_of: datetime | None = None, telemetry: Telemetry = SILENT
    ) -> None:
        self._sessions, self._key, self._as_of = sessions, key, as_of
        self._telemetry = telemetry

    def as_of(self, moment: datetime) -> PostgresBank:
        return PostgresBank(self._sessions, self._key, moment, self._telemetry)

    async def recall(self, asked: Sequence[Query], limit: int, speaker: str | None = None) -> list[list[Candidate]]:
        if self._telemetry.is_silent:
            return await self._recall(asked, limit, speaker)
        attributes: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "retrieval",
            "memory_r1.queries": len(asked),
            "memory_r1.limit": limit,
        }
        started = time.perf_counter()
        with self._telemetry.tracer.span("retrieval", attributes, kind=SpanKind.CLIENT) as span:
            found = await self._recall(asked, limit, speaker)
            span.note({"memory_r1.candidates": sum(map(len, found))})
        self._telemetry.meter.observe(RETRIEVAL, time.perf_counter() - started)
        return found

    async def _recall(self, asked: Sequence[Query], limit: int, speaker: str | None) -> list[list[Candidate]]:
        async with self._reading() as session:
            found = [
                await queries.recall_ids(session, self._key, query, limit, speaker, self._as_of) for query in asked
            ]
            ids = list(dict.fromkeys(memory_id for scores in found for memory_id in scores))
            memories = await queries.memories_by_id(session, self._key, ids, self._as_of)
        return [
            [Candidate(memory=memories[i], score=score) for i, score in scores.items() if i in memories]
            for scores in found
        ]

    async def memories(self) -> list[Memory]:
        among = queries.standing(self._key, self._as_of)
        statement = select(*among.memory).where(among.where).order_by(among.columns.seq)
        async with self._reading() as session:
            return [queries.memory_of(row) for row in await session.execute(statement)]

    async def get(self, memory_id: UUID) -> Memory:
        async with self._reading() as session:
            found = await queries.memories_by_id(session, self._key, [memory_id], self._as_of)
        if memory_id not in found:
            raise UnknownMemory(memory_id)
        return found[memory_id]

    async def history(self, memory_id: UUID) -> list[Memory]:
        async with self._reading() as session:
            rows = (await session.execute(queries.versions_of(self._key, memory_id, self._as_of))).all()
        if not rows:
            raise UnknownMemory(memory_id)
        return [queries.memory_of(row) for row in rows]

    async def speakers(self) -> list[str]:
        async with self._reading() as session:
            return await queries.speakers_of(session, self._key, self._as_of)

    async def turns(self, turn_ids: Sequence[UUID]) -> list[Turn]:
        async with self._reading() as session:
            return await queries.turns_by_id(session, self._key, turn_ids, self._as_of)

    async def apply(self, changes: Changes) -> list[Memory]:
        if self._as_of is not None:
            raise ValueError("The past cannot be changed.")
        async with self._sessions.begin(self._key.tenant_id) as session:
            await lanes.lock(session, self._key)
            written = await lanes.stamp(session, self._key, 0)
            return await queries.apply_changes(session, self._key, changes, written.at)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncSession]:
        if self._as_of is not None:
            await settle(self._sessions, self._key, self._as_of)
        async with self._sessions.begin(self._key.tenant_id) as session:
            yield session


async def settle(sessions: Sessions, key: BankKey, moment: datetime) -> None:
    """Wait until nothing can be written any more that would be valid at a moment.

    Raises `InvalidInput` for a moment that is still to come, `UnknownBank` where the bank is gone.
    """
    # Memories are stamped under the lane's lock and turns under the bank's, by a clock that is read after each was
    # given: who comes after this wait writes at a later time, and who came before has committed. The locks are given
    # back before anything is read: readers that share them for long would keep writers out for as long as they overlap.
    async with sessions.begin(key.tenant_id) as session:
        if await session.scalar(_IS_PAST, {**key._asdict(), "moment": moment}):
            return
        now = await session.scalar(_WAIT_FOR_WRITERS, key._asdict())
    if now is None:
        raise UnknownBank(key.bank_id)
    if moment > now:
        raise InvalidInput("as_of lies in the future.")
