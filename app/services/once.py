"""Doing a request once: its Idempotency-Key is claimed in the transaction of its effects, and kept with the response.

Two requests with one key cannot both come through: the second waits at the claim until the first has committed, and
then finds its response, or has failed, and then takes its place.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import IdempotencyConflict
from app.core.values import Value
from app.db import tables
from app.db.engine import Sessions
from app.db.queries import BankKey


class Once:
    """One request under its Idempotency-Key; without a key it is simply done."""

    def __init__(self, key: str | None = None, digest: bytes = b"", scope: str = "") -> None:
        self.key, self.digest = key, digest
        self.scope = scope
        """What the request is about, within which its key is unique: the digest of a bank's name; empty: the tenant."""
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
        row = {"tenant_id": tenant_id, "scope": self.scope, "key": self.key, "digest": self.digest}
        claim = upsert(tables.idempotency_keys).values(row).on_conflict_do_nothing()
        claim_it = claim.returning(tables.idempotency_keys.c.key)
        # Between the two statements the earlier request may be forgotten, or erased with its bank.
        while (await session.execute(claim_it)).one_or_none() is None:
            if (earlier := await self._earlier(session, tenant_id)) is not None:
                return earlier
        return None

    async def keep(
        self, session: AsyncSession, tenant_id: UUID, response: Value, bank: BankKey | None, *, holds_text: bool
    ) -> None:
        """Keep the response; with a bank it goes when that is erased, and where it holds text, when a turn is; after
        that the key answers `IdempotencyConflict`.
        """
        if self.key is None:
            return
        keys = tables.idempotency_keys
        values = {"body": response.model_dump(mode="json"), "holds_text": holds_text}
        if bank is not None:
            values["bank_id"] = bank.bank_id
        await session.execute(update(keys).where(*self._own(tenant_id)).values(values))

    async def _earlier(self, session: AsyncSession, tenant_id: UUID) -> Any | None:
        keys = tables.idempotency_keys
        statement = select(keys.c.digest, keys.c.body).where(*self._own(tenant_id))
        row = (await session.execute(statement)).one_or_none()
        if row is None:
            return None
        # Who erases a turn empties the digest: it is of a text, and short texts can be guessed.
        if row.digest and row.digest != self.digest:
            raise IdempotencyConflict()
        if not row.digest or row.body is None:
            raise IdempotencyConflict("The response to this Idempotency-Key was erased.")
        self.replayed = True
        return row.body

    def _own(self, tenant_id: UUID) -> list[ColumnElement[bool]]:
        keys = tables.idempotency_keys.c
        return [keys.tenant_id == tenant_id, keys.scope == self.scope, keys.key == self.key]
