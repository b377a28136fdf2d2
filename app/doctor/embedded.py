"""The embedded Postgres as a service that is running has it."""

from __future__ import annotations

from pathlib import Path

from app.local.postgres import DATABASE, LocalPostgres
from app.local.postgres_setup import SUPERUSER


def has_cluster(data_dir: Path) -> bool:
    """Whether `serve --local` has made a database there."""
    return (LocalPostgres(data_dir).cluster / "PG_VERSION").exists()


def running_url(data_dir: Path) -> str | None:
    """Where the server on that folder listens; None while it does not."""
    place = LocalPostgres(data_dir)
    try:
        # The fourth line of the file is the port, by Postgres' own form.
        port = int((place.cluster / "postmaster.pid").read_text().splitlines()[3])
        password = place.password_file.read_text()
    except (OSError, ValueError, IndexError):
        return None
    return f"postgresql+psycopg://{SUPERUSER}:{password}@127.0.0.1:{port}/{DATABASE}"
