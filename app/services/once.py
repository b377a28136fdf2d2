"""Doing a request once: its Idempotency-Key is claimed in the transaction of its effects, and kept with the response.

Two requests with one key cannot both come through: the second waits at the claim until the first has committed, and
then finds its response, or has failed, and then takes its place.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import IdempotencyConflict
from app.core.values import Value
from app.db import tables
from app.db.engine import Sessions
from app.db.queries import BankKey


class Once:
    """One request under its Idempotency-Key; without a key it is simply done."""

    def __init__(self, key: str | None = None, digest: bytes = b"") -> None:
        self.key, self.digest = key, digest
        self.replayed = False
        """Whether the response is that of an earlier request."""

    async def look(self, sessions: Sessions, tenant_id: UUID) -> Any | None:
        """The response of an earlier request, before any work is done. Raises `IdempotencyConflict`."""
        if self.key is None:
            return None
        async with sessions.begin(tenant_id) as session:
            return await self._earlier(session, tenant_id)

    async def claim(self, session: AsyncSession, tenant_id: UUID) -> Any | None:
        """The response of an earlier request, or None: the key is then this transaction's.

        Comes first in the transaction, before any other lock. Raises `IdempotencyConflict`.
        """
        if self.key is None:
            return None
        row = {"tenant_id": tenant_id, "key": self.key, "digest": self.digest}
        claim = upsert(tables.idempotency_keys).values(row).on_conflict_do_nothing()
        claimed = await session.execute(claim.returning(tables.idempotency_keys.c.key))
        return None if claimed.one_or_none() is not None else await self._earlier(session, tenant_id)

    async def keep(
        self, session: AsyncSession, tenant_id: UUID, response: Value, bank: BankKey | None, *, holds_text: bool
    ) -> None:
        """Keep the response; with a bank it goes when that is erased, and where it holds text, when a turn is."""
        if self.key is None:
            return
        keys = tables.idempotency_keys
        values = {"body": response.model_dump(mode="json"), "holds_text": holds_text}
        if bank is not None:
            values["bank_id"] = bank.bank_id
        own = (keys.c.tenant_id == tenant_id) & (keys.c.key == self.key)
        await session.execute(update(keys).where(own).values(values))

    async def _earlier(self, session: AsyncSession, tenant_id: UUID) -> Any | None:
        keys = tables.idempotency_keys
        statement = select(keys.c.digest, keys.c.body).where(keys.c.tenant_id == tenant_id, keys.c.key == self.key)
        row = (await session.execute(statement)).one_or_none()
        if row is None:
            return None
        if row.digest != self.digest:
            raise IdempotencyConflict()
        if row.body is None:
            raise IdempotencyConflict("The response to this Idempotency-Key was erased.")
        self.replayed = True
        return row.body
