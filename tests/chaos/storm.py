"""A run: everything is started, clients post, everything is killed; then faults end, and the database is checked."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
from pydantic import SecretStr

from app.db import migrate
from app.db.engine import Sessions, make_engine
from app.local.postgres_server import free_port
from app.services.callers import Rights, Scope
from app.services.keys import create
from app.settings import DatabaseSettings
from tests.chaos import verify
from tests.chaos.clients import GIVE_UP_SECONDS, Client, Shared
from tests.chaos.ledger import TENANTS, Ledger
from tests.chaos.options import Options, schedules
from tests.chaos.outside import Faults
from tests.chaos.processes import Database, Slot, Tally, fork_context, orders_for, plain
from tests.chaos.steps import Step
from tests.chaos.verify import Claims, Stored, Violation

START_SECONDS = 120.0
LOOK_SECONDS = 0.1
STEP_SECONDS = 800.0
"""Longest extension of a storm until every step was hit."""
CLIENT_SECONDS = 60.0


@dataclass
class Outcome:
    """What a run found."""

    options: Options
    tally: Tally = field(default_factory=Tally)
    ledger: Ledger = field(default_factory=Ledger)
    steps: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    model_faults: Counter[str] = field(default_factory=Counter)
    not_hit: list[str] = field(default_factory=list)
    stored: Stored | None = None
    violations: list[Violation] = field(default_factory=list)
    storm_seconds: float = 0.0
    calm_seconds: float = 0.0

    @property
    def kills(self) -> int:
        """SIGKILLs that hit, from outside and at steps."""
        return self.tally.kills.total() + self.steps.total()

    @property
    def faults(self) -> list[str]:
        """Whatever makes the run a failure."""
        found = [f"{one.kind}: {one.text}" for one in self.violations]
        found += [f"never acknowledged: {post}" for post in self.ledger.unacknowledged]
        found += [f"wrong answer: {answer}" for answer in self.ledger.wrong]
        found += [f"leaked: {answer}" for answer in self.ledger.leaked]
        found += [f"process: {process}" for process in self.tally.died]
        found += [f"step never hit: {step}" for step in self.not_hit]
        if self.kills < self.options.kills:
            found.append(f"only {self.kills} kills")
        return found


class Storm:
    """One run in a folder of its own, which Postgres's account must be able to reach."""

    def __init__(self, options: Options, folder: Path, tell: Callable[[str], None] = lambda line: None) -> None:
        self._options, self._folder, self._tell = options, folder, tell
        self._notes = folder / "notes"
        self._database = Database(folder)
        self._outcome = Outcome(options)
        self._slots: dict[str, list[Slot]] = {"model": [], "worker": [], "api": []}
        self._schedules = schedules(options)
        self._model_url, self._urls = "", [""]
        self._keys: list[str] = []

    async def run(self) -> Outcome:
        """Storm, calm and verification; nothing of it is left behind, however it ends."""
        keepers: list[asyncio.Task[None]] = []
        try:
            await asyncio.to_thread(self._database.start)
            await asyncio.to_thread(migrate.upgrade, self._database.url)
            self._keys = await self._make_keys()
            self._make_slots()
            keepers = [asyncio.create_task(slot.keep()) for slot in self._all()]
            await self._until_ready()
            limits = httpx.Limits(max_connections=100)
            async with httpx.AsyncClient(timeout=CLIENT_SECONDS, limits=limits, trust_env=False) as http:
                await self._storm_and_calm(http)
            await ended(keepers)
            await self._end_processes()
            await asyncio.to_thread(self._verify)
            return self._outcome
        finally:
            await ended(keepers)
            for slot in self._all():
                slot.close()
            # In a thread, the loop could be cancelled before it is done.
            self._database.stop()

    async def _make_keys(self) -> list[str]:
        engine = make_engine(DatabaseSettings(url=SecretStr(self._database.url)))
        try:
            sessions, rights = Sessions(engine), Rights(scope=Scope.WRITE)
            made = [await create(sessions, str(tenant), "storm", rights) for tenant in range(TENANTS)]
            return [key.secret or "" for key in made]
        finally:
            await engine.dispose()

    def _all(self) -> list[Slot]:
        return [slot for slots in self._slots.values() for slot in slots]

    def _make_slots(self) -> None:
        options, context = self._options, fork_context()
        model_port, ports = free_port(), [free_port() for _ in range(options.apis)]
        self._model_url = f"http://127.0.0.1:{model_port}"
        self._urls = [f"http://127.0.0.1:{port}" for port in ports]
        places = [("model", model_port, 0)]
        places += [("worker", 0, number) for number in range(options.workers)]
        places += [("api", port, number) for number, port in enumerate(ports)]
        for role, port, number in places:
            name = f"{role}-{number}"
            environment = options.environment(self._database.url, model_port, port)
            orders = orders_for(role, self._folder, name, environment, options.seed * 100 + number, port)
            self._slots[role].append(Slot(name, orders, context, self._outcome.tally))

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while sum(1 for kind, *_ in self._noted() if kind == "ready") < len(self._all()):
            if time.monotonic() > deadline:
                logs = [path.read_text()[-2000:] for path in self._folder.glob("*.log")]
                raise RuntimeError("the processes do not start: " + "\n".join(logs))
            await asyncio.sleep(LOOK_SECONDS)

    def _noted(self) -> Iterator[tuple[str, str, int]]:
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        for kind, name, pid in (line.split() for line in lines):
            yield kind, name, int(pid)

    async def _storm_and_calm(self, http: httpx.AsyncClient) -> None:
        options, ledger = self._options, self._outcome.ledger
        ending, started = asyncio.Event(), time.monotonic()
        shared = Shared(
            self._urls, http, self._keys, ledger, options.seed, options.banks, options.pause_seconds, ending
        )
        clients = [asyncio.create_task(Client(number, shared).run()) for number in range(options.clients)]
        tidying = asyncio.create_task(Client(98, shared).tidy())
        faults = Faults(self._slots, self._database, self._outcome.tally, random.Random(options.seed), options)
        try:
            await self._storm(faults, [*clients, tidying])
            self._outcome.storm_seconds = time.monotonic() - started
            self._tell(f"faults off after {self._outcome.storm_seconds:.0f} s")
            await self._end_faults(http)
            ending.set()
            await ended([tidying])
            _, late = await asyncio.wait(clients, timeout=GIVE_UP_SECONDS + 2 * CLIENT_SECONDS)
            ledger.unacknowledged += [f"client {clients.index(task)} hangs" for task in late]
            await self._settle(Client(99, shared))
            self._outcome.calm_seconds = time.monotonic() - started - self._outcome.storm_seconds
        finally:
            await ended([*clients, tidying])

    async def _storm(self, faults: Faults, clients: list[asyncio.Task[None]]) -> None:
        """Until time is up, each step was hit, each outside fault was done and there were kills enough."""
        for role in ("worker", "api"):
            for slot in self._slots[role]:
                slot.plan = self._schedules[role]
                # Started without a step: from here on each start has one.
                slot.strike("armed")
        tasks = [asyncio.create_task(faults.run()), asyncio.create_task(self._thaw_stopped())]
        started = told = time.monotonic()
        try:
            while not self._enough(time.monotonic() - started, faults):
                for task in (*tasks, *clients):
                    if task.done():
                        task.result()
                if time.monotonic() - told > 20:
                    told = time.monotonic()
                    acknowledged = len(self._outcome.ledger.acknowledged)
                    to_hit = ", ".join(self._outcome.not_hit)
                    line = f"{told - started:.0f} s: {self._outcome.kills} kills, {acknowledged} acknowledged"
                    self._tell(f"{line}; to hit: {to_hit}" if to_hit else line)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await ended(tasks)

    def _enough(self, seconds: float, faults: Faults) -> bool:
        self._count()
        missing = [step for schedule in self._schedules.values() for step in sorted(schedule.open)]
        self._outcome.not_hit = [f"{name} ({signal.Signals(number).name})" for name, number in missing]
        self._outcome.not_hit += [f"{kind} (from outside)" for kind in faults.open]
        if seconds < self._options.seconds:
            return False
        return seconds > self._options.seconds + STEP_SECONDS or not (
            self._outcome.not_hit or self._outcome.kills < self._options.kills
        )

    def _count(self) -> None:
        outcome = self._outcome
        for counter in (outcome.steps, outcome.stops, outcome.model_faults):
            counter.clear()
        for kind, name, _ in self._noted():
            if kind == "fault":
                outcome.model_faults[name.replace("_", " ")] += 1
            elif kind in ("step", "stop"):
                (outcome.steps if kind == "step" else outcome.stops)[name] += 1
                step = Step(name, number=signal.SIGKILL if kind == "step" else signal.SIGSTOP)
                for schedule in self._schedules.values():
                    schedule.hit(step)

    async def _thaw_stopped(self) -> None:
        """A process that froze at a step goes on when its lease, or its transaction, is over."""
        seen, waiting = 0, list[asyncio.Task[None]]()
        while True:
            stopped = [pid for kind, _, pid in self._noted() if kind == "stop"]
            for pid in stopped[seen:]:
                waiting.append(asyncio.create_task(self._thaw(pid)))
            seen = len(stopped)
            await asyncio.sleep(LOOK_SECONDS)

    async def _thaw(self, pid: int) -> None:
        """Its step is behind it then: before long it makes room for one with another."""
        for slot in (*self._slots["worker"], *self._slots["api"]):
            if slot.pid == pid:
                is_api = slot in self._slots["api"]
                await asyncio.sleep(self._options.api_freeze_seconds if is_api else 2 * self._options.lease_seconds)
                slot.thaw(pid)
                await asyncio.sleep(self._options.lease_seconds)
                if slot.pid == pid:
                    slot.strike("after it was frozen")

    async def _end_faults(self, http: httpx.AsyncClient) -> None:
        """Everything runs as it should from here on."""
        await asyncio.to_thread(self._database.start)
        for slot in self._all():
            slot.behave()
            slot.thaw(slot.pid)
        for slot in (*self._slots["worker"], *self._slots["api"]):
            slot.strike("to disarm")
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await http.post(f"{self._model_url}/faults/off")
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _settle(self, client: Client) -> None:
        """Wait until every turn is done, and every bank free; turns that failed are put back through the API."""
        last, since = (-1, -1, -1), time.monotonic()
        while time.monotonic() - since < self._options.patience_seconds:
            waiting, failed, held = await asyncio.to_thread(self._left)
            if (waiting, len(failed), held) == (0, 0, 0):
                return
            if (waiting, len(failed), held) != last:
                last, since = (waiting, len(failed), held), time.monotonic()
            for bank, ingestion in failed:
                await client.retry(bank, ingestion)
            await asyncio.sleep(5 * LOOK_SECONDS)

    def _left(self) -> tuple[int, list[tuple[str, str]], int]:
        """Turns that wait, posts with failed ones, and banks that are due or leased."""
        with psycopg.connect(plain(self._database.url)) as connection:
            one = connection.execute(
                "SELECT (SELECT count(*) FROM inbox WHERE state IN ('queued', 'retrying')), "
                "(SELECT count(*) FROM lanes WHERE run_at IS NOT NULL OR lease_owner IS NOT NULL)"
            ).fetchone()
            failed = connection.execute(
                "SELECT DISTINCT o.name || '/' || b.name, i.ingestion_id::text FROM inbox i "
                "JOIN tenants o ON o.id = i.tenant_id JOIN banks b ON b.tenant_id = i.tenant_id AND b.id = i.bank_id "
                "WHERE i.state = 'failed'"
            ).fetchall()
        assert one is not None
        return one[0], [(bank, ingestion) for bank, ingestion in failed], one[1]

    async def _end_processes(self) -> None:
        for slot in self._all():
            code = await slot.end()
            if code != 0:
                self._outcome.tally.died.append(f"{slot.name} was asked to end, and its exit code is {code}")

    def _verify(self) -> None:
        self._count()
        outcome = self._outcome
        outcome.stored = verify.read(self._database.url)
        claims = Claims(outcome.ledger.acknowledged, frozenset(outcome.ledger.retried))
        outcome.violations = verify.violations(outcome.stored, claims)


async def ended(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
