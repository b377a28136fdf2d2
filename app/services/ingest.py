"""Accepting turns: stored with their ingestion and their place in the inbox in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from pydantic import Field
from sqlalchemy import Row, ScalarResult, Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.changes import LoggedOperation
from app.core.errors import InvalidInput, NothingToRetry, Overloaded, TurnConflict, UnknownIngestion, UnknownTurn
from app.core.values import RejectedFact, Role, Turn, Usage, Value
from app.db import lanes, queries, tables
from app.db.engine import Sessions
from app.db.queries import BankKey, in_bank
from app.services import banks, limits
from app.services.callers import Caller
from app.services.once import Once
from app.services.service import Service


class NewTurn(Value):
    """A turn as a client posts it."""

    speaker: str
    text: str
    said_at: datetime | None = None
    session: str | None = None
    external_id: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class State(StrEnum):
    """Of a turn, and of an ingestion as the sum of its turns."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"


class TurnError(Value):
    type: str
    detail: str


class ModelCall(Value):
    """One model call that was made for a turn."""

    role: Role
    policy: str
    usage: Usage
    seconds: float


class TurnProgress(Value):
    """What became of one turn."""

    turn_id: UUID
    external_id: str | None
    session: str | None
    speaker: str
    text: str
    said_at: datetime
    state: State
    attempts: int
    error: TurnError | None
    facts: tuple[str, ...]
    rejected_facts: tuple[RejectedFact, ...]
    operations: tuple[LoggedOperation, ...]
    calls: tuple[ModelCall, ...]
    """Model calls whose replies were used; empty where traces are not stored."""


class TurnPage(Value):
    turns: tuple[TurnProgress, ...]
    next: int | None
    """The place to continue after."""


class Ingestion(Value):
    """One post of turns and how far it got."""

    id: UUID
    state: State
    created_at: datetime
    turns: tuple[TurnProgress, ...]


class Accepted(Value):
    """The receipt of a post: everything in it is durable."""

    ingestion_id: UUID
    turn_ids: tuple[UUID, ...]
    """One for each posted turn, in order."""
    duplicates: int
    """How many of them were stored before, by external id; they are not worked on again."""
    earlier_ingestion_ids: tuple[UUID, ...]
    """The ingestions that stored those."""


async def accept(
    service: Service,
    tenant_id: UUID,
    bank_name: str,
    posted: Sequence[NewTurn],
    once: Once | None = None,
    caller: Caller | None = None,
    other_ids: Mapping[str, Sequence[str]] | None = None,
) -> Accepted:
    """Store turns for the worker, within the caller's day if given.

    `other_ids` names further external ids under which a turn may be stored already, by its own.

    Raises `TurnConflict`, `IdempotencyConflict`, `Overloaded`, `QuotaExceeded`, `EmbeddingMismatch`.
    """
    once = once or Once()
    _reject_repeated([turn.external_id for turn in posted if turn.external_id is not None])
    received = datetime.now(UTC)
    # Before the transaction, which is a step of its own: what becomes of the turns is part of the request.
    traceparent = service.telemetry.tracer.traceparent()
    async with service.sessions.begin(tenant_id) as session:
        if (earlier := await once.claim(session, tenant_id)) is not None:
            return Accepted.model_validate_json(json.dumps(earlier))
        key = await banks.open_bank(session, tenant_id, bank_name, service.embedder)
        known = await _known(session, key, posted, other_ids or {})
        fresh = [turn for turn in posted if turn.external_id is None or turn.external_id not in known]
        await _check_room(session, key, len(fresh), service.settings.server.max_waiting_turns)
        ingestion_id = uuid4()
        await session.execute(insert(tables.ingestions).values(**key._asdict(), id=ingestion_id, turn_count=len(fresh)))
        ids = await _store(session, key, ingestion_id, fresh, received, traceparent) if fresh else []
        await limits.count_turns(session, caller, len(fresh))
        accepted = _receipt(ingestion_id, [known.get(turn.external_id or "") for turn in posted], ids)
        await once.keep(session, tenant_id, accepted, key, holds_text=False)
    return accepted


def _receipt(ingestion_id: UUID, stored: Sequence[_Stored | None], fresh: Sequence[UUID]) -> Accepted:
    unused = iter(fresh)
    return Accepted(
        ingestion_id=ingestion_id,
        turn_ids=tuple(earlier.turn_id if earlier else next(unused) for earlier in stored),
        duplicates=len(stored) - len(fresh),
        earlier_ingestion_ids=tuple(dict.fromkeys(earlier.ingestion_id for earlier in stored if earlier)),
    )


async def read(sessions: Sessions, key: BankKey, ingestion_id: UUID) -> Ingestion:
    """An ingestion with the state, facts and operations of each turn. Raises `UnknownIngestion`."""
    ingestions, inbox = tables.ingestions, tables.inbox
    async with sessions.begin(key.tenant_id) as session:
        found = await session.execute(
            select(ingestions).where(in_bank(ingestions, key), ingestions.c.id == ingestion_id)
        )
        row = found.one_or_none()
        if row is None:
            raise UnknownIngestion(ingestion_id)
        statement = inbox_with_turns(key).where(inbox.c.ingestion_id == ingestion_id)
        progress = await read_progress(session, key, statement.order_by(inbox.c.position))
    return Ingestion(
        id=row.id, state=state_of([turn.state for turn in progress]), created_at=row.created_at, turns=progress
    )


async def page(sessions: Sessions, key: BankKey, limit: int, after: int | None, state: State | None) -> TurnPage:
    """A bank's turns in order of arrival, with what became of each; of one stored state if given."""
    inbox = tables.inbox
    statement = inbox_with_turns(key).order_by(inbox.c.position).limit(limit + 1)
    if after is not None:
        statement = statement.where(inbox.c.position > after)
    if state is not None:
        statement = statement.where(inbox.c.state == state.value)
    async with sessions.begin(key.tenant_id) as session:
        rows = await read_progress(session, key, statement)
        more = len(rows) > limit
        last = await _position(session, key, rows[limit - 1].turn_id) if more else None
    return TurnPage(turns=rows[:limit], next=last)


async def read_turn(session: AsyncSession, key: BankKey, turn_id: UUID) -> TurnProgress:
    """One turn with what became of it. Raises `UnknownTurn`."""
    found = await read_progress(session, key, inbox_with_turns(key).where(tables.inbox.c.turn_id == turn_id))
    if not found:
        raise UnknownTurn(turn_id)
    return found[0]


async def state(sessions: Sessions, key: BankKey, ingestion_id: UUID) -> State:
    """An ingestion's state alone. Raises `UnknownIngestion`."""
    inbox, ingestions = tables.inbox, tables.ingestions
    async with sessions.begin(key.tenant_id) as session:
        statement = select(inbox.c.state).where(in_bank(inbox, key), inbox.c.ingestion_id == ingestion_id)
        states = list(await session.scalars(statement))
        if not states:
            known = select(ingestions.c.id).where(in_bank(ingestions, key), ingestions.c.id == ingestion_id)
            if await session.scalar(known) is None:
                raise UnknownIngestion(ingestion_id)
    return state_of([State(one) for one in states])


class Retried(Value):
    """How many failed turns are worked on again."""

    turns: int


async def retry(sessions: Sessions, key: BankKey, ingestion_id: UUID, once: Once | None = None) -> Retried:
    """Work on the failed turns again. Raises `UnknownIngestion`, `NothingToRetry`."""
    once = once or Once()
    await state(sessions, key, ingestion_id)
    async with sessions.begin(key.tenant_id) as session:
        if (earlier := await once.claim(session, key.tenant_id)) is not None:
            return Retried.model_validate(earlier)
        # The lane before the inbox, as whoever erases has it.
        await lanes.lock(session, key)
        retried = Retried(turns=await lanes.retry_failed(session, key, ingestion_id))
        if not retried.turns:
            raise NothingToRetry()
        await once.keep(session, key.tenant_id, retried, key, holds_text=False)
    return retried


def state_of(turns: Sequence[State]) -> State:
    """The state of the whole: what still happens counts before what went wrong, and that before what is done."""
    if State.RETRYING in turns:
        return State.RETRYING
    if State.QUEUED in turns:
        return State.RUNNING if len(set(turns)) > 1 else State.QUEUED
    return State.FAILED if State.FAILED in turns else State.DONE


class _Stored(NamedTuple):
    turn_id: UUID
    ingestion_id: UUID


def _reject_repeated(external_ids: list[str]) -> None:
    if len(external_ids) != len(set(external_ids)):
        raise InvalidInput("Two turns of the post have the same external_id.")


async def _known(
    session: AsyncSession, key: BankKey, posted: Sequence[NewTurn], other_ids: Mapping[str, Sequence[str]]
) -> dict[str, _Stored]:
    """Posted turns that are stored already, by external id. Raises `TurnConflict` where their content differs."""
    own_ids = [turn.external_id for turn in posted if turn.external_id is not None]
    by_id = {turn.external_id: turn for turn in posted if turn.external_id is not None}
    own_of = {other: own for own in own_ids for other in other_ids.get(own, ())} | {own: own for own in own_ids}
    if not own_of:
        return {}
    turns = tables.turns
    statement = select(turns).where(in_bank(turns, key), turns.c.external_id.in_(own_of))
    known: dict[str, _Stored] = {}
    for row in await session.execute(statement):
        own = own_of[row.external_id]
        if not _same(by_id[own], queries.turn_of(row)):
            raise TurnConflict(own, [turn.external_id for turn in posted].index(own))
        known[own] = _Stored(row.id, row.ingestion_id)
    return known


def _same(posted: NewTurn, stored: Turn) -> bool:
    same_time = posted.said_at is None or posted.said_at == stored.said_at
    given = (posted.speaker, posted.text, posted.session, _comparable(posted.metadata))
    return same_time and given == (stored.speaker, stored.text, stored.session, _comparable(stored.metadata))


def _comparable(metadata: dict[str, Any]) -> Any:
    """Equal where Postgres holds the same: 1e23 comes back with all its digits, and 1 is not true."""

    def number(digits: str) -> tuple[str, Decimal]:
        return "number", Decimal(digits)

    return json.loads(json.dumps(metadata), parse_int=number, parse_float=number)


async def _check_room(session: AsyncSession, key: BankKey, more: int, most: int) -> None:
    if more and await lanes.waiting_count(session, key) + more > most:
        raise Overloaded(f"The bank has {most} turns waiting already; post again later.")


async def _store(
    session: AsyncSession,
    key: BankKey,
    ingestion_id: UUID,
    fresh: Sequence[NewTurn],
    received: datetime,
    traceparent: str | None,
) -> list[UUID]:
    banks_ = tables.banks
    # The bank's lock is held from here on; who reads the bank as of a moment waits for it, and finds all turns of then.
    counted = await session.execute(
        update(banks_)
        .where(banks_.c.tenant_id == key.tenant_id, banks_.c.id == key.bank_id)
        .values(turn_count=banks_.c.turn_count + len(fresh), last_position=banks_.c.last_position + len(fresh))
        .returning(banks_.c.last_position, func.clock_timestamp().label("now"))
    )
    last, now = counted.one()
    by_position = dict(enumerate(fresh, start=last - len(fresh) + 1))
    ids = {position: uuid4() for position in by_position}
    rows = [
        {
            **key._asdict(),
            "id": ids[position],
            "ingestion_id": ingestion_id,
            "position": position,
            **turn.model_dump(exclude={"said_at"}),
            "said_at": turn.said_at or received,
            "received_at": now,
        }
        for position, turn in by_position.items()
    ]
    await session.execute(insert(tables.turns), rows)
    first_said = {turn.speaker: position for position, turn in reversed(by_position.items())}
    await queries.write_speakers(session, key, first_said)
    await lanes.enqueue(session, key, ingestion_id, ids, traceparent)
    return list(ids.values())


def inbox_with_turns(key: BankKey) -> Select[Any]:
    """The bank's rows of the inbox with what was said."""
    inbox, turns = tables.inbox, tables.turns
    said = [turns.c[name] for name in ("external_id", "session", "speaker", "text", "said_at")]
    same = (turns.c.id == inbox.c.turn_id) & in_bank(turns, key)
    return select(inbox, *said).join(turns, same).where(in_bank(inbox, key))


async def _position(session: AsyncSession, key: BankKey, turn_id: UUID) -> int:
    turns = tables.turns
    found: ScalarResult[int] = await session.scalars(
        select(turns.c.position).where(in_bank(turns, key), turns.c.id == turn_id)
    )
    return found.one()


async def read_progress(session: AsyncSession, key: BankKey, statement: Select[Any]) -> tuple[TurnProgress, ...]:
    """What became of the turns that a selection of `inbox_with_turns` finds."""
    items = (await session.execute(statement)).all()
    turn_ids = [item.turn_id for item in items]
    operations = await _operations(session, key, turn_ids)
    calls = await _calls(session, key, turn_ids)
    return tuple(_progress_of(i, operations.get(i.turn_id, []), calls.get(i.turn_id, [])) for i in items)


async def _operations(
    session: AsyncSession, key: BankKey, turn_ids: Sequence[UUID]
) -> dict[UUID, list[LoggedOperation]]:
    operations = tables.operations
    statement = (
        select(operations)
        .where(in_bank(operations, key), operations.c.turn_id.in_(turn_ids))
        .order_by(operations.c.number)
    )
    by_turn: dict[UUID, list[LoggedOperation]] = {}
    for row in await session.execute(statement):
        fields = {name: getattr(row, name) for name in LoggedOperation.model_fields}
        by_turn.setdefault(row.turn_id, []).append(LoggedOperation.model_validate(fields))
    return by_turn


async def _calls(session: AsyncSession, key: BankKey, turn_ids: Sequence[UUID]) -> dict[UUID, list[ModelCall]]:
    traces = tables.traces
    fields = [traces.c.body[name].label(name) for name in ("policy", "usage", "seconds")]
    statement = (
        select(traces.c.turn_id, traces.c.role, *fields)
        .where(in_bank(traces, key), traces.c.turn_id.in_(turn_ids))
        .order_by(traces.c.created_at)
    )
    by_turn: dict[UUID, list[ModelCall]] = {}
    for row in await session.execute(statement):
        call = ModelCall(role=Role(row.role), policy=row.policy, usage=row.usage, seconds=row.seconds)
        by_turn.setdefault(row.turn_id, []).append(call)
    return by_turn


def _progress_of(item: Row[Any], operations: list[LoggedOperation], calls: list[ModelCall]) -> TurnProgress:
    extraction = item.extraction or {}
    return TurnProgress(
        turn_id=item.turn_id,
        external_id=item.external_id,
        session=item.session,
        speaker=item.speaker,
        text=item.text,
        said_at=item.said_at,
        state=State(item.state),
        attempts=item.attempts,
        error=TurnError(type=item.error_type, detail=item.error) if item.error_type else None,
        facts=tuple(fact["text"] for fact in extraction.get("facts", [])),
        rejected_facts=tuple(RejectedFact.model_validate(r) for r in extraction.get("rejected", [])),
        operations=tuple(operations),
        calls=tuple(calls),
    )
