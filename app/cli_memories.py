"""The command line of memories and of the operation log."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from app.cli_options import LOCAL_URL, AsJson, Bank, Key, Url, out, plain, print_json
from app.cli_views import show_memories, show_memory, show_operations
from app.client import Client, ServiceError

memories_cli = typer.Typer(
    no_args_is_help=True, help="Memories: listed, searched, shown with their history, added, edited, forgotten."
)
operations_cli = typer.Typer(no_args_is_help=True, help="The log of a bank: what was decided and why; undoing it.")

SHORTEST_ID = 4
# As the API has them; their own module takes long to import.
Verdict = Literal["applied", "rejected", "unchanged"]
AsOf = Annotated[str | None, typer.Option(help="As the bank was at this date and time, such as 2026-01-31T12:00:00Z.")]
SaidAt = Annotated[str | None, typer.Option(help="When it was said, such as 2026-01-31T12:00:00Z.")]
MemoryId = Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")]
Version = Annotated[
    int | None, typer.Option("--version", min=1, max=999_999_999, help="Only while it is at this version.")
]


@memories_cli.command("list")
def list_memories(
    bank: Bank, as_of: AsOf = None, url: Url = LOCAL_URL, key: Key = None, as_json: AsJson = False
) -> None:
    """Show what a bank remembers."""
    with Client(url, key) as client:
        _show(client.memories(bank, as_of), as_json)


@memories_cli.command("search")
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    bank: Bank,
    limit: Annotated[int, typer.Option(min=1, max=60, help="How many, at most.")] = 10,
    as_of: AsOf = None,
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show the memories that fit a text best, best first."""
    with Client(url, key) as client:
        found = client.search(bank, query, limit=limit, as_of=as_of)
    if as_json:
        print_json(found)
    else:
        show_memories(out, [one["memory"] for one in found], title="Best first")


@memories_cli.command("show")
def show(memory_id: MemoryId, bank: Bank, url: Url = LOCAL_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Show a memory with every version, what made it so, and the turns that it came from."""
    with Client(url, key) as client:
        read = client.memory(bank, _whole_id(client, bank, memory_id))
    if as_json:
        print_json(read)
    else:
        show_memory(out, read)


@memories_cli.command("add")
def add(
    text: Annotated[str, typer.Argument(help="What is to be remembered.")],
    bank: Bank,
    speaker: Annotated[str, typer.Option(help="Whose memory it is.")],
    said_at: SaidAt = None,
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Remember something that no turn said."""
    with Client(url, key) as client:
        _edited(client.add_memory(bank, text, speaker, said_at), "is remembered", as_json)


@memories_cli.command("edit")
def edit(
    memory_id: MemoryId,
    bank: Bank,
    text: Annotated[str | None, typer.Option(help="What it says from now on.")] = None,
    said_at: SaidAt = None,
    version: Version = None,
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Change what a memory says, as a new version; it can be undone."""
    if text is None and said_at is None:
        raise typer.BadParameter("Give --text or --said-at.")
    with Client(url, key) as client:
        whole = _whole_id(client, bank, memory_id)
        edited = client.revise_memory(bank, whole, version, text=text, said_at=said_at)
    _edited(edited, "is changed", as_json)


@memories_cli.command("forget")
def forget(
    memory_id: MemoryId,
    bank: Bank,
    version: Version = None,
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Forget a memory. Its versions stay and it can be undone; `erase` is for good."""
    with Client(url, key) as client:
        _edited(client.remove_memory(bank, _whole_id(client, bank, memory_id), version), "is forgotten", as_json)


@operations_cli.command("list")
def list_operations(
    bank: Bank,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, at most: the newest.")] = 50,
    memory: Annotated[UUID | None, typer.Option(help="Only of this memory.")] = None,
    ingestion: Annotated[UUID | None, typer.Option(help="Only of this post of turns.")] = None,
    turn: Annotated[UUID | None, typer.Option(help="Only of this turn.")] = None,
    verdict: Annotated[Verdict | None, typer.Option(help="Only those that this became of.")] = None,
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List what was done to a bank's memories, newest first, also what was rejected."""
    named = {"memory_id": memory, "ingestion_id": ingestion, "turn_id": turn, "verdict": verdict}
    filters = {name: str(value) for name, value in named.items() if value is not None}
    with Client(url, key) as client:
        found = client.operations(bank, limit, **filters)
    if as_json:
        print_json(found)
    else:
        show_operations(out, found)


@operations_cli.command("undo")
def undo(
    bank: Bank,
    number: Annotated[int | None, typer.Argument(min=1, max=10**15, help="The operation's number.")] = None,
    ingestion: Annotated[UUID | None, typer.Option(help="Instead: all that a post of turns did.")] = None,
    url: Url = LOCAL_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Take a memory back to where it was before an operation; that can be undone in turn."""
    with Client(url, key) as client:
        if ingestion is not None and number is None:
            undone = client.undo_ingestion(bank, str(ingestion))
        elif number is not None and ingestion is None:
            undone = client.undo_operation(bank, number)
        else:
            raise typer.BadParameter("Give either the number of an operation, or --ingestion.")
    if as_json:
        print_json(undone)
        return
    show_operations(out, undone["operations"])
    if undone["skipped"]:
        numbers = ", ".join(map(str, undone["skipped"]))
        out.print(f"Not undone, since what that needs has been erased: operations {numbers}.", soft_wrap=True)


def _show(memories: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(memories)
    else:
        show_memories(out, memories)


def _edited(edited: dict[str, Any], what: str, as_json: bool) -> None:
    if as_json:
        print_json(edited)
        return
    memory = edited["memory"]
    out.print(
        f"Memory {memory['id']} {what} (operation {edited['operation']}, version {memory['version']}).",
        highlight=False,
        soft_wrap=True,
    )


def _whole_id(client: Client, bank: str, given: str) -> str:
    """The id of a memory by its beginning. Raises `ServiceError` where it is nobody's, or of several."""
    try:
        return str(UUID(given))
    except ValueError:
        pass
    if len(given) < SHORTEST_ID:
        raise typer.BadParameter(f"Give at least {SHORTEST_ID} characters of the memory's id.")
    begun = [memory["id"] for memory in client.memories(bank) if memory["id"].startswith(given.lower())]
    if len(begun) == 1:
        return str(begun[0])
    if not begun:
        raise ServiceError(
            f"No memory of bank {bank!r} has an id that begins with {plain(given)!r}; a forgotten one is found by its "
            "whole id.",
            slug="unknown-memory",
            status=404,
        )
    raise ServiceError(f"{len(begun)} memories have an id that begins with {plain(given)!r}: give more of it.")
