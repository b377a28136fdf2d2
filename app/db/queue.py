"""How much waits, in all banks of all tenants."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import text

from app.db.engine import Sessions

_QUEUE = text("SELECT queued, retrying, oldest_seconds, deliveries FROM memory_r1_queue()")


class Waiting(NamedTuple):
    queued: int
    retrying: int
    oldest_seconds: float
    """Since the oldest waiting turn was received; 0 where none waits."""
    deliveries: int


async def waiting(sessions: Sessions) -> Waiting:
    """What Postgres says, which is the same for every process."""
    async with sessions.dispatch() as session:
        row = (await session.execute(_QUEUE)).one()
    return Waiting(row.queued, row.retrying, float(row.oldest_seconds), row.deliveries)
