"""Posting a whole conversation and following it, as the command line does."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from app.client import Client, ServiceError
from app.core import locomo

POST_SIZE = 50
FIRST_PAUSE, LONGEST_PAUSE, PATIENCE = 0.5, 60.0, 300.0
"""Seconds between tries where the service is away or full, and for how long it may be so."""
_ENDED = {"done", "failed"}
_STANDARD = Path("-")

Result = TypeVar("Result")


def read_turns(file: Path | None, locomo_file: Path | None, conversation: str) -> tuple[list[dict[str, Any]], str]:
    """Turns as they are posted, and a name for their bank. Raises `ServiceError` for a file that cannot be read.

    Turns of a file that have no external id are given one, so that a file that is posted again is stored once.
    """
    if (file is None) == (locomo_file is None):
        raise ServiceError("Name either a file of turns, or a LoCoMo file with --locomo.")
    if locomo_file is not None:
        return _locomo_turns(locomo_file, conversation)
    assert file is not None
    turns = _plain_turns(file)
    return (turns if file == _STANDARD else named(turns, file.name)), ("stdin" if file == _STANDARD else file.stem)


def named(turns: Sequence[dict[str, Any]], file: str) -> list[dict[str, Any]]:
    """Turns under external ids of their own or, without one, of the file's name and what they say."""
    seen: Counter[str] = Counter()
    found = []
    for turn in turns:
        if turn.get("external_id") is None:
            digest = hashlib.sha256(json.dumps(turn, sort_keys=True).encode()).hexdigest()[:24]
            seen[digest] += 1
            name = file.encode("utf-8", "replace").decode()[:100]
            turn = turn | {"external_id": f"{name}:{digest}:{seen[digest]}"}
        found.append(turn)
    return found


@dataclass(frozen=True)
class Outcome:
    """What became of a conversation."""

    bank: str
    turns: int
    done: int
    failed: int
    ingestions: list[str]
    failures: list[dict[str, Any]]
    """Of each turn that failed: `turn_id`, `external_id`, `speaker`, `text`, `type` and `detail`."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Ingest:
    """Posts turns in order and follows them; waits where the service is away or full for a while."""

    def __init__(self, client: Client, bank: str, console: Console) -> None:
        self._client, self._bank, self._console = client, bank, console
        self._reached = False
        self._turn_ids: set[str] = set()

    def run(self, turns: Sequence[dict[str, Any]]) -> Outcome:
        """Raises `ServiceError`; what was posted until then is stored."""
        try:
            return self._run(turns)
        except KeyboardInterrupt:
            self._console.print("Interrupted. What was posted is stored; run the same command to go on.")
            raise

    def _run(self, turns: Sequence[dict[str, Any]]) -> Outcome:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Bar(*columns, console=self._console) as bar:
            ingestions = self._post(turns, bar)
            failures = self._follow(ingestions, bar)
        failed = len(failures)
        return Outcome(self._bank, len(turns), len(turns) - failed, failed, ingestions, failures)

    def _post(self, turns: Sequence[dict[str, Any]], bar: Bar) -> list[str]:
        """The ids of the ingestions to follow, with those of an earlier run that was interrupted."""
        followed: list[str] = []
        task = bar.add_task("posting", total=len(turns), visible=len(turns) > POST_SIZE)
        for start in range(0, len(turns), POST_SIZE):
            posted = turns[start : start + POST_SIZE]
            receipt = self._patiently(partial(self._client.post_turns, self._bank, posted))
            followed += [*receipt["earlier_ingestion_ids"], receipt["ingestion_id"]]
            self._turn_ids.update(receipt["turn_ids"])
            bar.update(task, completed=start + len(posted))
        bar.update(task, visible=False)
        return list(dict.fromkeys(followed))

    def _follow(self, ingestions: Sequence[str], bar: Bar) -> list[dict[str, Any]]:
        """The turns that failed, once all have ended."""
        task = bar.add_task("turns", total=len(self._turn_ids))
        ended: dict[str, list[dict[str, Any]]] = {}
        for ingestion_id in ingestions:
            wait = 0
            while True:
                read = self._patiently(partial(self._client.ingestion, self._bank, ingestion_id, wait=wait))
                ended[ingestion_id] = [turn for turn in read["turns"] if turn["turn_id"] in self._turn_ids]
                states = Counter(turn["state"] for turns in ended.values() for turn in turns)
                label = f"turns ({states['failed']} failed, {states['retrying']} retrying)"
                bar.update(task, completed=sum(states[state] for state in _ENDED), description=label)
                if read["state"] in _ENDED:
                    break
                wait = 2
        return [_failure(turn) for turns in ended.values() for turn in turns if turn["state"] == "failed"]

    def _patiently(self, call: Callable[[], Result]) -> Result:
        waited, pause = 0.0, FIRST_PAUSE
        while True:
            try:
                result = call()
            except ServiceError as error:
                # A service that never answered is more likely not there than away.
                may_come_back = error.retryable and (self._reached or error.status is not None)
                pause = max(pause, error.retry_after or 0)
                if not may_come_back or pause > LONGEST_PAUSE or waited + pause > PATIENCE:
                    raise
                time.sleep(pause)
                waited, pause = waited + pause, min(pause * 2, LONGEST_PAUSE)
            else:
                self._reached = True
                return result


def _failure(turn: dict[str, Any]) -> dict[str, Any]:
    error = turn["error"] or {}
    told = {name: turn[name] for name in ("turn_id", "external_id", "speaker", "text")}
    return told | {"type": error.get("type", ""), "detail": error.get("detail", "")}


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
        text = sys.stdin.buffer.read().decode("utf-8-sig") if path == _STANDARD else path.read_text("utf-8-sig")
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
