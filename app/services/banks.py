"""Banks: made by their first turn, found by name, listed, deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Text, delete, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import EmbeddingMismatch, UnknownBank
from app.core.ports import Embedder
from app.core.values import Value
from app.db import tables
from app.db.engine import Sessions
from app.db.queries import BankKey, in_bank, live

_OTHER_EMBEDDING = text("SELECT stored, stored_dimension FROM memory_r1_other_embedding(:model, :dimension)")


class BankSummary(Value):
    """A bank as its owner sees it."""

    name: str
    turns: int
    memories: int
    speakers: tuple[str, ...]
    embedding_model: str
    embedding_dimension: int
    created_at: datetime


class BankPage(Value):
    banks: tuple[BankSummary, ...]
    next: str | None
    """The name to continue after."""


async def open_bank(session: AsyncSession, tenant_id: UUID, name: str, embedder: Embedder) -> BankKey:
    """The bank of that name, made where there is none, kept from other posts and from deletion until the transaction
    ends. Raises `EmbeddingMismatch`.
    """
    banks = tables.banks
    row = {
        "tenant_id": tenant_id,
        "name": name,
        "embedding_model": embedder.model,
        "embedding_dimension": embedder.dimension,
    }
    make = upsert(banks).values(row).on_conflict_do_nothing(index_elements=["tenant_id", "name"]).returning(banks.c.id)
    while True:
        made = (await session.execute(make)).one_or_none()
        if made is not None:
            await session.execute(insert(tables.lanes).values(tenant_id=tenant_id, bank_id=made.id))
        # The worker may go on writing to the bank: it holds the lane, for which a post waits at its end.
        found = (await session.execute(_named(tenant_id, name).with_for_update(key_share=True))).one_or_none()
        if found is not None:
            return _checked(found, embedder)
        # Deleted between the two statements: make it anew.


async def find_bank(sessions: Sessions, tenant_id: UUID, name: str, embedder: Embedder | None = None) -> BankKey:
    """The bank of that name. Raises `UnknownBank`, and `EmbeddingMismatch` where it will be searched."""
    async with sessions.begin(tenant_id) as session:
        return await _find(session, tenant_id, name, embedder)


async def check_embedder(sessions: Sessions, embedder: Embedder) -> None:
    """At start: raises `EmbeddingMismatch` where any bank was embedded by another model."""
    given = {"model": embedder.model, "dimension": embedder.dimension}
    async with sessions.dispatch() as session:
        row = (await session.execute(_OTHER_EMBEDDING, given)).one_or_none()
    if row is not None:
        raise _mismatch(row.stored, row.stored_dimension, embedder)


async def read_bank(sessions: Sessions, tenant_id: UUID, name: str) -> BankSummary:
    """One bank. Raises `UnknownBank`."""
    async with sessions.begin(tenant_id) as session:
        row = (await session.execute(_summaries(tenant_id).where(tables.banks.c.name == name))).one_or_none()
    if row is None:
        raise UnknownBank(name)
    return BankSummary.model_validate(row._mapping, from_attributes=False)


async def list_banks(sessions: Sessions, tenant_id: UUID, limit: int, after: str | None) -> BankPage:
    """A page of banks by name."""
    statement = _summaries(tenant_id).order_by(tables.banks.c.name).limit(limit + 1)
    if after is not None:
        statement = statement.where(tables.banks.c.name > after)
    async with sessions.begin(tenant_id) as session:
        rows = (await session.execute(statement)).all()
    banks = tuple(BankSummary.model_validate(row._mapping, from_attributes=False) for row in rows[:limit])
    return BankPage(banks=banks, next=banks[-1].name if len(rows) > limit else None)


async def delete_bank(sessions: Sessions, tenant_id: UUID, name: str) -> None:
    """Remove a bank with everything in it. Raises `UnknownBank`."""
    banks, lanes = tables.banks, tables.lanes
    async with sessions.begin(tenant_id) as session:
        # Posts are held off first, then the worker's writes are waited for: in the order in which those lock.
        found = (await session.execute(_named(tenant_id, name).with_for_update(key_share=True))).one_or_none()
        if found is None:
            raise UnknownBank(name)
        key = BankKey(tenant_id, found.id)
        await session.execute(select(lanes.c.bank_id).where(in_bank(lanes, key)).with_for_update())
        await session.execute(delete(banks).where(banks.c.tenant_id == tenant_id, banks.c.id == key.bank_id))


async def _find(session: AsyncSession, tenant_id: UUID, name: str, embedder: Embedder | None) -> BankKey:
    row = (await session.execute(_named(tenant_id, name))).one_or_none()
    if row is None:
        raise UnknownBank(name)
    return _checked(row, embedder)


def _named(tenant_id: UUID, name: str) -> Select[Any]:
    banks = tables.banks
    return select(banks).where(banks.c.tenant_id == tenant_id, banks.c.name == name)


def _checked(row: Row[Any], embedder: Embedder | None) -> BankKey:
    stored = (row.embedding_model, row.embedding_dimension)
    if embedder is not None and stored != (embedder.model, embedder.dimension):
        raise _mismatch(*stored, embedder)
    return BankKey(row.tenant_id, row.id)


def _mismatch(model: str, dimension: int, embedder: Embedder) -> EmbeddingMismatch:
    return EmbeddingMismatch(f"{model} ({dimension} dimensions)", f"{embedder.model} ({embedder.dimension} dimensions)")


def _summaries(tenant_id: UUID) -> Select[tuple[object, ...]]:
    banks, memories, speakers = tables.banks.c, tables.memories, tables.speakers
    key = BankKey(banks.tenant_id, banks.id)  # type: ignore[arg-type]
    count = select(func.count()).select_from(memories).where(live(key)).correlate(tables.banks).scalar_subquery()
    spoken = (
        select(speakers.c.speaker)
        .where(speakers.c.tenant_id == banks.tenant_id, speakers.c.bank_id == banks.id)
        .order_by(speakers.c.first_position)
        .correlate(tables.banks)
        .scalar_subquery()
    )
    return select(
        banks.name,
        banks.turn_count.label("turns"),
        count.label("memories"),
        func.array(spoken, type_=ARRAY(Text)).label("speakers"),
        banks.embedding_model,
        banks.embedding_dimension,
        banks.created_at,
    ).where(banks.tenant_id == tenant_id)
