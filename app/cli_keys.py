"""The command line of API keys, on the database itself: the first key cannot be made over the API."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar
from uuid import UUID

import typer

from app.cli_options import AsJson, Local, err, markup, out, plain, print_json, show_table
from app.cli_running import run

if TYPE_CHECKING:
    from app.db.engine import Sessions
    from app.services.keys import KeySummary, NewKey

keys_cli = typer.Typer(no_args_is_help=True, help="API keys: made, listed, rotated, revoked.")

Result = TypeVar("Result")
# As the API has them; their own module takes long to import.
Scope = Literal["read", "write", "admin"]
DAY = 86_400
Tenant = Annotated[str, typer.Option(help="Whose keys.")]
KeyId = Annotated[UUID, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")]
PositiveLimit = Annotated[
    int | None, typer.Option(min=1, max=1_000_000_000, show_default=False, help="Without limit if left out.")
]


@keys_cli.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    tenant: Tenant = "default",
    scope: Annotated[Scope, typer.Option(help="What it may do; admin holds write, and write holds read.")] = "admin",
    bank: Annotated[list[str] | None, typer.Option(help="A bank that it is for; repeat it. All if left out.")] = None,
    expires_in_days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Never if left out.")] = None,
    requests_per_minute: PositiveLimit = None,
    turns_per_day: PositiveLimit = None,
    questions_per_day: PositiveLimit = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Make a key, and the tenant where there is none. The key is shown once and stored as a hash."""
    from app.services import callers, keys

    expires_at = None if expires_in_days is None else datetime.now(UTC) + timedelta(days=expires_in_days)
    limits = callers.Limits(
        requests_per_minute=requests_per_minute, turns_per_day=turns_per_day, questions_per_day=questions_per_day
    )
    banks = tuple(bank) if bank else None
    rights = callers.Rights(scope=callers.Scope(scope), banks=banks, expires_at=expires_at, limits=limits)
    _show_secret(_on_database(local, lambda sessions: keys.create(sessions, tenant, name, rights)), as_json)


@keys_cli.command("list")
def list_keys(tenant: Tenant = "default", local: Local = False, as_json: AsJson = False) -> None:
    """List a tenant's keys, without their secrets."""
    from app.services import keys

    found = _on_database(local, lambda sessions: keys.list_keys(sessions, tenant))
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    rows = []
    for one in found:
        moments = [f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (one.created_at, one.expires_at, one.revoked_at)]
        banks = "all" if one.banks is None else ", ".join(one.banks)
        rows.append((one.id, one.tenant, one.name, one.scope.value, banks, *moments))
    show_table(out, ("id", "tenant", "name", "scope", "banks", "made", "expires", "revoked"), rows)


@keys_cli.command("revoke")
def revoke_key(key_id: KeyId, tenant: Tenant = "default", local: Local = False, as_json: AsJson = False) -> None:
    """Make a key worthless at once."""
    from app.services import keys

    async def revoke(sessions: Sessions) -> KeySummary:
        return await keys.revoke(sessions, await keys.operator(sessions, tenant), key_id)

    revoked = _on_database(local, revoke)
    if as_json:
        print_json(revoked.model_dump(mode="json"))
    else:
        out.print(f"Key {key_id} is revoked.")


@keys_cli.command("rotate")
def rotate_key(
    key_id: KeyId,
    tenant: Tenant = "default",
    overlap_seconds: Annotated[
        int, typer.Option(min=0, max=30 * DAY, help="For how long the old key stays valid.")
    ] = DAY,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Make a key with the rights of another, which ends when the overlap has passed."""
    from app.services import keys

    async def rotate(sessions: Sessions) -> NewKey:
        return await keys.rotate(sessions, await keys.operator(sessions, tenant), key_id, overlap_seconds)

    _show_secret(_on_database(local, rotate), as_json)


def _show_secret(made: NewKey, as_json: bool) -> None:
    if as_json:
        print_json(made.model_dump(mode="json"))
        return
    said = f"Key {made.id} of tenant {markup(repr(plain(made.tenant)))}; it is not shown again:"
    err.print(said, highlight=False, soft_wrap=True)
    sys.stdout.write(f"{made.secret}\n")


def _on_database(local: bool, use: Callable[[Sessions], Awaitable[Result]]) -> Result:
    """Run a use case on the configured database, or on the embedded one while no service holds it."""
    done: list[Result] = []

    async def work() -> None:
        done.append(await _with_database(local, use))

    run(work())
    if not done:
        raise typer.Exit(130)
    return done[0]


async def _with_database(local: bool, use: Callable[[Sessions], Awaitable[Result]]) -> Result:
    from app.db import migrate
    from app.db.engine import Sessions, make_engine
    from app.local.running import attached_postgres
    from app.settings import Settings

    async with attached_postgres(Settings(), local) as settings:
        if local:
            await asyncio.to_thread(migrate.upgrade, settings.database.url.get_secret_value())
        engine = make_engine(settings.database)
        try:
            return await use(Sessions(engine))
        finally:
            await engine.dispose()
