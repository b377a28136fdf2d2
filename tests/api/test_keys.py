"""Keys, their limits and the audit log over HTTP."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select, update

from app.db import tables
from app.db.engine import Sessions
from app.services.callers import Scope
from tests.api.test_auth import TURN
from tests.fixtures.everything import everything
from tests.fixtures.problems import problem_of, slug_of
from tests.fixtures.rows import count_rows
from tests.fixtures.tenants import bearing, guarded, guarded_client, key_of

__all__ = ["guarded", "guarded_client"]

ASKED = {
    "name": "widget",
    "scope": "write",
    "banks": ["alice", "bob"],
    "expires_at": "2099-01-01T00:00:00Z",
    "requests_per_minute": 60,
    "turns_per_day": 1000,
    "questions_per_day": 10,
}


async def made(client: httpx.AsyncClient, admin: dict[str, str], **asked: Any) -> dict[str, Any]:
    response = await client.post("/v1/keys", json={"name": "k", "scope": "read", **asked}, headers=admin)
    assert response.status_code == 201, response.text
    key: dict[str, Any] = response.json()
    return key


async def test_a_key_is_made_shown_listed_and_read(guarded_client: httpx.AsyncClient, sessions: Sessions) -> None:
    admin = await key_of(sessions, "acme")
    key = await made(guarded_client, admin, **ASKED)
    secret = key.pop("secret")
    assert key.items() >= ASKED.items() and key["tenant"] == "acme" and key["revoked_at"] is None
    listed = await guarded_client.get("/v1/keys", headers=admin)
    assert listed.json()["keys"][1] == key
    assert (await guarded_client.get(f"/v1/keys/{key['id']}", headers=admin)).json() == key
    assert secret not in listed.text
    assert (await guarded_client.get("/v1/banks", headers=bearing(secret))).status_code == 200


async def test_keys_come_in_pages(guarded_client: httpx.AsyncClient, sessions: Sessions) -> None:
    admin = await key_of(sessions, "acme")
    ids = {(await made(guarded_client, admin))["id"] for _ in range(4)}
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await guarded_client.get(f"/v1/keys?limit=2{cursor}", headers=admin)).json()
        seen += [key["id"] for key in page["keys"]]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None  # type: ignore[assignment]
    assert len(seen) == 5 and ids < set(seen)
    for foreign in ("MQ", "YWxpY2U", "x" * 200, "", "4oKs"):
        refused = await guarded_client.get("/v1/keys", params={"cursor": foreign}, headers=admin)
        assert refused.status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 101},
        {"scope": "root"},
        {"scope": None},
        {"banks": []},
        {"banks": ["a/b"]},
        {"banks": ["alice\n"]},
        {"banks": [1]},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": 4_000_000_000},
        {"requests_per_minute": 0},
        {"requests_per_minute": 10**30},
        {"turns_per_day": -1},
        {"questions_per_day": True},
        {"tenant": "rival"},
        {"secret": "mr1_mine"},
    ],
)
async def test_a_key_out_of_bounds_is_refused(
    wrong: dict[str, Any], guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    admin = await key_of(sessions, "acme")
    before = await count_rows(sessions)
    response = await guarded_client.post("/v1/keys", json={**ASKED, **wrong}, headers=admin)
    assert response.status_code == 422
    problem_of(response)
    assert await count_rows(sessions) == before


async def test_a_repeated_request_makes_one_key_and_hides_the_secret(
    guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    admin = await key_of(sessions, "acme")
    once = {**admin, "idempotency-key": "k-1"}
    first, second = [await guarded_client.post("/v1/keys", json=ASKED, headers=once) for _ in range(2)]
    assert first.json() | {"secret": None} == second.json()
    assert first.json()["secret"] and second.headers["idempotency-replayed"] == "true"
    other = await guarded_client.post("/v1/keys", json={**ASKED, "scope": "admin"}, headers=once)
    assert slug_of(other) == "idempotency-conflict"
    rotated = [
        await guarded_client.post(
            f"/v1/keys/{first.json()['id']}/rotate", json={}, headers={**admin, "idempotency-key": "k-2"}
        )
        for _ in range(2)
    ]
    assert rotated[0].json() | {"secret": None} == rotated[1].json()
    revoked = [
        await guarded_client.delete(f"/v1/keys/{first.json()['id']}", headers={**admin, "idempotency-key": "k-3"})
        for _ in range(2)
    ]
    assert revoked[0].json() == revoked[1].json() and "secret" not in revoked[0].json()
    assert (await count_rows(sessions))["api_keys"] == 3


async def test_two_keys_are_valid_while_one_is_rotated(guarded_client: httpx.AsyncClient, sessions: Sessions) -> None:
    admin = await key_of(sessions, "acme")
    old = await made(guarded_client, admin, name="old", banks=["alice"])
    at = f"/v1/keys/{old['id']}/rotate"
    for wrong in (-1, 30 * 86_400 + 1, 1.5, "60", None):
        assert (await guarded_client.post(at, json={"overlap_seconds": wrong}, headers=admin)).status_code == 422
    new = (await guarded_client.post(at, json={}, headers=admin)).json()
    assert {**new, "id": 0, "secret": 0, "created_at": 0} == {**old, "id": 0, "secret": 0, "created_at": 0}
    for key in (old, new):
        assert (await guarded_client.get("/v1/banks", headers=bearing(key["secret"]))).status_code == 200
    listed = (await guarded_client.get(f"/v1/keys/{old['id']}", headers=admin)).json()
    assert listed["rotated_to"] == new["id"]
    left = datetime.fromisoformat(listed["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23) < left < timedelta(hours=25)
    assert slug_of(await guarded_client.post(at, json={}, headers=admin)) == "conflict"
    gone = await guarded_client.post(f"/v1/keys/{new['id']}/rotate", json={"overlap_seconds": 0}, headers=admin)
    assert (await guarded_client.get("/v1/banks", headers=bearing(new["secret"]))).status_code == 401
    assert (await guarded_client.get("/v1/banks", headers=bearing(gone.json()["secret"]))).status_code == 200


async def test_keys_of_others_are_not_there(guarded_client: httpx.AsyncClient, sessions: Sessions) -> None:
    admin, rival = await key_of(sessions, "acme"), await key_of(sessions, "rival")
    theirs = (await made(guarded_client, rival))["id"]
    before = await count_rows(sessions)
    for method, tail, body in (("GET", "", None), ("DELETE", "", None), ("POST", "/rotate", {})):
        seen, unseen = [
            await guarded_client.request(method, f"/v1/keys/{key_id}{tail}", json=body, headers=admin)
            for key_id in (theirs, uuid4())
        ]
        assert problem_of(seen) == problem_of(unseen) and seen.status_code == 404
    assert await count_rows(sessions) == before


async def test_the_audit_log_tells_who_did_what(guarded_client: httpx.AsyncClient, sessions: Sessions) -> None:
    admin, rival = await key_of(sessions, "acme"), await key_of(sessions, "rival")
    key = await made(guarded_client, admin)
    await guarded_client.delete(f"/v1/keys/{key['id']}", headers=admin)
    log = (await guarded_client.get("/v1/audit", headers=admin)).json()
    (own,) = [one for one in (await guarded_client.get("/v1/keys", headers=admin)).json()["keys"] if one != key][:1]
    assert [(event["action"], event["target"]) for event in log["events"][:2]] == [
        ("key.revoked", key["id"]),
        ("key.created", key["id"]),
    ]
    assert {event["key_id"] for event in log["events"][:2]} == {own["id"]}
    pages = await guarded_client.get("/v1/audit?limit=1", headers=admin)
    followed = await guarded_client.get(f"/v1/audit?cursor={pages.json()['next_cursor']}", headers=admin)
    assert pages.json()["events"] + followed.json()["events"] == log["events"]
    revoked = (await guarded_client.get("/v1/audit?action=key.revoked", headers=admin)).json()["events"]
    assert revoked == log["events"][:1]
    assert len((await guarded_client.get("/v1/audit", headers=rival)).json()["events"]) == 1
    for wrong in ("action=x", "action=%00", "limit=0", "cursor=YWxpY2U"):
        assert (await guarded_client.get(f"/v1/audit?{wrong}", headers=admin)).status_code == 422


async def test_a_limited_key_is_told_where_it_stands_whatever_the_answer(
    guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    key = await key_of(sessions, "acme", Scope.READ, requests_per_minute=6)
    asked = [
        ("GET", "/v1/banks", 200),
        ("GET", "/v1/banks/nobody", 404),
        ("GET", "/v1/banks?limit=0", 422),
        ("DELETE", "/v1/banks/nobody", 403),
        ("HEAD", "/v1/banks", 200),
    ]
    for spent, (method, path, status) in enumerate(asked, start=1):
        response = await guarded_client.request(method, path, headers=key)
        assert response.status_code == status, path
        assert response.headers["ratelimit-policy"] == '"minute";q=6;w=60'
        told = re.fullmatch(r'"minute";r=(\d+);t=(\d+)', response.headers["ratelimit"])
        assert told and int(told[1]) >= 6 - spent and 0 <= int(told[2]) <= 10
    for response in [await guarded_client.get("/v1/banks", headers=key) for _ in range(6)]:
        if response.status_code == 429:
            break
    assert slug_of(response) == "rate-limited"
    assert 1 <= int(response.headers["retry-after"]) <= 10
    assert response.headers["ratelimit"] == f'"minute";r=0;t={response.headers["retry-after"]}'
    async with everything(sessions) as session:
        await session.execute(update(tables.key_usage).values(ready_at=func.now()))
    assert (await guarded_client.get("/v1/banks", headers=key)).status_code == 200
    free = await guarded_client.get("/v1/banks", headers=await key_of(sessions, "acme"))
    assert not {"ratelimit", "ratelimit-policy"} & free.headers.keys()
    assert "ratelimit" not in (await guarded_client.get("/v1/health/live", headers=key)).headers


async def test_a_day_that_is_used_up_says_when_the_next_begins(
    guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    key = await key_of(sessions, "acme", Scope.WRITE, turns_per_day=2, questions_per_day=1)
    posts = [
        await guarded_client.post("/v1/banks/alice/turns", json={"turns": [{**TURN, "external_id": i}]}, headers=key)
        for i in ("1", "2", "2", "3")
    ]
    assert [response.status_code for response in posts] == [202, 202, 202, 429]
    assert slug_of(posts[-1]) == "quota-exceeded" and 1 <= int(posts[-1].headers["retry-after"]) <= 86_400
    assert "2 turns a day" in problem_of(posts[-1])["detail"]
    once = {**key, "idempotency-key": "q"}
    answers = [
        await guarded_client.post("/v1/banks/alice/answer", json={"question": "Who?"}, headers=headers)
        for headers in (once, once, key)
    ]
    assert [response.status_code for response in answers] == [200, 200, 429]
    async with everything(sessions) as session:
        usage = tables.key_usage.c
        assert (await session.execute(select(usage.turns, usage.questions))).one() == (2, 1)
