"""The operation log of a bank: numbered without gaps, in the order in which its changes were applied."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.changes import LoggedOperation
from app.db import tables
from app.db.lanes import Stamp
from app.db.queries import BankKey


class Origin(StrEnum):
    """Who decided on an operation."""

    WORKER = "worker"
    """The Memory Manager, for a turn."""
    CLIENT = "client"
    UNDO = "undo"


async def write(
    session: AsyncSession, key: BankKey, stamp: Stamp, lines: Sequence[LoggedOperation], origin: Origin, **of_all: Any
) -> None:
    """Append lines under the numbers of a stamp that was made for just as many; `of_all` are columns of each."""
    if not lines:
        return
    shared = {**key._asdict(), "origin": origin.value, "created_at": stamp.at, **of_all}
    rows = [
        {**shared, "number": number, **line.model_dump(exclude={"number"})}
        for number, line in enumerate(lines, stamp.first)
    ]
    await session.execute(insert(tables.operations), rows)
