"""Events for webhooks, written in the transaction of what they tell of: told if that commits, and only then.

They are thin: names of banks, ids, numbers and kinds. What users said is read through the API, by who may read it.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.changes import LoggedOperation, Verdict
from app.db import tables
from app.db.lanes import WAITING, Stamp
from app.db.oplog import Origin
from app.db.queries import BankKey, in_bank

CHANNEL = "memory_r1_deliveries"
MAX_LISTED = 500
"""Operations that one event lists; the bank's log has all of them."""


class EventType(StrEnum):
    """What a webhook can be told of."""

    MEMORY_CHANGED = "memory.changed"
    """Operations changed what a bank remembers: one event for each transaction."""
    INGESTION_DONE = "ingestion.done"
    """The last turn of an ingestion has ended, and none has failed."""
    INGESTION_FAILED = "ingestion.failed"
    """The last turn of an ingestion has ended, and some have failed."""
    TURN_ERASED = "turn.erased"
    """A turn was erased, with what stood on it: who keeps a copy of the bank's memories reads them anew."""
    BANK_ERASED = "bank.erased"
    TEST = "webhook.test"
    """Asked for by a client, and told to the one webhook that it was asked for."""


CHOICES = tuple(one for one in EventType if one is not EventType.TEST)
"""The types that a webhook can be made for."""

# The rows of webhooks are locked before they are named: one that is being removed is waited for, and left out.
_EMIT = text(
    """
    WITH named AS MATERIALIZED (
        SELECT coalesce(
            CAST(:bank AS TEXT),
            (SELECT name FROM banks WHERE tenant_id = CAST(:tenant_id AS UUID) AND id = CAST(:bank_id AS BIGINT))
        ) AS bank
    ), wanting AS MATERIALIZED (
        SELECT webhooks.id FROM webhooks, named
        WHERE tenant_id = CAST(:tenant_id AS UUID) AND enabled AND CAST(:type AS TEXT) = ANY (events)
            AND (banks IS NULL OR named.bank = ANY (banks))
        ORDER BY webhooks.id FOR KEY SHARE OF webhooks
    ), told AS (
        INSERT INTO events (tenant_id, id, bank_id, type, body, created_at)
        SELECT CAST(:tenant_id AS UUID), CAST(:id AS UUID), CAST(:bank_id AS BIGINT), CAST(:type AS TEXT),
            jsonb_build_object(
                'type', CAST(:type AS TEXT),
                'timestamp', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                'data', jsonb_build_object('bank', named.bank) || CAST(:data AS JSONB)
            ),
            clock_timestamp()
        FROM named WHERE EXISTS (SELECT FROM wanting)
        RETURNING tenant_id, id
    ), waiting AS (
        INSERT INTO deliveries (tenant_id, webhook_id, event_id, run_at)
        SELECT told.tenant_id, wanting.id, told.id, clock_timestamp() FROM told, wanting
        RETURNING 1
    )
    SELECT pg_notify(CAST(:channel AS TEXT), '') WHERE EXISTS (SELECT FROM waiting)
    """
)
_TEST = text(
    """
    WITH told AS (
        INSERT INTO events (tenant_id, id, type, body, created_at)
        SELECT CAST(:tenant_id AS UUID), CAST(:id AS UUID), CAST(:type AS TEXT),
            jsonb_build_object(
                'type', CAST(:type AS TEXT),
                'timestamp', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                'data', jsonb_build_object('webhook_id', CAST(:webhook_id AS TEXT))
            ),
            clock_timestamp()
        RETURNING tenant_id, id
    ), waiting AS (
        INSERT INTO deliveries (tenant_id, webhook_id, event_id, run_at)
        SELECT tenant_id, CAST(:webhook_id AS UUID), id, clock_timestamp() FROM told RETURNING 1
    )
    SELECT pg_notify(CAST(:channel AS TEXT), '') FROM waiting
    """
)
# Turns of one ingestion stand in a row, so that one which waits is next to the turn that has just ended, to either side
# of it, past what waits no more. Only where neither is of the ingestion are its turns counted.
_ENDED = text(
    """
    SELECT count(*) FILTER (WHERE state = 'done') AS done, count(*) FILTER (WHERE state = 'failed') AS failed,
        count(*) FILTER (WHERE state NOT IN ('done', 'failed')) AS waiting,
        array_agg(DISTINCT error_type) FILTER (WHERE state = 'failed') AS error_types
    FROM inbox
    WHERE tenant_id = :tenant_id AND bank_id = :bank_id AND ingestion_id = :ingestion_id
        AND coalesce((
            SELECT ingestion_id FROM inbox
            WHERE tenant_id = :tenant_id AND bank_id = :bank_id AND state IN ('queued', 'retrying')
                AND position < :position ORDER BY position DESC LIMIT 1
        ) <> :ingestion_id, true)
        AND coalesce((
            SELECT ingestion_id FROM inbox
            WHERE tenant_id = :tenant_id AND bank_id = :bank_id AND state IN ('queued', 'retrying')
                AND position > :position ORDER BY position LIMIT 1
        ) <> :ingestion_id, true)
    """
)


async def emit(
    session: AsyncSession, of: BankKey | UUID, event: EventType, data: Mapping[str, Any], *, bank: str | None = None
) -> None:
    """Tell the webhooks that want it, in one statement; where there are none it writes nothing.

    An event of a bank goes with it. One of a tenant (an id) stays; `bank` is then the name of a bank that it is about.
    """
    tenant_id, bank_id = of if isinstance(of, BankKey) else (of, None)
    given = {"tenant_id": tenant_id, "bank_id": bank_id, "bank": bank, "id": new_id(), "type": event.value}
    await session.execute(_EMIT, {**given, "data": json.dumps(dict(data), default=str), "channel": CHANNEL})


async def memory_changed(
    session: AsyncSession, key: BankKey, written: Stamp, lines: Sequence[LoggedOperation], origin: Origin
) -> None:
    """Tell of the lines that were applied, of those that were written to the log under a stamp."""
    applied = [
        {
            "number": number,
            "kind": line.kind.value,
            "memory_id": line.memory_id,
            "version_before": line.version_before,
            "version_after": line.version_after,
        }
        for number, line in enumerate(lines, written.first)
        if line.verdict is Verdict.APPLIED
    ]
    if applied:
        listed, omitted = applied[:MAX_LISTED], max(0, len(applied) - MAX_LISTED)
        data = {"origin": origin.value, "operations": listed, "omitted": omitted}
        await emit(session, key, EventType.MEMORY_CHANGED, data)


async def ingestion_ended(session: AsyncSession, key: BankKey, ingestion_id: UUID, position: int) -> None:
    """Tell of an ingestion's end, if the turn at `position`, which ended in this transaction, was its last to wait.

    The bank's lane is held, so that of two turns the later sees the other's end.
    """
    asked = {**key._asdict(), "ingestion_id": ingestion_id, "position": position}
    row = (await session.execute(_ENDED, asked)).one()
    if row.waiting or not row.done + row.failed:
        return
    data = {
        "ingestion_id": ingestion_id,
        "turns": {"done": row.done, "failed": row.failed},
        "error_types": sorted(filter(None, row.error_types or [])),
    }
    await emit(session, key, EventType.INGESTION_FAILED if row.failed else EventType.INGESTION_DONE, data)


async def unended(session: AsyncSession, key: BankKey, turn_id: UUID) -> tuple[UUID, int] | None:
    """The ingestion and the position of a turn that still waits to be worked on; None for any other."""
    inbox = tables.inbox
    waits = select(inbox.c.ingestion_id, inbox.c.position).where(
        in_bank(inbox, key), inbox.c.turn_id == turn_id, inbox.c.state.in_(WAITING)
    )
    row = (await session.execute(waits)).one_or_none()
    return None if row is None else (row.ingestion_id, row.position)


async def turn_erased(session: AsyncSession, key: BankKey, digest: str) -> None:
    """Tell that a turn was erased, by the digest of its receipt: which turn it was is not said again."""
    await emit(session, key, EventType.TURN_ERASED, {"receipt": digest})


async def bank_erased(session: AsyncSession, tenant_id: UUID, name: str, digest: str) -> None:
    """Tell that a bank was erased, with the digest of its receipt."""
    await emit(session, tenant_id, EventType.BANK_ERASED, {"receipt": digest}, bank=name)


async def keep_webhooks(session: AsyncSession, tenant_id: UUID) -> None:
    """Hold off the removal of webhooks until the transaction ends.

    For who deletes events: removing a webhook deletes deliveries too, in another order, and each would wait for the
    other. Comes before the events are locked.
    """
    webhooks = tables.webhooks
    held = select(webhooks.c.id).where(webhooks.c.tenant_id == tenant_id).order_by(webhooks.c.id)
    await session.execute(held.with_for_update(read=True, key_share=True))


async def test(session: AsyncSession, tenant_id: UUID, webhook_id: UUID) -> UUID:
    """Tell a webhook, which the caller has locked, that somebody tests it; the id of the event."""
    event_id = new_id()
    given = {"tenant_id": tenant_id, "webhook_id": webhook_id, "id": event_id, "type": EventType.TEST.value}
    await session.execute(_TEST, {**given, "channel": CHANNEL})
    return event_id


def new_id() -> UUID:
    """An id (UUID version 7) that later ones come after, to the millisecond: pages of deliveries go by it."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = secrets.randbits(74)
    number = milliseconds << 80 | 0x7 << 76 | random_bits >> 62 << 64 | 0b10 << 62 | random_bits & (1 << 62) - 1
    return UUID(int=number)
