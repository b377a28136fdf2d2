"""Keys: random, shown once, worthless when revoked, expired or rotated; and no more powerful than their maker."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Text, cast, func, select, update

from app.core.errors import Conflict, Forbidden, InvalidInput, Unauthenticated, UnknownKey
from app.db import tables
from app.db.engine import Sessions
from app.services import audit, keys
from app.services.callers import Caller, Limits, Rights, Scope
from app.services.keys import NewKey
from app.services.once import Once
from tests.fixtures.everything import everything
from tests.fixtures.rows import count_rows

SOON = timedelta(hours=1)


async def caller_of(sessions: Sessions, key: NewKey) -> Caller:
    return await keys.authenticate(sessions, str(key.secret))


async def test_a_key_opens_its_tenant(sessions: Sessions) -> None:
    acme, rival = await keys.create(sessions, "acme", "a"), await keys.create(sessions, "rival", "b")
    again = await keys.create(sessions, "acme", "c")
    callers = [await caller_of(sessions, key) for key in (acme, rival, again)]
    assert callers[0].tenant_id == callers[2].tenant_id != callers[1].tenant_id
    assert [caller.key_id for caller in callers] == [acme.id, rival.id, again.id]


async def test_keys_are_long_and_never_the_same(sessions: Sessions) -> None:
    secrets = {str((await keys.create(sessions, "acme", "same name")).secret) for _ in range(20)}
    assert len(secrets) == 20
    assert all(secret.startswith(keys.PREFIX) and len(secret) >= len(keys.PREFIX) + 43 for secret in secrets)


async def test_only_a_hash_is_stored(sessions: Sessions) -> None:
    made = await keys.create(sessions, "acme", "a")
    async with everything(sessions) as session:
        digest = await session.scalar(select(tables.api_keys.c.digest))
    assert digest == hashlib.sha256(str(made.secret).encode()).digest()


async def test_a_revoked_key_opens_nothing_and_stays_revoked(sessions: Sessions) -> None:
    made = await keys.create(sessions, "acme", "a")
    acme = await keys.operator(sessions, "acme")
    revoked = await keys.revoke(sessions, acme, made.id)
    assert await keys.list_keys(sessions, "acme") == [revoked]
    with pytest.raises(Unauthenticated, match="revoked"):
        await caller_of(sessions, made)
    assert await keys.revoke(sessions, acme, made.id) == revoked
    (listed,) = await keys.list_keys(sessions, "acme")
    assert listed.revoked_at is not None


async def test_keys_that_nobody_made_open_nothing(sessions: Sessions) -> None:
    made = await keys.create(sessions, "acme", "a")
    assert made.secret is not None
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
            await keys.authenticate(sessions, secret)


async def test_a_key_that_does_not_exist_cannot_be_revoked(sessions: Sessions) -> None:
    with pytest.raises(UnknownKey):
        await keys.revoke(sessions, Caller(tenant_id=await keys.default_tenant(sessions)), uuid4())
    with pytest.raises(InvalidInput, match="no tenant"):
        await keys.operator(sessions, "nobody")


async def test_a_tenants_keys_are_listed_by_age_without_their_secrets(sessions: Sessions) -> None:
    made = [await keys.create(sessions, tenant, name) for tenant, name in (("b", "1"), ("a", "2"), ("b", "3"))]
    listed = await keys.list_keys(sessions, "b")
    assert [(key.id, key.tenant, key.name) for key in listed] == [(made[0].id, "b", "1"), (made[2].id, "b", "3")]
    assert "secret" not in keys.KeySummary.model_fields
    assert await keys.list_keys(sessions, "nobody") == []


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


async def test_a_key_brings_its_rights_along(sessions: Sessions) -> None:
    limits = Limits(requests_per_minute=60, turns_per_day=1000, questions_per_day=5)
    rights = Rights(scope=Scope.WRITE, banks=("bob", "alice", "bob"), limits=limits)
    made = await keys.create(sessions, "acme", "a", rights)
    caller = await caller_of(sessions, made)
    assert (caller.scope, caller.banks, caller.limits) == (Scope.WRITE, ("alice", "bob"), limits)
    assert await keys.list_keys(sessions, "acme") == [keys.KeySummary(**made.model_dump(exclude={"secret"}))]


async def test_an_expired_key_opens_nothing(sessions: Sessions) -> None:
    made = await keys.create(sessions, "acme", "a", Rights(expires_at=datetime.now(UTC) + SOON))
    await caller_of(sessions, made)
    async with everything(sessions) as session:
        await session.execute(update(tables.api_keys).values(expires_at=func.clock_timestamp()))
    with pytest.raises(Unauthenticated, match="expired"):
        await caller_of(sessions, made)


@pytest.mark.parametrize(
    "rights",
    [
        Rights(expires_at=datetime(2020, 1, 1, tzinfo=UTC)),
        Rights(banks=()),
        Rights(banks=("a/b",)),
        Rights(banks=("alice\n",)),
        Rights(banks=("",)),
        Rights(banks=("-",)),
        Rights(banks=tuple(f"b{number}" for number in range(1001))),
    ],
    ids=["expired", "no bank", "slash", "newline", "empty", "sign", "too many"],
)
async def test_rights_out_of_bounds_make_no_key(rights: Rights, sessions: Sessions) -> None:
    with pytest.raises(InvalidInput):
        await keys.create(sessions, "acme", "a", rights)
    assert (await count_rows(sessions))["api_keys"] == 0


@pytest.mark.parametrize(
    ("own", "wanted", "allowed"),
    [
        (Rights(scope=Scope.ADMIN), Rights(scope=Scope.ADMIN), True),
        (Rights(scope=Scope.WRITE), Rights(scope=Scope.ADMIN), False),
        (Rights(scope=Scope.WRITE), Rights(scope=Scope.READ), True),
        (Rights(scope=Scope.READ), Rights(scope=Scope.WRITE), False),
        (Rights(banks=("a", "b")), Rights(banks=("b",)), True),
        (Rights(banks=("a", "b")), Rights(banks=("b", "c")), False),
        (Rights(banks=("a",)), Rights(), False),
        (Rights(), Rights(banks=("a",)), True),
    ],
)
async def test_a_key_makes_no_key_more_powerful_than_itself(
    own: Rights, wanted: Rights, allowed: bool, sessions: Sessions
) -> None:
    caller = await caller_of(sessions, await keys.create(sessions, "acme", "own", own))
    other = await keys.create(sessions, "acme", "other", wanted)
    before = await count_rows(sessions)
    if allowed:
        made = await keys.create_for(sessions, caller, "new", wanted)
        assert (made.scope, made.banks) == (wanted.scope, wanted.banks)
        await keys.rotate(sessions, caller, other.id, 0)
        await keys.revoke(sessions, caller, other.id)
        return
    with pytest.raises(Forbidden):
        await keys.create_for(sessions, caller, "new", wanted)
    with pytest.raises(Forbidden):
        await keys.rotate(sessions, caller, other.id, 0)
    with pytest.raises(Forbidden):
        await keys.revoke(sessions, caller, other.id)
    assert await count_rows(sessions) == before


ENDS = datetime(2099, 1, 1, tzinfo=UTC)
LIMITS = Limits(requests_per_minute=7, turns_per_day=70)


@pytest.mark.parametrize(
    "wanted",
    [
        Rights(expires_at=ENDS + timedelta(microseconds=1)),
        Rights(limits=Limits(requests_per_minute=8)),
        Rights(limits=Limits(turns_per_day=71)),
        Rights(expires_at=ENDS, limits=Limits(requests_per_minute=7, turns_per_day=10**9)),
    ],
)
async def test_a_key_makes_no_key_that_outlasts_it_or_may_do_it_more_often(wanted: Rights, sessions: Sessions) -> None:
    own = await keys.create(sessions, "acme", "own", Rights(expires_at=ENDS, limits=LIMITS))
    caller = await caller_of(sessions, own)
    with pytest.raises(Forbidden):
        await keys.create_for(sessions, caller, "new", wanted)
    assert (await count_rows(sessions))["api_keys"] == 1


async def test_a_new_key_has_the_end_and_limits_of_its_maker_where_it_names_none(sessions: Sessions) -> None:
    own = await keys.create(sessions, "acme", "own", Rights(expires_at=ENDS, limits=LIMITS))
    caller = await caller_of(sessions, own)
    as_it_is = await keys.create_for(sessions, caller, "a", Rights())
    assert (as_it_is.expires_at, await limits_of(sessions, as_it_is)) == (ENDS, LIMITS)
    less = Rights(expires_at=ENDS - SOON, limits=Limits(requests_per_minute=7, turns_per_day=1, questions_per_day=5))
    made = await keys.create_for(sessions, caller, "b", less)
    assert (made.expires_at, await limits_of(sessions, made)) == (less.expires_at, less.limits)


async def limits_of(sessions: Sessions, key: NewKey) -> Limits:
    return (await caller_of(sessions, key)).limits


async def test_a_key_gets_no_secret_of_one_that_outlasts_it_or_may_do_more(sessions: Sessions) -> None:
    own = await keys.create(sessions, "acme", "own", Rights(expires_at=ENDS, limits=LIMITS))
    caller = await caller_of(sessions, own)
    endless = await keys.create(sessions, "acme", "endless", Rights(limits=LIMITS))
    unlimited = await keys.create(sessions, "acme", "unlimited", Rights(expires_at=ENDS))
    for other in (endless, unlimited):
        with pytest.raises(Forbidden):
            await keys.rotate(sessions, caller, other.id, 0)
        await keys.revoke(sessions, caller, other.id)
    new = await keys.rotate(sessions, caller, own.id, 60)
    assert (new.expires_at, await limits_of(sessions, new)) == (ENDS, LIMITS)


async def test_of_a_rotated_key_both_are_valid_for_the_overlap(sessions: Sessions) -> None:
    rights = Rights(scope=Scope.WRITE, banks=("a",), limits=Limits(requests_per_minute=7))
    old = await keys.create(sessions, "acme", "a", rights)
    acme = await keys.operator(sessions, "acme")
    new = await keys.rotate(sessions, acme, old.id, 3600)
    both = [await caller_of(sessions, key) for key in (old, new)]
    changed = {"key_id": new.id, "expires_at": None, "counted_as": old.id}
    assert both[0].model_copy(update=changed) == both[1]
    listed = await keys.read(sessions, acme, old.id)
    assert listed.rotated_to == new.id and listed.expires_at is not None and new.expires_at is None
    assert abs(listed.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=5)
    async with everything(sessions) as session:
        await session.execute(
            update(tables.api_keys).where(tables.api_keys.c.id == old.id).values(expires_at=func.clock_timestamp())
        )
    with pytest.raises(Unauthenticated):
        await caller_of(sessions, old)
    await caller_of(sessions, new)


async def test_without_an_overlap_a_rotated_key_ends_at_once(sessions: Sessions) -> None:
    old = await keys.create(sessions, "acme", "a")
    new = await keys.rotate(sessions, await keys.operator(sessions, "acme"), old.id, 0)
    with pytest.raises(Unauthenticated):
        await caller_of(sessions, old)
    await caller_of(sessions, new)


async def test_rotating_lengthens_no_life(sessions: Sessions) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + SOON
    old = await keys.create(sessions, "acme", "a", Rights(expires_at=ends))
    acme = await keys.operator(sessions, "acme")
    new = await keys.rotate(sessions, acme, old.id, 30 * 86_400)
    assert (await keys.read(sessions, acme, old.id)).expires_at == new.expires_at == ends


async def test_a_key_is_rotated_once_even_by_many_at_once(sessions: Sessions) -> None:
    old = await keys.create(sessions, "acme", "a")
    acme = await keys.operator(sessions, "acme")
    tried = await asyncio.gather(*(keys.rotate(sessions, acme, old.id, 60) for _ in range(8)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in tried) == ["Conflict"] * 7 + ["NewKey"]
    assert (await count_rows(sessions))["api_keys"] == 2


async def test_what_is_worthless_cannot_be_rotated(sessions: Sessions) -> None:
    acme = Caller(tenant_id=await keys.open_tenant(sessions, "acme"))
    revoked, expired = [await keys.create(sessions, "acme", name) for name in ("a", "b")]
    await keys.revoke(sessions, acme, revoked.id)
    async with everything(sessions) as session:
        of_expired = tables.api_keys.c.id == expired.id
        await session.execute(update(tables.api_keys).where(of_expired).values(expires_at=func.clock_timestamp()))
    for key in (revoked, expired):
        with pytest.raises(Conflict):
            await keys.rotate(sessions, acme, key.id, 60)
    for seconds in (-1, 30 * 86_400 + 1):
        with pytest.raises(InvalidInput):
            await keys.rotate(sessions, acme, revoked.id, seconds)
    with pytest.raises(UnknownKey):
        await keys.rotate(sessions, acme, uuid4(), 60)


async def test_another_tenants_key_is_no_key(sessions: Sessions) -> None:
    theirs = await keys.create(sessions, "rival", "theirs")
    acme = Caller(tenant_id=await keys.open_tenant(sessions, "acme"))
    before = await count_rows(sessions)
    for act in (keys.read, keys.revoke):
        with pytest.raises(UnknownKey):
            await act(sessions, acme, theirs.id)
    with pytest.raises(UnknownKey):
        await keys.rotate(sessions, acme, theirs.id, 0)
    assert (await keys.page(sessions, acme, 10, theirs.id)) == (await keys.page(sessions, acme, 10, uuid4()))
    assert await count_rows(sessions) == before
    await caller_of(sessions, theirs)


async def test_pages_of_keys_hold_each_once(sessions: Sessions) -> None:
    made = [(await keys.create(sessions, "acme", f"{number}")).id for number in range(7)]
    async with everything(sessions) as session:
        # Made at one moment: only the id still tells them apart.
        some = tables.api_keys.c.id.in_(made[2:5])
        await session.execute(update(tables.api_keys).where(some).values(created_at=func.now()))
    acme, seen, after = await keys.operator(sessions, "acme"), list[object](), None
    while True:
        page = await keys.page(sessions, acme, 2, after)
        seen += [key.id for key in page.keys]
        after = page.next
        if after is None:
            break
    assert len(seen) == 7 and set(seen) == set(made)


async def test_a_repeated_request_makes_one_key_and_shows_its_secret_once(sessions: Sessions) -> None:
    acme = Caller(tenant_id=await keys.open_tenant(sessions, "acme"))
    onces = [Once("k", b"same") for _ in range(5)]
    made = await asyncio.gather(*(keys.create_for(sessions, acme, "a", Rights(), once) for once in onces))
    assert len({key.id for key in made}) == 1
    assert sum(key.secret is not None for key in made) == 1
    assert [once.replayed for once in onces] == [key.secret is None for key in made]
    (secret,) = [key.secret for key in made if key.secret is not None]
    async with everything(sessions) as session:
        for body in await session.scalars(select(cast(tables.idempotency_keys.c.body, Text))):
            assert secret not in body and secret.removeprefix(keys.PREFIX) not in body
    assert (await count_rows(sessions))["api_keys"] == 1


async def test_what_is_done_to_keys_is_in_the_audit_log(sessions: Sessions) -> None:
    admin = await keys.create(sessions, "acme", "admin")
    caller = await caller_of(sessions, admin)
    made = await keys.create_for(sessions, caller, "private name", Rights(scope=Scope.READ, banks=("a",)))
    new = await keys.rotate(sessions, caller, made.id, 5)
    for _ in range(2):
        await keys.revoke(sessions, caller, new.id)
    with pytest.raises(Forbidden):
        await keys.create_for(sessions, caller.model_copy(update={"scope": Scope.READ}), "b", Rights())
    page = await audit.page(sessions, caller.tenant_id, 10, None, None)
    assert [(event.action, event.key_id, event.target) for event in page.events] == [
        ("key.revoked", admin.id, str(new.id)),
        ("key.rotated", admin.id, str(made.id)),
        ("key.created", admin.id, str(made.id)),
        ("key.created", None, str(admin.id)),
    ]
    assert page.events[1].detail == {"rotated_to": str(new.id), "overlap_seconds": 5}
    assert page.events[2].detail == {"scope": "read", "banks": ["a"]}
    written = page.events[0].model_dump_json() + page.events[2].model_dump_json()
    assert "private" not in written and str(made.secret) not in written
    other = Caller(tenant_id=await keys.open_tenant(sessions, "rival"))
    assert (await audit.page(sessions, other.tenant_id, 10, None, None)).events == ()


async def test_pages_of_the_audit_log(sessions: Sessions) -> None:
    acme = Caller(tenant_id=await keys.open_tenant(sessions, "acme"))
    async with sessions.begin(acme.tenant_id) as session:
        for number in range(5):
            await audit.note(session, acme, "bank.changed" if number % 2 else "bank.erased", f"{number}")
    first = await audit.page(sessions, acme.tenant_id, 2, None, None)
    second = await audit.page(sessions, acme.tenant_id, 3, first.next, None)
    assert [event.target for event in (*first.events, *second.events)] == ["4", "3", "2", "1", "0"]
    assert second.next is None
    changed = await audit.page(sessions, acme.tenant_id, 10, None, "bank.changed")
    assert [event.target for event in changed.events] == ["3", "1"]


async def test_what_fails_leaves_no_line_in_the_audit_log(sessions: Sessions) -> None:
    acme = Caller(tenant_id=await keys.open_tenant(sessions, "acme"))
    with pytest.raises(RuntimeError):
        async with sessions.begin(acme.tenant_id) as session:
            await audit.note(session, acme, "bank.erased", "a")
            raise RuntimeError
    assert (await count_rows(sessions))["audit_events"] == 0
