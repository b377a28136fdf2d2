"""More than the service can hold: it says so, when to come back, and keeps what it acknowledged."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.values import Completion, Prompt, Role
from app.db import lanes, tables
from app.services import keys
from app.settings import Settings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.live import live
from tests.fixtures.problems import slug_of
from tests.fixtures.service import api, opened

CLIENTS = 60


def a_turn(number: int) -> dict[str, object]:
    return {"turns": [{"speaker": "Alice", "text": f"I bought item number {number}.", "external_id": str(number)}]}


def assert_says_when(response: httpx.Response) -> None:
    assert int(response.headers["retry-after"]) >= 1
    assert response.headers["content-type"] == "application/problem+json"


async def flood(client: httpx.AsyncClient) -> list[httpx.Response]:
    """A post of each client at once, to five banks."""
    posts = [client.post(f"/v1/banks/bank-{n % 5}/turns", json=a_turn(n)) for n in range(CLIENTS)]
    return list(await asyncio.gather(*posts))


async def assert_holds_the_acknowledged(client: httpx.AsyncClient, answers: list[httpx.Response]) -> None:
    acknowledged = {n for n, answer in enumerate(answers) if answer.status_code == 202}
    stored: set[int] = set()
    for bank in range(5):
        page = await client.get(f"/v1/banks/bank-{bank}/turns?limit=200")
        if page.status_code == 200:
            stored |= {int(turn["external_id"]) for turn in page.json()["turns"]}
    assert stored == acknowledged


async def test_more_requests_than_allowed_are_turned_away(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    few = settings.model_copy(update={"server": settings.server.model_copy(update={"max_requests": 4})})
    async with api(few, completer, embedder) as client:
        answers = await flood(client)
        assert Counter(answer.status_code for answer in answers).keys() == {202, 503}
        for refused in (answer for answer in answers if answer.status_code == 503):
            assert slug_of(refused) == "too-many-requests-at-once"
            assert_says_when(refused)
        await assert_holds_the_acknowledged(client, answers)
        assert (await client.post("/v1/banks/bank-0/turns", json=a_turn(CLIENTS))).status_code == 202


async def test_health_is_answered_while_others_are_turned_away(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    one = settings.model_copy(update={"server": settings.server.model_copy(update={"max_requests": 1})})
    completer.delay = 0.4
    async with api(one, completer, embedder) as client:
        waiting = asyncio.create_task(
            client.post("/v1/banks/alice/turns", json=a_turn(1), headers={"prefer": "wait=30"})
        )
        await asyncio.sleep(0.1)
        assert (await client.get("/v1/banks")).status_code == 503
        assert (await client.get("/v1/health/live")).status_code == 200
        assert (await client.get("/v1/health/ready")).status_code == 200
        assert (await waiting).json()["state"] == "done"


async def test_a_pool_without_a_free_connection_answers_503_and_loses_nothing(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    small = settings.database.model_copy(update={"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05})
    async with api(settings.model_copy(update={"database": small}), completer, embedder, with_worker=False) as client:
        answers = await flood(client)
        counted = Counter(answer.status_code for answer in answers)
        assert counted.keys() <= {202, 503}
        assert counted[503] > 0
        for refused in (answer for answer in answers if answer.status_code == 503):
            assert_says_when(refused)
        await assert_holds_the_acknowledged(client, answers)


async def test_a_process_that_stood_still_in_a_transaction_answers_503(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue = lanes.enqueue

    async def stand_still(session: AsyncSession, *args: Any) -> None:
        await session.execute(text("SET idle_in_transaction_session_timeout = '100ms'"))
        await asyncio.sleep(0.5)
        await enqueue(session, *args)

    async with api(settings, completer, embedder, with_worker=False) as client:
        monkeypatch.setattr(lanes, "enqueue", stand_still)
        cut_off = await client.post("/v1/banks/alice/turns", json=a_turn(1))
        assert (cut_off.status_code, slug_of(cut_off)) == (503, "database-away")
        assert_says_when(cut_off)
        monkeypatch.undo()
        assert (await client.get("/v1/banks/alice")).status_code == 404
        assert (await client.post("/v1/banks/alice/turns", json=a_turn(1))).status_code == 202


class Hanging(ScriptedCompleter):
    """Answers no question until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def complete(self, prompt: Prompt) -> Completion:
        if prompt.role is Role.ANSWERER:
            await self.go_on.wait()
        return await super().complete(prompt)


@pytest.mark.parametrize("most", [1, 3])
async def test_a_model_that_hangs_fills_its_places_and_nothing_else(
    settings: Settings, embedder: HashEmbedder, most: int
) -> None:
    few = settings.model_copy(update={"server": settings.server.model_copy(update={"max_answers": most})})
    hanging = Hanging()
    async with api(few, hanging, embedder) as client:
        await client.post("/v1/banks/alice/turns", json=a_turn(1), headers={"prefer": "wait=30"})
        ask = {"question": "What did Alice buy?"}
        asked = {asyncio.create_task(client.post("/v1/banks/alice/answer", json=ask)) for _ in range(most + 1)}
        ended, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = [task.result() for task in ended]
        assert (refused.status_code, slug_of(refused)) == (429, "overloaded")
        assert_says_when(refused)
        posted = await client.post("/v1/banks/alice/turns", json=a_turn(2), headers={"prefer": "wait=30"})
        assert posted.json()["state"] == "done"
        hanging.go_on.set()
        assert [answer.status_code for answer in await asyncio.gather(*asked)] == [200] * most


async def test_posts_that_wait_for_one_bank_shut_out_nobody_else(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    changed = {"pool_size": 3, "max_overflow": 0, "pool_timeout": 20, "lock_timeout": 0.3}
    small = settings.database.model_copy(update=changed)
    busy = settings.model_copy(update={"database": small})
    async with (
        api(busy, completer, embedder, with_worker=False) as client,
        opened(settings, completer, embedder) as other,
    ):
        tenant = await keys.open_tenant(other.sessions, keys.DEFAULT_TENANT)
        async with other.sessions.begin(tenant) as importing:
            row = {"tenant_id": tenant, "name": "alice", "embedding_model": "m", "embedding_dimension": 3}
            await importing.execute(insert(tables.banks).values(row))
            posts = [asyncio.create_task(client.post("/v1/banks/alice/turns", json=a_turn(n))) for n in range(9)]
            await asyncio.sleep(0.1)
            assert (await client.post("/v1/banks/bob/turns", json=a_turn(1))).status_code == 202
            refused = await asyncio.gather(*posts)
            await importing.rollback()
        assert {(answer.status_code, slug_of(answer)) for answer in refused} == {(503, "bank-busy")}
        for answer in refused:
            assert_says_when(answer)
        assert (await client.post("/v1/banks/alice/turns", json=a_turn(1))).status_code == 202


async def test_who_waits_is_answered_when_the_process_ends(settings: Settings, embedder: HashEmbedder) -> None:
    slow = ScriptedCompleter()
    slow.delay = 3600
    async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
        async with live(settings, slow, embedder) as url:
            asked = client.post(f"{url}/v1/banks/alice/turns", json=a_turn(1), headers={"prefer": "wait=60"})
            waiting = asyncio.create_task(asked)
            while (await client.get(f"{url}/v1/banks/alice")).status_code != 200:
                await asyncio.sleep(0.02)
        answer = await waiting
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
