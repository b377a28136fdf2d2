"""Statements on memories and turns, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from pgvector import HalfVector, SparseVector
from sqlalchemy import (
    ARRAY,
    Boolean,
    Integer,
    Row,
    Select,
    Uuid,
    and_,
    cast,
    func,
    insert,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import ColumnElement

from app.core import ranking
from app.core.changes import AddMemory, Changes, RemoveMemory, RestoreMemory, ReviseMemory, required
from app.core.errors import StaleMemory, UnknownMemory
from app.core.lexical import DIMENSION
from app.core.values import Embedded, Memory, Query, Turn
from app.core.values import SparseVector as Terms
from app.db import tables


class BankKey(NamedTuple):
    """What identifies a bank's rows."""

    tenant_id: UUID
    bank_id: int


def in_bank(table: Any, key: BankKey) -> ColumnElement[bool]:
    """The rows of one bank."""
    return and_(table.c.tenant_id == key.tenant_id, table.c.bank_id == key.bank_id)


def live(key: BankKey) -> ColumnElement[bool]:
    """The live memories of one bank; spelled as the partial indexes have it."""
    return and_(in_bank(tables.memories, key), tables.memories.c.live)


class Standing(NamedTuple):
    """Where the memories of a bank are read, as they stand or as they stood."""

    columns: Any
    """Those of `memories`."""
    where: ColumnElement[bool]

    @property
    def memory(self) -> list[Any]:
        """The columns of `memory_of`, with `seq`."""
        return [self.columns[column.name] for column in memory_columns]


def standing(key: BankKey, as_of: datetime | None = None) -> Standing:
    """The live memories of a bank, or those that were live at a moment."""
    if as_of is None:
        return Standing(tables.memories.c, live(key))
    return Standing(_valid_at(key, as_of).subquery("past").c, true())


def _valid_at(key: BankKey, moment: datetime) -> Select[Any]:
    """The versions that were valid at a moment, as rows of `memories`."""
    heads, versions = tables.memories, tables.memory_versions
    then = and_(versions.c.valid_from <= moment, versions.c.valid_to.is_(None) | (versions.c.valid_to > moment))
    same = and_(in_bank(heads, key), heads.c.id == versions.c.memory_id)
    kept = [versions.c[n] for n in ("version", "text", "speaker", "said_at", "sources", "embedding", "terms")]
    statement = select(heads.c.id, heads.c.seq, *kept, heads.c.created_at, versions.c.valid_from.label("updated_at"))
    return statement.select_from(versions).join(heads, same).where(in_bank(versions, key), then)


def memory_of(row: Row[Any]) -> Memory:
    """A memory from a row of `memories`."""
    return Memory(
        id=row.id,
        version=row.version,
        text=row.text,
        speaker=row.speaker,
        said_at=row.said_at,
        sources=tuple(row.sources),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def turn_of(row: Row[Any]) -> Turn:
    """A turn from a row of `turns`."""
    return Turn(
        id=row.id,
        speaker=row.speaker,
        text=row.text,
        said_at=row.said_at,
        session=row.session,
        external_id=row.external_id,
        metadata=row.metadata,
    )


memory_columns = [c for c in tables.memories.c if c.name not in ("tenant_id", "bank_id", "embedding", "terms", "live")]


async def recall_ids(
    session: AsyncSession,
    key: BankKey,
    query: Query,
    limit: int,
    speaker: str | None,
    as_of: datetime | None = None,
) -> dict[UUID, float]:
    """Ids of the best memories with their fused score, best first."""
    depth = ranking.arm_depth(limit)
    among = standing(key, as_of)
    if speaker is not None:
        among = among._replace(where=and_(among.where, among.columns.speaker == speaker))
    dense = among.columns.embedding.max_inner_product(HalfVector(ranking.in_steps(query.dense)))
    arms = [await _arm(session, among, dense, depth)]
    if query.terms:
        overlap = among.columns.terms.max_inner_product(sparse(query.terms))
        arms.append(await _arm(session, among, overlap, depth, overlap < 0.0))
    order = {memory_id: seq for arm in arms for seq, memory_id in arm}
    fused = ranking.fuse([[memory_id for _, memory_id in arm] for arm in arms])
    best = sorted(fused, key=lambda i: (-fused[i], order[i]))[:limit]
    return {memory_id: fused[memory_id] for memory_id in best}


async def _arm(
    session: AsyncSession, among: Standing, distance: Any, depth: int, *matching: Any
) -> list[tuple[int, UUID]]:
    """(seq, id) by score, then creation: the order of `InMemoryBank`."""
    nearest = select(among.columns.seq, among.columns.id).where(among.where, *matching)
    rows = await session.execute(nearest.order_by(distance, among.columns.seq).limit(depth))
    return [(row.seq, row.id) for row in rows]


def sparse(terms: Terms) -> SparseVector:
    """Hashed term weights as pgvector's sparse vector."""
    return SparseVector(terms, DIMENSION)


async def memories_by_id(
    session: AsyncSession, key: BankKey, ids: Sequence[UUID], as_of: datetime | None = None
) -> dict[UUID, Memory]:
    """The live memories among these, or those that were live at a moment."""
    if not ids:
        return {}
    among = standing(key, as_of)
    statement = select(*among.memory).where(among.where, among.columns.id.in_(ids))
    return {row.id: memory_of(row) for row in await session.execute(statement)}


async def turns_by_id(
    session: AsyncSession, key: BankKey, ids: Sequence[UUID], as_of: datetime | None = None
) -> list[Turn]:
    """The turns that exist among these, and were received by a moment, in order of arrival."""
    if not ids:
        return []
    turns = tables.turns
    statement = select(turns).where(in_bank(turns, key), turns.c.id.in_(ids)).order_by(turns.c.position)
    if as_of is not None:
        statement = statement.where(turns.c.received_at <= as_of)
    return [turn_of(row) for row in await session.execute(statement)]


async def speakers_of(session: AsyncSession, key: BankKey, as_of: datetime | None = None) -> list[str]:
    """Who has spoken, or had by a moment, in order of first turn."""
    speakers, turns = tables.speakers, tables.turns
    statement = select(speakers.c.speaker).where(in_bank(speakers, key)).order_by(speakers.c.first_position)
    if as_of is not None:
        heard = select(turns.c.speaker).where(in_bank(turns, key), turns.c.received_at <= as_of)
        statement = heard.group_by(turns.c.speaker).order_by(func.min(turns.c.position))
    return list(await session.scalars(statement))


async def have_turns(session: AsyncSession, key: BankKey, ids: Collection[UUID]) -> bool:
    """Whether all of these turns exist; they stay until the transaction ends."""
    turns = tables.turns
    statement = select(turns.c.id).where(in_bank(turns, key), turns.c.id.in_(ids))
    found = await session.scalars(statement.order_by(turns.c.position).with_for_update(read=True, key_share=True))
    return set(found) == set(ids)


async def missing_version(session: AsyncSession, key: BankKey, memories: Sequence[Memory]) -> UUID | None:
    """One of these memories whose version has been erased; the others' stay until the transaction ends."""
    if not memories:
        return None
    versions = tables.memory_versions.c
    wanted = {(memory.id, memory.version) for memory in memories}
    statement = (
        select(versions.memory_id, versions.version)
        .where(in_bank(tables.memory_versions, key), tuple_(versions.memory_id, versions.version).in_(wanted))
        .order_by(versions.memory_id, versions.version)
        .with_for_update(read=True, key_share=True)
    )
    found = {tuple(row) for row in await session.execute(statement)}
    return next((memory_id for memory_id, _ in wanted - found), None)


async def write_speakers(session: AsyncSession, key: BankKey, first: dict[str, int]) -> None:
    """Note speakers with the position of their first turn; known ones stay as they are."""
    rows = [{**key._asdict(), "speaker": speaker, "first_position": position} for speaker, position in first.items()]
    await session.execute(upsert(tables.speakers).values(rows).on_conflict_do_nothing())


async def apply_changes(session: AsyncSession, key: BankKey, changes: Changes, at: datetime) -> list[Memory]:
    """All changes with their versions, valid from a time that `lanes.stamp` gave.

    Raises `StaleMemory`, upon which the caller's transaction must end.
    """
    if changes.changed_twice is not None:
        raise StaleMemory(changes.changed_twice)
    await _remove(session, key, changes.removals, at)
    revised = [await _revise(session, key, revision, at) for revision in changes.revisions]
    restored = await _restore(session, key, changes.restorations, at)
    added = await _add(session, key, changes.adds, at)
    restores = {restoration.memory_id: restoration.restores for restoration in changes.restorations}
    await _open_versions(session, key, [*added, *revised, *restored], restores)
    return [*added, *revised, *restored]


async def _add(session: AsyncSession, key: BankKey, adds: Sequence[AddMemory], at: datetime) -> list[Memory]:
    if not adds:
        return []
    rows = [
        {
            **key._asdict(),
            "id": add.memory_id,
            "version": 1,
            "text": add.text,
            "speaker": add.speaker,
            "said_at": add.said_at,
            "sources": list(add.sources),
            "created_at": at,
            "updated_at": at,
            **index_forms(required(add.embedded)),
        }
        for add in adds
    ]
    inserted = await session.execute(insert(tables.memories).returning(*memory_columns), rows)
    by_id = {row.id: memory_of(row) for row in inserted}
    return [by_id[add.memory_id] for add in adds]


async def _revise(session: AsyncSession, key: BankKey, revision: ReviseMemory, at: datetime) -> Memory:
    memories = tables.memories.c
    said = {"text": revision.text, "said_at": revision.said_at, "sources": list(revision.sources)}
    statement = (
        update(tables.memories)
        .where(live(key), memories.id == revision.memory_id, memories.version == revision.version)
        .values(version=revision.version + 1, **said, **index_forms(required(revision.embedded)), updated_at=at)
        .returning(*memory_columns)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise StaleMemory(revision.memory_id)
    await _close_versions(session, key, [revision], at)
    return memory_of(row)


async def _remove(session: AsyncSession, key: BankKey, removals: Sequence[RemoveMemory], at: datetime) -> None:
    if not removals:
        return
    memories, read = tables.memories.c, _read(removals)
    statement = (
        update(tables.memories)
        .where(live(key), memories.id == read.c.id, memories.version == read.c.version)
        .values(live=False, updated_at=at)
        .returning(memories.id)
    )
    _check_all(removals, set(await session.scalars(statement)))
    await _close_versions(session, key, removals, at)


async def _restore(
    session: AsyncSession, key: BankKey, restorations: Sequence[RestoreMemory], at: datetime
) -> list[Memory]:
    """Copied inside the database, vectors and all, from the versions that are restored."""
    if not restorations:
        return []
    heads, versions, read = tables.memories, tables.memory_versions, _read(restorations)
    said = {name: versions.c[name] for name in ("text", "said_at", "sources", "embedding", "terms")}
    statement = (
        update(heads)
        .where(in_bank(heads, key), heads.c.id == read.c.id, heads.c.version == read.c.version)
        .where(heads.c.live != read.c.removed)
        .where(in_bank(versions, key), versions.c.memory_id == read.c.id, versions.c.version == read.c.restores)
        .values(version=heads.c.version + 1, live=True, **said, updated_at=at)
        .returning(*memory_columns)
    )
    by_id = {row.id: memory_of(row) for row in await session.execute(statement)}
    _check_all(restorations, by_id)
    await _close_versions(session, key, restorations, at)
    return [by_id[restoration.memory_id] for restoration in restorations]


def _read(changes: Sequence[RemoveMemory | ReviseMemory | RestoreMemory]) -> Any:
    """What changes were planned against, as a table."""
    restored = [change if isinstance(change, RestoreMemory) else None for change in changes]
    columns = (
        cast([change.memory_id for change in changes], ARRAY(Uuid)),
        cast([change.version for change in changes], ARRAY(Integer)),
        cast([one is not None and one.removed for one in restored], ARRAY(Boolean)),
        cast([one.restores if one else None for one in restored], ARRAY(Integer)),
    )
    return func.unnest(*columns).table_valued("id", "version", "removed", "restores").render_derived("read")


def _check_all(changes: Sequence[RemoveMemory | RestoreMemory], done: Container[UUID]) -> None:
    for change in changes:
        if change.memory_id not in done:
            raise StaleMemory(change.memory_id)


async def _open_versions(
    session: AsyncSession, key: BankKey, memories: Sequence[Memory], restores: Mapping[UUID, int]
) -> None:
    """Copied inside the database: their vectors need not be sent again."""
    if not memories:
        return
    columns = ["version", "text", "speaker", "said_at", "sources", "embedding", "terms"]
    heads = tables.memories.c
    ids = [memory.id for memory in memories]
    opened = func.unnest(cast(ids, ARRAY(Uuid)), cast([restores.get(memory_id) for memory_id in ids], ARRAY(Integer)))
    new = opened.table_valued("id", "restores").render_derived("new")
    copied = [heads.tenant_id, heads.bank_id, heads.id, heads.updated_at, *(heads[n] for n in columns), new.c.restores]
    written = select(*copied).where(live(key), heads.id == new.c.id)
    names = ["tenant_id", "bank_id", "memory_id", "valid_from", *columns, "restores"]
    await session.execute(insert(tables.memory_versions).from_select(names, written))


async def _close_versions(
    session: AsyncSession, key: BankKey, changes: Sequence[RemoveMemory | ReviseMemory | RestoreMemory], at: datetime
) -> None:
    """A version that ended before stays as it is."""
    versions, read = tables.memory_versions, _read(changes)
    statement = (
        update(versions)
        .where(in_bank(versions, key), versions.c.memory_id == read.c.id, versions.c.version == read.c.version)
        .where(versions.c.valid_to.is_(None))
        .values(valid_to=at)
    )
    await session.execute(statement)


def index_forms(embedded: Embedded) -> dict[str, Any]:
    return {"embedding": HalfVector(ranking.in_steps(embedded.dense)), "terms": sparse(embedded.terms)}


def versions(key: BankKey) -> Select[Any]:
    """The versions of all memories, in the columns of `memory_of` and some more."""
    heads, versions = tables.memories, tables.memory_versions
    same = and_(in_bank(heads, key), heads.c.id == versions.c.memory_id)
    kept = [versions.c[n] for n in ("version", "text", "speaker", "said_at", "sources", "valid_from", "valid_to")]
    began = versions.c.valid_from.label("updated_at")
    statement = select(heads.c.id, *kept, versions.c.restores, heads.c.created_at, began)
    return statement.select_from(versions).join(heads, same).where(in_bank(versions, key))


def versions_of(key: BankKey, memory_id: UUID, as_of: datetime | None = None) -> Select[Any]:
    """All versions of one memory, oldest first; those that had been made by a moment."""
    kept = tables.memory_versions.c
    statement = versions(key).where(kept.memory_id == memory_id).order_by(kept.version)
    return statement if as_of is None else statement.where(kept.valid_from <= as_of)


async def forms_of(session: AsyncSession, key: BankKey, memory_id: UUID) -> Embedded:
    """The index forms of a live memory, exactly as they are kept. Raises `UnknownMemory`."""
    memories = tables.memories.c
    row = (
        await session.execute(select(memories.embedding, memories.terms).where(live(key), memories.id == memory_id))
    ).one_or_none()
    if row is None:
        raise UnknownMemory(memory_id)
    dense = np.asarray(row.embedding, dtype=np.float32) / ranking.VECTOR_STEPS
    terms = dict(zip(row.terms.indices(), row.terms.values(), strict=True))
    return Embedded(dense=dense, terms=terms)
