"""Alembic's entry: one transaction for all revisions, one migrating process at a time."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine, text

from app.db.tables import metadata

MIGRATION_LOCK = 7_205_759_403_792_794


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=metadata, compare_type=True, transaction_per_migration=False
    )
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.run_migrations()


def main() -> None:
    url = context.config.attributes.get("url") or context.config.get_main_option("sqlalchemy.url")
    if not url:
        raise SystemExit("Set MEMORY_R1_DATABASE__URL and run `memory-r1 migrate`.")
    engine = create_engine(url, hide_parameters=True)
    try:
        with engine.connect() as connection:
            _run(connection)
    finally:
        engine.dispose()


main()
