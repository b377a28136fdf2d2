"""Keeping agent runs, for provenance and training."""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.trace import Trace
from app.db import tables
from app.db.queries import BankKey
from app.services.service import Service


async def write_trace(
    session: AsyncSession,
    service: Service,
    key: BankKey,
    trace: Trace,
    turn_id: UUID | None = None,
    answer_id: UUID | None = None,
) -> None:
    """Keep an agent run, unless a setting says not to."""
    if not service.settings.traces.store:
        return
    row = {"id": uuid4(), "role": trace.role.value, "turn_id": turn_id, "answer_id": answer_id}
    await session.execute(
        insert(tables.traces).values(**key._asdict(), **row, body=trace.model_dump(mode="json", exclude={"role"}))
    )
