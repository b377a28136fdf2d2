"""Bringing a database to the schema of this version."""

from __future__ import annotations

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine


def alembic_config(url: str) -> Config:
    """Alembic's configuration for the packaged revisions and this database."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    config.set_main_option("file_template", "%%(year)d-%%(month).2d-%%(day).2d_%%(rev)s_%%(slug)s")
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Run the missing revisions; several processes may do so at once."""
    command.upgrade(alembic_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Go back to an earlier revision."""
    command.downgrade(alembic_config(url), revision)


def pending(url: str) -> bool:
    """True where the database is not at this version's newest revision."""
    engine = create_engine(url, hide_parameters=True)
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    return current != ScriptDirectory.from_config(alembic_config(url)).get_current_head()
