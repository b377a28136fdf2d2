"""Statements on memories and turns, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from pgvector import HalfVector, SparseVector
from sqlalchemy import Row, and_, func, insert, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import ColumnElement

from app.core import ranking
from app.core.changes import AddMemory, Changes, RemoveMemory, ReviseMemory, required
from app.core.errors import StaleMemory
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
    session: AsyncSession, key: BankKey, query: Query, limit: int, speaker: str | None
) -> dict[UUID, float]:
    """Ids of the best memories with their fused score, best first."""
    depth = ranking.arm_depth(limit)
    dense = await _dense_arm(session, key, query, depth, speaker)
    arms = [dense]
    if query.terms:
        arms.append(await _lexical_arm(session, key, query, depth, speaker))
    order = {memory_id: seq for arm in arms for seq, memory_id in arm}
    fused = ranking.fuse([[memory_id for _, memory_id in arm] for arm in arms])
    best = sorted(fused, key=lambda i: (-fused[i], order[i]))[:limit]
    return {memory_id: fused[memory_id] for memory_id in best}


async def _dense_arm(
    session: AsyncSession, key: BankKey, query: Query, depth: int, speaker: str | None
) -> list[tuple[int, UUID]]:
    distance = tables.memories.c.embedding.max_inner_product(HalfVector(ranking.in_steps(query.dense)))
    return await _arm(session, key, distance, depth, speaker)


async def _lexical_arm(
    session: AsyncSession, key: BankKey, query: Query, depth: int, speaker: str | None
) -> list[tuple[int, UUID]]:
    distance = tables.memories.c.terms.max_inner_product(sparse(query.terms))
    return await _arm(session, key, distance, depth, speaker, distance < 0.0)


async def _arm(
    session: AsyncSession, key: BankKey, distance: Any, depth: int, speaker: str | None, *matching: Any
) -> list[tuple[int, UUID]]:
    """(seq, id) by score, then creation: the order of `InMemoryBank`."""
    memories = tables.memories.c
    spoken = [memories.speaker == speaker] if speaker is not None else []
    nearest = select(memories.seq, memories.id).where(live(key), *spoken, *matching)
    rows = await session.execute(nearest.order_by(distance, memories.seq).limit(depth))
    return [(row.seq, row.id) for row in rows]


def sparse(terms: Terms) -> SparseVector:
    """Hashed term weights as pgvector's sparse vector."""
    return SparseVector(terms, DIMENSION)


async def memories_by_id(session: AsyncSession, key: BankKey, ids: Sequence[UUID]) -> dict[UUID, Memory]:
    """The live memories among these."""
    if not ids:
        return {}
    statement = select(*memory_columns).where(live(key), tables.memories.c.id.in_(ids))
    return {row.id: memory_of(row) for row in await session.execute(statement)}


async def turns_by_id(session: AsyncSession, key: BankKey, ids: Sequence[UUID]) -> list[Turn]:
    """The turns that exist among these, in order of arrival."""
    if not ids:
        return []
    turns = tables.turns
    statement = select(turns).where(in_bank(turns, key), turns.c.id.in_(ids)).order_by(turns.c.position)
    return [turn_of(row) for row in await session.execute(statement)]


async def speakers_of(session: AsyncSession, key: BankKey) -> list[str]:
    """Who has spoken, in order of first turn."""
    speakers = tables.speakers
    statement = select(speakers.c.speaker).where(in_bank(speakers, key)).order_by(speakers.c.first_position)
    return list(await session.scalars(statement))


async def have_turns(session: AsyncSession, key: BankKey, ids: Sequence[UUID]) -> bool:
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
    for removal in changes.removals:
        await _remove(session, key, removal, at)
    revised = [await _revise(session, key, revision, at) for revision in changes.revisions]
    added = await _add(session, key, changes.adds, at)
    await _open_versions(session, key, [*added, *revised])
    return [*added, *revised]


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
    row = await _write_head(
        session,
        key,
        revision,
        at,
        version=revision.version + 1,
        text=revision.text,
        said_at=revision.said_at,
        sources=list(revision.sources),
        **index_forms(required(revision.embedded)),
    )
    await _close_version(session, key, revision, at)
    return memory_of(row)


async def _remove(session: AsyncSession, key: BankKey, removal: RemoveMemory, at: datetime) -> None:
    await _write_head(session, key, removal, at, live=False)
    await _close_version(session, key, removal, at)


async def _write_head(
    session: AsyncSession, key: BankKey, change: ReviseMemory | RemoveMemory, at: datetime, **values: Any
) -> Row[Any]:
    memories = tables.memories.c
    statement = (
        update(tables.memories)
        .where(live(key), memories.id == change.memory_id, memories.version == change.version)
        .values(**values, updated_at=at)
        .returning(*memory_columns)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise StaleMemory(change.memory_id)
    return row


async def _open_versions(session: AsyncSession, key: BankKey, memories: Sequence[Memory]) -> None:
    """Copied inside the database: their vectors need not be sent again."""
    if not memories:
        return
    columns = ["version", "text", "speaker", "said_at", "sources", "embedding", "terms"]
    heads = tables.memories.c
    copied = [heads.tenant_id, heads.bank_id, heads.id, heads.updated_at, *(heads[name] for name in columns)]
    written = select(*copied).where(live(key), heads.id.in_([memory.id for memory in memories]))
    names = ["tenant_id", "bank_id", "memory_id", "valid_from", *columns]
    await session.execute(insert(tables.memory_versions).from_select(names, written))


async def _close_version(
    session: AsyncSession, key: BankKey, change: ReviseMemory | RemoveMemory, at: datetime
) -> None:
    versions = tables.memory_versions
    statement = (
        update(versions)
        .where(in_bank(versions, key), versions.c.memory_id == change.memory_id, versions.c.version == change.version)
        .values(valid_to=at)
    )
    await session.execute(statement)


def index_forms(embedded: Embedded) -> dict[str, Any]:
    return {"embedding": HalfVector(ranking.in_steps(embedded.dense)), "terms": sparse(embedded.terms)}


def versions_of(key: BankKey, memory_id: UUID) -> Any:
    """All versions of a memory, oldest first, in the columns of `memory_of`; `created_at` is the first one's."""
    versions = tables.memory_versions
    created = func.first_value(versions.c.valid_from).over(order_by=versions.c.version)
    return (
        select(
            literal(memory_id).label("id"),
            versions.c.version,
            versions.c.text,
            versions.c.speaker,
            versions.c.said_at,
            versions.c.sources,
            created.label("created_at"),
            versions.c.valid_from.label("updated_at"),
            versions.c.valid_to,
        )
        .where(in_bank(versions, key), versions.c.memory_id == memory_id)
        .order_by(versions.c.version)
    )
