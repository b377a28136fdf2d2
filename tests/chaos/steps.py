"""Named steps of a worker and of the API at which a process ends or freezes itself, put around the service's functions.

Nothing of the service knows of them: `install` wraps the functions of the running process, and what a transaction is
for is noted on its session, so that the steps before and after COMMIT are told apart.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.core.policies import Served
from app.core.values import Completion, Prompt
from app.db import lanes, oplog, queries
from app.llm.completer import HttpCompleter
from app.services import ingest

MARK = "chaos"
DURING_SECONDS = 0.01

WORKER_STEPS = (
    "extractor.before",
    "extractor.during",
    "extractor.after",
    "extraction.before_commit",
    "extraction.after_commit",
    "manager.before",
    "manager.during",
    "manager.after",
    "apply.held",
    "apply.finished",
    "apply.changed",
    "apply.logged",
    "apply.before_commit",
    "apply.after_commit",
    "failure.before_commit",
    "failure.after_commit",
    "claim.before_commit",
    "claim.after_commit",
    "extend.before_commit",
    "extend.after_commit",
    "release.before_commit",
    "release.after_commit",
)
API_STEPS = (
    "accept.before_commit",
    "accept.after_commit",
    "accept.before_response",
    "answerer.during",
    "retry.before_commit",
    "retry.after_commit",
)
STOP_STEPS = ("manager.after", "apply.held", "apply.before_commit", "claim.after_commit")
"""Where a worker freezes for longer than its lease, and then goes on."""

API_STOP_STEPS = ("accept.before_commit",)


class Step(NamedTuple):
    """What a process does to itself: a signal, when it comes to a step for the nth time."""

    name: str
    nth: int = 1
    number: int = signal.SIGKILL


class Notes:
    """Lines that outlive whoever writes them, of all processes in one file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, kind: str, name: str) -> None:
        os.write(self._file, f"{kind} {name} {os.getpid()}\n".encode())


class Armed:
    """Counts how often a process comes to its step, and strikes."""

    def __init__(self, step: Step | None, notes: Notes) -> None:
        self._step, self._notes = step, notes
        self._left = step.nth if step else 0

    def reach(self, name: str) -> None:
        if self._step is None or name != self._step.name:
            return
        self._left -= 1
        if self._left == 0:
            self._notes.write("stop" if self._step.number == signal.SIGSTOP else "step", name)
            os.kill(os.getpid(), self._step.number)
            # A stop may take hold of another thread first.
            time.sleep(0.05)


def install(armed: Armed) -> None:
    """Put the steps around the service's functions in this process."""
    _mark(armed, lanes, "claim", "claim")
    _mark(armed, lanes, "extend", "extend")
    _mark(armed, lanes, "release", "release")
    _mark(armed, lanes, "keep_extraction", "extraction")
    _mark(armed, lanes, "postpone", "failure")
    _mark(armed, lanes, "set_aside", "failure")
    _mark(armed, lanes, "enqueue", "accept")
    _mark(armed, lanes, "retry_failed", "retry")
    _mark(armed, lanes, "finish", "apply", then="apply.finished")
    _reach_after(armed, lanes, "hold", "apply.held")
    _reach_after(armed, queries, "apply_changes", "apply.changed")
    _reach_after(armed, oplog, "write", "apply.logged")
    _reach_after(armed, ingest, "accept", "accept.before_response")
    _around_calls(armed)
    event.listen(Session, "before_commit", lambda session: _at_commit(armed, session, "before_commit"))
    event.listen(Session, "after_commit", lambda session: _at_commit(armed, session, "after_commit"))


def _at_commit(armed: Armed, session: Session, moment: str) -> None:
    if mark := session.info.get(MARK):
        armed.reach(f"{mark}.{moment}")


def _mark(armed: Armed, module: ModuleType, name: str, mark: str, then: str | None = None) -> None:
    """Note on the session what its transaction does, unless the function found nothing to do."""
    original: Callable[..., Awaitable[Any]] = getattr(module, name)

    async def marked(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        if result is None or result:
            session = next(one for one in (*args, *kwargs.values()) if isinstance(one, AsyncSession))
            session.info[MARK] = mark
            if then:
                armed.reach(then)
        return result

    setattr(module, name, marked)


def _reach_after(armed: Armed, module: ModuleType, name: str, step: str) -> None:
    original: Callable[..., Awaitable[Any]] = getattr(module, name)

    async def reaching(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        armed.reach(step)
        return result

    setattr(module, name, reaching)


def _around_calls(armed: Armed) -> None:
    original = HttpCompleter.complete

    async def complete(self: HttpCompleter, prompt: Prompt, policy: Served | None = None) -> Completion:
        role = prompt.role.value
        armed.reach(f"{role}.before")
        timer = asyncio.get_running_loop().call_later(DURING_SECONDS, armed.reach, f"{role}.during")
        try:
            completion = await original(self, prompt, policy)
        finally:
            timer.cancel()
        armed.reach(f"{role}.after")
        return completion

    HttpCompleter.complete = complete  # type: ignore[method-assign]
