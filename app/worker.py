"""The ingestion worker: takes due banks, one worker a bank, and works their turns off in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

from app.core import errors
from app.core.agents.extractor import Extraction
from app.core.telemetry import AttributeValue, SpanKind
from app.db import lanes
from app.db.engine import DATABASE_AWAY
from app.db.lanes import InboxItem, LeaseLost
from app.db.notices import wake_on
from app.db.queries import BankKey
from app.services import banks, events, work
from app.services.service import Service
from app.telemetry import logs

log = logging.getLogger(__name__)

MAX_REPLY_ATTEMPTS = 3
"""Tries at a turn whose reply was unusable: at temperature 0 the next one is likely to be the same."""
RECONNECT_SECONDS = 1.0
SHORTEST_SLEEP = 0.01
_CONSUMING = {
    "messaging.system": "postgresql",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.destination.name": "inbox",
}


class Worker:
    """Runs until stopped; several may run on one database."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._settings = service.settings.worker
        self._wake = asyncio.Event()
        self._stopping = False
        self._next_look = 0.0
        self._banks: dict[asyncio.Task[None], asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Work until `stop`; then finish nothing new, give the banks back and return."""
        listener = asyncio.create_task(wake_on(self._service.settings.database, lanes.CHANNEL, self._wake))
        try:
            while not self._stopping:
                self._wake.clear()
                await self._survive(self._take_due_banks)
                await self._sleep()
        finally:
            listener.cancel()
            # What drains is given up, what looks after it is not: that gives the bank back.
            for drain in self._banks.values():
                drain.cancel()
            await asyncio.gather(listener, *self._banks, return_exceptions=True)

    def stop(self) -> None:
        """Ask `run` to return; turns under way are given up and taken again by the next worker."""
        self._stopping = True
        self._wake.set()

    async def _survive(self, step: Callable[[], Awaitable[None]]) -> None:
        """The loop outlives whatever fails: a worker that ended unnoticed would leave every turn waiting."""
        try:
            await step()
        except DATABASE_AWAY as error:
            log.warning("the worker cannot reach the database: %s", type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)
        except Exception:
            log.exception("the worker failed, and goes on")
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _take_due_banks(self) -> None:
        free = self._settings.banks - len(self._banks)
        if self._stopping or free <= 0:
            self._next_look = self._settings.poll_seconds
            return
        # An owner for each claim: a worker that missed its own lease must not take the bank for its own still.
        owner = uuid4()
        async with self._service.sessions.dispatch() as session:
            keys = await lanes.claim(session, owner, self._settings.lease_seconds, free)
            due = await lanes.seconds_to_next(session) if len(keys) < free else None
        self._next_look = self._settings.poll_seconds if due is None else min(self._settings.poll_seconds, due)
        for key in keys:
            drain = asyncio.create_task(_Lane(self._service, key, owner).drain())
            task = asyncio.create_task(self._look_after(key, owner, drain))
            self._banks[task] = drain
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._banks[task]
        self._wake.set()

    async def _sleep(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(SHORTEST_SLEEP, self._next_look))

    async def _look_after(self, key: BankKey, owner: UUID, drain: asyncio.Task[None]) -> None:
        """Keep the lease of a bank while it is drained, and give it back whatever happens."""
        beat = asyncio.create_task(self._heartbeat(key, owner, drain))
        try:
            await drain
        except LeaseLost:
            log.info("lost the lease of a bank; another worker goes on with it")
        except DATABASE_AWAY as error:
            log.warning("gave a bank back, the database failed: %s", type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)
        except Exception:
            log.exception("gave a bank back, working on it failed")
            await asyncio.sleep(RECONNECT_SECONDS)
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            await self._give_back(key, owner)

    async def _give_back(self, key: BankKey, owner: UUID) -> None:
        """Also after a restart of the database; a worker that stops leaves that to the lease's end."""
        lease_ends = time.monotonic() + self._settings.lease_seconds
        while time.monotonic() < lease_ends:
            try:
                async with self._service.sessions.begin(key.tenant_id) as session:
                    await lanes.release(session, key, owner)
                return
            except DATABASE_AWAY:
                if self._stopping:
                    return
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _heartbeat(self, key: BankKey, owner: UUID, drain: asyncio.Task[None]) -> None:
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 3)
            try:
                async with self._service.sessions.begin(key.tenant_id) as session:
                    await lanes.extend(session, key, owner, self._settings.lease_seconds)
            except LeaseLost:
                drain.cancel()
                return
            except DATABASE_AWAY:
                continue


class _Lane:
    """One bank's waiting turns: facts of several are extracted ahead, changes are applied one after the other."""

    def __init__(self, service: Service, key: BankKey, owner: UUID) -> None:
        self._service, self._key, self._owner = service, key, owner
        self._settings = service.settings.worker
        self._ahead: dict[int, asyncio.Task[Extraction]] = {}

    async def drain(self) -> None:
        """Work on the waiting turns until one has to wait, or none is left: what came meanwhile is seen on release."""
        try:
            items = await self._waiting()
            more = len(items) == self._settings.prefetch
            mismatch = await banks.mismatch(self._service.sessions, self._key, self._service.embedder)
            if mismatch is not None and items and items[0].due:
                await self._failed(items[0], mismatch)
                return
            while items and items[0].due:
                self._extract_ahead(items)
                if not await self._take(items[0]):
                    return
                del items[0]
                if more and len(items) <= self._settings.prefetch // 2:
                    items = await self._waiting()
                    more = len(items) == self._settings.prefetch
        finally:
            for task in self._ahead.values():
                task.cancel()
            await asyncio.gather(*self._ahead.values(), return_exceptions=True)

    async def _waiting(self) -> list[InboxItem]:
        context = self._service.settings.extractor.context_turns
        async with self._service.sessions.begin(self._key.tenant_id) as session:
            return await lanes.waiting(session, self._key, self._settings.prefetch, context)

    def _extract_ahead(self, items: list[InboxItem]) -> None:
        for item in items:
            if item.position not in self._ahead:
                task = asyncio.create_task(self._extract(item))
                self._ahead[item.position] = task

    async def _take(self, item: InboxItem) -> bool:
        """Work on the first turn; False where the bank has to wait for its next try."""
        try:
            with self._about(item, "remember turn"):
                extraction = await self._ahead.pop(item.position)
                await work.decide_and_apply(self._service, self._key, item, extraction, self._owner)
                log.info("worked off a turn", extra=self._told(item, extraction))
        except (errors.ModelError, errors.StaleMemory) as error:
            return await self._failed(item, error)
        except (LeaseLost, *DATABASE_AWAY):
            raise
        except Exception as error:
            # A fault of ours in one turn must not stop its bank for ever.
            log.exception("a turn failed unexpectedly")
            return await self._failed(item, error)
        return True

    async def _extract(self, item: InboxItem) -> Extraction:
        with self._about(item, "extract facts"):
            return await work.extract(self._service, self._key, item)

    @contextlib.contextmanager
    def _about(self, item: InboxItem, step: str) -> Iterator[None]:
        """A step of the trace that the turn came with, and what is logged meanwhile."""
        tracer = self._service.telemetry.tracer
        ids = {"ingestion_id": str(item.ingestion_id), "turn_id": str(item.turn.id)}
        attributes: dict[str, AttributeValue] = {f"memory_r1.{name}": value for name, value in ids.items()}
        attributes |= {**_CONSUMING, "memory_r1.attempt": item.attempts + 1}
        with (
            tracer.span(step, attributes, kind=SpanKind.CONSUMER, parent=item.traceparent),
            logs.about(**ids, **tracer.ids()),
        ):
            yield

    def _told(self, item: InboxItem, extraction: Extraction) -> dict[str, Any]:
        told: dict[str, Any] = {"facts": len(extraction.facts)}
        if self._service.settings.log.user_text:
            told |= {"speaker": item.turn.speaker, "text": item.turn.text}
        return told

    async def _failed(self, item: InboxItem, error: Exception) -> bool:
        async with self._service.sessions.begin(self._key.tenant_id) as session:
            await lanes.hold(session, self._key, self._owner)
            if item.attempts + 1 >= self._most_attempts(error):
                goes_on = await lanes.set_aside(session, self._key, item, error)
                await events.ingestion_ended(session, self._key, item.ingestion_id, item.position)
                return goes_on
            await lanes.postpone(session, self._key, item, self._backoff(item.attempts), error)
            return False

    def _most_attempts(self, error: Exception) -> int:
        match error:
            case errors.ModelRefused():
                return 1
            case errors.ModelError(retryable=True) | errors.StaleMemory() | errors.EmbeddingMismatch():
                return self._settings.max_attempts
            case _:
                return min(MAX_REPLY_ATTEMPTS, self._settings.max_attempts)

    def _backoff(self, attempts: int) -> float:
        longest = min(self._settings.backoff_seconds * 2.0 ** min(attempts, 30), self._settings.max_backoff_seconds)
        return longest * random.uniform(0.5, 1.0)
