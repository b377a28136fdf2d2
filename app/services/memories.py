"""Reading a bank: its memories page by page, one with its versions, and search."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from app.core import retrieval
from app.core.errors import UnknownMemory
from app.core.values import Candidate, Memory, Turn, Value
from app.db import bank as banks
from app.db import queries
from app.db.engine import Sessions
from app.db.queries import BankKey
from app.llm.embedding import embed_queries
from app.services import provenance
from app.services.provenance import MemoryVersion
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
    versions: tuple[MemoryVersion, ...]
    """Oldest first."""
    turns: tuple[Turn, ...]
    """What it came from."""


async def page(
    sessions: Sessions, key: BankKey, limit: int, after: int | None, as_of: datetime | None = None
) -> MemoryPage:
    """Live memories, or those that were live at a moment, oldest first. Raises `InvalidInput` for one to come."""
    among = queries.standing(key, as_of)
    statement = select(*among.memory).where(among.where).order_by(among.columns.seq).limit(limit + 1)
    if after is not None:
        statement = statement.where(among.columns.seq > after)
    if as_of is not None:
        await banks.settle(sessions, key, as_of)
    async with sessions.begin(key.tenant_id) as session:
        rows = (await session.execute(statement)).all()
    found = tuple(queries.memory_of(row) for row in rows[:limit])
    return MemoryPage(memories=found, next=rows[limit - 1].seq if len(rows) > limit else None)


async def with_sources(service: Service, key: BankKey, memory_id: UUID) -> MemoryHistory:
    """A memory, live or deleted, with its versions and the turns that it came from. Raises `UnknownMemory`."""
    async with service.sessions.begin(key.tenant_id) as session:
        versions = await provenance.versions_of(session, key, memory_id)
        if not versions:
            raise UnknownMemory(memory_id)
        # Deleted: its last version still tells what it was.
        last = versions[-1]
        turns = await queries.turns_by_id(session, key, last.sources)
    memory = Memory.model_validate(last.model_dump(include=set(Memory.model_fields)))
    deleted = last.valid_to is not None
    return MemoryHistory(memory=memory, deleted=deleted, versions=tuple(versions), turns=tuple(turns))


async def search(
    service: Service,
    key: BankKey,
    text: str,
    limit: int,
    *,
    use_lexical: bool | None,
    per_speaker: bool,
    as_of: datetime | None = None,
) -> list[Candidate]:
    """The best memories for a text; `per_speaker` retrieves as `/answer` does.

    Raises a `ModelError`, and `InvalidInput` for a moment to come.
    """
    lexical = service.settings.retrieval.lexical if use_lexical is None else use_lexical
    query = (await embed_queries(service.embedder, [text], use_lexical=lexical))[0]
    bank = service.bank(key, as_of)
    if per_speaker:
        return await retrieval.candidates(bank, query, limit)
    named = retrieval.without_names(query, await bank.speakers())
    return (await bank.recall([named], limit))[0]
