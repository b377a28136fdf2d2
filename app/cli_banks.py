"""The command line of banks: listed, made, changed, erased with what they hold, exported and imported."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal
from uuid import UUID

import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from app.cli_options import (
    LOCAL_URL,
    AsJson,
    Bank,
    BankArgument,
    Key,
    Url,
    Yes,
    confirm,
    err,
    markup,
    out,
    plain,
    print_json,
)
from app.cli_views import show_bank, show_banks, show_receipt
from app.client import Client, ServiceError
from app.transfer_file import Checked, DamagedExport

banks_cli = typer.Typer(no_args_is_help=True, help="Banks: listed, made, shown, changed, deleted.")

CHUNK = 1 << 16
STANDARD = Path("-")
"""Standard input or output."""
# As the API has them; their own modules take long to import.
OnFailure = Literal["set_aside", "wait"]
Derived = Literal["only", "all"]
OnFailureOption = Annotated[
    OnFailure | None, typer.Option(help="What the bank does about a turn that failed for good: go on, or wait.")
]


@banks_cli.command("list")
def list_banks(url: Url = LOCAL_URL, key: Key = None, as_json: AsJson = False) -> None:
    """List the banks."""
    with Client(url, key) as client:
        found = client.banks()
    if as_json:
        print_json(found)
    else:
        show_banks(out, found)


@banks_cli.command("show")
def show(bank: BankArgument, url: Url = LOCAL_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Show a bank: how much it holds, who speaks in it, what it waits for."""
    with Client(url, key) as client:
        _shown(client.bank(bank), as_json)


@banks_cli.command("create")
def create(
    bank: BankArgument,
    on_failure: OnFailureOption = None,
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make a bank, where there is none of that name; its first turn would do so as well."""
    with Client(url, key) as client:
        made = client.create_bank(bank)
        if on_failure is not None:
            made = client.change_bank(bank, on_failure)
    _shown(made, as_json)


@banks_cli.command("change")
def change(
    bank: BankArgument,
    on_failure: Annotated[OnFailure, typer.Option(help="About a turn that failed for good: go on, or wait.")],
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Change what a bank does about a turn that failed for good."""
    with Client(url, key) as client:
        _shown(client.change_bank(bank, on_failure), as_json)


@banks_cli.command("delete")
def delete(
    bank: BankArgument, yes: Yes = False, url: Url = LOCAL_URL, key: Key = None, as_json: AsJson = False
) -> None:
    """Erase a bank with everything in it; asks first. The same as `erase --bank`."""
    with Client(url, key) as client:
        _erased(_erase_bank(client, bank, yes), f"Bank {plain(bank)!r} is erased.", as_json)


def erase(
    bank: Bank,
    turn: Annotated[UUID | None, typer.Option(help="Erase this turn alone, with what stands on it.")] = None,
    derived: Annotated[
        Derived,
        typer.Option(help="With --turn: memories that stand on it alone go too, or all that have it as a source."),
    ] = "only",
    yes: Yes = False,
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Erase a bank, or one turn of it, for good; asks first, and prints the receipt."""
    with Client(url, key) as client:
        if turn is None:
            _erased(_erase_bank(client, bank, yes), f"Bank {plain(bank)!r} is erased.", as_json)
        else:
            _erased(_erase_turn(client, bank, turn, derived, yes), f"Turn {turn} is erased.", as_json)


def export(
    bank: Bank,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write; `-` is standard output.", allow_dash=True)
    ] = STANDARD,
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Write everything of a bank to a file, which appears once it is whole."""
    if as_json and output == STANDARD:
        raise typer.BadParameter("--json needs --output: the export itself goes to standard output.")
    checked = Checked()
    with Client(url, key) as client, _written_whole(output) as file, _bar("exporting", None) as advance:
        with client.export(bank) as chunks:
            for chunk in chunks:
                checked.take(chunk)
                file.write(chunk)
                advance(len(chunk))
        checked.end()
    if as_json:
        print_json({"bank": bank, "file": str(output), "bytes": checked.size, "lines": checked.lines})
    elif output != STANDARD:
        out.print(f"Bank {markup(bank)!r} is in {markup(output)}: {checked.lines} lines.", soft_wrap=True)


def import_(
    file: Annotated[Path, typer.Argument(help="An exported file; `-` is standard input.", allow_dash=True)],
    bank: Bank,
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make a bank of that name, which must not exist, from an exported file: all of it or nothing. Broken off, it can
    be run again.
    """
    with ExitStack() as stack:
        client = stack.enter_context(Client(url, key))
        source: BinaryIO = sys.stdin.buffer
        name = size = None
        if file != STANDARD:
            source = stack.enter_context(file.open("rb"))
            # Named by its content: where the answer was lost, the same file is not refused for what it did itself.
            name = f"import-{_sha256(source)}"
            size = source.seek(0, os.SEEK_END)
            source.seek(0)
        advance = stack.enter_context(_bar("importing", size))
        imported = client.import_(bank, _chunks(source, advance), name)
    if as_json:
        print_json(imported)
        return
    counts = ", ".join(f"{count} {kind}" for kind, count in imported["counts"].items() if count)
    anew = " Texts were embedded anew." if imported["embedded_anew"] else ""
    out.print(f"Bank {markup(bank)!r} is made of {markup(counts) or 'nothing'}.{anew}", soft_wrap=True)


def _shown(bank: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(bank)
    else:
        show_bank(out, bank)


def _erase_bank(client: Client, bank: str, yes: bool) -> dict[str, Any]:
    held = client.bank(bank)
    speakers = f" of {', '.join(held['speakers'])}" if held["speakers"] else ""
    confirm(
        f"Erase bank {bank!r} for good: {held['turns']} turns{speakers}, {held['memories']} memories with all their "
        "versions, the log, answers and traces?",
        yes,
    )
    return client.delete_bank(bank)


def _erase_turn(client: Client, bank: str, turn: UUID, derived: Derived, yes: bool) -> dict[str, Any]:
    read = client.turn(bank, str(turn))
    count = len({version["id"] for version in read["memories"]})
    reach = "that stand on it alone" if derived == "only" else "that have it among their sources"
    said = read["turn"]
    confirm(
        f"Erase for good what {said['speaker']} said on {said['said_at'][:10]}, {said['text'][:80]!r}, with versions "
        f"{reach} (of {count} memories), and every answer and trace that quotes it?",
        yes,
    )
    return client.erase_turn(bank, str(turn), derived)


def _erased(receipt: dict[str, Any], said: str, as_json: bool) -> None:
    if as_json:
        print_json(receipt)
    else:
        out.print(markup(said), highlight=False, soft_wrap=True)
        show_receipt(out, receipt)


@contextmanager
def _written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name when the block has ended well, and leaves nothing behind otherwise."""
    if path == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    # What a bank holds is nobody else's business.
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        part.replace(path)
    except DamagedExport as error:
        raise ServiceError(f"{error} Nothing was written to {path}; run it again.", retryable=True) from error
    finally:
        part.unlink(missing_ok=True)


def _sha256(source: BinaryIO) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(source, lambda size: None):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(source: BinaryIO, advance: Callable[[int], None]) -> Iterable[bytes]:
    while chunk := source.read(CHUNK):
        yield chunk
        advance(len(chunk))


@contextmanager
def _bar(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while the block runs, where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda size: bar.advance(task, size)
