"""A stream towards a client that the server cannot send to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import Request

from app.api import streaming as streams

PATIENCE = 60


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SEND_SECONDS", 0.01)
    for_ever, ended = asyncio.Event(), asyncio.Event()

    async def work(told: streams.Tell) -> None:
        try:
            await for_ever.wait()
        finally:
            ended.set()

    async def blocked(message: Any) -> None:
        await for_ever.wait()

    async def nothing() -> Any:
        await for_ever.wait()

    scope = {"type": "http", "asgi": {"spec_version": "2.3"}, "headers": []}
    stream = streams.EventStream(Request(scope), work)
    async with asyncio.timeout(PATIENCE):
        await stream(scope, nothing, blocked)
        await ended.wait()
