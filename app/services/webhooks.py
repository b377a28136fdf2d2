"""Webhooks: made, changed, tested and removed, and the log of their deliveries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Row, Select, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import Conflict, UnknownDelivery, UnknownWebhook
from app.core.values import Value
from app.db import tables
from app.db.engine import Sessions
from app.outgoing.addresses import check_url
from app.outgoing.sender import Failure
from app.outgoing.signing import new_secret
from app.services import audit, events
from app.services.callers import Caller
from app.services.events import EventType
from app.services.once import Once
from app.settings import WebhookSettings

MAX_ATTEMPTS_KEPT = 20
"""Attempts of one delivery in the log; the oldest make room."""

_Kept = TypeVar("_Kept", bound=Value)

# Two requests must not both find room for the last webhook.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('webhooks:' || CAST(:tenant_id AS TEXT), 0))")


class Why(StrEnum):
    """Why the service disabled a webhook."""

    GONE = "gone"
    """The receiver answered 410: it wants no webhook ever again."""
    FAILING = "failing"
    """Nothing was delivered for days."""


class WebhookSummary(Value):
    """A webhook without its secret."""

    id: UUID
    url: str
    events: tuple[EventType, ...]
    banks: tuple[str, ...] | None
    """Names of the only banks that it is told of; null: of all."""
    enabled: bool
    disabled_reason: Why | None
    """Set where the service disabled it, and not a client."""
    failing_since: datetime | None
    """When its attempts began to fail, if none has succeeded since."""
    previous_until: datetime | None
    """Until when the secret before the last rotation signs as well."""
    created_at: datetime


class NewWebhook(WebhookSummary):
    """A webhook with its secret, which is shown once; null where a request is repeated."""

    secret: str | None


class Attempt(Value):
    """One try at a delivery."""

    at: datetime
    status: int | None
    """HTTP status of the receiver, if one came."""
    error: Failure | None
    """Null where it was delivered."""
    seconds: float


class DeliveryState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up: after the last attempt, or since the webhook is disabled."""


class Delivery(Value):
    """One event on its way to one webhook."""

    event_id: UUID
    """Without its hyphens also the `webhook-id` of every attempt."""
    type: EventType
    state: DeliveryState
    next_attempt_at: datetime | None
    """Of a delivery that waits: when it is tried, or when it counts as lost by its sender."""
    attempts: tuple[Attempt, ...]
    """Oldest first."""
    created_at: datetime


class DeliveryPage(Value):
    deliveries: tuple[Delivery, ...]
    next: UUID | None
    """The event to continue after."""


class Removed(Value):
    """What is kept of a removal, to answer when it is asked for again."""

    id: UUID


class Tested(Value):
    """The event that tests a webhook."""

    event_id: UUID


async def create(
    sessions: Sessions,
    caller: Caller,
    settings: WebhookSettings,
    url: str,
    wanted: Sequence[EventType],
    banks: Sequence[str] | None,
    once: Once | None = None,
) -> NewWebhook:
    """A new webhook. Raises `InvalidInput` for a URL that may not be called, `Conflict` where there are too many."""
    once, tenant_id = once or Once(), caller.tenant_id
    check_url(url, settings.allow_private_addresses)
    async with sessions.begin(tenant_id) as session:
        if (earlier := await once.claim(session, tenant_id)) is not None:
            return _read(NewWebhook, earlier)
        await session.execute(_ONE_AT_A_TIME, {"tenant_id": tenant_id})
        there = select(func.count()).select_from(tables.webhooks).where(tables.webhooks.c.tenant_id == tenant_id)
        if (await session.scalar(there) or 0) >= settings.max_webhooks:
            raise Conflict(f"There are {settings.max_webhooks} webhooks already; remove one first.")
        secret = new_secret().get_secret_value()
        row = {"tenant_id": tenant_id, "id": events.new_id(), "url": url, "secret": secret}
        row |= {"events": _each_once(wanted), "banks": banks and _each_once(banks)}
        made = await session.execute(insert(tables.webhooks).values(row).returning(tables.webhooks))
        summary = _summary(made.one())
        await audit.note(session, caller, "webhook.created", summary.id)
        return await _keep_without_secret(session, caller, once, summary, secret)


async def read(sessions: Sessions, tenant_id: UUID, webhook_id: UUID) -> WebhookSummary:
    """One webhook. Raises `UnknownWebhook`."""
    async with sessions.begin(tenant_id) as session:
        row = (await session.execute(_one(tenant_id, webhook_id))).one_or_none()
    if row is None:
        raise UnknownWebhook(webhook_id)
    return _summary(row)


async def list_all(sessions: Sessions, tenant_id: UUID) -> tuple[WebhookSummary, ...]:
    """A tenant's webhooks, oldest first: few, by a setting."""
    webhooks = tables.webhooks
    statement = select(webhooks).where(webhooks.c.tenant_id == tenant_id)
    async with sessions.begin(tenant_id) as session:
        rows = (await session.execute(statement.order_by(webhooks.c.created_at, webhooks.c.id))).all()
    return tuple(_summary(row) for row in rows)


async def change(
    sessions: Sessions,
    caller: Caller,
    settings: WebhookSettings,
    webhook_id: UUID,
    given: dict[str, Any],
    once: Once | None = None,
) -> WebhookSummary:
    """Change what is given of `url`, `events`, `banks`, `enabled`. Another URL, or enabling, is a new beginning: why it
    was disabled and since when it fails is forgotten.

    Raises `UnknownWebhook`, and `InvalidInput` for a URL that may not be called.
    """
    once, tenant_id = once or Once(), caller.tenant_id
    if "url" in given:
        check_url(given["url"], settings.allow_private_addresses)
    async with sessions.begin(tenant_id) as session:
        if (earlier := await once.claim(session, tenant_id)) is not None:
            return _read(WebhookSummary, earlier)
        row = await _lock(session, tenant_id, webhook_id)
        values = {name: value for name, value in given.items() if name in ("url", "enabled")}
        values |= {name: given[name] and _each_once(given[name]) for name in ("events", "banks") if name in given}
        if values.get("url", row.url) != row.url or values.get("enabled"):
            values |= {"disabled_reason": None, "failing_since": None}
        if values:
            row = await _update(session, tenant_id, webhook_id, values)
        summary = _summary(row)
        await audit.note(session, caller, "webhook.changed", webhook_id, changed=sorted(given))
        await once.keep(session, tenant_id, summary, None, holds_text=False)
    return summary


async def remove(sessions: Sessions, caller: Caller, webhook_id: UUID, once: Once | None = None) -> None:
    """Remove a webhook with the log of its deliveries. Raises `UnknownWebhook`."""
    once, tenant_id = once or Once(), caller.tenant_id
    async with sessions.begin(tenant_id) as session:
        if await once.claim(session, tenant_id) is not None:
            return
        webhooks, told = tables.webhooks, tables.events
        if (await session.execute(_one(tenant_id, webhook_id).with_for_update())).one_or_none() is None:
            raise UnknownWebhook(webhook_id)
        # Events come before deliveries, as where old ones are forgotten; who erases a bank waits for the webhook.
        sent = select(tables.deliveries.c.event_id).where(
            tables.deliveries.c.tenant_id == tenant_id, tables.deliveries.c.webhook_id == webhook_id
        )
        held = select(told.c.id).where(told.c.tenant_id == tenant_id, told.c.id.in_(sent)).order_by(told.c.id)
        await session.execute(held.with_for_update(read=True, key_share=True))
        await session.execute(delete(webhooks).where(webhooks.c.tenant_id == tenant_id, webhooks.c.id == webhook_id))
        await audit.note(session, caller, "webhook.removed", webhook_id)
        await once.keep(session, tenant_id, Removed(id=webhook_id), None, holds_text=False)


async def rotate(
    sessions: Sessions, caller: Caller, webhook_id: UUID, overlap_seconds: int, once: Once | None = None
) -> NewWebhook:
    """A new secret; the one before signs as well until the overlap has passed. Raises `UnknownWebhook`."""
    once, tenant_id = once or Once(), caller.tenant_id
    async with sessions.begin(tenant_id) as session:
        if (earlier := await once.claim(session, tenant_id)) is not None:
            return _read(NewWebhook, earlier)
        row = await _lock(session, tenant_id, webhook_id)
        secret = new_secret().get_secret_value()
        until = func.clock_timestamp() + timedelta(seconds=overlap_seconds)
        previous = {"previous_secret": row.secret, "previous_until": until} if overlap_seconds else _NO_PREVIOUS
        row = await _update(session, tenant_id, webhook_id, {"secret": secret, **previous})
        await audit.note(session, caller, "webhook.rotated", webhook_id, overlap_seconds=overlap_seconds)
        return await _keep_without_secret(session, caller, once, _summary(row), secret)


async def test(sessions: Sessions, caller: Caller, webhook_id: UUID, once: Once | None = None) -> Tested:
    """Send a `webhook.test` event by the way that all events go. Raises `UnknownWebhook`, `Conflict` where disabled."""
    once, tenant_id = once or Once(), caller.tenant_id
    async with sessions.begin(tenant_id) as session:
        if (earlier := await once.claim(session, tenant_id)) is not None:
            return _read(Tested, earlier)
        _check_enabled(await _lock(session, tenant_id, webhook_id))
        tested = Tested(event_id=await events.test(session, tenant_id, webhook_id))
        await once.keep(session, tenant_id, tested, None, holds_text=False)
    return tested


async def deliveries(
    sessions: Sessions,
    tenant_id: UUID,
    webhook_id: UUID,
    limit: int,
    before: UUID | None,
    state: DeliveryState | None,
) -> DeliveryPage:
    """The newest events first; of one state if given. Raises `UnknownWebhook`."""
    table = tables.deliveries.c
    statement = _logged(tenant_id, webhook_id).order_by(table.event_id.desc()).limit(limit + 1)
    if before is not None:
        statement = statement.where(table.event_id < before)
    if state is not None:
        statement = statement.where(table.state == state.value)
    async with sessions.begin(tenant_id) as session:
        if (await session.execute(_one(tenant_id, webhook_id))).one_or_none() is None:
            raise UnknownWebhook(webhook_id)
        rows = (await session.execute(statement)).all()
    found = tuple(_delivery(row) for row in rows[:limit])
    return DeliveryPage(deliveries=found, next=found[-1].event_id if len(rows) > limit else None)


async def retry(
    sessions: Sessions, caller: Caller, webhook_id: UUID, event_id: UUID, once: Once | None = None
) -> Delivery:
    """Send an event now, whatever came of it before; after a failure the schedule goes on where it was.

    Raises `UnknownWebhook`, `UnknownDelivery`, and `Conflict` where the webhook is disabled.
    """
    once, tenant_id, table = once or Once(), caller.tenant_id, tables.deliveries
    async with sessions.begin(tenant_id) as session:
        if (earlier := await once.claim(session, tenant_id)) is not None:
            return _read(Delivery, earlier)
        _check_enabled(await _lock(session, tenant_id, webhook_id))
        own = (table.c.tenant_id == tenant_id) & (table.c.webhook_id == webhook_id) & (table.c.event_id == event_id)
        values = {"state": DeliveryState.WAITING.value, "run_at": func.clock_timestamp()}
        await session.execute(update(table).where(own).values(values))
        row = (await session.execute(_logged(tenant_id, webhook_id).where(own))).one_or_none()
        if row is None:
            raise UnknownDelivery(event_id)
        await session.execute(select(func.pg_notify(events.CHANNEL, "")))
        delivery = _delivery(row)
        await once.keep(session, tenant_id, delivery, None, holds_text=False)
    return delivery


_NO_PREVIOUS = {"previous_secret": None, "previous_until": None}


def _read(kind: type[_Kept], kept: Any) -> _Kept:
    return kind.model_validate_json(json.dumps(kept))


def _each_once(names: Sequence[str]) -> list[str]:
    return [str(name) for name in dict.fromkeys(names)]


def _one(tenant_id: UUID, webhook_id: UUID) -> Select[Any]:
    webhooks = tables.webhooks
    return select(webhooks).where(webhooks.c.tenant_id == tenant_id, webhooks.c.id == webhook_id)


async def _lock(session: AsyncSession, tenant_id: UUID, webhook_id: UUID) -> Row[Any]:
    """Keep a webhook from changes until the transaction ends; events may be written for it."""
    locking = _one(tenant_id, webhook_id).with_for_update(key_share=True)
    row: Row[Any] | None = (await session.execute(locking)).one_or_none()
    if row is None:
        raise UnknownWebhook(webhook_id)
    return row


async def _update(session: AsyncSession, tenant_id: UUID, webhook_id: UUID, values: dict[str, Any]) -> Row[Any]:
    webhooks = tables.webhooks
    own = (webhooks.c.tenant_id == tenant_id) & (webhooks.c.id == webhook_id)
    changed = await session.execute(update(webhooks).where(own).values(values).returning(webhooks))
    row: Row[Any] = changed.one()
    return row


def _check_enabled(row: Row[Any]) -> None:
    if not row.enabled:
        raise Conflict("The webhook is disabled; enable it first.")


async def _keep_without_secret(
    session: AsyncSession, caller: Caller, once: Once, summary: WebhookSummary, secret: str
) -> NewWebhook:
    kept = NewWebhook(**summary.model_dump(), secret=None)
    await once.keep(session, caller.tenant_id, kept, None, holds_text=False)
    return kept.model_copy(update={"secret": secret})


def _summary(row: Row[Any]) -> WebhookSummary:
    return WebhookSummary.model_validate({name: getattr(row, name) for name in WebhookSummary.model_fields})


def _logged(tenant_id: UUID, webhook_id: UUID) -> Select[Any]:
    table, told = tables.deliveries, tables.events
    same = (told.c.tenant_id == table.c.tenant_id) & (told.c.id == table.c.event_id)
    own = (table.c.tenant_id == tenant_id) & (table.c.webhook_id == webhook_id)
    columns = [table.c[name] for name in ("event_id", "state", "run_at", "attempts", "created_at")]
    return select(*columns, told.c.type).join_from(table, told, same).where(own)


def _delivery(row: Row[Any]) -> Delivery:
    waiting = row.state == DeliveryState.WAITING.value
    return Delivery(
        event_id=row.event_id,
        type=EventType(row.type),
        state=DeliveryState(row.state),
        next_attempt_at=row.run_at if waiting else None,
        attempts=tuple(Attempt.model_validate(attempt) for attempt in row.attempts),
        created_at=row.created_at,
    )
