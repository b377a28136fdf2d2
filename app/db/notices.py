"""Waking up on notifications of Postgres."""

from __future__ import annotations

import asyncio

import psycopg

from app.db.engine import driver_url
from app.settings import DatabaseSettings

RECONNECT_SECONDS = 1.0


async def wake_on(settings: DatabaseSettings, channel: str, wake: asyncio.Event) -> None:
    """Set an event at each notification, until cancelled; polling covers for the time without a connection."""
    url = driver_url(settings)
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(f"LISTEN {channel}")
                wake.set()
                async for _ in connection.notifies():
                    wake.set()
        except (psycopg.Error, OSError):
            await asyncio.sleep(RECONNECT_SECONDS)
