"""The bank on Postgres; implements `app.core.ports.Bank`, one short transaction a call."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from app.core.changes import Changes
from app.core.errors import UnknownMemory
from app.core.values import Candidate, Memory, Query, Turn
from app.db import lanes, queries, tables
from app.db.engine import Sessions
from app.db.queries import BankKey


class PostgresBank:
    """One bank of one tenant."""

    def __init__(self, sessions: Sessions, key: BankKey) -> None:
        self._sessions, self._key = sessions, key

    async def recall(self, asked: Sequence[Query], limit: int, speaker: str | None = None) -> list[list[Candidate]]:
        async with self._sessions.begin(self._key.tenant_id) as session:
            found = [await queries.recall_ids(session, self._key, query, limit, speaker) for query in asked]
            ids = list(dict.fromkeys(memory_id for scores in found for memory_id in scores))
            memories = await queries.memories_by_id(session, self._key, ids)
        return [
            [Candidate(memory=memories[i], score=score) for i, score in scores.items() if i in memories]
            for scores in found
        ]

    async def memories(self) -> list[Memory]:
        statement = select(*queries.memory_columns).where(queries.live(self._key)).order_by(tables.memories.c.seq)
        async with self._sessions.begin(self._key.tenant_id) as session:
            return [queries.memory_of(row) for row in await session.execute(statement)]

    async def get(self, memory_id: UUID) -> Memory:
        async with self._sessions.begin(self._key.tenant_id) as session:
            found = await queries.memories_by_id(session, self._key, [memory_id])
        if memory_id not in found:
            raise UnknownMemory(memory_id)
        return found[memory_id]

    async def history(self, memory_id: UUID) -> list[Memory]:
        async with self._sessions.begin(self._key.tenant_id) as session:
            rows = (await session.execute(queries.versions_of(self._key, memory_id))).all()
        if not rows:
            raise UnknownMemory(memory_id)
        return [queries.memory_of(row) for row in rows]

    async def speakers(self) -> list[str]:
        async with self._sessions.begin(self._key.tenant_id) as session:
            return await queries.speakers_of(session, self._key)

    async def turns(self, turn_ids: Sequence[UUID]) -> list[Turn]:
        async with self._sessions.begin(self._key.tenant_id) as session:
            return await queries.turns_by_id(session, self._key, turn_ids)

    async def apply(self, changes: Changes) -> list[Memory]:
        async with self._sessions.begin(self._key.tenant_id) as session:
            await lanes.lock(session, self._key)
            written = await lanes.stamp(session, self._key, 0)
            return await queries.apply_changes(session, self._key, changes, written.at)
