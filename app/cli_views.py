"""What the command line shows: progress, memories, operations, answers."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_COLOURS = {"ADD": "green", "UPDATE": "yellow", "DELETE": "red", "NOOP": "dim"}


class Progress:
    """Steps of getting ready, each with the time it took."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = self._last = time.monotonic()
        self._status = console.status("starting") if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def step(self, what: str) -> None:
        """Say what is being done now."""
        seconds = time.monotonic() - self._started
        self._console.print(f"[dim]{seconds:6.1f} s[/] {escape(what)}", highlight=False)
        if self._status:
            self._status.update(escape(what))
            if what.startswith("ready"):
                self._status.stop()


def show_turn(console: Console, turn: dict[str, Any], progress: dict[str, Any]) -> None:
    """A turn with its facts and operations."""
    console.print(f"\n[bold]{escape(turn['speaker'])}[/] [dim]{turn['said_at'][:10]}[/]  {escape(turn['text'])}")
    for fact in progress["facts"]:
        console.print(f"   fact      {escape(fact)}", highlight=False)
    for fact in progress["rejected_facts"]:
        console.print(f"   [dim]rejected  {escape(fact['text'])} ({escape(fact['reason'])})[/]", highlight=False)
    for operation in progress["operations"]:
        console.print(f"   {_operation(operation)}", highlight=False)
    if progress["error"]:
        console.print(f"   [red]{progress['state']}: {escape(progress['error']['detail'])}[/]", highlight=False)
    elif not progress["facts"]:
        console.print("   [dim]nothing worth remembering[/]")


def _operation(operation: dict[str, Any]) -> str:
    kind = f"[{_COLOURS[operation['kind']]}]{operation['kind']:<9}[/]"
    text = escape(operation["text_after"] or operation["text_before"] or operation["fact"] or "(erased)")
    if operation["verdict"] == "applied":
        note = " [dim](kept, as no other operation held)[/]" if operation["fallback"] else ""
        return f"{kind} {text}{note}"
    reason = escape(operation["reason"] or "nothing to do")
    return f"{kind} [dim]{operation['verdict']}: {reason}[/]"


def show_memories(console: Console, memories: list[dict[str, Any]]) -> None:
    """The bank as a table."""
    table = Table("memory", "speaker", "said", "version", "from turns", title="What the bank remembers")
    for memory in memories:
        counts = (str(memory["version"]), str(len(memory["sources"])))
        table.add_row(escape(memory["text"]), escape(memory["speaker"]), memory["said_at"][:10], *counts)
    console.print(table)


def show_banks(console: Console, banks: list[dict[str, Any]]) -> None:
    """The banks as a table."""
    table = Table("bank", "turns", "memories", "speakers", "made")
    for bank in banks:
        counts = (str(bank["turns"]), str(bank["memories"]))
        speakers = escape(", ".join(bank["speakers"]))
        table.add_row(escape(bank["name"]), *counts, speakers, bank["created_at"][:16])
    console.print(table)


def show_answer(console: Console, answer: dict[str, Any]) -> None:
    """An answer with what it stands on."""
    text = "[dim]The bank does not tell.[/]" if answer["abstained"] else f"[bold]{escape(answer['answer'])}[/]"
    console.print(f"\n[cyan]?[/] {escape(answer['question'])}\n  {text}", highlight=False)
    for memory in answer["memories"]:
        console.print(f"   [dim]from[/] {escape(memory['text'])}", highlight=False)
        for turn in memory["sources"]:
            said = f"{turn['speaker']}, {turn['said_at'][:10]}: {turn['text']}"
            console.print(f"        [dim]{escape(said)}[/]", highlight=False)
