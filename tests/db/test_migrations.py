"""The revisions: up from nothing, down and up again, by several processes at once, and equal to the tables."""

from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text

from app.db import migrate, tables


def _ask(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(url)
    with engine.begin() as connection:
        rows = [tuple(row) for row in connection.execute(text(statement))]
    engine.dispose()
    return rows


def _tables(url: str) -> set[str]:
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname"
CONSTRAINTS = "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1, 2"
OPTIONS = "SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL ORDER BY 1"


def test_an_empty_database_is_brought_to_this_version(empty_database_url: str) -> None:
    assert migrate.pending(empty_database_url)
    migrate.upgrade(empty_database_url)
    assert not migrate.pending(empty_database_url)
    assert _tables(empty_database_url) == {*tables.metadata.tables, "alembic_version"}


def test_upgrading_twice_does_nothing(database_url: str) -> None:
    migrate.upgrade(database_url)
    assert not migrate.pending(database_url)


def test_down_leaves_nothing_and_up_again_leaves_the_same(database_url: str) -> None:
    before = [_ask(database_url, statement) for statement in (INDEXES, CONSTRAINTS, OPTIONS)]
    migrate.downgrade(database_url, "base")
    assert _tables(database_url) == {"alembic_version"}
    assert migrate.pending(database_url)
    migrate.upgrade(database_url)
    assert [_ask(database_url, statement) for statement in (INDEXES, CONSTRAINTS, OPTIONS)] == before


def test_down_takes_the_rows_along(database_url: str) -> None:
    _ask(database_url, "INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'acme') RETURNING id")
    migrate.downgrade(database_url, "base")
    migrate.upgrade(database_url)
    assert _ask(database_url, "SELECT count(*) FROM tenants") == [(0,)]


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, tables.metadata))


def test_the_revisions_make_just_the_tables_of_the_code(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert _differences(connection) == []
    engine.dispose()


def test_the_revisions_make_just_the_indexes_of_the_code(database_url: str, empty_database_url: str) -> None:
    """Alembic does not compare what an index includes, nor its condition: Postgres writes both down alike."""
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE EXTENSION vector"))
        tables.metadata.create_all(connection)
    engine.dispose()
    migrated = [row for row in _ask(database_url, INDEXES) if row[0] != "alembic_version_pkc"]
    assert migrated == _ask(empty_database_url, INDEXES)


def test_there_is_one_line_of_revisions(empty_database_url: str) -> None:
    scripts = ScriptDirectory.from_config(migrate.alembic_config(empty_database_url))
    assert len(scripts.get_heads()) == len(scripts.get_bases()) == 1


def test_several_processes_upgrade_at_once(empty_database_url: str) -> None:
    program = f"from app.db import migrate; migrate.upgrade({empty_database_url!r})"
    started = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    ended = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], ended
    assert not migrate.pending(empty_database_url)
    assert _ask(empty_database_url, "SELECT count(*) FROM alembic_version") == [(1,)]


def test_an_unknown_revision_in_the_database_is_pending(database_url: str) -> None:
    _ask(database_url, "UPDATE alembic_version SET version_num = 'other' RETURNING 1")
    assert migrate.pending(database_url)


def test_a_password_with_a_percent_sign_is_taken_as_it_is(database_url: str) -> None:
    """A configuration file would read it as a reference."""
    url = f"{database_url}?application_name=a%25b" if "?" not in database_url else database_url
    migrate.upgrade(url)
    assert not migrate.pending(url)


@pytest.mark.parametrize("table", sorted(set(tables.metadata.tables) - {"tenants"} - tables.DEPLOYMENT_WIDE))
def test_every_table_goes_with_its_tenant(table: str) -> None:
    found = tables.metadata.tables[table]
    assert "tenant_id" in found.primary_key.columns
    assert all(key.ondelete == "CASCADE" for key in found.foreign_key_constraints)
    assert found.foreign_key_constraints
