"""The inbox and its lanes: one lane a bank, leased to one worker at a time, worked through in order of arrival.

A lane's `run_at` says when its first waiting turn is due (null: nothing waits). A worker claims a due lane with SKIP
LOCKED, keeps the lease alive by heartbeats, and everything it writes checks that the lease is still its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, Text, cast, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import metrics
from app.core.agents import replies
from app.core.errors import MemoryServiceError, UnknownBank
from app.core.values import Turn, Value
from app.db import committed, tables
from app.db.queries import BankKey, in_bank, turn_of

CHANNEL = "memory_r1_work"
ENDED_CHANNEL = "memory_r1_ended"
"""Says the ingestion of each turn that ends."""
ENDED = ("done", "failed")
WAIT = "wait"
"""A bank's `on_failure`: order matters more than going on."""
WAITING = ("queued", "retrying")
UNEXPECTED = "A fault inside; the service's log tells more."

_CLAIM = text("SELECT tenant_id, bank_id FROM memory_r1_claim(:owner, :seconds, :count)")
_NEXT = text("SELECT memory_r1_next_due()")
_FREE_ALL = text("SELECT memory_r1_free_lanes()")
_HOLD = text(
    """
    SELECT FROM banks JOIN lanes ON lanes.tenant_id = banks.tenant_id AND lanes.bank_id = banks.id
    WHERE banks.tenant_id = :tenant_id AND banks.id = :bank_id
        AND lanes.lease_owner = :owner AND lanes.lease_until > clock_timestamp()
    FOR KEY SHARE OF banks FOR UPDATE OF lanes
    """
)
_LOCK = text(
    """
    SELECT FROM banks JOIN lanes ON lanes.tenant_id = banks.tenant_id AND lanes.bank_id = banks.id
    WHERE banks.tenant_id = :tenant_id AND banks.id = :bank_id
    FOR KEY SHARE OF banks FOR UPDATE OF lanes
    """
)
_STAMP = text(
    """
    UPDATE lanes SET written_at = greatest(clock_timestamp(), written_at + interval '1 microsecond'),
        last_operation = last_operation + :operations
    WHERE tenant_id = :tenant_id AND bank_id = :bank_id RETURNING written_at, last_operation
    """
)
_KEEP_BANK = text("SELECT FROM banks WHERE tenant_id = :tenant_id AND id = :bank_id FOR KEY SHARE")


class LeaseLost(Exception):
    """Another worker has the bank by now; what was being written must be dropped."""


class Stamp(NamedTuple):
    """A place in a bank's history: later writes have later times and higher numbers."""

    at: datetime
    first: int
    """Number of the first operation that is written now."""


class InboxItem(Value):
    """A turn that waits to be worked on."""

    turn: Turn
    before: tuple[Turn, ...]
    """The turns just before it, oldest first."""
    position: int
    ingestion_id: UUID
    attempts: int
    due: bool
    extraction: dict[str, Any] | None = None
    traceparent: str | None = None
    """The step of the trace that it came with."""


async def enqueue(
    session: AsyncSession, key: BankKey, ingestion_id: UUID, turns: dict[int, UUID], traceparent: str | None = None
) -> None:
    """Put turns, by position, into the inbox and wake the workers when the transaction ends."""
    shared = {**key._asdict(), "ingestion_id": ingestion_id, "state": "queued", "traceparent": traceparent}
    rows = [{**shared, "position": position, "turn_id": turn_id} for position, turn_id in turns.items()]
    await session.execute(insert(tables.inbox), rows)
    committed.count(session, metrics.TURNS_RECEIVED, amount=len(rows))
    await make_due(session, key)


async def make_due(session: AsyncSession, key: BankKey) -> None:
    """The bank has work now."""
    now = func.now()
    lane = upsert(tables.lanes).values(**key._asdict(), run_at=now)
    earlier = func.least(tables.lanes.c.run_at, now)
    await session.execute(lane.on_conflict_do_update(index_elements=["tenant_id", "bank_id"], set_={"run_at": earlier}))
    await session.execute(select(func.pg_notify(CHANNEL, "")))


async def claim(session: AsyncSession, owner: UUID, seconds: float, count: int = 1) -> list[BankKey]:
    """Lease the banks that have waited longest, so many at most, of those that are due and free."""
    rows = await session.execute(_CLAIM, {"owner": owner, "seconds": seconds, "count": count})
    return [BankKey(row.tenant_id, row.bank_id) for row in rows]


async def seconds_to_next(session: AsyncSession) -> float | None:
    """Seconds until some bank is due and free, as things stand; None where nothing waits."""
    seconds = await session.scalar(_NEXT)
    return None if seconds is None else float(seconds)


async def extend(session: AsyncSession, key: BankKey, owner: UUID, seconds: float) -> None:
    """The worker is alive. Raises `LeaseLost`."""
    until = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    statement = update(tables.lanes).where(_leased(key, owner)).values(lease_until=until)
    if (await session.execute(statement.returning(tables.lanes.c.bank_id))).one_or_none() is None:
        raise LeaseLost


async def hold(session: AsyncSession, key: BankKey, owner: UUID) -> None:
    """Lock the lane for this transaction, so that no other worker can take it before. Raises `LeaseLost`.

    The bank comes first, here as where turns are posted and banks deleted: no two of them wait for each other.
    """
    if (await session.execute(_HOLD, {**key._asdict(), "owner": owner})).one_or_none() is None:
        raise LeaseLost


async def lock(session: AsyncSession, key: BankKey) -> None:
    """Lock the bank for a client's write, as `hold` does for a worker's. Raises `UnknownBank`."""
    if (await session.execute(_LOCK, key._asdict())).one_or_none() is None:
        raise UnknownBank(key.bank_id)


async def stamp(session: AsyncSession, key: BankKey, operations: int) -> Stamp:
    """The time and the numbers of a write of so many lines of the log, under `hold` or `lock`."""
    row = (await session.execute(_STAMP, {**key._asdict(), "operations": operations})).one()
    return Stamp(row.written_at, row.last_operation - operations + 1)


async def release(session: AsyncSession, key: BankKey, owner: UUID) -> None:
    """Give the bank back; it is due again when its first waiting turn is."""
    # Two statements: the second must see what was committed while the first waited for the lane.
    lane = select(tables.lanes.c.bank_id).where(_leased(key, owner)).with_for_update()
    if (await session.execute(lane)).one_or_none() is None:
        return
    inbox, lanes = tables.inbox, tables.lanes
    first = select(inbox.c.run_at).where(_waiting(key)).order_by(inbox.c.position).limit(1).scalar_subquery()
    values = {"run_at": first, "lease_owner": None, "lease_until": None}
    statement = update(lanes).where(in_bank(lanes, key)).values(values).returning(lanes.c.run_at)
    if await session.scalar(statement) is not None:
        await session.execute(select(func.pg_notify(CHANNEL, "")))


async def free_all(session: AsyncSession) -> None:
    """End all leases: only for who knows that no other worker lives."""
    await session.execute(_FREE_ALL)


async def waiting(session: AsyncSession, key: BankKey, limit: int, context: int = 0) -> list[InboxItem]:
    """The bank's first waiting turns, in order, each with so many turns before it."""
    inbox, turns = tables.inbox, tables.turns
    statement = (
        select(inbox, turns, (inbox.c.run_at <= func.clock_timestamp()).label("due"))
        .join(turns, (turns.c.id == inbox.c.turn_id) & in_bank(turns, key))
        .where(_waiting(key))
        .order_by(inbox.c.position)
        .limit(limit)
    )
    rows = (await session.execute(statement)).all()
    earlier = await _turns_before(session, key, [row.position for row in rows], context)
    return [_item(row, earlier[row.position]) for row in rows]


async def keep_bank(session: AsyncSession, key: BankKey) -> None:
    """Keep the bank from being erased until the transaction ends. Raises `LeaseLost` where it is gone."""
    if (await session.execute(_KEEP_BANK, key._asdict())).one_or_none() is None:
        raise LeaseLost


async def keep_extraction(session: AsyncSession, key: BankKey, position: int, extraction: dict[str, Any]) -> None:
    """Note a turn's facts, under `keep_bank`, so that a later try need not extract again. Raises `LeaseLost` where the
    turn does not wait any more.
    """
    await _update(session, key, position, extraction=extraction)


async def finish(session: AsyncSession, key: BankKey, position: int) -> None:
    """Mark a waiting turn done. Raises `LeaseLost` where it is not waiting any more."""
    await _update(session, key, position, state="done", error=None, error_type=None)
    committed.count(session, metrics.TURNS_FINISHED, "done")


async def postpone(session: AsyncSession, key: BankKey, item: InboxItem, seconds: float, error: Exception) -> None:
    """Try again later; the bank's other turns wait, since order matters."""
    run_at = func.clock_timestamp() + timedelta(seconds=seconds)
    await _fail(session, key, item, error, state="retrying", run_at=run_at)


async def set_aside(session: AsyncSession, key: BankKey, item: InboxItem, error: Exception) -> bool:
    """Give a turn up for now, with the reason. True where the bank goes on, false where its setting makes it wait."""
    await _fail(session, key, item, error, state="failed")
    committed.count(session, metrics.TURNS_FINISHED, "failed")
    banks, lanes = tables.banks.c, tables.lanes
    chosen = select(banks.on_failure).where(banks.tenant_id == key.tenant_id, banks.id == key.bank_id)
    goes_on = await session.scalar(chosen) != WAIT
    if not goes_on:
        await session.execute(update(lanes).where(in_bank(lanes, key)).values(blocked_by=item.position))
    return goes_on


async def unblock(session: AsyncSession, key: BankKey, *among: int) -> None:
    """Let a bank go on that waits for a failed turn; if positions are given, only where it is one of those."""
    lanes = tables.lanes
    which = lanes.c.blocked_by.in_(among) if among else lanes.c.blocked_by.is_not(None)
    freed = update(lanes).where(in_bank(lanes, key), which).values(blocked_by=None).returning(lanes.c.bank_id)
    if (await session.execute(freed)).one_or_none() is not None:
        await make_due(session, key)


async def retry_failed(session: AsyncSession, key: BankKey, ingestion_id: UUID) -> int:
    """Put the failed turns of an ingestion back; how many there were."""
    inbox = tables.inbox
    statement = (
        update(inbox)
        .where(in_bank(inbox, key), inbox.c.ingestion_id == ingestion_id, inbox.c.state == "failed")
        .values(state="queued", attempts=0, run_at=func.now(), updated_at=func.now())
        .returning(inbox.c.position)
    )
    positions = list(await session.scalars(statement))
    if positions:
        await make_due(session, key)
        await unblock(session, key, *positions)
    return len(positions)


async def _turns_before(
    session: AsyncSession, key: BankKey, positions: Sequence[int], count: int
) -> dict[int, tuple[Turn, ...]]:
    """The turns just before each position, oldest first."""
    if not positions or not count:
        return dict.fromkeys(positions, ())
    turns = tables.turns
    near = [turns.c.position.between(position - count, position - 1) for position in positions]
    statement = select(turns).where(in_bank(turns, key), or_(*near))
    found = {row.position: turn_of(row) for row in await session.execute(statement)}
    return {p: tuple(found[q] for q in range(p - count, p) if q in found) for p in positions}


async def waiting_count(session: AsyncSession, key: BankKey) -> int:
    """How many turns of a bank wait."""
    return await session.scalar(select(func.count()).select_from(tables.inbox).where(_waiting(key))) or 0


def _waiting(key: BankKey) -> Any:
    return in_bank(tables.inbox, key) & tables.inbox.c.state.in_(WAITING)


def _leased(key: BankKey, owner: UUID) -> Any:
    lanes = tables.lanes
    return in_bank(lanes, key) & (lanes.c.lease_owner == owner) & (lanes.c.lease_until > func.clock_timestamp())


def _item(row: Row[Any], before: tuple[Turn, ...]) -> InboxItem:
    return InboxItem(
        turn=turn_of(row),
        before=before,
        position=row.position,
        ingestion_id=row.ingestion_id,
        attempts=row.attempts,
        due=row.due,
        extraction=row.extraction,
        traceparent=row.traceparent,
    )


async def _fail(session: AsyncSession, key: BankKey, item: InboxItem, error: Exception, **values: Any) -> None:
    await _update(
        session,
        key,
        item.position,
        attempts=item.attempts + 1,
        error_type=type(error).__name__,
        # Our own words alone: those of others may quote what somebody said.
        error=replies.clean(str(error))[:1000] if isinstance(error, MemoryServiceError) else UNEXPECTED,
        **values,
    )
    kind = type(error).__name__ if isinstance(error, MemoryServiceError) else "Unexpected"
    committed.count(session, metrics.TURN_TRIES_FAILED, kind)


async def _update(session: AsyncSession, key: BankKey, position: int, **values: Any) -> None:
    inbox = tables.inbox
    told = func.pg_notify(ENDED_CHANNEL, cast(inbox.c.ingestion_id, Text))
    statement = (
        update(inbox)
        .where(_waiting(key), inbox.c.position == position)
        .values(**values, updated_at=func.clock_timestamp())
        .returning(inbox.c.position, *([told] if values.get("state") in ENDED else []))
    )
    if (await session.execute(statement)).one_or_none() is None:
        raise LeaseLost
