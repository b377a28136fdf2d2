"""Requests that meet the worker in the middle of a write wait for it, and it never waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio
from sqlalchemy import insert, select, text

from app.db import tables
from app.db.engine import Sessions
from app.settings import Settings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.everything import everything
from tests.fixtures.service import api

BANK = "/v1/banks/alice"
BODY = {"turns": [{"speaker": "Alice", "text": "I like tea."}]}
WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


@pytest_asyncio.fixture
async def client(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service with one bank; the worker is played by the test."""
    async with api(settings, completer, embedder, with_worker=False) as client:
        await client.post(f"{BANK}/turns", json=BODY)
        yield client


async def while_the_worker_writes(sessions: Sessions, send: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
    """Lock the bank and its lane as the worker does, let the request run into it, and only then write to the bank."""
    async with everything(sessions) as session:
        await session.execute(select(tables.banks.c.id).with_for_update(read=True, key_share=True))
        lane = (await session.execute(select(tables.lanes).with_for_update())).one()
        request = asyncio.ensure_future(send)
        while not await session.scalar(WAITING):
            assert not request.done()
            await asyncio.sleep(0.01)
        row = {"id": uuid4(), "body": {}, "created_at": datetime.now(UTC)}
        await session.execute(insert(tables.answers).values(tenant_id=lane.tenant_id, bank_id=lane.bank_id, **row))
    return await request


async def test_a_post_does_not_keep_the_worker_from_writing(client: httpx.AsyncClient, sessions: Sessions) -> None:
    response = await while_the_worker_writes(sessions, client.post(f"{BANK}/turns", json=BODY))
    assert response.status_code == 202, response.text


async def test_a_deletion_waits_for_what_the_worker_writes(client: httpx.AsyncClient, sessions: Sessions) -> None:
    response = await while_the_worker_writes(sessions, client.delete(BANK))
    assert response.status_code == 200, response.text
    assert (await client.get(BANK)).status_code == 404


async def test_a_post_to_a_bank_that_is_being_deleted_makes_it_anew(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with everything(sessions) as session:
        await session.execute(text("DELETE FROM banks"))
        request = asyncio.ensure_future(client.post(f"{BANK}/turns", json=BODY))
        while not await session.scalar(WAITING):
            await asyncio.sleep(0.01)
    response = await request
    assert response.status_code == 202, response.text
    assert (await client.get(BANK)).json()["turns"] == 1
