"""Limits of keys: requests a minute by GCRA, turns and questions by the day.

A key's whole use is one row, which only keys with a limit have; what a key was rotated to goes on with its row.
Requests refill evenly: after a pause a key may make a minute's worth at once, and then one whenever the next has
refilled.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import QuotaExceeded, RateLimited
from app.core.values import Value
from app.db.engine import Sessions
from app.services.callers import Caller
from app.services.once import Once

MINUTE = 60.0
Counted = Literal["turns", "questions"]

# The clock is read once the row is locked: of requests at one moment each is weighed after those before it.
_TAKE = text(
    """
    INSERT INTO key_usage (tenant_id, key_id, ready_at)
    VALUES (:tenant_id, :key_id, clock_timestamp() + make_interval(secs => :step))
    ON CONFLICT (tenant_id, key_id) DO UPDATE
    SET ready_at = greatest(key_usage.ready_at, clock_timestamp()) + make_interval(secs => :step)
    WHERE greatest(key_usage.ready_at, clock_timestamp()) + make_interval(secs => :step)
        <= clock_timestamp() + make_interval(secs => :window)
    RETURNING extract(epoch FROM ready_at - clock_timestamp())
    """
)
_AHEAD = text(
    """
    SELECT extract(epoch FROM ready_at - clock_timestamp()) FROM key_usage
    WHERE tenant_id = :tenant_id AND key_id = :key_id
    """
)
_COUNT = """
    INSERT INTO key_usage (tenant_id, key_id, day, {counted})
    VALUES (:tenant_id, :key_id, CAST(clock_timestamp() AT TIME ZONE 'UTC' AS date), :more)
    ON CONFLICT (tenant_id, key_id) DO UPDATE SET
        day = greatest(key_usage.day, excluded.day),
        {counted} = excluded.{counted} + CASE WHEN key_usage.day < excluded.day THEN 0 ELSE key_usage.{counted} END,
        {other} = CASE WHEN key_usage.day < excluded.day THEN 0 ELSE key_usage.{other} END
    WHERE excluded.{counted} + CASE WHEN key_usage.day < excluded.day THEN 0 ELSE key_usage.{counted} END <= :most
    RETURNING day
"""
_COUNTS = {
    "turns": text(_COUNT.format(counted="turns", other="questions")),
    "questions": text(_COUNT.format(counted="questions", other="turns")),
}
_GIVE_BACK = text(
    """
    UPDATE key_usage SET questions = questions - 1
    WHERE tenant_id = :tenant_id AND key_id = :key_id AND day = :day AND questions > 0
    """
)
_TO_MIDNIGHT = text(
    """
    SELECT extract(epoch FROM date_trunc('day', now_utc) + interval '1 day' - now_utc)
    FROM (SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now_utc) AS clock
    """
)


class Rate(Value):
    """Where a key stands with its requests a minute, once one was weighed."""

    quota: int
    remaining: int
    """Requests that it could make at once."""
    next_in: float
    """Seconds until it could make one more than that."""
    is_refused: bool


async def take(sessions: Sessions, caller: Caller) -> Rate | None:
    """Weigh one request against the key's minute; None where it has no such limit, which costs nothing.

    What is refused takes nothing.
    """
    quota = caller.limits.requests_per_minute
    if quota is None or caller.key_id is None:
        return None
    step = MINUTE / quota
    async with sessions.begin(caller.tenant_id) as session:
        taken = await session.scalar(_TAKE, {**_key(caller), "step": step, "window": MINUTE})
        # Who was refused has the row locked, so that nobody was let in meanwhile.
        ahead = float(taken if taken is not None else await session.scalar(_AHEAD, _key(caller)) or 0.0)
    left = MINUTE - max(0.0, ahead)
    remaining = max(0, math.floor(left / step + 1e-6)) if taken is not None else 0
    next_in = max(0.0, (remaining + 1) * step - left)
    return Rate(quota=quota, remaining=remaining, next_in=next_in, is_refused=taken is None)


def refuse(rate: Rate | None) -> None:
    """Raises `RateLimited` for a request that `take` refused."""
    if rate is not None and rate.is_refused:
        raise RateLimited(rate.next_in)


async def count_turns(session: AsyncSession, caller: Caller | None, turns: int) -> None:
    """Count turns in the transaction that stores them. Raises `QuotaExceeded`, upon which that must end."""
    if caller is not None and turns:
        await _count(session, caller, "turns", turns, caller.limits.turns_per_day)


@asynccontextmanager
async def counted_question(sessions: Sessions, caller: Caller | None, once: Once) -> AsyncIterator[None]:
    """Count a question before a model is asked; given back where it fails, or another request was answered instead.

    Raises `QuotaExceeded`.
    """
    if caller is None or caller.limits.questions_per_day is None:
        yield
        return
    async with sessions.begin(caller.tenant_id) as session:
        day = await _count(session, caller, "questions", 1, caller.limits.questions_per_day)
    is_answered = False
    try:
        yield
        is_answered = not once.replayed
    finally:
        if not is_answered:
            async with sessions.begin(caller.tenant_id) as session:
                await session.execute(_GIVE_BACK, {**_key(caller), "day": day})


async def _count(session: AsyncSession, caller: Caller, counted: Counted, more: int, most: int | None) -> Any:
    """The day on which it was counted, if at all."""
    if most is None or caller.key_id is None:
        return None
    if more <= most:
        day = await session.scalar(_COUNTS[counted], {**_key(caller), "more": more, "most": most})
        if day is not None:
            return day
    wait = float(await session.scalar(_TO_MIDNIGHT) or 0.0)
    raise QuotaExceeded(f"The key may use {most} {counted} a day, by UTC.", wait)


def _key(caller: Caller) -> dict[str, UUID | None]:
    return {"tenant_id": caller.tenant_id, "key_id": caller.counted_as or caller.key_id}
