"""API keys: random, shown once, stored as hashes."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import InvalidInput, NotFound, Unauthenticated
from app.core.values import Value
from app.db import tables
from app.db.engine import Sessions

DEFAULT_TENANT = "default"
PREFIX = "mr1_"
MAX_NAME_CHARACTERS = 100


class UnknownKey(NotFound):
    """There is no such key."""

    noun = "key"


class NewKey(Value):
    """A key as its owner sees it, once."""

    id: UUID
    tenant: str
    name: str
    secret: str


class KeySummary(Value):
    id: UUID
    tenant: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


async def create(sessions: Sessions, tenant: str, name: str) -> NewKey:
    """A new key of a tenant, which is made where there is none. Raises `InvalidInput` for a name out of bounds."""
    _check_name("tenant", tenant)
    _check_name("key", name)
    secret = PREFIX + secrets.token_urlsafe(32)
    key_id = uuid4()
    async with sessions.begin() as session:
        tenant_id = await _open_tenant(session, tenant)
        row = {"tenant_id": tenant_id, "id": key_id, "name": name, "digest": _digest(secret)}
        await session.execute(insert(tables.api_keys).values(row))
    return NewKey(id=key_id, tenant=tenant, name=name, secret=secret)


async def tenant_of(sessions: Sessions, secret: str) -> UUID:
    """The tenant that a key belongs to. Raises `Unauthenticated`."""
    keys = tables.api_keys
    # A key is 256 random bits, so one fast hash is enough: there is no dictionary to try.
    statement = select(keys.c.tenant_id).where(keys.c.digest == _digest(secret), keys.c.revoked_at.is_(None))
    async with sessions.begin() as session:
        tenant_id: UUID | None = await session.scalar(statement)
    if tenant_id is None:
        raise Unauthenticated("The API key is not known or was revoked.")
    return tenant_id


async def default_tenant(sessions: Sessions) -> UUID:
    """The tenant of a service that listens on loopback only and asks for no key."""
    async with sessions.begin() as session:
        return await _open_tenant(session, DEFAULT_TENANT)


async def list_keys(sessions: Sessions) -> list[KeySummary]:
    """All keys, oldest first, without their secrets."""
    keys, tenants = tables.api_keys.c, tables.tenants.c
    statement = (
        select(keys.id, tenants.name.label("tenant"), keys.name, keys.created_at, keys.revoked_at)
        .join_from(tables.api_keys, tables.tenants)
        .order_by(keys.created_at)
    )
    async with sessions.begin() as session:
        return [KeySummary.model_validate(dict(row._mapping)) for row in await session.execute(statement)]


async def revoke(sessions: Sessions, key_id: UUID) -> None:
    """Make a key worthless at once. Raises `UnknownKey`."""
    keys = tables.api_keys
    statement = (
        update(keys)
        .where(keys.c.id == key_id)
        .values(revoked_at=func.coalesce(keys.c.revoked_at, func.now()))
        .returning(keys.c.id)
    )
    async with sessions.begin() as session:
        if (await session.execute(statement)).one_or_none() is None:
            raise UnknownKey(key_id)


async def _open_tenant(session: AsyncSession, name: str) -> UUID:
    tenants = tables.tenants
    named = select(tenants.c.id).where(tenants.c.name == name)
    known: UUID | None = await session.scalar(named)
    if known is not None:
        return known
    await session.execute(upsert(tenants).values(id=uuid4(), name=name).on_conflict_do_nothing(index_elements=["name"]))
    made: UUID = (await session.scalars(named)).one()
    return made


def _check_name(of: str, name: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_CHARACTERS:
        raise InvalidInput(f"The name of a {of} holds 1 to {MAX_NAME_CHARACTERS} printable characters.")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
