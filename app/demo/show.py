"""The demonstration: a short conversation goes in, and everything that becomes of it is shown."""

from __future__ import annotations

import asyncio
import json
import time
from importlib.resources import files
from typing import Any

from rich.console import Console
from rich.rule import Rule

from app.cli_views import Progress, show_answer, show_memories, show_turn
from app.client import Client
from app.serving import running
from app.settings import Settings

BANK = "demo"


async def demonstrate(settings: Settings, console: Console, *, stay: bool) -> None:
    """Serve the embedded default and drive it over HTTP, as any chatbot would."""
    if not stay:
        # It ends by itself, so any free port will do.
        settings = settings.model_copy(update={"server": settings.server.model_copy(update={"port": 0})})
    with Progress(console) as progress:
        async with running(settings, local=True, with_worker=True, progress=progress.step) as (url, ended):
            await asyncio.to_thread(_drive, url, console)
            if stay:
                console.print(f"\nServing at {url} until Ctrl-C; the API's pages are at {url}/docs.")
                await ended()


def _drive(url: str, console: Console) -> None:
    script = json.loads((files("app.demo") / "conversation.json").read_text(encoding="utf-8"))
    with Client(url) as client:
        if any(bank["name"] == BANK for bank in client.banks()):
            client.delete_bank(BANK)
        started = time.monotonic()
        console.print(Rule("A conversation, turn by turn"))
        for turn in script["turns"]:
            show_turn(console, turn, _ingest(client, turn))
        console.print(Rule("What the bank remembers"))
        show_memories(console, client.memories(BANK), title=None)
        console.print(Rule("Questions"))
        for question in script["questions"]:
            show_answer(console, client.answer(BANK, question))
        console.print(
            f"\n[dim]{time.monotonic() - started:.0f} s for {len(script['turns'])} turns and "
            f"{len(script['questions'])} questions, on a language model of 135 million parameters.[/]"
        )


def _ingest(client: Client, turn: dict[str, Any]) -> dict[str, Any]:
    posted = client.post_turns(BANK, [turn])
    while True:
        read = client.ingestion(BANK, posted["ingestion_id"], wait=30)
        if read["state"] in ("done", "failed"):
            progress: dict[str, Any] = read["turns"][0]
            return progress
