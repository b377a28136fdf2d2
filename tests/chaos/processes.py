"""Keeping processes running while they are killed, and a Postgres that keeps its port through that."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

import psutil
import psycopg

from app.local.postgres import LocalPostgres
from app.local.postgres_server import free_port
from tests.chaos.child import Orders, start
from tests.chaos.options import Plan, Unarmed
from tests.chaos.steps import Step

LOOK_SECONDS = 0.02
RESTART_SECONDS = 0.05
END_SECONDS = 30.0


@dataclass
class Tally:
    """What was done to the processes."""

    kills: Counter[str] = field(default_factory=Counter)
    """By kind; those at a step are counted from the notes."""
    others: Counter[str] = field(default_factory=Counter)
    """What else was done from outside, by kind."""
    restarts: Counter[str] = field(default_factory=Counter)
    failed_starts: Counter[str] = field(default_factory=Counter)
    died: list[str] = field(default_factory=list)
    """Processes that were ready and ended by themselves."""


def fork_context() -> ForkServerContext:
    """Processes are forked from one that has everything imported: a restart costs no start of Python."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.chaos.child"])
    return context


class Slot:
    """One process that is started again whenever it ends."""

    def __init__(self, name: str, orders: Orders, context: ForkServerContext, tally: Tally) -> None:
        self.name, self._orders, self._context, self._tally = name, orders, context, tally
        self.process: BaseProcess | None = None
        self.plan: Plan = Unarmed()
        self._started, self._is_struck = 0, False
        self._step: Step | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, while it lives."""
        alive = self.process is not None and self.process.is_alive()
        return self.process.pid if alive and self.process else None

    async def keep(self) -> None:
        """Start the process, again and again, until cancelled."""
        while True:
            self._start()
            while self.pid is not None:
                await asyncio.sleep(LOOK_SECONDS)
            self._account()
            self._tally.restarts[self._orders.role] += 1
            await asyncio.sleep(RESTART_SECONDS)

    def strike(self, kind: str, number: int = signal.SIGKILL) -> bool:
        """Send the process a signal; False where none lives."""
        pid = self.pid
        if pid is None:
            return False
        os.kill(pid, number)
        if number == signal.SIGKILL:
            self._is_struck = True
            self._tally.kills[kind] += 1
        else:
            self._tally.others[kind] += 1
        return True

    async def freeze(self, kind: str, seconds: float) -> None:
        """Stop the process for a while."""
        pid = self.pid
        if pid is not None and self.strike(kind, signal.SIGSTOP):
            await asyncio.sleep(seconds)
            self.thaw(pid)

    def thaw(self, pid: int | None) -> None:
        """Let the process go on if it is still the same."""
        if pid is not None and self.pid == pid:
            os.kill(pid, signal.SIGCONT)

    def behave(self) -> None:
        """From the next start on nothing is armed, and a model server answers well."""
        self.plan, self._orders = Unarmed(), replace(self._orders, faulty=False)

    async def end(self) -> int | None:
        """Ask the process to end as an operator does; its exit code, None where it has to be killed."""
        process = self.process
        if process is None:
            return None
        process.terminate()
        await asyncio.to_thread(process.join, END_SECONDS)
        code = process.exitcode
        self.close()
        return code

    def close(self) -> None:
        """Kill the process if it still lives."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process.close()
            self.process = None

    def _start(self) -> None:
        self.close()
        self._started += 1
        self._is_struck, self._step = False, self.plan.next()
        seed = hash((self._orders.seed, self._started))
        if self._orders.role == "model":
            seed = self._orders.seed
        orders = replace(self._orders, step=self._step, seed=seed)
        self.process = self._context.Process(target=start, args=(orders,), name=self.name)
        self.process.start()

    def _account(self) -> None:
        assert self.process is not None
        code, pid = self.process.exitcode, self.process.pid
        struck_itself = noted(self._orders.notes, "step", pid)
        if self._step is not None and not struck_itself:
            self.plan.again(self._step)
        if self._is_struck or struck_itself:
            return
        if noted(self._orders.notes, "ready", pid):
            self._tally.died.append(f"{self.name} ended by itself with exit code {code}")
        else:
            self._tally.failed_starts[self._orders.role] += 1


def noted(notes: Path, kind: str, pid: int | None) -> bool:
    """Whether a process left a note of this kind."""
    if not notes.exists():
        return False
    lines = (line.split() for line in notes.read_text().splitlines())
    return any(line[0] == kind and line[2] == str(pid) for line in lines)


class Database:
    """A server that is always found at the same URL."""

    def __init__(self, folder: Path) -> None:
        self._server, self._port = LocalPostgres(folder / "data"), free_port()
        # An interrupted run stops the server while a thread may still be starting it.
        self._lock, self._is_closed = threading.RLock(), False
        self.url = ""

    def start(self) -> None:
        """Bring it up if it is down; the URL is as it was."""
        with self._lock, mock.patch("app.local.postgres.free_port", return_value=self._port):
            if self._is_closed:
                return
            url = self._server.start()
            assert self.url in ("", url), "the URL of the server changed"
            self.url = url

    def stop(self) -> None:
        """For good."""
        with self._lock:
            self._is_closed = True
            self._server.stop()

    def kill_backend(self, draw: random.Random) -> bool:
        """SIGKILL to a connection's backend, upon which the server ends all of them and recovers."""
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            processes = psutil.Process(self._postmaster()).children()
            titles = {process.pid: " ".join(process.cmdline()) for process in processes}
            backends = [pid for pid, title in titles.items() if "127.0.0.1(" in title]
            busy = [pid for pid in backends if not titles[pid].rstrip().endswith("idle")]
            if busy or backends:
                os.kill(draw.choice(busy or backends), signal.SIGKILL)
                return True
        return False

    def kill_server(self) -> None:
        """SIGKILL to the whole server, and a new one on what it left behind."""
        with self._lock:
            os.kill(self._postmaster(), signal.SIGKILL)
            while self._server.running:
                time.sleep(LOOK_SECONDS)
            self.start()

    def end_connections(self) -> int:
        """Break off every connection of the service but leave the server up."""
        statement = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        with psycopg.connect(plain(self.url), autocommit=True) as connection:
            row = connection.execute(f"{statement} AND backend_type = 'client backend'").fetchone()
        return int(row[0]) if row else 0

    def _postmaster(self) -> int:
        return int((self._server.cluster / "postmaster.pid").read_text().splitlines()[0])


def plain(url: str) -> str:
    """The URL as libpq takes it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def orders_for(role: str, folder: Path, name: str, environment: Mapping[str, str], seed: int, port: int) -> Orders:
    """How a process of a run is started; all write their notes to one file."""
    return Orders(role, dict(environment), folder / f"{name}.log", folder / "notes", seed=seed, port=port)
