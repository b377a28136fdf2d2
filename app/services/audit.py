"""The audit log: who did what to keys, banks and webhooks. It holds no text of users and no secrets.

The service's role may append to it and read it, and nothing else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.values import Value
from app.db import tables
from app.db.engine import Sessions
from app.services.callers import Caller


class AuditEvent(Value):
    """Something that was done."""

    action: str
    """What was done: `key.created`, `bank.erased` ..."""
    key_id: UUID | None
    """The key that did it; null where the service asks for none, or on the command line."""
    target: str | None
    """What it was done to: an id, or a bank's name."""
    detail: dict[str, Any]
    created_at: datetime


class AuditPage(NamedTuple):
    events: tuple[AuditEvent, ...]
    next: int | None
    """The place to continue after."""


async def note(session: AsyncSession, caller: Caller, action: str, target: object, **detail: Any) -> None:
    """Add a line, in the transaction of the act itself; `detail` is JSON without texts of users or secrets."""
    row = {"tenant_id": caller.tenant_id, "key_id": caller.key_id, "action": action, "detail": detail}
    await session.execute(insert(tables.audit_events).values(**row, target=None if target is None else str(target)))


async def page(sessions: Sessions, tenant_id: UUID, limit: int, before: int | None, action: str | None) -> AuditPage:
    """Newest first; of one action if given."""
    events = tables.audit_events.c
    statement = select(tables.audit_events).where(events.tenant_id == tenant_id)
    if before is not None:
        statement = statement.where(events.id < before)
    if action is not None:
        statement = statement.where(events.action == action)
    async with sessions.begin(tenant_id) as session:
        rows = (await session.execute(statement.order_by(events.id.desc()).limit(limit + 1))).all()
    found = tuple(AuditEvent.model_validate({n: getattr(r, n) for n in AuditEvent.model_fields}) for r in rows[:limit])
    return AuditPage(found, rows[limit - 1].id if len(rows) > limit else None)
