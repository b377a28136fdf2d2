"""What commands have in common: options, consoles, and how results are written."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.client import Client, ServiceError

LOCAL_URL = "http://127.0.0.1:8080"
COMPLETION_SECONDS = 2
"""What a shell waits for the names of banks."""
_TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Characters that turn the direction of what is written, and so can hide what a line says."""

out, err = Console(), Console(stderr=True)


def _bank_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of banks that begin so, for the shell; none where the service does not tell."""
    given = ctx.params
    try:
        with Client(given.get("url") or LOCAL_URL, given.get("key"), timeout=COMPLETION_SECONDS) as client:
            return [bank["name"] for bank in client.banks() if bank["name"].startswith(incomplete)]
    except ServiceError:
        return []


Url = Annotated[str, typer.Option(envvar="MEMORY_R1_URL", help="The service to talk to.")]
Key = Annotated[
    str | None, typer.Option(envvar="MEMORY_R1_KEY", show_default=False, help="API key, where the service wants one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, and errors as JSON on standard error.")]
Bank = Annotated[str, typer.Option(help="Name of the bank.", autocompletion=_bank_names)]
BankArgument = Annotated[str, typer.Argument(metavar="BANK", help="Name of the bank.", autocompletion=_bank_names)]
Local = Annotated[bool, typer.Option("--local", help="Of the embedded default, while it is not being served.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, known before it is parsed."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def print_json(data: Any) -> None:
    """Data for other programs, on standard output and with nothing beside it."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def plain(text: object) -> str:
    """Text on one line, without what could steer a terminal or turn its writing around."""
    return "".join(map(_shown, str(text)))


def _shown(character: str) -> str:
    if character in "\n\t":
        return " "
    hidden = unicodedata.category(character) in ("Cc", "Cs") or ord(character) in _TURNING
    return character.encode("unicode_escape").decode() if hidden else character


def markup(text: object) -> str:
    """Text of others inside of markup."""
    return escape(plain(text))


def show_table(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None
) -> None:
    """A table in a terminal; elsewhere one line a row, with tabs between its cells and no heading."""
    if not console.is_terminal:
        for row in rows:
            console.file.write("\t".join(map(plain, row)) + "\n")
        return
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*map(markup, row))
    console.print(table)


def moment(written: str | None) -> str:
    """A moment as the API writes it, to the minute."""
    return (written or "")[:16].replace("T", " ")


def confirm(question: str, yes: bool) -> None:
    """Ask before something is lost. Raises `typer.BadParameter` where nobody can be asked, `typer.Exit` for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{plain(question)} Nobody is there to be asked: give --yes.")
    if not typer.confirm(plain(question), err=True):
        err.print("Nothing was done.")
        raise typer.Exit(1)
