"""The database: reachable, new enough, migrated, and bound by row-level security; its clock beside this one's."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from app.cli_errors import explained
from app.core.errors import InvalidInput
from app.db import migrate
from app.db.engine import Sessions, check_role, make_engine
from app.doctor.findings import Finding, fail, ok, skip, warn
from app.settings import DatabaseSettings

CONNECT_SECONDS = 5
OLDEST_POSTGRES, OLDEST_PGVECTOR = 16, (0, 8)
SMALL_SKEW, LARGE_SKEW = 2.0, 60.0
"""Seconds between two clocks."""
URL = "MEMORY_R1_DATABASE__URL"
_FACTS = """
    SELECT current_setting('server_version_num')::int, current_setting('server_version'),
        current_setting('server_encoding'), current_setting('max_connections')::int,
        (SELECT extversion FROM pg_extension WHERE extname = 'vector'),
        (SELECT default_version FROM pg_available_extensions WHERE name = 'vector'),
        pg_is_in_recovery()
"""
_UNBOUND = """
    SELECT array_agg(relname::text ORDER BY relname) FROM pg_class
    JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'tenant_id' AND NOT attisdropped
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relrowsecurity
"""


async def check_database(settings: DatabaseSettings, *, local: bool) -> AsyncIterator[Finding]:
    """Each finding as it is made; what stands on a finding that failed is skipped."""
    try:
        connection = await _connected(settings.url.get_secret_value())
    except (psycopg.Error, ArgumentError, ValueError, OSError) as error:
        yield fail("database", f"cannot be reached: {_reason(error)}", f"Start Postgres, and check {URL}.")
        for check in ("migrations", "role", "clock"):
            yield skip(check, "the database cannot be reached")
        return
    async with connection:
        async for finding in _server(connection, settings):
            yield finding
        revisions = await _migrations(settings, local)
        yield revisions
        if revisions.level == "ok":
            yield await _role(settings, connection)
        else:
            yield skip("role", "the database has to be migrated first")
        yield await _clock(connection)


async def _connected(url: str) -> psycopg.AsyncConnection[Any]:
    parts = make_url(url)
    named: dict[str, Any] = parts.translate_connect_args(username="user", database="dbname")
    limits: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "autocommit": True}
    return await psycopg.AsyncConnection.connect(**named | dict(parts.query) | limits)


async def _server(connection: psycopg.AsyncConnection[Any], settings: DatabaseSettings) -> AsyncIterator[Finding]:
    row = await (await connection.execute(_FACTS)).fetchone()
    assert row is not None
    number, version, encoding, most, vector, offered, standby = row
    if number // 10_000 < OLDEST_POSTGRES:
        yield fail("database", f"Postgres {version} is too old", f"Use Postgres {OLDEST_POSTGRES} or newer.")
    elif encoding != "UTF8":
        yield fail("database", f"its encoding is {encoding}", "Make a database with ENCODING 'UTF8'.")
    elif standby:
        yield fail("database", "it is a standby, which takes no writes", f"Point {URL} at the primary.")
    else:
        yield ok("database", f"Postgres {version}")
    yield _pgvector(vector, offered)
    wanted = settings.pool_size + settings.max_overflow
    if wanted > most:
        yield warn(
            "connections",
            f"one process may open {wanted}, and Postgres takes {most} in all",
            "Lower MEMORY_R1_DATABASE__POOL_SIZE and ...__MAX_OVERFLOW, or raise max_connections.",
        )


def _pgvector(installed: str | None, offered: str | None) -> Finding:
    oldest = ".".join(map(str, OLDEST_PGVECTOR))
    if installed is None and offered is None:
        return fail("pgvector", "the server does not have it", f"Install pgvector {oldest} or newer beside Postgres.")
    if installed is None:
        return fail(
            "pgvector",
            f"{offered} is there, but not in this database",
            "Run `CREATE EXTENSION vector` in it as a superuser, or `memory-r1 migrate` as its owner.",
        )
    if tuple(map(int, re.findall(r"\d+", installed)[:2])) < OLDEST_PGVECTOR:
        return fail(
            "pgvector", f"{installed} is too old", "Install a newer one, and run `ALTER EXTENSION vector UPDATE`."
        )
    return ok("pgvector", installed)


async def _migrations(settings: DatabaseSettings, local: bool) -> Finding:
    newest = migrate.newest()
    try:
        current = await asyncio.to_thread(migrate.current, settings.url.get_secret_value())
    except DBAPIError as error:
        return fail("migrations", explained(error) or "cannot be read", "Let the service's user read the tables.")
    if current == newest:
        return ok("migrations", f"at {current}")
    at = "were never run" if current is None else f"at {current}, where this version has {newest}"
    if local:
        return warn("migrations", at, "Start `memory-r1 serve --local`, which runs them.")
    if current is not None and not migrate.is_known(current):
        return fail("migrations", at, "The database is of another version: install that one, or a newer one.")
    return fail("migrations", at, "Run `memory-r1 migrate`, with MEMORY_R1_DATABASE__OWNER_URL as the owner.")


async def _role(settings: DatabaseSettings, connection: psycopg.AsyncConnection[Any]) -> Finding:
    """Whether Postgres keeps tenants apart, also from a service that errs."""
    engine = make_engine(settings)
    try:
        await check_role(Sessions(engine))
    except InvalidInput as error:
        return fail("role", str(error), "Name a role that row-level security binds.")
    except DBAPIError as error:
        return fail("role", explained(error) or "cannot be taken on", "Run `memory-r1 migrate` as the owner.")
    finally:
        await engine.dispose()
    row = await (await connection.execute(_UNBOUND)).fetchone()
    if row is not None and row[0]:
        return fail("role", f"no row-level security on {', '.join(row[0])}", "Run `memory-r1 migrate` as the owner.")
    return ok("role", f"works as {settings.role}, which row-level security binds")


async def _clock(connection: psycopg.AsyncConnection[Any]) -> Finding:
    before = time.time()
    row = await (await connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8")).fetchone()
    after = time.time()
    assert row is not None
    # The database's clock was read at some time between the two.
    skew = max(before - row[0], row[0] - after, 0.0)
    to_do = "Set both machines' clocks by NTP: keys expire, and relative dates resolve, by them."
    found = f"{skew:.1f} s apart from the database's"
    if skew > LARGE_SKEW:
        return fail("clock", found, to_do)
    return warn("clock", found, to_do) if skew > SMALL_SKEW else ok("clock", found)


def _reason(error: Exception) -> str:
    """The first line of what the driver says; none of the URL, which may hold a password."""
    if isinstance(error, ArgumentError | ValueError) and not isinstance(error, psycopg.Error):
        return "the URL is none"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
