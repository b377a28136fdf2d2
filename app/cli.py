"""The command line: serve, demo, ingest, ask, and what operators need; groups of commands are in `app.cli_*`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app import cli_banks, cli_doctor
from app.cli_banks import banks_cli
from app.cli_errors import ExitCode, explained, report, report_usage
from app.cli_keys import keys_cli
from app.cli_memories import AsOf, memories_cli, operations_cli
from app.cli_options import LOCAL_URL, AsJson, Bank, Key, Url, err, markup, out, print_json, wants_json
from app.cli_policies import policies_cli
from app.cli_running import run
from app.cli_views import Progress, show_answer
from app.client import Client

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["cli", "explained", "main", "run", "start_logging"]

cli = typer.Typer(no_args_is_help=True, add_completion=True, help="Memory-R1: a memory service that learns.")
cli.add_typer(banks_cli, name="banks")
cli.add_typer(memories_cli, name="memories")
cli.add_typer(operations_cli, name="operations")
cli.add_typer(keys_cli, name="keys")
cli.add_typer(policies_cli, name="policies")

InProcess = Annotated[
    bool, typer.Option("--local", help="With an embedded Postgres and a small model in this process.")
]


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: errors that a user can act on are one line, not a trace; a reader that has gone is silent."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # What the terminal's encoding lacks is written in escapes.
        getattr(stream, "reconfigure", lambda **how: None)(errors="backslashreplace")
    try:
        code = _run_command(given)
        sys.stdout.flush()
    except BrokenPipeError:
        code = ExitCode.FAILED
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(int(code))


def _run_command(arguments: list[str]) -> int:
    as_json = wants_json(arguments)
    command = typer.main.get_command(cli)
    try:
        return int(command.main(arguments, prog_name="memory-r1", standalone_mode=not as_json) or 0)
    except SystemExit as ended:
        return int(ended.code or 0)
    except BrokenPipeError:
        raise
    except typer.TyperException as error:
        return report_usage(error)
    except typer.Abort:
        return ExitCode.FAILED
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        return report(error, line, as_json=as_json)


def start_logging(settings: Settings) -> None:
    """Plain or JSON lines on standard error."""
    from app.telemetry import logs

    logs.configure(settings.log)


@cli.command()
def serve(
    local: InProcess = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    worker: Annotated[bool, typer.Option(help="Run the ingestion worker in this process too.")] = True,
) -> None:
    """Serve the API until Ctrl-C."""
    from app.serving import serve as serve_until_signal
    from app.settings import Settings

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
    from app.settings import Settings

    settings = Settings()
    start_logging(settings)

    async def work(progress: Progress) -> None:
        async with open_service(settings) as service, running_worker(service):
            progress.step("ready to work")
            await asyncio.Event().wait()

    with Progress(err) as progress:
        run(work(progress))


@cli.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the database to this version's schema."""
    from app.db import migrate as migration
    from app.settings import Settings

    migration.prepare(Settings().database)
    if as_json:
        print_json({"revision": migration.newest()})
    else:
        out.print("The database is at this version's schema.")


@cli.command()
def demo(
    stay: Annotated[bool, typer.Option(help="Keep serving afterwards.")] = False,
) -> None:
    """Ingest a short conversation on the embedded default, and show what becomes of it."""
    from app.demo.show import demonstrate
    from app.settings import Settings

    settings = Settings()
    start_logging(settings.model_copy(update={"log": settings.log.model_copy(update={"level": "WARNING"})}))
    run(demonstrate(settings, out, stay=stay))


@cli.command()
def ingest(
    file: Annotated[
        Path | None, typer.Argument(help="JSON list or JSON lines of turns; `-` is standard input.", allow_dash=True)
    ] = None,
    bank: Annotated[
        str | None, typer.Option(help="Name of the bank; the file's or conversation's if left out.")
    ] = None,
    locomo: Annotated[Path | None, typer.Option(help="A LoCoMo file in its upstream form.")] = None,
    conversation: Annotated[str, typer.Option(help="Which conversation of it.")] = "conv-26",
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Post a conversation and follow it until every turn is done or failed; interrupted, it can be run again."""
    from app.ingesting import Ingest, read_turns

    turns, name = read_turns(file, locomo, conversation)
    with Client(url, key) as client:
        outcome = Ingest(client, bank or name, err).run(turns)
    if as_json:
        print_json(outcome.as_json())
    else:
        out.print(f"{outcome.done} of {outcome.turns} turns done in bank {markup(outcome.bank)!r}.", highlight=False)
        for failure in outcome.failures:
            err.print(
                f"Failed: {markup(failure['speaker'])}: {markup(failure['text'][:60])} ({markup(failure['detail'])})",
                highlight=False,
                soft_wrap=True,
            )
    if outcome.failures:
        raise typer.Exit(1)


@cli.command()
def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    bank: Bank,
    as_of: AsOf = None,
    best_guess: Annotated[
        bool, typer.Option("--best-guess", help="Answer even where the memories do not clearly tell.")
    ] = False,
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Ask a bank a question; shows the memories and turns that the answer stands on."""
    with Client(url, key) as client:
        answer = client.answer(bank, question, as_of, best_guess=best_guess)
    if as_json:
        print_json(answer)
    else:
        show_answer(out, answer)


cli.command("erase")(cli_banks.erase)
cli.command("export")(cli_banks.export)
cli.command("import")(cli_banks.import_)
cli.command("doctor")(cli_doctor.doctor)


@cli.command()
def openapi() -> None:
    """Print the API's OpenAPI document."""
    from app.main import create_app
    from app.settings import Settings

    print_json(create_app(Settings(_env_file=None)).openapi())


@cli.command("settings")
def settings_page() -> None:
    """Print the settings reference."""
    from app.settings_doc import settings_reference

    sys.stdout.write(settings_reference())


@cli.command("commands")
def commands_page() -> None:
    """Print the reference of the command line."""
    from app.cli_reference import commands_reference

    sys.stdout.write(commands_reference(cli))


if __name__ == "__main__":
    main()
