"""Row-level security: for every table there is, no row of another tenant can be seen, made, changed or removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import Table, delete, func, insert, literal_column, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import InvalidInput
from app.db import tables
from app.db.engine import Sessions, check_role, make_engine
from app.settings import DatabaseSettings
from tests.fixtures.every_table import Rows, made_up, write_rows
from tests.fixtures.everything import everything

NAMES = sorted(set(tables.metadata.tables) - tables.DEPLOYMENT_WIDE)
"""Of the tables with data of tenants."""
APPEND_ONLY = {"audit_events", "erasures"}
NOT_ALLOWED = "42501"


class Two(NamedTuple):
    """Two tenants with a row in every table each."""

    mine: UUID
    theirs: UUID
    my_rows: Rows
    their_rows: Rows


@pytest_asyncio.fixture
async def two(sessions: Sessions) -> Two:
    mine, theirs = uuid4(), uuid4()
    async with everything(sessions) as session:
        return Two(mine, theirs, await write_rows(session, mine), await write_rows(session, theirs))


def tenant_of(table: Table) -> Any:
    return table.c.id if table is tables.tenants else table.c.tenant_id


async def digest(sessions: Sessions, tenant_id: UUID) -> dict[str, str]:
    """What a tenant has in each table."""
    found = {}
    async with everything(sessions) as session:
        for table in map(tables.metadata.tables.__getitem__, NAMES):
            whole = func.coalesce(func.string_agg(literal_column(f"{table.name}::text"), "|"), "")
            found[table.name] = await session.scalar(select(whole).where(tenant_of(table) == tenant_id)) or ""
    return found


async def refused(session: AsyncSession, statement: Any) -> None:
    """The statement is not allowed; what came before it in the transaction stays."""
    with pytest.raises(DBAPIError) as error:
        async with session.begin_nested():
            await session.execute(statement)
    assert getattr(error.value.orig, "sqlstate", None) == NOT_ALLOWED, error.value


async def without_effect(session: AsyncSession, statement: Any, *, allowed: bool) -> None:
    """The statement touches no row, or is not allowed at all."""
    if not allowed:
        await refused(session, statement)
        return
    async with session.begin_nested():
        done: Any = await session.execute(statement)
        assert done.rowcount == 0


@pytest.mark.parametrize("name", NAMES)
async def test_a_tenant_sees_and_touches_its_own_rows_alone(name: str, sessions: Sessions, two: Two) -> None:
    table = tables.metadata.tables[name]
    before = await digest(sessions, two.theirs)
    assert all(before.values())
    may_change, may_remove = name not in APPEND_ONLY | {"tenants"}, name not in APPEND_ONLY | {"tenants"}
    some, move = next(iter(table.c)), {tenant_of(table).name: two.theirs}
    async with sessions.begin(two.mine) as session:
        assert list(await session.scalars(select(tenant_of(table)))) == [two.mine]
        assert await session.scalar(select(func.count()).select_from(table).where(tenant_of(table) == two.theirs)) == 0
        await refused(session, insert(table).values(made_up(table, two.theirs, two.their_rows)))
        await refused(session, update(table).where(tenant_of(table) == two.mine).values(move))
        same = update(table).values({some.name: some})
        await without_effect(session, same.where(tenant_of(table) == two.theirs), allowed=may_change)
        await without_effect(session, delete(table).where(tenant_of(table) == two.theirs), allowed=may_remove)
        if may_change:
            done: Any = await session.execute(same)
            assert done.rowcount == 1
        if may_remove:
            await session.execute(delete(table))
        await refused(session, text(f"TRUNCATE {name} CASCADE"))
    assert await digest(sessions, two.theirs) == before


@pytest.mark.parametrize("name", NAMES)
async def test_without_a_tenant_there_is_no_row(name: str, sessions: Sessions, two: Two) -> None:
    table = tables.metadata.tables[name]
    before = [await digest(sessions, tenant) for tenant in (two.mine, two.theirs)]
    allowed = name not in APPEND_ONLY | {"tenants"}
    async with sessions.dispatch() as session:
        assert await session.scalar(select(func.count()).select_from(table)) == 0
        for tenant, rows in ((two.mine, two.my_rows), (two.theirs, two.their_rows)):
            await refused(session, insert(table).values(made_up(table, tenant, rows)))
        some = next(iter(table.c))
        await without_effect(session, update(table).values({some.name: some}), allowed=allowed)
        await without_effect(session, delete(table), allowed=allowed)
    assert [await digest(sessions, tenant) for tenant in (two.mine, two.theirs)] == before


@pytest.mark.parametrize("name", sorted(tables.DEPLOYMENT_WIDE))
async def test_what_is_the_deployments_can_be_read_alone(name: str, sessions: Sessions, two: Two) -> None:
    table = tables.metadata.tables[name]
    assert not {"tenant_id", "bank_id"} & set(table.columns.keys())
    for begun in (sessions.dispatch, lambda: sessions.begin(two.mine)):
        async with begun() as session:
            assert (await session.scalar(select(func.count()).select_from(table)) or 0) >= 2
            await refused(session, insert(table).values(made_up(table, two.mine, {})))
            await refused(session, update(table).values(role="manager"))
            await refused(session, delete(table))
            await refused(session, select(table).with_for_update())


@pytest.mark.parametrize("name", sorted(APPEND_ONLY))
async def test_what_is_appended_stays_as_it_is(name: str, sessions: Sessions, two: Two) -> None:
    table = tables.metadata.tables[name]
    async with sessions.begin(two.mine) as session:
        for column in (column for column in table.columns if column.identity is None):
            await refused(session, update(table).values({column.name: column}))
        await refused(session, delete(table))
        await refused(session, select(table).with_for_update())


@pytest_asyncio.fixture
async def one_connection(one_database_url: str) -> AsyncIterator[Sessions]:
    """Sessions that have one connection between them."""
    settings = DatabaseSettings(url=SecretStr(one_database_url), pool_size=1, max_overflow=0)
    engine = make_engine(settings)
    yield Sessions(engine)
    await engine.dispose()


async def test_a_tenant_is_forgotten_when_its_transaction_ends(one_connection: Sessions, two: Two) -> None:
    async def state(tenant: UUID | None) -> tuple[int, str, int]:
        begun = one_connection.dispatch() if tenant is None else one_connection.begin(tenant)
        async with begun as session:
            row = await session.execute(
                text(
                    "SELECT pg_backend_pid(), coalesce(current_setting('memory_r1.tenant', true), ''), count(*)::int "
                    "FROM turns"
                )
            )
            return tuple(row.one())

    (backend, _, count), nobody = await state(two.mine), (await state(None))
    assert count == 1 and nobody == (backend, "", 0)
    assert await state(two.theirs) == (backend, str(two.theirs), 1)

    with pytest.raises(ZeroDivisionError):
        async with one_connection.begin(two.mine):
            raise ZeroDivisionError
    assert await state(None) == nobody

    with pytest.raises(DBAPIError):
        async with one_connection.begin(two.mine) as session:
            await session.execute(text("SELECT 1 / 0"))
    assert await state(None) == nobody

    async def hang() -> None:
        async with one_connection.begin(two.mine):
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait([task])
    assert (await state(None))[1:] == ("", 0)

    async with one_connection.begin(two.mine) as session:
        async with session.begin_nested() as inner:
            await session.execute(text("SELECT set_config('memory_r1.tenant', :t, true)"), {"t": str(two.theirs)})
            await inner.rollback()
        assert list(await session.scalars(select(tables.turns.c.tenant_id))) == [two.mine]
    assert (await state(None))[1:] == ("", 0)


async def test_many_at_once_on_few_connections_see_their_own(one_connection: Sessions, two: Two) -> None:
    async def look(tenant: UUID) -> None:
        async with one_connection.begin(tenant) as session:
            assert list(await session.scalars(select(tables.turns.c.tenant_id))) == [tenant]
            await asyncio.sleep(0)
            assert list(await session.scalars(select(tables.memories.c.tenant_id))) == [tenant]

    await asyncio.gather(*(look((two.mine, two.theirs)[number % 2]) for number in range(40)))


@pytest.mark.parametrize("setting", ["", " ", "null", "nil", "*", "%", "00000000-0000-0000-0000-000000000000"])
async def test_a_tenant_that_is_none_sees_nothing(setting: str, sessions: Sessions, two: Two) -> None:
    async with sessions.dispatch() as session:
        await session.execute(text("SELECT set_config('memory_r1.tenant', :t, true)"), {"t": setting})
        try:
            assert await session.scalar(select(func.count()).select_from(tables.turns)) == 0
        except DBAPIError as error:
            assert getattr(error.orig, "sqlstate", None) == "22P02"
            await session.rollback()


async def catalog(sessions: Sessions, statement: str) -> list[tuple[Any, ...]]:
    async with everything(sessions) as session:
        return [tuple(row) for row in await session.execute(text(statement))]


async def test_every_table_is_bound_by_policies_of_its_tenant(sessions: Sessions) -> None:
    bound = await catalog(
        sessions,
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relkind NOT IN ('i', 'S', 'c') AND relname <> 'alembic_version'",
    )
    expected = {name: [True, True] for name in NAMES} | {name: [False, False] for name in tables.DEPLOYMENT_WIDE}
    assert {name: both for name, *both in bound} == expected
    policies = await catalog(
        sessions,
        "SELECT tablename, policyname, permissive, roles::text[], cmd, qual, with_check FROM pg_policies ORDER BY 1, 2",
    )
    assert {table for table, name, *_ in policies if name == "tenant"} == set(NAMES)
    for table, name, permissive, roles, command, using, check in policies:
        assert (permissive, command) == ("PERMISSIVE", "ALL"), table
        if name == "tenant":
            assert roles == ["memory_r1_service"] and using == check
            column = "id" if table == "tenants" else "tenant_id"
            assert using == f"({column} = (NULLIF(current_setting('memory_r1.tenant'::text, true), ''::text))::uuid)"
        else:
            assert (name, roles) == ("dispatch", ["memory_r1_dispatch"]), table


async def test_nobody_else_has_rights(sessions: Sessions) -> None:
    granted = await catalog(
        sessions,
        "SELECT relname, grantee, array_agg(privilege_type ORDER BY privilege_type) FROM ("
        "  SELECT relname, coalesce(rolname, 'PUBLIC') AS grantee, privilege_type, relowner FROM pg_class, "
        "  aclexplode(relacl) LEFT JOIN pg_roles ON pg_roles.oid = grantee "
        "  WHERE relnamespace = 'public'::regnamespace AND grantee <> relowner"
        ") AS granted GROUP BY 1, 2",
    )
    assert {grantee for _, grantee, _ in granted} == {"memory_r1_service", "memory_r1_dispatch"}
    of_service = {name: rights for name, grantee, rights in granted if grantee == "memory_r1_service"}
    full = ["DELETE", "INSERT", "SELECT", "UPDATE"]
    expected = dict.fromkeys(NAMES, full) | {name: ["INSERT", "SELECT"] for name in (*APPEND_ONLY, "tenants")}
    readable = {name: ["SELECT"] for name in ("alembic_version", *tables.DEPLOYMENT_WIDE)}
    assert of_service == expected | readable
    schema = await catalog(
        sessions,
        "SELECT has_schema_privilege(r, 'public', 'CREATE') FROM "
        "unnest(ARRAY['memory_r1_service', 'memory_r1_dispatch']) AS r",
    )
    assert schema == [(False,), (False,)]
    roles = await catalog(
        sessions,
        "SELECT rolname, rolsuper, rolbypassrls, rolcanlogin, rolcreaterole, rolcreatedb FROM pg_roles "
        "WHERE rolname IN ('memory_r1_service', 'memory_r1_dispatch')",
    )
    assert [any(rights) for _, *rights in roles] == [False, False]
    assert await catalog(sessions, "SELECT pg_has_role('memory_r1_service', 'memory_r1_dispatch', 'MEMBER')") == [
        (False,)
    ]


async def test_every_function_that_looks_across_tenants_is_closed_in(sessions: Sessions) -> None:
    found = await catalog(
        sessions,
        "SELECT proname, proconfig, rolname, has_function_privilege('memory_r1_service', p.oid, 'EXECUTE'), "
        "  coalesce(proacl::text, 'default'), prosecdef, prosrc "
        "FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = proowner WHERE pronamespace = 'public'::regnamespace "
        "AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')",
    )
    assert len(found) >= 9
    for name, config, owner, callable_, rights, definer, source in found:
        assert name.startswith("memory_r1_") and definer and callable_
        assert config == ["search_path=pg_catalog, pg_temp"], name
        assert owner == "memory_r1_dispatch"
        assert not any(grant.startswith("=") for grant in rights.strip("{}").split(",")), (name, rights)
        assert rights != "default"
        for table in NAMES:
            assert f"FROM {table}" not in source and f"UPDATE {table}" not in source, (name, table)


async def call(sessions: Sessions, call: str, **given: Any) -> list[tuple[Any, ...]]:
    async with sessions.dispatch() as session:
        return [tuple(row) for row in await session.execute(text(f"SELECT * FROM {call}"), given)]


async def test_the_functions_tell_no_more_than_they_are_for(sessions: Sessions, two: Two) -> None:
    digests = [rows["api_keys"]["digest"] for rows in (two.my_rows, two.their_rows)]
    async with everything(sessions) as session:
        await session.execute(update(tables.api_keys).values(revoked_at=None))
    found = [await call(sessions, "memory_r1_find_key(:d)", d=one) for one in digests]
    assert [rows[0][0] for rows in found] == [two.mine, two.theirs] and [len(rows) for rows in found] == [1, 1]
    for wrong in (b"", digests[0][:-1], digests[0] + b"\x00", b"%"):
        assert await call(sessions, "memory_r1_find_key(:d)", d=wrong) == []
    for column in ("revoked_at", "expires_at"):
        async with everything(sessions) as session:
            await session.execute(update(tables.api_keys).values({column: func.clock_timestamp()}))
        assert await call(sessions, "memory_r1_find_key(:d)", d=digests[0]) == []
        async with everything(sessions) as session:
            await session.execute(update(tables.api_keys).values({column: None}))
    name = two.my_rows["tenants"]["name"]
    assert await call(sessions, "memory_r1_find_tenant(:n)", n=name) == [(two.mine,)]
    for other in ("%", "", name[:-1], name.upper() + "x"):
        assert await call(sessions, "memory_r1_find_tenant(:n)", n=other) == [(None,)]
    bank = two.my_rows["banks"]
    model, dimension = bank["embedding_model"], bank["embedding_dimension"]
    told = await call(sessions, "memory_r1_other_embedding(:m, :d)", m=model, d=dimension)
    assert told == [(two.their_rows["banks"]["embedding_model"], 1)]


async def test_a_temporary_table_does_not_stand_in_for_a_real_one(sessions: Sessions, two: Two) -> None:
    async with sessions.begin(two.mine) as session:
        await session.execute(text("CREATE TEMPORARY TABLE tenants (id uuid, name text) ON COMMIT DROP"))
        await session.execute(text("INSERT INTO pg_temp.tenants VALUES (:id, 'fake')"), {"id": two.theirs})
        assert await session.scalar(text("SELECT memory_r1_find_tenant('fake')")) is None


async def test_the_service_does_not_start_in_a_role_that_nothing_binds(
    one_database_url: str, sessions: Sessions
) -> None:
    await check_role(sessions)
    async with everything(sessions) as session:
        superuser = await session.scalar(text("SELECT current_user"))
    for role in (superuser, "memory_r1_dispatch"):
        engine = make_engine(DatabaseSettings(url=SecretStr(one_database_url), role=str(role)))
        with pytest.raises(InvalidInput, match="MEMORY_R1_DATABASE__ROLE"):
            await check_role(Sessions(engine))
        await engine.dispose()
