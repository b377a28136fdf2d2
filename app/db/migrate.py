"""Bringing a database to the schema of this version, and making the login that the service connects as."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import ProgrammingError

from app.core.errors import InvalidInput
from app.settings import DatabaseSettings

_LOGIN_LOCK = 7_205_759_403_792_795
_ATTRIBUTES = "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"
_KNOWN = """
    SELECT rolsuper OR rolbypassrls, pg_has_role(current_user, oid, 'USAGE WITH ADMIN OPTION'),
        pg_has_role(oid, %(role)s, 'MEMBER')
    FROM pg_roles WHERE rolname = %(login)s
"""
_NEEDED = (
    "MEMORY_R1_DATABASE__OWNER_URL must name an owner of the database with CREATEROLE (and, where a superuser made the "
    "roles memory_r1_service and memory_r1_dispatch, with their ADMIN OPTION); a superuser must have run "
    "`CREATE EXTENSION vector` in it."
)


def alembic_config(url: str) -> Config:
    """Alembic's configuration for the packaged revisions and this database."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    config.set_main_option("file_template", "%%(year)d-%%(month).2d-%%(day).2d_%%(rev)s_%%(slug)s")
    config.attributes["url"] = url
    return config


def prepare(settings: DatabaseSettings) -> None:
    """Run the missing revisions as the owner, and make the service's login where that is another user.

    Raises `InvalidInput` where the owner may not do so, and where that login does not work.
    """
    url = settings.url.get_secret_value()
    owner_url = settings.owner_url.get_secret_value() if settings.owner_url is not None else url
    try:
        upgrade(owner_url)
        if make_url(owner_url).username != make_url(url).username:
            make_login(owner_url, url, settings.role)
            _check_login(url)
    except ProgrammingError as error:
        if isinstance(error.orig, InsufficientPrivilege):
            raise _not_allowed(error.orig) from error
        raise
    except InsufficientPrivilege as error:
        raise _not_allowed(error) from error


def upgrade(url: str, revision: str = "head") -> None:
    """Run the missing revisions; several processes may do so at once."""
    command.upgrade(alembic_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Go back to an earlier revision."""
    command.downgrade(alembic_config(url), revision)


def pending(url: str) -> bool:
    """True where the database is not at this version's newest revision."""
    return current(url) != newest()


def newest() -> str | None:
    """The newest revision of this version."""
    return ScriptDirectory.from_config(alembic_config("")).get_current_head()


def is_known(revision: str) -> bool:
    """Whether this version has a revision: one of a later version it has not."""
    scripts = ScriptDirectory.from_config(alembic_config(""))
    return revision in {script.revision for script in scripts.walk_revisions()}


def current(url: str) -> str | None:
    """The revision that a database is at; None where it was never migrated."""
    engine = create_engine(url, hide_parameters=True)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def make_login(owner_url: str, url: str, role: str) -> None:
    """The user of `url` as a login that owns nothing and works as `role`, with the password of `url`.

    A login that somebody else administers is left as it is, if it is a member already.
    """
    wanted = make_url(url)
    login, password = wanted.username, wanted.password
    if login is None:
        return
    with _connected(owner_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOGIN_LOCK,))
        known = connection.execute(_KNOWN, {"login": login, "role": role}).fetchone()
        if known is None:
            connection.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(login), sql.SQL(_ATTRIBUTES)))
        elif known[0]:
            raise InvalidInput(
                f"The user {login!r} of MEMORY_R1_DATABASE__URL is a superuser or may bypass row-level security: "
                "name another, who need not exist."
            )
        is_ours = known is None or known[1]
        if is_ours and password is not None:
            # Hashed here: a statement that fails, or is logged, must not show the password.
            hashed = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(login), sql.Literal(hashed)))
        if known is None or not known[2]:
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(login)))


def _check_login(url: str) -> None:
    # Here it is one line for whoever set the password; later every process of the service would fail to start.
    try:
        _connected(url).close()
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        raise InvalidInput(
            "The user of MEMORY_R1_DATABASE__URL cannot log in; check its password, or MEMORY_R1_DATABASE__PASSWORD "
            f"where the URL holds none: {reason}"
        ) from error


def _not_allowed(error: InsufficientPrivilege) -> InvalidInput:
    return InvalidInput(f"The database refuses: {error.diag.message_primary}. {_NEEDED}")


def _connected(url: str) -> psycopg.Connection[Any]:
    parts = make_url(url)
    named: dict[str, Any] = parts.translate_connect_args(username="user", database="dbname")
    return psycopg.connect(**named | dict(parts.query))
