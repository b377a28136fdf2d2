"""Idempotency-Key: one request is done once, however often and however much at once it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Text, cast, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import errors
from app.db import tables
from app.db.engine import Sessions
from app.services import ingest
from app.services.callers import Scope
from app.services.once import Once
from app.services.service import Service
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import ended, numbered, post, working
from tests.fixtures.problems import slug_of
from tests.fixtures.rows import count_rows
from tests.fixtures.tenants import guarded, guarded_client, key_of

__all__ = ["guarded", "guarded_client"]

TURN = {"speaker": "Alice", "text": "I adopted a dog named Buddy.", "said_at": "2024-03-01T12:00:00Z"}
AT, BOBS = "/v1/banks/alice/turns", "/v1/banks/bob/turns"


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


async def test_a_key_that_is_forgotten_meanwhile_is_claimed(service: Service, tenant: UUID) -> None:
    """Gone between the claim, which found it taken, and the look at its response."""
    await ingest.accept(service, tenant, "alice", numbered(1), under("k"))

    class Late(Once):
        async def _earlier(self, session: AsyncSession, tenant_id: UUID) -> Any | None:
            async with everything(service.sessions) as other:
                await other.execute(delete(tables.idempotency_keys))
            return await super()._earlier(session, tenant_id)

    late, again = Late("k", b"1"), under("k")
    second = await ingest.accept(service, tenant, "alice", numbered(1, first=1), late)
    assert await ingest.accept(service, tenant, "alice", numbered(1, first=1), again) == second
    assert (late.replayed, again.replayed) == (False, True)
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
    memory = {"text": "I ran.", "speaker": "A"}
    elsewhere = await client.post("/v1/banks/alice/memories", json=memory, headers=keyed("k"))
    assert (elsewhere.status_code, slug_of(elsewhere)) == (409, "idempotency-conflict")


async def test_what_is_about_another_bank_is_another_request(client: httpx.AsyncClient, service: Service) -> None:
    for _ in range(2):
        posts = [await client.post(at, json={"turns": [TURN]}, headers=keyed("k")) for at in (AT, BOBS)]
        assert [post.status_code for post in posts] == [202, 202]
    assert [post.headers["idempotency-replayed"] for post in posts] == ["true", "true"]
    assert await stored_turns(service) == 2


async def test_a_key_is_not_blocked_by_requests_about_banks_that_it_may_not_see(
    guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    for bank in ("bob", "alice"):
        key = await key_of(sessions, "acme", Scope.WRITE, (bank,))
        posted = await guarded_client.post(
            f"/v1/banks/{bank}/turns", json={"turns": [TURN]}, headers=key | keyed("request-1")
        )
        assert (posted.status_code, "idempotency-replayed" in posted.headers) == (202, False), posted.text


async def test_another_key_of_the_tenant_repeats_a_request(
    guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    posts = [
        await guarded_client.post(AT, json={"turns": [TURN]}, headers=await key_of(sessions, "acme") | keyed("k"))
        for _ in range(2)
    ]
    assert posts[0].json() == posts[1].json() and posts[1].headers["idempotency-replayed"] == "true"


async def test_no_name_of_a_bank_outlasts_it(client: httpx.AsyncClient, service: Service) -> None:
    await client.post(AT, json={"turns": [TURN]}, headers=keyed("post"))
    erased = [await client.delete("/v1/banks/alice", headers=keyed("erase")) for _ in range(2)]
    assert erased[0].json() == erased[1].json() and erased[1].headers["idempotency-replayed"] == "true"
    kept = tables.idempotency_keys.c
    async with everything(service.sessions) as session:
        (row,) = (await session.execute(select(kept.scope, kept.key, cast(kept.body, Text)))).all()
    assert row.key == "erase" and row.scope and not any("alice" in value for value in row)


async def test_every_line_of_if_match_is_part_of_the_request(client: httpx.AsyncClient) -> None:
    await client.post(AT, json={"turns": [TURN]}, headers={"prefer": "wait=30"})
    (memory,) = (await client.get("/v1/banks/alice/memories")).json()["memories"]
    at = f"/v1/banks/alice/memories/{memory['id']}"
    one = [("idempotency-key", "k"), ("if-match", '"7"'), ("if-match", '"1"')]
    assert (await client.delete(at, headers=one)).status_code == 200
    again, other = [await client.delete(at, headers=headers) for headers in (one, [*one[:2], ("if-match", '"8"')])]
    assert again.headers["idempotency-replayed"] == "true"
    assert slug_of(other) == "idempotency-conflict"


async def test_what_takes_no_body_reads_none(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    await client.post(AT, json={"turns": [TURN]})
    for content in (b" " * 5_000_000, endless()):
        erased = await client.request("DELETE", "/v1/banks/alice", content=content, headers=keyed("erase"))
        assert erased.status_code == 200


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
