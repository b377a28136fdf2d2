"""Posting a whole conversation and following it, as the command line does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from app.client import Client, ServiceError
from app.core import locomo

POST_SIZE = 50
FOLLOW_SECONDS = 20
_ENDED = {"done", "failed"}


def read_turns(file: Path | None, locomo_file: Path | None, conversation: str) -> tuple[list[dict[str, Any]], str]:
    """Turns as they are posted, and a name for their bank. Raises `ServiceError` for a file that cannot be read."""
    if (file is None) == (locomo_file is None):
        raise ServiceError("Name either a file of turns, or a LoCoMo file with --locomo.")
    if locomo_file is not None:
        return _locomo_turns(locomo_file, conversation)
    assert file is not None
    return _plain_turns(file), file.stem


def post(client: Client, bank: str, turns: Sequence[dict[str, Any]]) -> list[str]:
    """Post in order; the ids of the ingestions to follow, with those of an earlier run that was interrupted."""
    followed: list[str] = []
    for start in range(0, len(turns), POST_SIZE):
        receipt = client.post_turns(bank, turns[start : start + POST_SIZE])
        followed += [*receipt["earlier_ingestion_ids"], receipt["ingestion_id"]]
    return list(dict.fromkeys(followed))


def follow(client: Client, bank: str, ingestions: Sequence[str], console: Console) -> int:
    """Show a bar until all have ended; how many turns failed."""
    states: dict[str, Counter[str]] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("turns", total=None)
        for ingestion_id in ingestions:
            while True:
                read = client.ingestion(bank, ingestion_id, wait=0 if ingestion_id not in states else 2)
                states[ingestion_id] = Counter(turn["state"] for turn in read["turns"])
                total = sum(states.values(), Counter[str]())
                ended = sum(total[state] for state in _ENDED)
                label = f"turns ({total['failed']} failed, {total['retrying']} retrying)"
                bar.update(task, completed=ended, total=sum(total.values()), description=label)
                if read["state"] in _ENDED:
                    break
    return sum(counts["failed"] for counts in states.values())


def _locomo_turns(path: Path, conversation: str) -> tuple[list[dict[str, Any]], str]:
    try:
        loaded = locomo.load(path, conversation)
    except locomo.LocomoError as error:
        raise ServiceError(str(error)) from error
    turns = [
        {
            "speaker": turn.speaker,
            "text": turn.text,
            "said_at": turn.said_at.isoformat(),
            "session": str(turn.session),
            "external_id": turn.dia_id,
        }
        for turn in loaded.turns
    ]
    return turns, loaded.id


def _plain_turns(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        # Not `splitlines`: JSON may hold other characters that it takes for the end of a line.
        lines = [line for line in text.split("\n") if line.strip()]
        turns = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in lines]
    except (OSError, ValueError, RecursionError) as error:
        raise ServiceError(f"{path} cannot be read as a JSON list or JSON lines of turns: {error}") from error
    if not turns:
        raise ServiceError(f"{path} holds no turns.")
    if not all(isinstance(turn, dict) for turn in turns):
        raise ServiceError(f"{path} must hold objects with at least speaker and text.")
    return list(turns)
