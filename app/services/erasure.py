"""Erasing a bank, with a receipt: what was removed, and that nothing of it was found afterwards."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Table, delete, func, insert, literal, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import UnknownErasure
from app.core.values import Value
from app.db import lanes, tables
from app.db.engine import Sessions
from app.db.queries import BankKey, in_bank
from app.services import audit, banks, events
from app.services.callers import Caller
from app.services.once import Once

OF_BANK = [table for table in reversed(tables.metadata.sorted_tables) if "bank_id" in table.c]
"""Every table with rows of banks, those that refer to others of them first."""


class Erased(StrEnum):
    """What an erasure is of."""

    BANK = "bank"
    TURN = "turn"


class Derived(StrEnum):
    """Which versions of memories go with a turn."""

    ONLY = "only"
    """Those that stand on it alone."""
    ALL = "all"
    """All that have it among their sources, and those of later turns that took words from it."""


class Receipt(Value):
    """What an erasure removed. It names no bank and holds no text."""

    digest: str
    """SHA-256 of the receipt without this field, as JSON with sorted keys and without spaces."""
    erased: Erased
    bank: str
    """SHA-256 of `<tenant's id>:<bank's name>`."""
    turn_id: UUID | None
    """The turn, where one was erased."""
    derived: Derived | None
    removed: dict[str, int]
    """Rows by table. Where a turn was erased, also rows that lost text of it: of `operations`, `inbox` (later turns
    that were read with it) and `idempotency_keys`.
    """
    verified: dict[str, int]
    """The same counts, read again after that in the same transaction."""
    kept: tuple[UUID, ...]
    """Memories that also rest on other turns, or on later ones that took words from the turn, and were kept."""
    erased_at: datetime


class ReceiptPage(Value):
    receipts: tuple[Receipt, ...]
    next: str | None
    """The digest to continue after."""


async def erase_bank(sessions: Sessions, caller: Caller, name: str, once: Once | None = None) -> Receipt:
    """Remove a bank with everything in it. Raises `UnknownBank`, `IdempotencyConflict`."""
    once = once or Once()
    tenant_id = caller.tenant_id
    async with sessions.begin(tenant_id) as session:
        if (earlier := await once.claim(session, tenant_id)) is not None:
            return receipt_of(earlier)
        # Locked whole, and before anything else: whoever writes to the bank locks it first, and is waited for.
        key = await banks.lock_bank(session, tenant_id, name, whole=True)
        await lanes.lock(session, key)
        await events.keep_webhooks(session, tenant_id)
        removed = await _remove(session, key)
        receipt = await write_receipt(
            session, caller, name, Erased.BANK, removed=removed, verified=await _left(session, key)
        )
        await events.bank_erased(session, tenant_id, name, receipt.digest)
        await audit.note(session, caller, "bank.erased", receipt.bank, digest=receipt.digest)
        await once.keep(session, tenant_id, receipt, None, holds_text=False)
    return receipt


async def read_receipt(sessions: Sessions, tenant_id: UUID, digest: str) -> Receipt:
    """A receipt by its digest. Raises `UnknownErasure`."""
    erasures = tables.erasures.c
    statement = select(erasures.body).where(erasures.tenant_id == tenant_id, erasures.digest == digest)
    async with sessions.begin(tenant_id) as session:
        body = await session.scalar(statement)
    if body is None:
        raise UnknownErasure(digest)
    return receipt_of(body)


async def list_receipts(sessions: Sessions, tenant_id: UUID, limit: int, after: str | None) -> ReceiptPage:
    """A tenant's receipts, oldest first."""
    erasures = tables.erasures.c
    own = select(erasures.body).where(erasures.tenant_id == tenant_id)
    statement = own.order_by(erasures.created_at, erasures.digest).limit(limit + 1)
    if after is not None:
        last = select(erasures.created_at).where(erasures.tenant_id == tenant_id, erasures.digest == after)
        place = tuple_(erasures.created_at, erasures.digest) > tuple_(last.scalar_subquery(), literal(after))
        statement = statement.where(place)
    async with sessions.begin(tenant_id) as session:
        bodies = list(await session.scalars(statement))
    receipts = tuple(receipt_of(body) for body in bodies[:limit])
    return ReceiptPage(receipts=receipts, next=receipts[-1].digest if len(bodies) > limit else None)


def receipt_of(body: Any) -> Receipt:
    """A receipt as it is stored."""
    return Receipt.model_validate_json(json.dumps(body))


async def write_receipt(
    session: AsyncSession,
    caller: Caller,
    name: str,
    erased: Erased,
    *,
    removed: dict[str, int],
    verified: dict[str, int],
    turn_id: UUID | None = None,
    derived: Derived | None = None,
    kept: tuple[UUID, ...] = (),
) -> Receipt:
    """Store the receipt of an erasure in its transaction."""
    now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    draft = Receipt(
        digest="",
        erased=erased,
        bank=banks.name_digest(caller.tenant_id, name),
        turn_id=turn_id,
        derived=derived,
        removed=removed,
        verified=verified,
        kept=kept,
        erased_at=now,
    )
    receipt = draft.model_copy(update={"digest": digest_of(draft)})
    row = {"tenant_id": caller.tenant_id, "digest": receipt.digest, "body": receipt.model_dump(mode="json")}
    await session.execute(insert(tables.erasures).values(**row, created_at=now))
    return receipt


def digest_of(receipt: Receipt) -> str:
    """SHA-256 of what a receipt says, in hexadecimal digits."""
    said = receipt.model_dump(mode="json", exclude={"digest"})
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def _remove(session: AsyncSession, key: BankKey) -> dict[str, int]:
    """Delete the rows of every table; how many each had."""
    removed: dict[str, int] = {}
    # Deliveries name no bank. Their events are locked before them, as whoever forgets old ones does.
    await session.execute(select(tables.events.c.id).where(in_bank(tables.events, key)).with_for_update())
    removed["deliveries"] = await _count_removed(session, tables.deliveries, _delivered(key))
    for table in OF_BANK:
        removed[table.name] = await _count_removed(session, table, in_bank(table, key))
    removed["banks"] = await _count_removed(session, tables.banks, _itself(key))
    return removed


async def _count_removed(session: AsyncSession, table: Table, which: Any) -> int:
    result = await session.execute(delete(table).where(which))
    return int(result.rowcount)  # type: ignore[attr-defined]


async def _left(session: AsyncSession, key: BankKey) -> dict[str, int]:
    """Rows of the bank, by table."""
    places = [(tables.deliveries, _delivered(key)), *((table, in_bank(table, key)) for table in OF_BANK)]
    places.append((tables.banks, _itself(key)))
    counts = [select(literal(table.name), func.count()).select_from(table).where(which) for table, which in places]
    return {str(name): int(count) for name, count in await session.execute(union_all(*counts))}


def _delivered(key: BankKey) -> Any:
    events, deliveries = tables.events, tables.deliveries.c
    return (deliveries.tenant_id == key.tenant_id) & deliveries.event_id.in_(
        select(events.c.id).where(in_bank(events, key))
    )


def _itself(key: BankKey) -> Any:
    return (tables.banks.c.tenant_id == key.tenant_id) & (tables.banks.c.id == key.bank_id)
