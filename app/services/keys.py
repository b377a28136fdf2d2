"""API keys: random, shown once, stored as hashes."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core.errors import InvalidInput, Unauthenticated, UnknownKey
from app.core.values import Value
from app.db import tables
from app.db.engine import Sessions

DEFAULT_TENANT = "default"
PREFIX = "mr1_"
MAX_NAME_CHARACTERS = 100
_FIND_KEY = text("SELECT tenant_id FROM memory_r1_find_key(:digest)")
_FIND_TENANT = text("SELECT memory_r1_find_tenant(:name)")


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
    tenant_id = await open_tenant(sessions, tenant)
    async with sessions.begin(tenant_id) as session:
        row = {"tenant_id": tenant_id, "id": key_id, "name": name, "digest": _digest(secret)}
        await session.execute(insert(tables.api_keys).values(row))
    return NewKey(id=key_id, tenant=tenant, name=name, secret=secret)


async def tenant_of(sessions: Sessions, secret: str) -> UUID:
    """The tenant that a key belongs to. Raises `Unauthenticated`."""
    # A key is 256 random bits, so one fast hash is enough: there is no dictionary to try.
    async with sessions.dispatch() as session:
        tenant_id: UUID | None = await session.scalar(_FIND_KEY, {"digest": _digest(secret)})
    if tenant_id is None:
        raise Unauthenticated("The API key is not known or was revoked.")
    return tenant_id


async def default_tenant(sessions: Sessions) -> UUID:
    """The tenant of a service that listens on loopback only and asks for no key."""
    return await open_tenant(sessions, DEFAULT_TENANT)


async def list_keys(sessions: Sessions, tenant: str = DEFAULT_TENANT) -> list[KeySummary]:
    """A tenant's keys, oldest first, without their secrets."""
    tenant_id = await find_tenant(sessions, tenant)
    if tenant_id is None:
        return []
    keys, tenants = tables.api_keys.c, tables.tenants.c
    statement = (
        select(keys.id, tenants.name.label("tenant"), keys.name, keys.created_at, keys.revoked_at)
        .join_from(tables.api_keys, tables.tenants)
        .order_by(keys.created_at)
    )
    async with sessions.begin(tenant_id) as session:
        return [KeySummary.model_validate(dict(row._mapping)) for row in await session.execute(statement)]


async def revoke(sessions: Sessions, key_id: UUID, tenant: str = DEFAULT_TENANT) -> None:
    """Make a tenant's key worthless at once. Raises `UnknownKey`."""
    tenant_id = await find_tenant(sessions, tenant)
    if tenant_id is None:
        raise UnknownKey(key_id)
    keys = tables.api_keys
    statement = (
        update(keys)
        .where(keys.c.id == key_id)
        .values(revoked_at=func.coalesce(keys.c.revoked_at, func.now()))
        .returning(keys.c.id)
    )
    async with sessions.begin(tenant_id) as session:
        if (await session.execute(statement)).one_or_none() is None:
            raise UnknownKey(key_id)


async def open_tenant(sessions: Sessions, name: str) -> UUID:
    """The tenant of that name, made where there is none."""
    found = await find_tenant(sessions, name)
    if found is not None:
        return found
    tenants, new_id = tables.tenants, uuid4()
    async with sessions.begin(new_id) as session:
        await session.execute(
            upsert(tenants).values(id=new_id, name=name).on_conflict_do_nothing(index_elements=["name"])
        )
    return await find_tenant(sessions, name) or new_id


async def find_tenant(sessions: Sessions, name: str) -> UUID | None:
    """The tenant of that name, if there is one."""
    async with sessions.dispatch() as session:
        found: UUID | None = await session.scalar(_FIND_TENANT, {"name": name})
    return found


def _check_name(of: str, name: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_CHARACTERS:
        raise InvalidInput(f"The name of a {of} holds 1 to {MAX_NAME_CHARACTERS} printable characters.")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
