"""Keys: random, shown once, worthless when revoked."""

from __future__ import annotations

import hashlib
from uuid import uuid4

import pytest
from sqlalchemy import select

from app.core.errors import InvalidInput, Unauthenticated, UnknownKey
from app.db import tables
from app.db.engine import Sessions
from app.services import keys
from tests.fixtures.everything import everything
from tests.fixtures.rows import count_rows


async def test_a_key_opens_its_tenant(sessions: Sessions) -> None:
    acme, rival = await keys.create(sessions, "acme", "a"), await keys.create(sessions, "rival", "b")
    again = await keys.create(sessions, "acme", "c")
    tenants = [await keys.tenant_of(sessions, key.secret) for key in (acme, rival, again)]
    assert tenants[0] == tenants[2] != tenants[1]


async def test_keys_are_long_and_never_the_same(sessions: Sessions) -> None:
    secrets = {(await keys.create(sessions, "acme", "same name")).secret for _ in range(20)}
    assert len(secrets) == 20
    assert all(secret.startswith(keys.PREFIX) and len(secret) >= len(keys.PREFIX) + 43 for secret in secrets)


async def test_only_a_hash_is_stored(sessions: Sessions) -> None:
    made = await keys.create(sessions, "acme", "a")
    async with everything(sessions) as session:
        digest = await session.scalar(select(tables.api_keys.c.digest))
    assert digest == hashlib.sha256(made.secret.encode()).digest()


async def test_a_revoked_key_opens_nothing_and_stays_revoked(sessions: Sessions) -> None:
    made = await keys.create(sessions, "acme", "a")
    await keys.revoke(sessions, made.id)
    (listed,) = await keys.list_keys(sessions)
    with pytest.raises(Unauthenticated, match="revoked"):
        await keys.tenant_of(sessions, made.secret)
    await keys.revoke(sessions, made.id)
    assert await keys.list_keys(sessions) == [listed]
    assert listed.revoked_at is not None


async def test_keys_that_nobody_made_open_nothing(sessions: Sessions) -> None:
    made = await keys.create(sessions, "acme", "a")
    for secret in (
        "",
        "mr1_",
        made.secret.lower(),
        made.secret + " ",
        made.secret[:-1],
        "é",
        "x" * 100_000,
        str(made.id),
    ):
        with pytest.raises(Unauthenticated):
            await keys.tenant_of(sessions, secret)


async def test_a_key_that_does_not_exist_cannot_be_revoked(sessions: Sessions) -> None:
    with pytest.raises(UnknownKey):
        await keys.revoke(sessions, uuid4())


async def test_keys_are_listed_by_age_without_their_secrets(sessions: Sessions) -> None:
    made = [await keys.create(sessions, tenant, name) for tenant, name in (("b", "1"), ("a", "2"), ("b", "3"))]
    listed = await keys.list_keys(sessions)
    assert [(key.id, key.tenant, key.name) for key in listed] == [(key.id, key.tenant, key.name) for key in made]
    assert "secret" not in keys.KeySummary.model_fields


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\x00b", "a\x1b[31m", "\ud800"])
async def test_names_out_of_bounds_make_no_key(name: str, sessions: Sessions) -> None:
    before = await count_rows(sessions)
    with pytest.raises(InvalidInput, match="1 to 100 printable"):
        await keys.create(sessions, name, "key")
    with pytest.raises(InvalidInput, match="1 to 100 printable"):
        await keys.create(sessions, "acme", name)
    assert await count_rows(sessions) == before


async def test_the_default_tenant_is_made_once(sessions: Sessions) -> None:
    assert await keys.default_tenant(sessions) == await keys.default_tenant(sessions)
    assert (await count_rows(sessions))["tenants"] == 1
