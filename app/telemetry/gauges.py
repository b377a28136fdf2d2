"""What is looked up when metrics are scraped: the pool of this process, and the queue of all, kept for some seconds."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable
from typing import NamedTuple

from sqlalchemy import QueuePool

from app.core import metrics
from app.core.metrics import Metric
from app.core.telemetry import Meter
from app.db import queue
from app.db.engine import Sessions

log = logging.getLogger(__name__)

ASK_SECONDS = 5.0
"""What Postgres gets to answer; a scrape itself gives up after about ten."""


class Sample(NamedTuple):
    """The value of a gauge."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


class Gauges:
    """Called by scrapes, in threads of their own; Postgres is asked on the service's loop, and seldom."""

    def __init__(self, sessions: Sessions, meter: Meter, most_connections: int, keep_seconds: float) -> None:
        self._sessions, self._meter = sessions, meter
        self._most, self._keep = most_connections, keep_seconds
        self._loop = asyncio.get_running_loop()
        self._known: list[Sample] = []
        self._asked_at = -keep_seconds
        self._asking = threading.Lock()

    def __call__(self) -> list[Sample]:
        """The pool as it is, and the queue as it was some seconds ago at most; without it where Postgres is away."""
        return [*_pool(self._sessions, self._most), *self._queue()]

    def _queue(self) -> list[Sample]:
        with self._asking:
            if time.monotonic() - self._asked_at >= self._keep:
                self._known = self._answered(queue.waiting(self._sessions))
                self._asked_at = time.monotonic()
            return self._known

    def _answered(self, asked: Awaitable[queue.Waiting]) -> list[Sample]:
        future = asyncio.run_coroutine_threadsafe(_awaited(asked), self._loop)
        try:
            found = future.result(ASK_SECONDS)
        except Exception as error:
            future.cancel()
            # Shown as missing, never as nothing that waits.
            self._meter.count(metrics.SCRAPE_FAILURES)
            log.warning("cannot ask how much waits: %s", type(error).__name__)
            return []
        return [
            Sample(metrics.QUEUE_TURNS, ("queued",), found.queued),
            Sample(metrics.QUEUE_TURNS, ("retrying",), found.retrying),
            Sample(metrics.QUEUE_OLDEST, (), found.oldest_seconds),
            Sample(metrics.DELIVERIES_WAITING, (), found.deliveries),
        ]


async def _awaited(asked: Awaitable[queue.Waiting]) -> queue.Waiting:
    return await asked


def _pool(sessions: Sessions, most: int) -> list[Sample]:
    pool = sessions.engine.pool
    if not isinstance(pool, QueuePool):
        return []
    return [
        Sample(metrics.POOL_CONNECTIONS, ("in_use",), pool.checkedout()),
        Sample(metrics.POOL_CONNECTIONS, ("idle",), pool.checkedin()),
        Sample(metrics.POOL_LIMIT, (), most),
    ]
