"""Waking up on notifications of Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psycopg

from app.db.engine import driver_url
from app.settings import DatabaseSettings

RECONNECT_SECONDS = 1.0


async def wake_on(settings: DatabaseSettings, channel: str, wake: asyncio.Event) -> None:
    """Set an event at each notification, until cancelled; polling covers for the time without a connection."""
    await _hear(settings, channel, lambda _: wake.set())


async def _hear(settings: DatabaseSettings, channel: str, heard: Callable[[str | None], None]) -> None:
    """Pass on what each notification says, until cancelled; None when a connection begins to listen."""
    url = driver_url(settings)
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(f"LISTEN {channel}")
                heard(None)
                async for notice in connection.notifies():
                    heard(notice.payload)
        except (psycopg.Error, OSError):
            await asyncio.sleep(RECONNECT_SECONDS)


class Notices:
    """One listening connection for all in this process who wait on a channel, for as long as there is anybody."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._listening: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def of(self, settings: DatabaseSettings, topic: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set at each notification that says the topic, and whenever some may have been missed."""
        wake = asyncio.Event()
        self._waiting.setdefault(topic, set()).add(wake)
        if self._listening is None:
            self._listening = asyncio.create_task(_hear(settings, self._channel, self._wake))
        try:
            yield wake
        finally:
            self._waiting[topic].discard(wake)
            if not self._waiting[topic]:
                del self._waiting[topic]
            if not self._waiting:
                listening, self._listening = self._listening, None
                listening.cancel()

    def _wake(self, said: str | None) -> None:
        for topic in self._waiting if said is None else self._waiting.keys() & {said}:
            for wake in self._waiting[topic]:
                wake.set()
