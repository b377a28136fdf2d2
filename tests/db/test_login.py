"""The service's login: made by migrating as an owner who is no superuser, and bound whatever statement it sends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors
from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError, ProgrammingError

from app.cli import explained
from app.core.errors import InvalidInput
from app.db import migrate, tables
from app.db.engine import Sessions, check_role, make_engine
from app.local.postgres import LocalPostgres
from app.main import open_service
from app.services import keys, policies
from app.settings import DatabaseSettings, Settings
from tests.fixtures.every_table import Rows, write_rows
from tests.fixtures.everything import everything
from tests.fixtures.policies import a_policy

OWNER, LOGIN = "boss", "memory_r1_app"
PASSWORD = 'it\'s \\ a "pass%word" :/@ é'
REFUSED = (errors.InsufficientPrivilege, errors.ActiveSqlTransaction)


@dataclass(frozen=True)
class Cluster:
    """A server whose roles nobody has made yet, with one empty database of an owner who is no superuser."""

    superuser: str

    def url(self, user: str | None = None, password: str = "x", database: str = "d") -> str:
        url = make_url(self.superuser).set(database=database)
        url = url if user is None else url.set(username=user, password=password)
        return url.render_as_string(hide_password=False)

    def run(self, statement: str, database: str = "d") -> list[tuple[object, ...]]:
        """As the superuser."""
        with connect(self.url(database=database)) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def settings(self, password: str = PASSWORD) -> DatabaseSettings:
        url, owner_url = self.url(LOGIN, password), self.url(OWNER)
        return DatabaseSettings(url=SecretStr(url), owner_url=SecretStr(owner_url))


def connect(url: str, **options: Any) -> psycopg.Connection[tuple[object, ...]]:
    named: dict[str, Any] = make_url(url).translate_connect_args(username="user", database="dbname")
    return psycopg.connect(**named, **options, autocommit=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="memory-r1-login-"))
    folder.chmod(0o755)
    try:
        with LocalPostgres(folder / "data") as postgres:
            cluster = Cluster(postgres.url)
            name = str(make_url(postgres.url).database)
            cluster.run(f"CREATE ROLE {OWNER} LOGIN NOSUPERUSER PASSWORD 'x'", name)
            cluster.run(f"CREATE DATABASE d OWNER {OWNER}", name)
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def migrated(cluster: Cluster) -> Cluster:
    """Brought up step by step, each refusal being one line that says what is missing."""
    missing = [
        ('permission denied to create extension "vector"', "CREATE EXTENSION vector"),
        ("permission denied to create role", f"ALTER ROLE {OWNER} CREATEROLE"),
    ]
    for said, remedy in missing:
        with pytest.raises(InvalidInput) as refused:
            migrate.prepare(cluster.settings())
        line = explained(refused.value)
        assert line is not None and said in line and "\n" not in line
        assert "CREATEROLE" in line and "CREATE EXTENSION vector" in line and "MEMORY_R1_DATABASE__OWNER_URL" in line
        cluster.run(remedy)
    migrate.prepare(cluster.settings())
    return cluster


def connected(cluster: Cluster, *, with_role: bool = True) -> psycopg.Connection[tuple[object, ...]]:
    """As the service connects, with what it sends at the start or without."""
    options = "-c role=memory_r1_service" if with_role else ""
    return connect(cluster.url(LOGIN, PASSWORD), options=options)


def test_the_owner_is_no_superuser_and_the_login_owns_nothing(migrated: Cluster) -> None:
    rights = "rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
    found = migrated.run(f"SELECT rolname, rolcanlogin, {rights} FROM pg_roles WHERE rolname = '{LOGIN}'")
    assert found == [(LOGIN, True, False)]
    assert migrated.run(f"SELECT rolsuper FROM pg_roles WHERE rolname = '{OWNER}'") == [(False,)]
    owned = f"SELECT count(*) FROM pg_shdepend WHERE refobjid = '{LOGIN}'::regrole AND deptype = 'o'"
    assert migrated.run(owned) == [(0,)]
    member = "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'memory_r1_app'::regrole"
    assert migrated.run(member) == [("memory_r1_service",)]


async def test_policies_are_changed_by_the_owner_alone(migrated: Cluster) -> None:
    settings = migrated.settings()
    assert settings.owner_url is not None
    for url, may in ((settings.url, False), (settings.owner_url, True)):
        engine = make_engine(settings.model_copy(update={"url": url}))
        try:
            if may:
                await policies.add(Sessions(engine), a_policy("owned"))
                await policies.remove(Sessions(engine), "owned")
            else:
                with pytest.raises(InvalidInput, match="MEMORY_R1_DATABASE__OWNER_URL"):
                    await policies.add(Sessions(engine), a_policy("owned"))
        finally:
            await engine.dispose()


def test_its_password_is_stored_as_a_hash_and_opens(migrated: Cluster) -> None:
    ((stored,),) = migrated.run(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{LOGIN}'")
    assert str(stored).startswith("SCRAM-SHA-256$")
    with connected(migrated, with_role=False) as connection:
        assert connection.execute("SELECT session_user::text").fetchone() == (LOGIN,)
    with pytest.raises(psycopg.OperationalError):
        connect(migrated.url(LOGIN, "wrong"))


def test_migrating_again_takes_the_new_password_and_no_other_owner(migrated: Cluster) -> None:
    migrate.prepare(migrated.settings("another"))
    connect(migrated.url(LOGIN, "another")).close()
    migrate.prepare(migrated.settings())
    migrate.prepare(migrated.settings())
    connected(migrated).close()


def test_no_clear_password_reaches_the_server(migrated: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server logs every statement meanwhile."""
    migrated.run("ALTER SYSTEM SET log_statement = 'all'")
    migrated.run("SELECT pg_reload_conf()")
    sent: list[str] = []
    execute = psycopg.Connection.execute

    def noting(self: psycopg.Connection[Any], query: Any, *given: Any, **named: Any) -> Any:
        sent.append(query.as_string(self) if hasattr(query, "as_string") else str(query))
        return execute(self, query, *given, **named)

    monkeypatch.setattr(psycopg.Connection, "execute", noting)
    migrate.prepare(migrated.settings("kept-from-the-log"))
    migrate.prepare(migrated.settings())
    assert any("ALTER ROLE" in one and "SCRAM-SHA-256" in one for one in sent)
    assert not any("kept-from-the-log" in one for one in sent)


def test_a_superuser_is_no_login_for_the_service(migrated: Cluster) -> None:
    migrated.run("DROP ROLE IF EXISTS mighty")
    migrated.run("CREATE ROLE mighty LOGIN SUPERUSER PASSWORD 'x'")
    settings = migrated.settings().model_copy(update={"url": SecretStr(migrated.url("mighty"))})
    with pytest.raises(InvalidInput, match="superuser"):
        migrate.prepare(settings)


def test_a_login_that_another_administers_is_left_as_it_is(migrated: Cluster) -> None:
    migrated.run("DROP ROLE IF EXISTS foreign_login")
    migrated.run("CREATE ROLE foreign_login LOGIN PASSWORD 'theirs'")
    for password, refused in (("mine", pytest.raises(InvalidInput, match="cannot log in")), ("theirs", nullcontext())):
        settings = migrated.settings().model_copy(update={"url": SecretStr(migrated.url("foreign_login", password))})
        with refused:
            migrate.prepare(settings)
    connect(migrated.url("foreign_login", "theirs")).close()


def test_a_login_without_a_password_is_told(migrated: Cluster) -> None:
    # `URL.set` takes None for "as it is".
    url = make_url(migrated.superuser).set(database="d", username="nameless")._replace(password=None)
    settings = migrated.settings().model_copy(update={"url": SecretStr(url.render_as_string(hide_password=False))})
    with pytest.raises(InvalidInput, match=r"^[^\n]*cannot log in[^\n]*$"):
        migrate.prepare(settings)


@pytest.fixture
async def rows(migrated: Cluster) -> tuple[Rows, Rows]:
    """Two tenants with a row in every table."""
    engine = make_engine(DatabaseSettings(url=SecretStr(migrated.url())))
    sessions = Sessions(engine)
    async with everything(sessions) as session:
        written = await write_rows(session, uuid4()), await write_rows(session, uuid4())
    await engine.dispose()
    return written


def test_the_login_cannot_become_anybody_else(migrated: Cluster) -> None:
    superuser = make_url(migrated.superuser).username
    for with_role in (True, False):
        for role in (OWNER, "memory_r1_dispatch", superuser, "pg_read_all_data"):
            with connected(migrated, with_role=with_role) as connection:
                for statement in (
                    f"SET ROLE {role}",
                    f"SET SESSION AUTHORIZATION {role}",
                    f"SELECT set_config('role', '{role}', false)",
                    f"SELECT set_config('session_authorization', '{role}', false)",
                    f"GRANT {role} TO {LOGIN}",
                ):
                    with pytest.raises(errors.InsufficientPrivilege):
                        connection.execute(statement.encode())


ESCAPES = [
    "SET ROLE NONE",
    "RESET ROLE",
    "SELECT set_config('role', 'none', false)",
    f"SELECT set_config('role', '{LOGIN}', false)",
    f"SET ROLE {LOGIN}",
    "RESET ALL",
    "RESET SESSION AUTHORIZATION",
    "SET SESSION AUTHORIZATION DEFAULT",
    "DISCARD ALL",
    "SET row_security = off",
    "SELECT 1",
]


@pytest.mark.parametrize("escape", ESCAPES)
def test_no_escape_shows_another_tenant(escape: str, migrated: Cluster, rows: tuple[Rows, Rows]) -> None:
    mine, theirs = (one["tenants"]["id"] for one in rows)
    names = sorted(set(tables.metadata.tables) - tables.DEPLOYMENT_WIDE)
    for name in names:
        column = "id" if name == "tenants" else "tenant_id"
        with connected(migrated) as connection:
            connection.execute(escape.encode())
            assert shown(connection, name, column) <= set()
            connection.execute("SELECT set_config('memory_r1.tenant', %s, false)", (str(mine),))
            assert shown(connection, name, column) <= {mine}
            try:
                connection.execute(f"DELETE FROM {name} WHERE {column} = '{theirs}'".encode())
                connection.execute(f"UPDATE {name} SET {column} = {column}".encode())
            except REFUSED:
                pass
    left = migrated.run(
        " UNION ALL ".join(
            f"SELECT count(*) FROM {name} WHERE {'id' if name == 'tenants' else 'tenant_id'} = '{theirs}'"
            for name in names
        )
    )
    assert left == [(1,)] * len(names)


def shown(connection: psycopg.Connection[tuple[object, ...]], name: str, column: str) -> set[object]:
    """The tenants whose rows can be read."""
    try:
        return {row[0] for row in connection.execute(f"SELECT {column} FROM {name}".encode())}
    except errors.InsufficientPrivilege:
        return set()


FORBIDDEN = [
    "ALTER TABLE turns DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE turns NO FORCE ROW LEVEL SECURITY",
    "DROP POLICY tenant ON turns",
    "ALTER POLICY tenant ON turns USING (true)",
    "CREATE POLICY mine ON turns USING (true)",
    "CREATE TABLE mine (n int)",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION memory_r1_find_tenant(wanted TEXT) RETURNS UUID LANGUAGE sql AS 'SELECT NULL::uuid'",
    "ALTER FUNCTION memory_r1_find_key OWNER TO memory_r1_service",
    "ALTER FUNCTION memory_r1_find_key RESET ALL",
    "DROP FUNCTION memory_r1_find_key",
    "CREATE TRIGGER mine BEFORE INSERT ON turns EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE mine AS ON SELECT TO turns DO INSTEAD SELECT 1",
    "CREATE SCHEMA mine",
    "ALTER TABLE turns OWNER TO CURRENT_USER",
    "ALTER DATABASE d SET memory_r1.tenant = ''",
    "ALTER ROLE memory_r1_service BYPASSRLS",
    f"ALTER ROLE {LOGIN} BYPASSRLS",
    f"ALTER ROLE {LOGIN} SUPERUSER",
    f"ALTER ROLE {LOGIN} CREATEROLE",
    "CREATE ROLE mine",
    "TRUNCATE turns CASCADE",
    "COPY turns TO PROGRAM 'cat'",
    "COPY turns TO '/tmp/turns'",
    "LOCK TABLE banks IN ACCESS EXCLUSIVE MODE; SET LOCAL row_security = off; TABLE pg_authid",
    "TABLE pg_authid",
    "SELECT rolpassword FROM pg_shadow, pg_authid",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_read_file('/etc/passwd')",
    "SET session_replication_role = replica",
    "UPDATE alembic_version SET version_num = '0'",
    "UPDATE pg_class SET relrowsecurity = false",
    "DELETE FROM audit_events",
    "UPDATE audit_events SET action = ''",
    "DELETE FROM erasures",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_login_cannot_change_what_binds_it(statement: str, migrated: Cluster) -> None:
    for with_role in (True, False):
        with connected(migrated, with_role=with_role) as connection, pytest.raises((*REFUSED, errors.SyntaxError)) as e:
            connection.execute(statement.encode())
        assert not isinstance(e.value, errors.SyntaxError), statement


def test_settings_of_the_login_do_not_open_anything(migrated: Cluster, rows: tuple[Rows, Rows]) -> None:
    """A login may set what it begins with; the tenant of a transaction goes before it, and the role is still bound."""
    theirs = rows[1]["tenants"]["id"]
    with connected(migrated, with_role=False) as connection:
        connection.execute(f"ALTER ROLE {LOGIN} SET row_security = off".encode())
    try:
        with connected(migrated) as connection, pytest.raises(errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM turns")
    finally:
        migrated.run(f"ALTER ROLE {LOGIN} RESET ALL")
    assert migrated.run(f"SELECT count(*) FROM turns WHERE tenant_id = '{theirs}'") == [(1,)]


async def test_the_service_works_as_the_login(migrated: Cluster) -> None:
    engine = make_engine(migrated.settings())
    sessions = Sessions(engine)
    await check_role(sessions)
    name = f"acme {uuid4()}"
    made = await keys.create(sessions, name, "a")
    caller = await keys.authenticate(sessions, str(made.secret))
    await keys.revoke(sessions, caller, made.id)
    assert [key.id for key in await keys.list_keys(sessions, name)] == [made.id]
    assert not migrate.pending(migrated.url(LOGIN, PASSWORD))
    await engine.dispose()


async def test_a_login_that_is_no_member_is_told_to_migrate(migrated: Cluster) -> None:
    migrated.run("DROP ROLE IF EXISTS stranger")
    migrated.run("CREATE ROLE stranger LOGIN PASSWORD 'x'")
    engine = make_engine(DatabaseSettings(url=SecretStr(migrated.url("stranger"))))
    with pytest.raises(OperationalError) as refused:
        await check_role(Sessions(engine))
    await engine.dispose()
    with pytest.raises(ProgrammingError) as unreadable:
        migrate.pending(migrated.url("stranger"))
    for error in (refused.value, unreadable.value):
        line = explained(error)
        assert line is not None and "memory-r1 migrate" in line and "OWNER_URL" in line and "\n" not in line


async def test_a_role_that_is_not_there_is_told(migrated: Cluster) -> None:
    settings = migrated.settings().model_copy(update={"role": "nobody_made_it"})
    engine = make_engine(settings)
    with pytest.raises(OperationalError) as refused:
        await check_role(Sessions(engine))
    await engine.dispose()
    line = explained(refused.value)
    assert line is not None and "MEMORY_R1_DATABASE__ROLE" in line and "memory-r1 migrate" in line


@pytest.mark.parametrize("role", [OWNER, "memory_r1_dispatch"])
async def test_the_app_does_not_start_in_a_role_that_nothing_binds(role: str, migrated: Cluster) -> None:
    database = DatabaseSettings(url=SecretStr(migrated.url(OWNER)), role=role)
    settings = Settings(_env_file=None).model_copy(update={"database": database})
    with pytest.raises(InvalidInput, match="MEMORY_R1_DATABASE__ROLE"):
        async with open_service(settings, completers={}):
            pass
