"""The courier: sends the events that wait, to several webhooks at once, each until it is delivered or given up.

A delivery is claimed by moving its time into the future, sent while no transaction is open, and then recorded. A
courier that dies in between leaves it to be claimed again, with the same id: receivers get each event at least once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import case, func, literal, select, text, true, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import metrics
from app.db import committed, tables
from app.db.engine import DATABASE_AWAY
from app.db.notices import wake_on
from app.outgoing import schedule
from app.outgoing.sender import Sent, WebhookSender
from app.services.events import CHANNEL
from app.services.service import Service
from app.services.webhooks import MAX_ATTEMPTS_KEPT, Attempt, DeliveryState, Why

log = logging.getLogger(__name__)

Schedule = Callable[[int, float | None, Callable[[], float]], float | None]
"""As `app.outgoing.schedule.next_attempt`."""

RECONNECT_SECONDS = 1.0
SHORTEST_SLEEP = 0.01
GRACE_SECONDS = 3.0
"""What attempts under way get to end when the courier is stopped."""
TRANSACTIONS = 4
"""At once: the connections are also those of requests and of the worker."""
HOUSEKEEPING_SECONDS = 3600.0
MOST_FORGOTTEN = 1000
"""Rows of one kind that one transaction forgets."""

_CLAIM = text(
    "SELECT tenant_id, webhook_id, event_id "
    "FROM memory_r1_claim_deliveries(:seconds, :most, :of_each, CAST(:sending AS UUID[]))"
)
_NEXT = text("SELECT memory_r1_next_delivery()")
_FORGET = text("SELECT memory_r1_forget(:requests_before, :events_before, :most)")


class DeliveryKey(NamedTuple):
    tenant_id: UUID
    webhook_id: UUID
    event_id: UUID


class _Parcel(NamedTuple):
    """What is sent, and to whom."""

    url: str
    secrets: list[SecretStr]
    body: bytes
    enabled: bool
    attempts: int


class Courier:
    """Runs until stopped; several may run on one database."""

    def __init__(self, service: Service, sender: WebhookSender, next_attempt: Schedule = schedule.next_attempt) -> None:
        self._sessions, self._sender, self._next_attempt = service.sessions, sender, next_attempt
        self._settings, self._requests = service.settings.webhooks, service.settings.requests
        self._database = service.settings.database
        self._wake = asyncio.Event()
        self._stopping = False
        self._next_look = 0.0
        self._sending: dict[asyncio.Task[None], DeliveryKey] = {}
        self._transactions = asyncio.Semaphore(TRANSACTIONS)

    async def run(self) -> None:
        """Send until `stop`; then let what is under way end for a moment, leave the rest to others and return."""
        aside = [asyncio.create_task(self._listen()), asyncio.create_task(self._keep_house())]
        try:
            while not self._stopping:
                self._wake.clear()
                await self._survive(self._send_due)
                await self._sleep()
            if self._sending:
                await asyncio.wait(self._sending, timeout=GRACE_SECONDS)
        finally:
            left = dict(self._sending)
            for task in [*aside, *left]:
                task.cancel()
            await asyncio.gather(*aside, *left, return_exceptions=True)
            await self._leave([key for task, key in left.items() if task.cancelled()])

    def stop(self) -> None:
        """Ask `run` to return; what it cannot end is sent again by the next courier."""
        self._stopping = True
        self._wake.set()

    async def _survive(self, step: Callable[[], Awaitable[None]]) -> None:
        """The loops outlive whatever fails: a courier that ended unnoticed would leave every event waiting."""
        try:
            await step()
        except DATABASE_AWAY as error:
            log.warning("the courier cannot reach the database: %s", type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)
        except Exception:
            log.exception("the courier failed, and goes on")
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        await wake_on(self._database, CHANNEL, self._wake)

    async def _sleep(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(SHORTEST_SLEEP, self._next_look))

    async def _send_due(self) -> None:
        self._next_look = self._settings.poll_seconds
        free = self._settings.concurrency - len(self._sending)
        if self._stopping or free <= 0:
            return
        asked = {
            "seconds": self._settings.lease_seconds,
            "most": free,
            "of_each": self._settings.per_webhook,
            "sending": [key.webhook_id for key in self._sending.values()],
        }
        async with self._sessions.dispatch() as session:
            # Both go by the time of the transaction: what is not claimed as due is looked for as next.
            due = await session.scalar(_NEXT)
            keys = [DeliveryKey(*row) for row in await session.execute(_CLAIM, asked)]
        if due is not None:
            self._next_look = min(self._next_look, float(due))
        for key in keys:
            task = asyncio.create_task(self._deliver(key))
            self._sending[task] = key
            task.add_done_callback(self._forget_task)

    def _forget_task(self, task: asyncio.Task[None]) -> None:
        self._sending.pop(task, None)
        self._wake.set()

    async def _deliver(self, key: DeliveryKey) -> None:
        """One attempt, and what comes of it; where that cannot be noted, the lease ends and it is made again."""
        try:
            parcel = await self._fetch(key)
            if parcel is None:
                return
            if not parcel.enabled:
                await self._give_up(key)
                return
            at = datetime.now(UTC)
            sent = await self._sender.send(parcel.url, parcel.secrets, key.event_id.hex, at, parcel.body)
            await self._record(key, parcel, at, sent)
        except DATABASE_AWAY as error:
            log.warning("a delivery was left to be made again, the database failed: %s", type(error).__name__)
        except Exception:
            log.exception("a delivery failed unexpectedly, and will be made again")

    async def _fetch(self, key: DeliveryKey) -> _Parcel | None:
        """What a claimed delivery takes; None where it was removed, or another courier delivered it."""
        async with self._transactions, self._sessions.begin(key.tenant_id) as session:
            row = (await session.execute(_parcel(key))).one_or_none()
        if row is None:
            return None
        secrets = [row.secret, row.previous_secret] if row.previous_holds else [row.secret]
        return _Parcel(
            row.url, [SecretStr(one) for one in secrets], canonical(row.body), row.enabled, len(row.attempts)
        )

    async def _give_up(self, key: DeliveryKey) -> None:
        async with self._transactions, self._sessions.begin(key.tenant_id) as session:
            await session.execute(_waiting(key).values(state=DeliveryState.FAILED.value, run_at=None))

    async def _record(self, key: DeliveryKey, parcel: _Parcel, at: datetime, sent: Sent) -> None:
        attempt = Attempt(at=at, status=sent.status, error=sent.error, seconds=round(sent.seconds, 4))
        state, wait = DeliveryState.DELIVERED, None
        if not sent.ok:
            wait = None if sent.gone else self._next_attempt(parcel.attempts + 1, sent.retry_after, random.random)
            state = DeliveryState.FAILED if wait is None else DeliveryState.WAITING
        run_at = None if wait is None else func.clock_timestamp() + timedelta(seconds=wait)
        async with self._transactions, self._sessions.begin(key.tenant_id) as session:
            # The webhook comes before its deliveries, as where it is removed.
            await self._judge(session, key, parcel.url, sent)
            values = {"attempts": _with_attempt(attempt), "state": state.value, "run_at": run_at}
            await session.execute(_waiting(key).values(values))
            outcome = "retried" if state is DeliveryState.WAITING else state.value
            committed.count(session, metrics.DELIVERIES, outcome)

    async def _judge(self, session: AsyncSession, key: DeliveryKey, url: str, sent: Sent) -> None:
        """Note since when a webhook fails, and disable it where it is gone or has failed for too long.

        What came of a URL that is no longer the webhook's says nothing about it.
        """
        webhooks = tables.webhooks
        own = webhooks.c.tenant_id == key.tenant_id, webhooks.c.id == key.webhook_id, webhooks.c.url == url
        statement, since = update(webhooks).where(*own), webhooks.c.failing_since
        if sent.ok:
            await session.execute(statement.where(since.is_not(None)).values(failing_since=None))
            return
        now = func.clock_timestamp()
        await session.execute(statement.where(since.is_(None)).values(failing_since=now))
        too_long = since < now - timedelta(days=self._settings.disable_after_days)
        reason = Why.GONE if sent.gone else Why.FAILING
        disabling = statement.where(webhooks.c.enabled, true() if sent.gone else too_long)
        disabled = await session.execute(
            disabling.values(enabled=False, disabled_reason=reason.value).returning(webhooks.c.id)
        )
        if disabled.one_or_none() is not None:
            log.warning("disabled the webhook %s: %s", key.webhook_id, reason.value)

    async def _leave(self, keys: list[DeliveryKey]) -> None:
        """Let others send at once what was cut off; where the database is away, they do when the lease ends."""
        for key in keys:
            with suppress(*DATABASE_AWAY):
                async with self._sessions.begin(key.tenant_id) as session:
                    await session.execute(_waiting(key).values(run_at=func.clock_timestamp()))
                    await session.execute(select(func.pg_notify(CHANNEL, "")))

    async def _keep_house(self) -> None:
        while True:
            await self._survive(self.forget_old)
            await asyncio.sleep(HOUSEKEEPING_SECONDS * random.uniform(0.9, 1.1))

    async def forget_old(self) -> None:
        """Forget the requests and the events that are older than the settings keep them."""
        now = datetime.now(UTC)
        asked = {
            "requests_before": now - timedelta(hours=self._requests.keep_hours),
            "events_before": now - timedelta(days=self._settings.keep_events_days),
            "most": MOST_FORGOTTEN,
        }
        started, count = time.monotonic(), 1
        while count and time.monotonic() - started < HOUSEKEEPING_SECONDS:
            async with self._sessions.dispatch() as session:
                count = await session.scalar(_FORGET, asked) or 0


def canonical(body: Any) -> bytes:
    """The same bytes at every attempt, since signatures and receivers' digests are over them."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _parcel(key: DeliveryKey) -> Any:
    table, told, webhooks = tables.deliveries, tables.events, tables.webhooks
    same_event = (told.c.tenant_id == table.c.tenant_id) & (told.c.id == table.c.event_id)
    same_webhook = (webhooks.c.tenant_id == table.c.tenant_id) & (webhooks.c.id == table.c.webhook_id)
    holds = func.coalesce(webhooks.c.previous_until > func.clock_timestamp(), False).label("previous_holds")
    columns = [webhooks.c[name] for name in ("url", "secret", "previous_secret", "enabled")]
    return (
        select(*columns, holds, told.c.body, table.c.attempts)
        .select_from(table.join(told, same_event).join(webhooks, same_webhook))
        .where(*_own(key), table.c.state == DeliveryState.WAITING.value)
    )


def _own(key: DeliveryKey) -> list[Any]:
    table = tables.deliveries.c
    return [table.tenant_id == key.tenant_id, table.webhook_id == key.webhook_id, table.event_id == key.event_id]


def _waiting(key: DeliveryKey) -> Any:
    """Only where it still waits: a courier that took too long must not undo another's success."""
    table = tables.deliveries
    return update(table).where(*_own(key), table.c.state == DeliveryState.WAITING.value)


def _with_attempt(attempt: Attempt) -> Any:
    """The log with one more attempt, and without the oldest where it is full."""
    attempts = tables.deliveries.c.attempts
    full = func.jsonb_array_length(attempts) >= MAX_ATTEMPTS_KEPT
    kept = case((full, attempts.op("-")(literal(0))), else_=attempts)
    return type_coerce(kept, JSONB).op("||")(literal(attempt.model_dump(mode="json"), JSONB))
