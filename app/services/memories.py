"""Reading a bank: its memories page by page, one with its versions, and search."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from app.core import retrieval
from app.core.errors import UnknownMemory
from app.core.values import Candidate, Memory, Turn, Value
from app.db import queries, tables
from app.db.engine import Sessions
from app.db.queries import BankKey
from app.llm.embedding import embed_queries
from app.services.service import Service


class MemoryPage(Value):
    memories: tuple[Memory, ...]
    next: int | None
    """The place to continue after."""


class MemoryHistory(Value):
    """A memory with its past."""

    memory: Memory
    """As it is, or as it last was."""
    deleted: bool
    versions: tuple[Memory, ...]
    """Oldest first."""
    turns: tuple[Turn, ...]
    """What it came from."""


async def page(sessions: Sessions, key: BankKey, limit: int, after: int | None) -> MemoryPage:
    """Live memories, oldest first."""
    memories = tables.memories.c
    statement = select(*queries.memory_columns).where(queries.live(key)).order_by(memories.seq).limit(limit + 1)
    if after is not None:
        statement = statement.where(memories.seq > after)
    async with sessions.begin(key.tenant_id) as session:
        rows = (await session.execute(statement)).all()
    found = tuple(queries.memory_of(row) for row in rows[:limit])
    return MemoryPage(memories=found, next=rows[limit - 1].seq if len(rows) > limit else None)


async def with_sources(service: Service, key: BankKey, memory_id: UUID) -> MemoryHistory:
    """A memory, live or deleted, with its versions and the turns that it came from. Raises `UnknownMemory`."""
    bank = service.bank(key)
    versions = await bank.history(memory_id)
    try:
        memory, deleted = await bank.get(memory_id), False
    except UnknownMemory:
        # Deleted: its last version still tells what it was.
        memory, deleted = versions[-1], True
    turns = await bank.turns(memory.sources)
    return MemoryHistory(memory=memory, deleted=deleted, versions=tuple(versions), turns=tuple(turns))


async def search(
    service: Service, key: BankKey, text: str, limit: int, *, use_lexical: bool | None, per_speaker: bool
) -> list[Candidate]:
    """The best memories for a text; `per_speaker` retrieves as `/answer` does. Raises a `ModelError`."""
    lexical = service.settings.retrieval.lexical if use_lexical is None else use_lexical
    query = (await embed_queries(service.embedder, [text], use_lexical=lexical))[0]
    bank = service.bank(key)
    if per_speaker:
        return await retrieval.candidates(bank, query, limit)
    named = retrieval.without_names(query, await bank.speakers())
    return (await bank.recall([named], limit))[0]
