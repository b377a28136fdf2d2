"""What the command line shows: progress, memories, operations, answers, banks, receipts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console

from app.cli_options import markup, moment, show_table

_COLOURS = {"ADD": "green", "UPDATE": "yellow", "DELETE": "red", "NOOP": "dim"}
SHORT_ID = 8
"""Characters of an id that a terminal is shown; commands take them for the whole."""


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
        self._console.print(f"[dim]{seconds:6.1f} s[/] {markup(what)}", highlight=False)
        if self._status:
            self._status.update(markup(what))
            if what.startswith("ready"):
                self._status.stop()


def show_turn(console: Console, turn: dict[str, Any], progress: dict[str, Any]) -> None:
    """A turn with its facts and operations."""
    _say(console, f"\n[bold]{markup(turn['speaker'])}[/] [dim]{turn['said_at'][:10]}[/]  {markup(turn['text'])}")
    for fact in progress["facts"]:
        _say(console, f"   fact      {markup(fact)}")
    for fact in progress["rejected_facts"]:
        _say(console, f"   [dim]rejected  {markup(fact['text'])} ({markup(fact['reason'])})[/]")
    for operation in progress["operations"]:
        _say(console, f"   {_operation(operation)}")
    if progress["error"]:
        _say(console, f"   [red]{progress['state']}: {markup(progress['error']['detail'])}[/]")
    elif not progress["facts"]:
        _say(console, "   [dim]nothing worth remembering[/]")


def _operation(operation: dict[str, Any]) -> str:
    kind = f"[{_COLOURS[operation['kind']]}]{operation['kind']:<9}[/]"
    text = markup(operation["text_after"] or operation["text_before"] or operation["fact"] or "(erased)")
    if operation["verdict"] == "applied":
        note = " [dim](kept, as no other operation held)[/]" if operation["fallback"] else ""
        return f"{kind} {text}{note}"
    reason = markup(operation["reason"] or "nothing to do")
    return f"{kind} [dim]{operation['verdict']}: {reason}[/]"


def show_memories(
    console: Console, memories: Sequence[dict[str, Any]], title: str | None = "What the bank remembers"
) -> None:
    """The bank as a table."""
    rows = [
        (
            _id(console, memory["id"]),
            memory["text"],
            memory["speaker"],
            memory["said_at"][:10],
            memory["version"],
            len(memory["sources"]),
        )
        for memory in memories
    ]
    show_table(console, ("id", "memory", "speaker", "said", "version", "from turns"), rows, title)


def show_memory(console: Console, read: dict[str, Any]) -> None:
    """A memory with its versions and the turns that it came from."""
    memory = read["memory"]
    state = "[red]forgotten[/]" if read["deleted"] else f"version {memory['version']}"
    _say(console, f"[bold]{markup(memory['text'])}[/]")
    _say(console, f"{memory['id']}, {markup(memory['speaker'])}, {state}")
    rows = []
    for version in read["versions"]:
        since, until = moment(version["valid_from"]), moment(version["valid_to"])
        note = f"brings back {version['restores']}" if version["restores"] else ""
        rows.append((version["version"], version["text"], since, until, version["operation"] or "", note))
    show_table(console, ("version", "text", "from", "to", "operation", ""), rows, "History")
    for turn in read["sources"]:
        _show_source(console, turn, "")


def show_operations(console: Console, operations: Sequence[dict[str, Any]]) -> None:
    """The log as a table."""
    rows = []
    for operation in operations:
        texts = [operation["text_before"], operation["text_after"]]
        said = " → ".join(text for text in texts if text) or operation["fact"] or "(erased)"
        outcome = operation["verdict"] + (f", undone by {operation['undone_by']}" if operation["undone_by"] else "")
        cells = [operation["number"], operation["kind"], outcome, said, operation["reason"] or ""]
        rows.append([*cells, operation["origin"], moment(operation["created_at"])])
    show_table(console, ("number", "operation", "outcome", "memory", "reason", "by", "at"), rows, "Operations")


def show_banks(console: Console, banks: Sequence[dict[str, Any]]) -> None:
    """The banks as a table."""
    rows = [
        (bank["name"], bank["turns"], bank["memories"], ", ".join(bank["speakers"]), moment(bank["created_at"]))
        for bank in banks
    ]
    show_table(console, ("bank", "turns", "memories", "speakers", "made"), rows)


def show_bank(console: Console, bank: dict[str, Any]) -> None:
    """One bank, a line for each of its properties."""
    blocked = f"the failed turn {bank['blocked_by']}" if bank["blocked_by"] else "nothing"
    embedded = f"{bank['embedding_model']}, {bank['embedding_dimension']} dimensions"
    rows = [
        ("bank", bank["name"]),
        ("turns", bank["turns"]),
        ("memories", bank["memories"]),
        ("speakers", ", ".join(bank["speakers"])),
        ("about a turn that failed", bank["on_failure"]),
        ("waits for", blocked),
        ("embedded by", embedded),
        ("made", moment(bank["created_at"])),
    ]
    show_table(console, ("", ""), rows)


def show_receipt(console: Console, receipt: dict[str, Any]) -> None:
    """What an erasure removed."""
    rows = [(table, count) for table, count in receipt["removed"].items() if count]
    show_table(console, ("removed from", "rows"), rows, "Receipt")
    if receipt["kept"]:
        _say(console, f"{len(receipt['kept'])} memories rest on other turns too and were kept.")
    _say(console, f"Receipt {receipt['digest']}")


def show_answer(console: Console, answer: dict[str, Any]) -> None:
    """An answer with what it stands on."""
    text = "[dim]The bank does not tell.[/]" if answer["abstained"] else f"[bold]{markup(answer['answer'])}[/]"
    _say(console, f"\n[cyan]?[/] {markup(answer['question'])}\n  {text}")
    for memory in answer["memories"]:
        _say(console, f"   [dim]from[/] {markup(memory['text'])}")
        for turn in memory["sources"]:
            _show_source(console, turn, "        ")


def _show_source(console: Console, turn: dict[str, Any], indent: str) -> None:
    said = f"{turn['speaker']}, {turn['said_at'][:10]}: {turn['text']}"
    _say(console, f"{indent}[dim]{markup(said)}[/]")


def _id(console: Console, whole: str) -> str:
    return whole[:SHORT_ID] if console.is_terminal else whole


def _say(console: Console, line: str) -> None:
    """A line of markup: broken between words in a terminal, whole elsewhere."""
    console.print(line, highlight=False, soft_wrap=not console.is_terminal)
