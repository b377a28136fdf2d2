"""Following an ingestion: each turn as it ends, in the order in which they do, woken by notifications of Postgres."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import UnknownIngestion
from app.core.values import Value
from app.db import lanes, tables
from app.db.queries import BankKey, in_bank
from app.services import ingest
from app.services.ingest import State, TurnProgress
from app.services.service import Service

PAGE = 50
"""Turns that are read at once."""
FOLLOW_SECONDS = 600.0
"""Longest time in one go; who follows on is asked for a valid key anew."""
LOOK_SECONDS = 5.0
"""Longest wait for an end that no notification announced."""


class Place(NamedTuple):
    """Where a turn's end stands among those of its bank: ends are written under the bank's lock, one after another."""

    at: datetime
    position: int


class EndedTurn(NamedTuple):
    """A turn that is done or has failed."""

    place: Place
    turn: TurnProgress


class IngestionEnd(Value):
    """How an ingestion ended: none of its turns waits to be worked on."""

    id: UUID
    state: State
    done: int
    failed: int


async def follow(
    service: Service,
    key: BankKey,
    ingestion_id: UUID,
    after: Place | None,
    tell: Callable[[EndedTurn], Awaitable[None]],
) -> IngestionEnd | None:
    """Tell of each turn that has ended, or ends, after a place; one that is retried is told when it ends again.

    None where it goes on, but the time is up or the process ends. Raises `UnknownIngestion`.
    """
    until = time.monotonic() + FOLLOW_SECONDS
    async with service.ended.of(service.settings.database, str(ingestion_id)) as wake:
        while True:
            wake.clear()
            end, places, turns = await _look(service, key, ingestion_id, after)
            for one in turns:
                await tell(one)
            if places:
                after = places[-1]
            if len(places) == PAGE:
                continue
            if end is not None:
                return end
            left = until - time.monotonic()
            if left <= 0 or service.ending.is_set():
                return None
            await _either(wake, service.ending, min(left, LOOK_SECONDS))


async def _look(
    service: Service, key: BankKey, ingestion_id: UUID, after: Place | None
) -> tuple[IngestionEnd | None, Sequence[Place], list[EndedTurn]]:
    """The ingestion's end if it has come, the next places, and what is told of them."""
    async with service.sessions.begin(key.tenant_id) as session:
        # First: where no turn waits any more, what is read after it is all that ended.
        end = await _end(session, key, ingestion_id)
        by_turn = await _ended(session, key, ingestion_id, after)
        found = ingest.inbox_with_turns(key).where(tables.inbox.c.turn_id.in_(by_turn))
        turns = {turn.turn_id: turn for turn in await ingest.read_progress(session, key, found)} if by_turn else {}
    # One that was erased since is not told, and one that is retried when it ends again.
    told = [
        EndedTurn(place, turns[turn_id])
        for turn_id, place in by_turn.items()
        if turn_id in turns and turns[turn_id].state.value in lanes.ENDED
    ]
    return end, list(by_turn.values()), told


async def _end(session: AsyncSession, key: BankKey, ingestion_id: UUID) -> IngestionEnd | None:
    inbox = tables.inbox
    of_it = in_bank(inbox, key) & (inbox.c.ingestion_id == ingestion_id)
    counts = select(inbox.c.state, func.count()).where(of_it).group_by(inbox.c.state)
    by_state: dict[str, int] = {row[0]: row[1] for row in await session.execute(counts)}
    ingestions = tables.ingestions
    known = select(ingestions.c.id).where(in_bank(ingestions, key), ingestions.c.id == ingestion_id)
    if not by_state and await session.scalar(known) is None:
        raise UnknownIngestion(ingestion_id)
    if by_state.keys() - set(lanes.ENDED):
        return None
    done, failed = (by_state.get(state, 0) for state in lanes.ENDED)
    return IngestionEnd(id=ingestion_id, state=State.FAILED if failed else State.DONE, done=done, failed=failed)


async def _ended(session: AsyncSession, key: BankKey, ingestion_id: UUID, after: Place | None) -> dict[UUID, Place]:
    """The next turns that have ended, in order."""
    inbox = tables.inbox
    statement = select(inbox.c.turn_id, inbox.c.updated_at, inbox.c.position).where(
        in_bank(inbox, key), inbox.c.ingestion_id == ingestion_id, inbox.c.state.in_(lanes.ENDED)
    )
    if after is not None:
        statement = statement.where(tuple_(inbox.c.updated_at, inbox.c.position) > tuple_(*after))
    rows = await session.execute(statement.order_by(inbox.c.updated_at, inbox.c.position).limit(PAGE))
    return {row.turn_id: Place(row.updated_at, row.position) for row in rows}


async def _either(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
