"""The command line: serve, demo, ingest, ask, keys and what operators need."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.cli_policies import policies_cli
from app.cli_views import Progress, show_answer, show_banks, show_memories
from app.client import Client, ServiceError
from app.core.errors import MemoryServiceError
from app.local.postgres import LocalPostgresError
from app.services.callers import DEFAULT_OVERLAP_SECONDS, MAX_OVERLAP_SECONDS, Limits, Rights, Scope
from app.settings import Settings

if TYPE_CHECKING:
    from app.db.engine import Sessions
    from app.services.keys import NewKey

cli = typer.Typer(no_args_is_help=True, add_completion=True, help="Memory-R1: a memory service that learns.")
keys_cli = typer.Typer(no_args_is_help=True, help="API keys: made, listed, rotated, revoked.")
cli.add_typer(keys_cli, name="keys")
cli.add_typer(policies_cli, name="policies")

out, err = Console(), Console(stderr=True)
Result = TypeVar("Result")

Url = Annotated[str, typer.Option(envvar="MEMORY_R1_URL", help="The service to talk to.")]
Key = Annotated[str | None, typer.Option(envvar="MEMORY_R1_KEY", help="API key, where the service wants one.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, for other programs.")]
Bank = Annotated[str, typer.Option(help="Name of the bank.")]
Local = Annotated[bool, typer.Option("--local", help="With an embedded Postgres and a small model in this process.")]
Tenant = Annotated[str, typer.Option(help="Whose keys.")]
PositiveLimit = Annotated[int | None, typer.Option(min=1, max=1_000_000_000, help="Without limit if left out.")]
LOCAL_URL = "http://127.0.0.1:8080"


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: errors that a user can act on are one line, not a trace."""
    try:
        cli(arguments)
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        err.print(f"[bold red]Error:[/] {escape(line)}", highlight=False, soft_wrap=True)
        sys.exit(1)


def run(work: Coroutine[Any, Any, Result]) -> Result | None:
    """Run until done, SIGINT or SIGTERM; either signal unwinds everything that was started."""

    async def supervised() -> Result | None:
        task = asyncio.ensure_future(work)
        is_ending = False

        def end() -> None:
            # Once: uvicorn passes a signal on when it ends, and another cancellation would break off what is unwound.
            nonlocal is_ending
            if not is_ending:
                is_ending = True
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, end)
        try:
            return await task
        except asyncio.CancelledError:
            return None

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(supervised())


_MIGRATE_AS_OWNER = "run `memory-r1 migrate` with MEMORY_R1_DATABASE__OWNER_URL, which makes it a member."


def explained(error: Exception) -> str | None:
    """One line on an error that a user can act on; None for a fault of ours."""
    from psycopg.errors import InsufficientPrivilege
    from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

    match error:
        case ServiceError() | MemoryServiceError() | LocalPostgresError() | OSError():
            return str(error)
        case ValidationError(title="Settings"):
            faults = (f"{_variable(fault['loc'])}: {fault['msg']}" for fault in error.errors(include_input=False))
            return "a setting is out of bounds: " + "; ".join(faults)
        case OperationalError() if re.search(r'permission denied to set role|role "[^"]*" does not exist', str(error)):
            return f"the user of MEMORY_R1_DATABASE__URL may not work in MEMORY_R1_DATABASE__ROLE; {_MIGRATE_AS_OWNER}"
        case ProgrammingError(orig=InsufficientPrivilege()):
            return f"the user of MEMORY_R1_DATABASE__URL may not read the tables; {_MIGRATE_AS_OWNER}"
        case OperationalError() | ArgumentError():
            return "the database cannot be reached; check MEMORY_R1_DATABASE__URL."
        case ProgrammingError():
            return "the database is not at this version's schema; run `memory-r1 migrate`."
    return None


def _variable(place: Sequence[int | str]) -> str:
    return "MEMORY_R1_" + "__".join(str(step).upper() for step in place)


def print_json(data: Any) -> None:
    """Data for other programs, on standard output and with nothing beside it."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is to be had: short transactions spend much of their time in the event loop."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def start_logging(settings: Settings) -> None:
    """Plain or JSON lines on standard error."""
    plain = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if settings.log.json_lines else logging.Formatter(plain))
    logging.basicConfig(level=settings.log.level, handlers=[handler], force=True)
    for chatty in ("httpx", "openai", "alembic", "sentence_transformers", "transformers"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"at": self.formatTime(record), "level": record.levelname, "logger": record.name}
        line["message"] = record.getMessage()
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


@cli.command()
def serve(
    local: Local = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    worker: Annotated[bool, typer.Option(help="Run the ingestion worker in this process too.")] = True,
) -> None:
    """Serve the API until Ctrl-C."""
    from app.serving import serve as serve_until_signal

    settings = Settings()
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = settings.model_copy(update={"server": settings.server.model_copy(update=given)})
    start_logging(settings)
    with Progress(err) as progress:
        run(serve_until_signal(settings, local=local, with_worker=worker, progress=progress.step))


@cli.command()
def worker() -> None:
    """Run only the ingestion worker; as many as you like, beside any number of APIs."""
    from app.main import open_service, running_worker

    settings = Settings()
    start_logging(settings)

    async def work(progress: Progress) -> None:
        async with open_service(settings) as service, running_worker(service):
            progress.step("ready to work")
            await asyncio.Event().wait()

    with Progress(err) as progress:
        run(work(progress))


@cli.command()
def migrate() -> None:
    """Bring the database to this version's schema."""
    from app.db import migrate as migration

    migration.prepare(Settings().database)
    out.print("The database is at this version's schema.")


@cli.command()
def demo(
    stay: Annotated[bool, typer.Option(help="Keep serving afterwards.")] = False,
) -> None:
    """Ingest a short conversation on the embedded default, and show what becomes of it."""
    from app.demo.show import demonstrate

    settings = Settings()
    start_logging(settings.model_copy(update={"log": settings.log.model_copy(update={"level": "WARNING"})}))
    run(demonstrate(settings, out, stay=stay))


@cli.command()
def ingest(
    bank: Annotated[str | None, typer.Option(help="Name of the bank; the conversation's with --locomo.")] = None,
    file: Annotated[Path | None, typer.Argument(help="JSON list or JSON lines of turns.")] = None,
    locomo: Annotated[Path | None, typer.Option(help="A LoCoMo file in its upstream form.")] = None,
    conversation: Annotated[str, typer.Option(help="Which conversation of it.")] = "conv-26",
    url: Url = LOCAL_URL,
    key: Key = None,
) -> None:
    """Post a conversation and follow it until every turn is done or failed; interrupted, it can be run again."""
    from app.ingesting import follow, post, read_turns

    turns, name = read_turns(file, locomo, conversation)
    with Client(url, key) as client:
        posted = post(client, bank or name, turns)
        failed = follow(client, bank or name, posted, err)
    out.print(f"{len(turns) - failed} of {len(turns)} turns done in bank {bank or name!r}.")
    if failed:
        raise typer.Exit(1)


@cli.command()
def ask(question: str, bank: Bank, url: Url = LOCAL_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Ask a bank a question; shows the memories and turns that the answer stands on."""
    with Client(url, key) as client:
        answer = client.answer(bank, question)
    if as_json:
        print_json(answer)
    else:
        show_answer(out, answer)


@cli.command()
def memories(bank: Bank, url: Url = LOCAL_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Show what a bank remembers."""
    with Client(url, key) as client:
        found = client.memories(bank)
    if as_json:
        print_json(found)
    else:
        show_memories(out, found)


@cli.command()
def banks(url: Url = LOCAL_URL, key: Key = None, as_json: AsJson = False) -> None:
    """List the banks."""
    with Client(url, key) as client:
        found = client.banks()
    if as_json:
        print_json(found)
    else:
        show_banks(out, found)


@cli.command()
def openapi() -> None:
    """Print the API's OpenAPI document."""
    from app.main import create_app

    print_json(create_app(Settings(_env_file=None)).openapi())


@cli.command("settings")
def settings_page() -> None:
    """Print the settings reference."""
    from app.settings_doc import settings_reference

    sys.stdout.write(settings_reference())


@keys_cli.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    tenant: Tenant = "default",
    scope: Annotated[
        Scope, typer.Option(help="What it may do; admin holds write, and write holds read.")
    ] = Scope.ADMIN,
    bank: Annotated[list[str] | None, typer.Option(help="A bank that it is for; repeat it. All if left out.")] = None,
    expires_in_days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Never if left out.")] = None,
    requests_per_minute: PositiveLimit = None,
    turns_per_day: PositiveLimit = None,
    questions_per_day: PositiveLimit = None,
    local: Local = False,
) -> None:
    """Make a key, and the tenant where there is none. The key is shown once and stored as a hash."""
    from app.services import keys

    expires_at = None if expires_in_days is None else datetime.now(UTC) + timedelta(days=expires_in_days)
    limits = Limits(
        requests_per_minute=requests_per_minute, turns_per_day=turns_per_day, questions_per_day=questions_per_day
    )
    rights = Rights(scope=scope, banks=tuple(bank) if bank else None, expires_at=expires_at, limits=limits)
    _show_secret(run(_with_database(local, lambda sessions: keys.create(sessions, tenant, name, rights))))


@keys_cli.command("list")
def list_keys(tenant: Tenant = "default", local: Local = False) -> None:
    """List a tenant's keys, without their secrets."""
    from app.services import keys

    table = Table("id", "tenant", "name", "scope", "banks", "made", "expires", "revoked")
    for one in run(_with_database(local, lambda sessions: keys.list_keys(sessions, tenant))) or []:
        moments = [f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (one.created_at, one.expires_at, one.revoked_at)]
        banks = "all" if one.banks is None else ", ".join(one.banks)
        table.add_row(str(one.id), escape(one.tenant), escape(one.name), one.scope.value, escape(banks), *moments)
    out.print(table)


@keys_cli.command("revoke")
def revoke_key(key_id: UUID, tenant: Tenant = "default", local: Local = False) -> None:
    """Make a key worthless at once."""
    from app.services import keys

    async def revoke(sessions: Sessions) -> None:
        await keys.revoke(sessions, await keys.operator(sessions, tenant), key_id)

    run(_with_database(local, revoke))
    out.print(f"Key {key_id} is revoked.")


@keys_cli.command("rotate")
def rotate_key(
    key_id: UUID,
    tenant: Tenant = "default",
    overlap_seconds: Annotated[
        int, typer.Option(min=0, max=MAX_OVERLAP_SECONDS, help="For how long the old key stays valid.")
    ] = DEFAULT_OVERLAP_SECONDS,
    local: Local = False,
) -> None:
    """Make a key with the rights of another, which ends when the overlap has passed."""
    from app.services import keys

    async def rotate(sessions: Sessions) -> NewKey:
        return await keys.rotate(sessions, await keys.operator(sessions, tenant), key_id, overlap_seconds)

    _show_secret(run(_with_database(local, rotate)))


def _show_secret(made: NewKey | None) -> None:
    if made is not None:
        err.print(f"Key {made.id} of tenant {escape(repr(made.tenant))}; it is not shown again:", soft_wrap=True)
        sys.stdout.write(f"{made.secret}\n")


async def _with_database(local: bool, use: Any) -> Any:
    """Run a use case on the configured database, or on the embedded one while no service holds it."""
    from app.db import migrate as migration
    from app.db.engine import Sessions, make_engine
    from app.local.running import attached_postgres

    async with attached_postgres(Settings(), local) as settings:
        if local:
            await asyncio.to_thread(migration.upgrade, settings.database.url.get_secret_value())
        engine = make_engine(settings.database)
        try:
            return await use(Sessions(engine))
        finally:
            await engine.dispose()


if __name__ == "__main__":
    main()
