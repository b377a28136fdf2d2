"""The routes of webhooks: bounds, secrets shown once, requests repeated, and what other tenants see of it: nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from app.db.engine import Sessions
from app.services import keys
from app.settings import Settings, WebhookSettings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.ingesting import until
from tests.fixtures.problems import problem_of, slug_of
from tests.fixtures.rows import count_rows
from tests.fixtures.service import api
from tests.fixtures.telling import telling_settings, told
from tests.outgoing.receivers import receiving, replies

AT = "/v1/webhooks"
HOOK = {"url": "https://hooks.example.com/memory?token=t0ken"}
TURN = {"speaker": "Alice", "text": "I adopted a dog named Buddy."}
EVERYTHING = ["memory.changed", "ingestion.done", "ingestion.failed", "turn.erased", "bank.erased"]


@pytest_asyncio.fixture
async def telling(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> AsyncIterator[httpx.AsyncClient]:
    """A whole service that may call loopback and allows four webhooks."""
    async with api(telling_settings(settings, max_webhooks=4), completer, embedder) as client:
        yield client


async def made(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post(AT, json={**HOOK, **fields})
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def settled(client: httpx.AsyncClient, webhook: dict[str, Any], count: int) -> Callable[[], Awaitable[bool]]:
    """Whether a webhook has so many deliveries, none of which waits for its first attempt."""

    async def all_tried() -> bool:
        log = (await client.get(f"{AT}/{webhook['id']}/deliveries")).json()["deliveries"]
        return len(log) == count and all(one["attempts"] for one in log)

    return all_tried


async def test_a_webhook_is_made_read_changed_and_removed(client: httpx.AsyncClient) -> None:
    webhook = await made(client, banks=["alice", "bob", "alice"], events=["memory.changed", "memory.changed"])
    secret = webhook.pop("secret")
    assert secret.startswith("whsec_")
    assert (webhook["banks"], webhook["events"], webhook["enabled"]) == (["alice", "bob"], ["memory.changed"], True)
    at = f"{AT}/{webhook['id']}"
    assert (await client.get(at)).json() == webhook
    assert (await client.get(AT)).json() == {"webhooks": [webhook]}
    for change, expected in (
        ({"enabled": False}, {"enabled": False}),
        ({"banks": None}, {"banks": None}),
        ({"events": EVERYTHING}, {"events": EVERYTHING}),
        ({"url": "https://other.example.com/"}, {"url": "https://other.example.com/"}),
        ({}, {}),
        ({"enabled": True, "banks": ["carol"]}, {"enabled": True, "banks": ["carol"]}),
    ):
        webhook |= expected
        assert (await client.patch(at, json=change)).json() == webhook
    assert (await client.get(at)).json() == webhook
    assert (await client.delete(at)).status_code == 204
    assert (await client.get(AT)).json() == {"webhooks": []}
    for method, path in (("GET", at), ("DELETE", at), ("POST", f"{at}/test"), ("GET", f"{at}/deliveries")):
        assert slug_of(await client.request(method, path)) == "unknown-webhook"


async def test_a_webhook_hears_of_everything_unless_told_otherwise(client: httpx.AsyncClient) -> None:
    webhook = await made(client)
    assert (webhook["events"], webhook["banks"]) == (EVERYTHING, None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": None},
        {"url": ""},
        {"url": 5},
        {"url": "not a url"},
        {"url": "ftp://hooks.example.com/"},
        {"url": "http://hooks.example.com/"},
        {"url": "https://user:pass@hooks.example.com/"},
        {"url": "https://127.0.0.1/"},
        {"url": "https://[::1]/"},
        {"url": "https://localhost/"},
        {"url": "https://10.1.2.3/"},
        {"url": "https://169.254.169.254/latest/meta-data"},
        {"url": "https://2130706433/"},
        {"url": "https://hooks.example.com/" + "x" * 2000},
        {"url": "https://hooks.example.com/\x00"},
        {**HOOK, "events": []},
        {**HOOK, "events": ["memory.read"]},
        {**HOOK, "events": ["webhook.test"]},
        {**HOOK, "events": ["memory.changed"] * 6},
        {**HOOK, "events": None},
        {**HOOK, "banks": []},
        {**HOOK, "banks": ["../alice"]},
        {**HOOK, "banks": ["alice"] * 101},
        {**HOOK, "secret": "whsec_" + "A" * 44},
        {**HOOK, "enabled": False},
    ],
)
async def test_what_is_out_of_bounds_is_refused_and_not_repeated(
    client: httpx.AsyncClient, sessions: Sessions, body: dict[str, Any]
) -> None:
    await client.get(AT)
    before = await count_rows(sessions)
    response = await client.post(AT, json=body)
    assert slug_of(response) == "invalid-input"
    assert "meta-data" not in response.text and "pass@" not in response.text
    assert await count_rows(sessions) == before


@pytest.mark.parametrize(
    "change",
    [{"url": "https://127.0.0.1/"}, {"url": None}, {"enabled": None}, {"enabled": 1}, {"events": None}, {"id": "x"}],
)
async def test_a_change_out_of_bounds_changes_nothing(client: httpx.AsyncClient, change: dict[str, Any]) -> None:
    webhook = await made(client)
    response = await client.patch(f"{AT}/{webhook['id']}", json={"banks": ["bob"], **change})
    assert slug_of(response) == "invalid-input"
    assert (await client.get(f"{AT}/{webhook['id']}")).json()["banks"] is None


async def test_there_are_only_so_many_webhooks_of_a_tenant_also_at_once(telling: httpx.AsyncClient) -> None:
    responses = [await telling.post(AT, json=HOOK) for _ in range(2)]
    responses += await asyncio.gather(*(telling.post(AT, json=HOOK) for _ in range(6)))
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [201] * 4 + [409] * 4
    assert len((await telling.get(AT)).json()["webhooks"]) == 4


async def test_a_secret_is_in_the_first_response_only(
    telling: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    once, again = {"idempotency-key": "make"}, {"idempotency-key": "rotate"}
    first = await telling.post(AT, json=HOOK, headers=once)
    webhook = first.json()
    at = f"{AT}/{webhook['id']}"
    rotated = await telling.post(f"{at}/rotate-secret", json={}, headers=again)
    assert rotated.status_code == 200
    secrets = [webhook["secret"], rotated.json()["secret"]]
    assert len(set(secrets)) == 2 and all(one.startswith("whsec_") for one in secrets)
    assert rotated.json()["previous_until"] is not None
    repeated = [
        await telling.post(AT, json=HOOK, headers=once),
        await telling.post(f"{at}/rotate-secret", json={}, headers=again),
    ]
    for response in repeated:
        assert response.headers["idempotency-replayed"] == "true"
        assert response.json()["secret"] is None
    assert repeated[0].json() == webhook | {"secret": None}
    others = [await telling.get(AT), await telling.get(at), await telling.patch(at, json={"enabled": True})]
    others += [await telling.post(f"{at}/test"), await telling.get(f"{at}/deliveries")]
    said = caplog.text + "".join(response.text for response in [*repeated, *others])
    assert not any(secret.removeprefix("whsec_") in said for secret in secrets)
    assert "t0ken" not in caplog.text
    assert len((await telling.get(AT)).json()["webhooks"]) == 1


async def test_requests_are_done_once_each(telling: httpx.AsyncClient) -> None:
    async with receiving(replies()) as receiver:
        webhook = await made(telling, url=f"http://127.0.0.1:{receiver.port}/")
        at = f"{AT}/{webhook['id']}"
        tests = [await telling.post(f"{at}/test", headers={"idempotency-key": "test"}) for _ in range(2)]
        assert tests[0].json() == tests[1].json()
        await until(settled(telling, webhook, 1))
        retry = f"{at}/deliveries/{tests[0].json()['event_id']}/retry"
        retried = [await telling.post(retry, headers={"idempotency-key": "retry"}) for _ in range(2)]
        assert [one.status_code for one in retried] == [202, 202] and retried[0].json() == retried[1].json()

        async def sent_twice() -> bool:
            log = (await telling.get(f"{at}/deliveries")).json()["deliveries"]
            return [len(one["attempts"]) for one in log] == [2]

        await until(sent_twice)
        changes = [
            await telling.patch(at, json={"enabled": False}, headers={"idempotency-key": "off"}) for _ in range(2)
        ]
        assert changes[0].json() == changes[1].json()
        other = await telling.patch(at, json={"enabled": True}, headers={"idempotency-key": "off"})
        assert slug_of(other) == "idempotency-conflict"
        removals = [await telling.delete(at, headers={"idempotency-key": "remove"}) for _ in range(2)]
        assert [one.status_code for one in removals] == [204, 204]
        assert removals[1].headers["idempotency-replayed"] == "true"
    assert len(receiver.calls) == 2


async def test_a_turn_posted_and_a_bank_erased_arrive_at_the_receiver(telling: httpx.AsyncClient) -> None:
    async with receiving(replies()) as receiver:
        webhook = await made(telling, url=f"http://127.0.0.1:{receiver.port}/")
        at = f"{AT}/{webhook['id']}"
        posted = await telling.post("/v1/banks/alice/turns", json={"turns": [TURN]}, headers={"prefer": "wait=30"})
        assert posted.json()["state"] == "done"
        await until(settled(telling, webhook, 2))
        await telling.delete("/v1/banks/alice")
        tested = (await telling.post(f"{at}/test")).json()["event_id"]
        await until(settled(telling, webhook, 2))
        log = (await telling.get(f"{at}/deliveries")).json()["deliveries"]
    bodies = {call.headers["webhook-id"]: told(call, webhook["secret"]) for call in receiver.calls}
    assert sorted(body["type"] for body in bodies.values()) == [
        "bank.erased",
        "ingestion.done",
        "memory.changed",
        "webhook.test",
    ]
    assert [one["type"] for one in log] == ["webhook.test", "bank.erased"]
    assert all(one["state"] == "delivered" and one["attempts"][0]["status"] == 200 for one in log)
    assert bodies[tested.replace("-", "")]["data"] == {"webhook_id": webhook["id"]}
    assert not any(b"Buddy" in call.body or b"Alice" in call.body for call in receiver.calls)


async def test_the_log_of_deliveries_comes_in_pages_and_by_state(telling: httpx.AsyncClient) -> None:
    async with receiving(replies()) as good, receiving(replies(500)) as bad:
        webhook = await made(telling, url=f"http://127.0.0.1:{good.port}/")
        at = f"{AT}/{webhook['id']}"
        tests = [(await telling.post(f"{at}/test")).json()["event_id"] for _ in range(5)]
        await until(settled(telling, webhook, 5))
        await telling.patch(at, json={"url": f"http://127.0.0.1:{bad.port}/"})
        tests += [(await telling.post(f"{at}/test")).json()["event_id"] for _ in range(2)]
        await until(settled(telling, webhook, 7))
        seen, cursor = [], ""
        for _ in range(4):
            page = (await telling.get(f"{at}/deliveries?limit=2{cursor}")).json()
            seen += [one["event_id"] for one in page["deliveries"]]
            cursor = f"&cursor={page['next_cursor']}"
        assert page["next_cursor"] is None
        assert sorted(seen) == sorted(tests) and seen == sorted(seen, reverse=True)
        by_state = {
            state: (await telling.get(f"{at}/deliveries?state={state}")).json()["deliveries"]
            for state in ("waiting", "delivered", "failed")
        }
    assert {state: len(found) for state, found in by_state.items()} == {"waiting": 2, "delivered": 5, "failed": 0}
    for one in by_state["waiting"]:
        assert (one["attempts"][0]["status"], one["attempts"][0]["error"]) == (500, "status")
        assert one["next_attempt_at"] > one["attempts"][0]["at"]
    for bad_query in ("state=lost", "limit=0", "limit=201", "cursor=x", f"cursor={'x' * 300}"):
        assert slug_of(await telling.get(f"{at}/deliveries?{bad_query}")) == "invalid-input"


async def test_a_delivery_that_does_not_exist_cannot_be_retried(telling: httpx.AsyncClient) -> None:
    webhook, other = await made(telling), await made(telling)
    event = (await telling.post(f"{AT}/{other['id']}/test")).json()["event_id"]
    for event_id in (event, uuid4()):
        response = await telling.post(f"{AT}/{webhook['id']}/deliveries/{event_id}/retry")
        assert slug_of(response) == "unknown-delivery"
    assert (await telling.post(f"{AT}/{other['id']}/deliveries/no-id/retry")).status_code == 422


async def test_a_disabled_webhook_is_neither_tested_nor_retried(client: httpx.AsyncClient) -> None:
    webhook = await made(client)
    at = f"{AT}/{webhook['id']}"
    await client.patch(at, json={"enabled": False})
    for path in (f"{at}/test", f"{at}/deliveries/{uuid4()}/retry"):
        assert slug_of(await client.post(path)) == "conflict"


@pytest.mark.parametrize("overlap", [-1, 30 * 86_400 + 1, "60", 1.5, None])
async def test_the_overlap_of_secrets_is_bounded(client: httpx.AsyncClient, overlap: Any) -> None:
    webhook = await made(client)
    response = await client.post(f"{AT}/{webhook['id']}/rotate-secret", json={"overlap_seconds": overlap})
    assert slug_of(response) == "invalid-input"


async def test_another_tenants_webhook_looks_as_if_it_did_not_exist(
    telling: httpx.AsyncClient, sessions: Sessions
) -> None:
    headers = [
        {"authorization": f"Bearer {(await keys.create(sessions, name, 'key')).secret}"} for name in ("acme", "rival")
    ]
    webhook = (await telling.post(AT, json=HOOK, headers=headers[0])).json()
    tested = (await telling.post(f"{AT}/{webhook['id']}/test", headers=headers[0])).json()["event_id"]
    before = await count_rows(sessions)
    assert (await telling.get(AT, headers=headers[1])).json() == {"webhooks": []}
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("POST", "/rotate-secret", {}),
        ("POST", "/test", None),
        ("GET", "/deliveries", None),
        ("POST", f"/deliveries/{tested}/retry", None),
    ):
        seen, unseen = [
            await telling.request(method, f"{AT}/{i}{path}", json=body, headers=headers[1])
            for i in (webhook["id"], uuid4())
        ]
        assert seen.status_code == 404 and problem_of(seen) == problem_of(unseen)
    assert await count_rows(sessions) == before
    assert (await telling.get(f"{AT}/{webhook['id']}", headers=headers[0])).json()["enabled"] is True


async def test_webhooks_are_for_admins_of_all_banks(telling: httpx.AsyncClient) -> None:
    for rights in ({"scope": "write"}, {"scope": "admin", "banks": ["alice"]}):
        key = (await telling.post("/v1/keys", json={"name": "key", **rights})).json()["secret"]
        headers = {"authorization": f"Bearer {key}"}
        assert (await telling.post(AT, json=HOOK, headers=headers)).status_code == 403
        assert (await telling.get(AT, headers=headers)).status_code == 403


async def test_what_is_done_to_webhooks_is_in_the_audit_log(client: httpx.AsyncClient) -> None:
    webhook = await made(client)
    at = f"{AT}/{webhook['id']}"
    await client.patch(at, json={"enabled": False, "url": "https://other.example.com/?token=t0ken"})
    await client.post(f"{at}/rotate-secret", json={"overlap_seconds": 60})
    await client.delete(at)
    audit = await client.get("/v1/audit")
    events = [one for one in audit.json()["events"] if one["action"].startswith("webhook.")]
    assert {one["target"] for one in events} == {webhook["id"]}
    assert [one["action"].removeprefix("webhook.") for one in events] == ["removed", "rotated", "changed", "created"]
    assert "t0ken" not in audit.text and "whsec_" not in audit.text


def test_a_lease_must_outlast_an_attempt() -> None:
    with pytest.raises(ValueError, match="lease_seconds"):
        WebhookSettings(timeout=20, lease_seconds=21)
    assert WebhookSettings(timeout=20, lease_seconds=21.1).lease_seconds == 21.1
