"""Banks: made by their first turn, found by name, listed; their settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Text, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import EmbeddingMismatch, UnknownBank
from app.core.ports import Embedder
from app.core.values import Value
from app.db import lanes, tables
from app.db.engine import Sessions
from app.db.queries import BankKey, in_bank, live
from app.services import audit
from app.services.callers import Caller
from app.services.once import Once

_OTHER_EMBEDDING = text("SELECT stored, stored_dimension FROM memory_r1_other_embedding(:model, :dimension)")


class OnFailure(StrEnum):
    """What a bank does about a turn that failed for good."""

    SET_ASIDE = "set_aside"
    """It goes on with the next."""
    WAIT = lanes.WAIT
    """It waits until the turn is retried or erased."""


class BankSummary(Value):
    """A bank as its owner sees it."""

    name: str
    turns: int
    memories: int
    speakers: tuple[str, ...]
    embedding_model: str
    embedding_dimension: int
    on_failure: OnFailure
    blocked_by: UUID | None
    """The failed turn that the bank waits for."""
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


async def create_bank(sessions: Sessions, caller: Caller, name: str, embedder: Embedder, once: Once) -> BankSummary:
    """The bank of that name, made where there is none. Raises `EmbeddingMismatch`, `IdempotencyConflict`."""
    tenant_id = caller.tenant_id
    async with sessions.begin(tenant_id) as session:
        if (earlier := await once.claim(session, tenant_id)) is not None:
            return BankSummary.model_validate_json(json.dumps(earlier))
        key = await open_bank(session, tenant_id, name, embedder)
        row = (await session.execute(_summaries(tenant_id).where(tables.banks.c.id == key.bank_id))).one()
        summary = BankSummary.model_validate(row._mapping, from_attributes=False)
        await once.keep(session, tenant_id, summary, key, holds_text=True)
    return summary


async def find_bank(sessions: Sessions, tenant_id: UUID, name: str, embedder: Embedder | None = None) -> BankKey:
    """The bank of that name. Raises `UnknownBank`, and `EmbeddingMismatch` where it will be searched."""
    async with sessions.begin(tenant_id) as session:
        return await _find(session, tenant_id, name, embedder)


async def find_in(session: AsyncSession, tenant_id: UUID, name: str) -> BankKey:
    """The bank of that name, whatever embedded it. Raises `UnknownBank`."""
    return await _find(session, tenant_id, name, None)


async def check_embedder(sessions: Sessions, embedder: Embedder) -> None:
    """At start: raises `EmbeddingMismatch` where any bank was embedded by another model."""
    given = {"model": embedder.model, "dimension": embedder.dimension}
    async with sessions.dispatch() as session:
        row = (await session.execute(_OTHER_EMBEDDING, given)).one_or_none()
    if row is not None:
        raise _mismatch(row.stored, row.stored_dimension, embedder)


async def mismatch(sessions: Sessions, key: BankKey, embedder: Embedder) -> EmbeddingMismatch | None:
    """What is wrong where the bank was embedded by another model."""
    banks = tables.banks.c
    stored = select(tables.banks).where(banks.tenant_id == key.tenant_id, banks.id == key.bank_id)
    async with sessions.begin(key.tenant_id) as session:
        row = (await session.execute(stored)).one_or_none()
    try:
        if row is not None:
            _checked(row, embedder)
    except EmbeddingMismatch as error:
        return error
    return None


async def read_bank(sessions: Sessions, tenant_id: UUID, name: str) -> BankSummary:
    """One bank. Raises `UnknownBank`."""
    async with sessions.begin(tenant_id) as session:
        row = (await session.execute(_summaries(tenant_id).where(tables.banks.c.name == name))).one_or_none()
    if row is None:
        raise UnknownBank(name)
    return BankSummary.model_validate(row._mapping, from_attributes=False)


async def list_banks(
    sessions: Sessions, tenant_id: UUID, limit: int, after: str | None, among: Sequence[str] | None = None
) -> BankPage:
    """A page of banks by name; only those among the given names, if any are given."""
    statement = _summaries(tenant_id).order_by(tables.banks.c.name).limit(limit + 1)
    if among is not None:
        statement = statement.where(tables.banks.c.name.in_(among))
    if after is not None:
        statement = statement.where(tables.banks.c.name > after)
    async with sessions.begin(tenant_id) as session:
        rows = (await session.execute(statement)).all()
    banks = tuple(BankSummary.model_validate(row._mapping, from_attributes=False) for row in rows[:limit])
    return BankPage(banks=banks, next=banks[-1].name if len(rows) > limit else None)


def name_digest(tenant_id: UUID, name: str) -> str:
    """What stands for a bank's name, which may be a person's, where the bank may be gone."""
    return hashlib.sha256(f"{tenant_id}:{name}".encode()).hexdigest()


async def lock_bank(session: AsyncSession, tenant_id: UUID, name: str, *, whole: bool = False) -> BankKey:
    """Keep a bank from posts and from erasure until the transaction ends; `whole`, from every write to it as well.

    Comes before the lane and the rest. Raises `UnknownBank`.
    """
    found = (await session.execute(_named(tenant_id, name).with_for_update(key_share=not whole))).one_or_none()
    if found is None:
        raise UnknownBank(name)
    return BankKey(tenant_id, found.id)


async def change_settings(
    sessions: Sessions, caller: Caller, name: str, on_failure: OnFailure, once: Once | None = None
) -> BankSummary:
    """Change what a bank does about a turn that failed for good; to set it aside lets it go on at once.

    Raises `UnknownBank`, `IdempotencyConflict`.
    """
    once = once or Once()
    tenant_id, banks = caller.tenant_id, tables.banks
    async with sessions.begin(tenant_id) as session:
        if (earlier := await once.claim(session, tenant_id)) is not None:
            return BankSummary.model_validate_json(json.dumps(earlier))
        key = await lock_bank(session, tenant_id, name)
        await lanes.lock(session, key)
        own = update(banks).where(banks.c.tenant_id == tenant_id, banks.c.id == key.bank_id)
        await session.execute(own.values(on_failure=on_failure.value))
        if on_failure is OnFailure.SET_ASIDE:
            await lanes.unblock(session, key)
        await audit.note(session, caller, "bank.changed", name_digest(tenant_id, name), on_failure=on_failure.value)
        row = (await session.execute(_summaries(tenant_id).where(banks.c.id == key.bank_id))).one()
        summary = BankSummary.model_validate(row._mapping, from_attributes=False)
        # The speakers' names are text of the users as well.
        await once.keep(session, tenant_id, summary, key, holds_text=True)
    return summary


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
    waited_for = (
        select(tables.turns.c.id)
        .select_from(tables.turns)
        .join(tables.lanes, in_bank(tables.lanes, key) & (tables.lanes.c.blocked_by == tables.turns.c.position))
        .where(in_bank(tables.turns, key))
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
        banks.on_failure,
        waited_for.label("blocked_by"),
        banks.created_at,
    ).where(banks.tenant_id == tenant_id)
