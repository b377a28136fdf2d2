"""API keys: random, shown once, stored as hashes; each with a scope, perhaps some banks, an end and limits."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import Row, Select, func, insert, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import Conflict, InvalidInput, Unauthenticated, UnknownKey
from app.core.values import Value
from app.db import tables
from app.db.engine import Sessions
from app.services import audit
from app.services.callers import BANK_NAME, MAX_OVERLAP_SECONDS, Caller, Limits, Rights, Scope
from app.services.once import Once

DEFAULT_TENANT = "default"
PREFIX = "mr1_"
MAX_NAME_CHARACTERS = 100
MAX_BANKS = 1000
"""Banks that one key is for, unless it is for all."""
_LIMITS = tuple(Limits.model_fields)
_FIND_KEY = text("SELECT * FROM memory_r1_find_key(:digest)")
_FIND_TENANT = text("SELECT memory_r1_find_tenant(:name)")


class KeySummary(Value):
    """A key without its secret."""

    id: UUID
    tenant: str
    name: str
    scope: Scope
    banks: tuple[str, ...] | None
    """Names of the only banks that it is for; null: all."""
    expires_at: datetime | None
    requests_per_minute: int | None
    turns_per_day: int | None
    questions_per_day: int | None
    created_at: datetime
    revoked_at: datetime | None
    rotated_to: UUID | None
    """The key that takes its place."""


class NewKey(KeySummary):
    """A key as its owner sees it, once."""

    secret: str | None
    """What to send as `Authorization: Bearer ...`. It is stored nowhere: null where a request is repeated."""


class KeyPage(NamedTuple):
    keys: tuple[KeySummary, ...]
    next: UUID | None
    """The key to continue after."""


async def authenticate(sessions: Sessions, secret: str) -> Caller:
    """Whom a key belongs to, and what it allows. Raises `Unauthenticated`."""
    # A key is 256 random bits, so one fast hash is enough: there is no dictionary to try.
    async with sessions.dispatch() as session:
        row = (await session.execute(_FIND_KEY, {"digest": _digest(secret)})).one_or_none()
    if row is None:
        raise Unauthenticated("The API key is not known, has expired or was revoked.")
    return Caller(
        tenant_id=row.tenant_id,
        key_id=row.id,
        scope=Scope(row.scope),
        banks=None if row.banks is None else tuple(row.banks),
        expires_at=row.expires_at,
        limits=_limits_of(row),
        counted_as=row.counted_as,
    )


async def create(sessions: Sessions, tenant: str, name: str, rights: Rights | None = None) -> NewKey:
    """A new key of a tenant, which is made where there is none. Raises `InvalidInput` for a name out of bounds."""
    _check_name("tenant", tenant)
    _check_name("key", name)
    caller = Caller(tenant_id=await open_tenant(sessions, tenant))
    return await create_for(sessions, caller, name, rights or Rights())


async def create_for(sessions: Sessions, caller: Caller, name: str, rights: Rights, once: Once | None = None) -> NewKey:
    """A new key of the caller's tenant, with the caller's end and limits where it is given none.

    Raises `InvalidInput`, `IdempotencyConflict`, and `Forbidden` where it could do more than the caller.
    """
    _check_name("key", name)
    _check_rights(rights)
    rights = caller.granting(rights)
    caller.check_grant(rights)
    once = once or Once()
    async with sessions.begin(caller.tenant_id) as session:
        if (earlier := await once.claim(session, caller.tenant_id)) is not None:
            return NewKey.model_validate(earlier)
        made = await _insert(session, caller.tenant_id, name, rights)
        await audit.note(session, caller, "key.created", made.id, scope=made.scope.value, banks=made.banks)
        await _keep(session, caller, once, made)
    return made


async def rotate(
    sessions: Sessions, caller: Caller, key_id: UUID, overlap_seconds: int, once: Once | None = None
) -> NewKey:
    """A new key with the rights of another, which is worthless once the overlap has passed; both count as one.

    Raises `UnknownKey`, `Forbidden` for a key that may do more than the caller, and `Conflict` for one that is
    worthless already or was rotated.
    """
    if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
        raise InvalidInput(f"The overlap is 0 to {MAX_OVERLAP_SECONDS} seconds.")
    once, keys = once or Once(), tables.api_keys
    async with sessions.begin(caller.tenant_id) as session:
        if (earlier := await once.claim(session, caller.tenant_id)) is not None:
            return NewKey.model_validate(earlier)
        old = (await session.execute(_one(caller, key_id).with_for_update(of=keys))).one_or_none()
        if old is None:
            raise UnknownKey(key_id)
        rights = _rights_of(old)
        caller.check_grant(rights)
        _check_usable(old)
        made = await _insert(session, caller.tenant_id, old.name, rights, old.counted_as or old.id)
        # `least` passes over null: a key that would never end now does.
        ends = func.least(keys.c.expires_at, func.clock_timestamp() + timedelta(seconds=overlap_seconds))
        values = {"rotated_to": made.id, "expires_at": ends}
        await session.execute(update(keys).where(_own(caller.tenant_id), keys.c.id == key_id).values(values))
        await audit.note(
            session, caller, "key.rotated", key_id, rotated_to=str(made.id), overlap_seconds=overlap_seconds
        )
        await _keep(session, caller, once, made)
    return made


async def revoke(sessions: Sessions, caller: Caller, key_id: UUID, once: Once | None = None) -> KeySummary:
    """Make a key worthless at once; a second time does nothing. Raises `UnknownKey`."""
    once, keys = once or Once(), tables.api_keys
    async with sessions.begin(caller.tenant_id) as session:
        if (earlier := await once.claim(session, caller.tenant_id)) is not None:
            return KeySummary.model_validate(earlier)
        old = (await session.execute(_one(caller, key_id).with_for_update(of=keys))).one_or_none()
        if old is None:
            raise UnknownKey(key_id)
        caller.check_reach(Scope(old.scope), old.banks and tuple(old.banks))
        revoked = _summary(old)
        if old.revoked_at is None:
            mine = update(keys).where(_own(caller.tenant_id), keys.c.id == key_id)
            at = await session.scalar(mine.values(revoked_at=func.clock_timestamp()).returning(keys.c.revoked_at))
            revoked = revoked.model_copy(update={"revoked_at": at})
            await audit.note(session, caller, "key.revoked", key_id)
        await once.keep(session, caller.tenant_id, revoked, None, holds_text=False)
    return revoked


async def read(sessions: Sessions, caller: Caller, key_id: UUID) -> KeySummary:
    """One key. Raises `UnknownKey`."""
    async with sessions.begin(caller.tenant_id) as session:
        row = (await session.execute(_one(caller, key_id))).one_or_none()
    if row is None:
        raise UnknownKey(key_id)
    return _summary(row)


async def page(sessions: Sessions, caller: Caller, limit: int, after: UUID | None = None) -> KeyPage:
    """A tenant's keys, oldest first, without their secrets."""
    keys = tables.api_keys.c
    place = tuple_(keys.created_at, keys.id)
    statement = _summaries(caller.tenant_id).order_by(keys.created_at, keys.id).limit(limit + 1)
    if after is not None:
        last = tables.api_keys.alias("last").c
        statement = statement.where(last.tenant_id == caller.tenant_id, last.id == after)
        statement = statement.where(place > tuple_(last.created_at, last.id))
    async with sessions.begin(caller.tenant_id) as session:
        rows = (await session.execute(statement)).all()
    found = tuple(_summary(row) for row in rows[:limit])
    return KeyPage(found, found[-1].id if len(rows) > limit else None)


async def operator(sessions: Sessions, tenant: str = DEFAULT_TENANT) -> Caller:
    """Who acts for a tenant on the command line. Raises `InvalidInput` where there is no such tenant."""
    tenant_id = await find_tenant(sessions, tenant)
    if tenant_id is None:
        raise InvalidInput(f"There is no tenant {tenant!r}.")
    return Caller(tenant_id=tenant_id)


async def list_keys(sessions: Sessions, tenant: str = DEFAULT_TENANT) -> list[KeySummary]:
    """All keys of a tenant, oldest first."""
    tenant_id = await find_tenant(sessions, tenant)
    if tenant_id is None:
        return []
    keys = tables.api_keys.c
    async with sessions.begin(tenant_id) as session:
        rows = await session.execute(_summaries(tenant_id).order_by(keys.created_at, keys.id))
        return [_summary(row) for row in rows]


async def default_caller(sessions: Sessions) -> Caller:
    """The caller of a service that listens on loopback only and asks for no key."""
    return Caller(tenant_id=await default_tenant(sessions))


async def default_tenant(sessions: Sessions) -> UUID:
    """The tenant of callers without a key."""
    return await open_tenant(sessions, DEFAULT_TENANT)


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


async def _insert(
    session: AsyncSession, tenant_id: UUID, name: str, rights: Rights, counted_as: UUID | None = None
) -> NewKey:
    secret = PREFIX + secrets.token_urlsafe(32)
    banks = None if rights.banks is None else sorted(set(rights.banks))
    row = {"tenant_id": tenant_id, "id": uuid4(), "name": name, "digest": _digest(secret), "scope": rights.scope.value}
    row |= {"banks": banks, "expires_at": rights.expires_at, "counted_as": counted_as, **rights.limits.model_dump()}
    await session.execute(insert(tables.api_keys).values(row))
    made = (await session.execute(_summaries(tenant_id).where(tables.api_keys.c.id == row["id"]))).one()
    return NewKey(**_summary(made).model_dump(), secret=secret)


async def _keep(session: AsyncSession, caller: Caller, once: Once, made: NewKey) -> None:
    kept = made.model_copy(update={"secret": None})
    await once.keep(session, caller.tenant_id, kept, None, holds_text=False)


def _check_rights(rights: Rights) -> None:
    if rights.expires_at is not None and rights.expires_at <= datetime.now(UTC):
        raise InvalidInput("A key must expire later than now.")
    if rights.banks is not None:
        if not 1 <= len(rights.banks) <= MAX_BANKS:
            raise InvalidInput(f"A key is for 1 to {MAX_BANKS} named banks, or for all.")
        if not all(re.fullmatch(BANK_NAME, bank) for bank in rights.banks):
            raise InvalidInput("A bank's name holds 1 to 128 letters, digits and ._:@- and begins with no sign.")


def _check_usable(old: Row[Any]) -> None:
    if old.rotated_to is not None:
        raise Conflict("The key was rotated already.")
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= datetime.now(UTC)):
        raise Conflict("The key was revoked, or has expired.")


def _own(tenant_id: UUID) -> Any:
    return tables.api_keys.c.tenant_id == tenant_id


def _summaries(tenant_id: UUID) -> Select[Any]:
    keys, tenants = tables.api_keys, tables.tenants
    columns: Sequence[Any] = [keys.c[name] for name in KeySummary.model_fields if name != "tenant"]
    return (
        select(*columns, keys.c.counted_as, tenants.c.name.label("tenant"))
        .join_from(keys, tenants)
        .where(_own(tenant_id))
    )


def _one(caller: Caller, key_id: UUID) -> Select[Any]:
    return _summaries(caller.tenant_id).where(tables.api_keys.c.id == key_id)


def _summary(row: Row[Any]) -> KeySummary:
    return KeySummary(**{name: row._mapping[name] for name in KeySummary.model_fields})


def _rights_of(row: Row[Any]) -> Rights:
    banks = None if row.banks is None else tuple(row.banks)
    return Rights(scope=Scope(row.scope), banks=banks, expires_at=row.expires_at, limits=_limits_of(row))


def _limits_of(row: Row[Any]) -> Limits:
    return Limits(**{name: getattr(row, name) for name in _LIMITS})


def _check_name(of: str, name: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_CHARACTERS:
        raise InvalidInput(f"The name of a {of} holds 1 to {MAX_NAME_CHARACTERS} printable characters.")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
