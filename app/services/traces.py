"""Keeping agent runs, for provenance and training."""

from __future__ import annotations

from collections.abc import Iterable
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
    *,
    turn_id: UUID | None = None,
    answer_id: UUID | None = None,
    turn_ids: Iterable[UUID],
    memory_ids: Iterable[UUID],
) -> None:
    """Keep an agent run with whose text it holds, unless a setting says not to.

    The caller has made sure, in the same transaction, that none of that text was erased meanwhile.
    """
    if not service.settings.traces.store:
        return
    row = {"id": uuid4(), "role": trace.role.value, "turn_id": turn_id, "answer_id": answer_id}
    holds = {"turn_ids": list(turn_ids), "memory_ids": list(memory_ids)}
    body = trace.model_dump(mode="json", exclude={"role"})
    await session.execute(insert(tables.traces).values(**key._asdict(), **row, **holds, body=body))
