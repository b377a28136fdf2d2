"""Idempotency-Key: one request is done once, however often and however much at once it is sent."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, update

from app.core import errors
from app.db import tables
from app.services import ingest
from app.services.once import Once
from app.services.service import Service
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import ended, numbered, post, working
from tests.fixtures.problems import slug_of
from tests.fixtures.rows import count_rows

TURN = {"speaker": "Alice", "text": "I adopted a dog named Buddy.", "said_at": "2024-03-01T12:00:00Z"}
AT = "/v1/banks/alice/turns"


def under(key: str, digest: bytes = b"1") -> Once:
    return Once(key, digest)


async def stored_turns(service: Service) -> int:
    async with everything(service.sessions) as session:
        return await session.scalar(select(func.count()).select_from(tables.turns)) or 0


async def test_many_at_once_are_one(service: Service, tenant: UUID) -> None:
    asked = [under("k") for _ in range(16)]
    posts = [ingest.accept(service, tenant, "alice", numbered(3), once) for once in asked]
    receipts = await asyncio.gather(*posts)
    assert len({receipt.model_dump_json() for receipt in receipts}) == 1
    assert sorted(once.replayed for once in asked) == [False] + [True] * 15
    assert await stored_turns(service) == 3


async def test_a_request_that_failed_leaves_its_key_free(service: Service, tenant: UUID) -> None:
    taken = numbered(1)[0].model_copy(update={"external_id": "1"})
    await ingest.accept(service, tenant, "alice", [taken])
    other = taken.model_copy(update={"text": "Something else."})
    for _ in range(2):
        with pytest.raises(errors.TurnConflict):
            await ingest.accept(service, tenant, "alice", [other], under("k"))
    accepted = await ingest.accept(service, tenant, "alice", numbered(1, first=5), under("k", b"2"))
    assert accepted.duplicates == 0


async def test_who_waits_takes_the_place_of_one_that_fails(service: Service, tenant: UUID) -> None:
    await ingest.accept(service, tenant, "alice", numbered(1))
    second = under("k")
    with pytest.raises(RuntimeError):
        async with service.sessions.begin(tenant) as session:
            assert await under("k").claim(session, tenant) is None
            waiting = asyncio.create_task(ingest.accept(service, tenant, "alice", numbered(1, first=1), second))
            await asyncio.sleep(0.3)
            assert not waiting.done()
            raise RuntimeError
    await waiting
    assert not second.replayed
    assert await stored_turns(service) == 2


async def test_another_request_under_the_key_is_refused(service: Service, tenant: UUID) -> None:
    await ingest.accept(service, tenant, "alice", numbered(1), under("k", b"1"))
    with pytest.raises(errors.IdempotencyConflict):
        await ingest.accept(service, tenant, "alice", numbered(1, first=1), under("k", b"2"))
    assert await stored_turns(service) == 1


async def test_tenants_do_not_share_keys(service: Service, tenant: UUID) -> None:
    from tests.fixtures.database import make_tenant

    rival = await make_tenant(service.sessions, "rival")
    mine = await ingest.accept(service, tenant, "alice", numbered(1), under("k"))
    theirs_once = under("k")
    theirs = await ingest.accept(service, rival, "alice", numbered(1), theirs_once)
    assert not theirs_once.replayed
    assert mine.ingestion_id != theirs.ingestion_id


async def test_an_erased_response_is_not_made_anew(service: Service, tenant: UUID) -> None:
    await ingest.accept(service, tenant, "alice", numbered(1), under("k"))
    async with everything(service.sessions) as session:
        await session.execute(update(tables.idempotency_keys).values(body=None))
    with pytest.raises(errors.IdempotencyConflict, match="erased"):
        await ingest.accept(service, tenant, "alice", numbered(1), under("k"))


async def test_a_replayed_post_does_nothing_to_what_became_of_the_first(service: Service, tenant: UUID) -> None:
    key, accepted = await post(service, tenant, "alice", numbered(2))
    once = under("k")
    async with working(service):
        first = await ingest.accept(service, tenant, "alice", numbered(1, first=2), once)
        await ended(service, key, first.ingestion_id)
        again = await ingest.accept(service, tenant, "alice", numbered(1, first=2), under("k"))
        assert again == first
        assert (await ended(service, key, accepted.ingestion_id)).state is ingest.State.DONE
    assert len(await service.bank(key).memories()) == 3


def keyed(key: str) -> dict[str, str]:
    return {"idempotency-key": key}


async def test_over_http_the_same_is_answered_and_said_to_be_a_replay(client: httpx.AsyncClient) -> None:
    body = {"turns": [TURN]}
    first = await client.post(AT, json=body, headers=keyed("k"))
    again = await client.post(AT, json=body, headers=keyed("k"))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["turn_ids"] == again.json()["turn_ids"]
    assert first.headers["location"] == again.headers["location"]
    assert ("idempotency-replayed" in first.headers, again.headers.get("idempotency-replayed")) == (False, "true")


async def test_spaces_and_the_order_of_keys_do_not_make_another_request(client: httpx.AsyncClient) -> None:
    one = b'{"turns": [{"speaker": "A", "text": "I ran."}]}'
    two = b'{"turns":[{"text":"I ran.","speaker":"A"}]}'
    headers = {**keyed("k"), "content-type": "application/json"}
    answers = [await client.post(AT, content=content, headers=headers) for content in (one, two)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[1].headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("other", [{"speaker": "B"}, {"text": "I ran."}, {"external_id": "1"}])
async def test_over_http_another_body_conflicts(client: httpx.AsyncClient, other: dict[str, Any]) -> None:
    await client.post(AT, json={"turns": [TURN]}, headers=keyed("k"))
    refused = await client.post(AT, json={"turns": [{**TURN, **other}]}, headers=keyed("k"))
    assert (refused.status_code, slug_of(refused)) == (409, "idempotency-conflict")
    elsewhere = await client.post("/v1/banks/bob/turns", json={"turns": [TURN]}, headers=keyed("k"))
    assert (elsewhere.status_code, slug_of(elsewhere)) == (409, "idempotency-conflict")
    assert (await client.get("/v1/banks/bob")).status_code == 404


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "\t"])
async def test_a_key_out_of_bounds_is_refused(client: httpx.AsyncClient, key: str) -> None:
    headers = [(b"idempotency-key", key.encode())]
    response = await client.post(AT, json={"turns": [TURN]}, headers=headers)
    assert response.status_code == 422
    assert (await client.get("/v1/banks/alice")).status_code == 404


async def test_a_question_is_answered_once(client: httpx.AsyncClient, service: Service) -> None:
    await client.post(AT, json={"turns": [TURN]}, headers={"prefer": "wait=30"})
    ask = {"question": "Which pet?"}
    answers = await asyncio.gather(
        *(client.post("/v1/banks/alice/answer", json=ask, headers=keyed("q")) for _ in range(6))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    rows = await count_rows(service.sessions)
    assert rows["answers"] == 1
    again = await client.post("/v1/banks/alice/answer", json=ask, headers=keyed("q"))
    assert again.json() == answers[0].json()
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_retry_is_counted_once(client: httpx.AsyncClient) -> None:
    posted = await client.post(AT, json={"turns": [TURN]}, headers={"prefer": "wait=30"})
    at = f"/v1/banks/alice/ingestions/{posted.json()['ingestion_id']}/retry"
    assert slug_of(await client.post(at, headers=keyed("r"))) == "nothing-to-retry"
    unknown = await client.post(f"/v1/banks/alice/ingestions/{uuid4()}/retry", headers=keyed("r2"))
    assert unknown.status_code == 404
