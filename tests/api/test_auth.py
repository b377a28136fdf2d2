"""Who may call, and that no tenant sees another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import LargeBinary, Text, cast, select

from app.db import tables
from app.db.engine import Sessions
from app.main import requires_key
from app.services import keys
from app.settings import ServerSettings, Settings
from tests.fixtures.everything import everything
from tests.fixtures.problems import problem_of, slug_of
from tests.fixtures.rows import count_rows
from tests.fixtures.tenants import bearing, guarded, guarded_client

__all__ = ["guarded", "guarded_client"]

TURN = {"speaker": "Alice", "text": "I adopted a dog named Buddy.", "external_id": "1"}
OTHER = {"speaker": "Bob", "text": "I adopted a parrot named Polly.", "external_id": "1"}


@pytest.mark.parametrize(
    ("host", "wanted", "required"),
    [
        ("127.0.0.1", None, False),
        ("127.8.8.8", None, False),
        ("::1", None, False),
        ("localhost", None, False),
        ("0.0.0.0", None, True),
        ("::", None, True),
        ("10.0.0.1", None, True),
        ("memory.example", None, True),
        ("localhost.example", None, True),
        ("", None, True),
        ("127.0.0.1", True, True),
        ("0.0.0.0", False, False),
    ],
)
def test_a_key_is_required_wherever_others_can_call(host: str, wanted: bool | None, required: bool) -> None:
    server = ServerSettings(host=host, require_key=wanted)
    assert requires_key(Settings(_env_file=None, server=server)) is required


async def test_without_a_good_key_every_route_is_closed(guarded_client: httpx.AsyncClient, sessions: Sessions) -> None:
    revoked = await keys.create(sessions, "acme", "old")
    await keys.revoke(sessions, await keys.operator(sessions, "acme"), revoked.id)
    good = await keys.create(sessions, "acme", "new")
    before = await count_rows(sessions)
    wrong = [
        {},
        bearing(""),
        bearing("mr1_x"),
        bearing(revoked.secret),
        bearing(str(good.secret)[:-1]),
        bearing(f"{good.secret}x"),
    ]
    wrong += [
        bearing(str(good.secret).upper()),
        {"authorization": str(good.secret)},
        {"authorization": f"Basic {good.secret}"},
    ]
    wrong += [bearing("\xff\x00"[:1]), bearing("x" * 20_000), bearing(str(good.id)), bearing("' OR true --")]
    for method, path, body in every_route("alice", str(uuid4())):
        for headers in wrong if path == "/v1/banks" else wrong[:2]:
            sent = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
            response = await guarded_client.request(method, path, json=body, headers=sent)
            assert (response.status_code, slug_of(response)) == (401, "unauthenticated"), (method, path, headers)
            assert response.headers["www-authenticate"] == "Bearer"
    assert await count_rows(sessions) == before
    assert (await guarded_client.get("/v1/banks", headers=bearing(good.secret))).json()["banks"] == []


async def test_health_and_docs_need_no_key(guarded_client: httpx.AsyncClient) -> None:
    for path in ("/v1/health/live", "/v1/health/ready", "/docs", "/openapi.json"):
        assert (await guarded_client.get(path)).status_code == 200


async def test_a_bad_key_is_refused_also_where_none_is_needed(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/banks", headers=bearing("mr1_x"))).status_code == 401
    assert (await client.get("/v1/banks")).status_code == 200


async def test_without_a_key_loopback_is_the_default_tenant(client: httpx.AsyncClient, sessions: Sessions) -> None:
    await client.post("/v1/banks/alice/turns", json={"turns": [TURN]})
    default = await keys.create(sessions, keys.DEFAULT_TENANT, "mine")
    other = await keys.create(sessions, "acme", "theirs")
    assert (await client.get("/v1/banks/alice", headers=bearing(default.secret))).status_code == 200
    assert (await client.get("/v1/banks/alice", headers=bearing(other.secret))).status_code == 404


async def test_a_secret_is_nowhere_in_the_database(client: httpx.AsyncClient, sessions: Sessions) -> None:
    made = await keys.create(sessions, "acme", "mine")
    posted = await client.post("/v1/banks/alice/turns", json={"turns": [TURN]}, headers=bearing(made.secret))
    assert posted.status_code == 202
    async with everything(sessions) as session:
        for table in tables.metadata.sorted_tables:
            columns = [c if isinstance(c.type, LargeBinary) else cast(c, Text) for c in table.c]
            for row in await session.execute(select(*columns)):
                held = b"".join(v if isinstance(v, bytes) else str(v).encode() for v in row)
                assert str(made.secret).encode() not in held
                assert str(made.secret).removeprefix(keys.PREFIX).encode() not in held


@dataclass(frozen=True)
class Owned:
    """A tenant with a bank of its own, and what can be named of it."""

    headers: dict[str, str]
    ingestion: str
    memory: str
    answer: str


async def owning(client: httpx.AsyncClient, sessions: Sessions, tenant: str, turn: dict[str, Any]) -> Owned:
    headers = bearing((await keys.create(sessions, tenant, "key")).secret)
    posted = await client.post(
        "/v1/banks/alice/turns", json={"turns": [turn]}, headers={**headers, "prefer": "wait=30"}
    )
    assert posted.json()["state"] == "done"
    memories = (await client.get("/v1/banks/alice/memories", headers=headers)).json()["memories"]
    answer = (await client.post("/v1/banks/alice/answer", json={"question": "Which pet?"}, headers=headers)).json()
    return Owned(headers, posted.json()["ingestion_id"], memories[0]["id"], answer["id"])


def every_route(bank: str, some_id: str) -> list[tuple[str, str, Any]]:
    """A request of each route that belongs to a tenant."""
    at = f"/v1/banks/{bank}"
    return [
        ("POST", f"{at}/turns", {"turns": [TURN]}),
        ("GET", f"{at}/turns", None),
        ("GET", f"{at}/ingestions/{some_id}", None),
        ("GET", f"{at}/ingestions/{some_id}/events", None),
        ("POST", f"{at}/ingestions/{some_id}/retry", None),
        ("GET", f"{at}/memories", None),
        ("GET", f"{at}/memories/{some_id}", None),
        ("POST", f"{at}/memories/search", {"query": "pet"}),
        ("POST", f"{at}/answer", {"question": "Which pet?"}),
        ("GET", f"{at}/answers/{some_id}", None),
        ("POST", f"{at}/memories", {"text": "Alice likes tea.", "speaker": "Alice"}),
        ("PATCH", f"{at}/memories/{some_id}", {"text": "Alice likes tea."}),
        ("DELETE", f"{at}/memories/{some_id}", None),
        ("GET", f"{at}/memories/{some_id}/answers", None),
        ("GET", f"{at}/turns/{some_id}", None),
        ("GET", f"{at}/operations", None),
        ("GET", f"{at}/operations/1", None),
        ("POST", f"{at}/operations/1/undo", None),
        ("POST", f"{at}/ingestions/{some_id}/undo", None),
        ("POST", "/v1/keys", {"name": "k", "scope": "read"}),
        ("GET", "/v1/keys", None),
        ("GET", f"/v1/keys/{some_id}", None),
        ("DELETE", f"/v1/keys/{some_id}", None),
        ("POST", f"/v1/keys/{some_id}/rotate", {"overlap_seconds": 60}),
        ("GET", "/v1/audit", None),
        ("GET", "/v1/banks", None),
        ("GET", at, None),
        ("PUT", at, None),
        ("PATCH", at, {"on_failure": "set_aside"}),
        ("DELETE", f"{at}/turns/{some_id}", None),
        ("GET", f"{at}/export", None),
        ("DELETE", at, None),
        ("GET", "/v1/erasures", None),
        ("GET", f"/v1/erasures/{'0' * 64}", None),
        ("POST", "/v1/webhooks", {"url": "https://hooks.example.com/memory"}),
        ("GET", "/v1/webhooks", None),
        ("GET", f"/v1/webhooks/{some_id}", None),
        ("PATCH", f"/v1/webhooks/{some_id}", {"enabled": True}),
        ("DELETE", f"/v1/webhooks/{some_id}", None),
        ("POST", f"/v1/webhooks/{some_id}/rotate-secret", {"overlap_seconds": 60}),
        ("POST", f"/v1/webhooks/{some_id}/test", None),
        ("GET", f"/v1/webhooks/{some_id}/deliveries", None),
        ("POST", f"/v1/webhooks/{some_id}/deliveries/{some_id}/retry", None),
        ("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"}),
        ("POST", f"/mcp/{bank}", {"jsonrpc": "2.0", "id": 1, "method": "ping"}),
    ]


async def test_tenants_with_banks_of_one_name_see_their_own(
    guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    acme = await owning(guarded_client, sessions, "acme", TURN)
    rival = await owning(guarded_client, sessions, "rival", OTHER)
    for owner, own, foreign in ((acme, "Buddy", "Polly"), (rival, "Polly", "Buddy")):
        for method, path, body in (
            ("GET", "/v1/banks/alice/memories", None),
            ("GET", f"/v1/banks/alice/memories/{owner.memory}", None),
            ("POST", "/v1/banks/alice/memories/search", {"query": "pet"}),
            ("POST", "/v1/banks/alice/answer", {"question": "Which pet?"}),
            ("GET", "/v1/banks", None),
        ):
            response = await guarded_client.request(method, path, json=body, headers=owner.headers)
            assert response.status_code == 200
            assert (own in response.text or path == "/v1/banks") and foreign not in response.text


async def test_what_another_tenant_has_looks_as_if_it_did_not_exist(
    guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    acme = await owning(guarded_client, sessions, "acme", TURN)
    rival = await owning(guarded_client, sessions, "rival", OTHER)
    for kind, foreign in (("ingestions", acme.ingestion), ("memories", acme.memory), ("answers", acme.answer)):
        seen, unseen = [
            await guarded_client.get(f"/v1/banks/alice/{kind}/{i}", headers=rival.headers) for i in (foreign, uuid4())
        ]
        assert seen.status_code == unseen.status_code == 404
        assert seen.json() == unseen.json()
    stranger = bearing((await keys.create(sessions, "stranger", "key")).secret)
    before = await count_rows(sessions)
    for method, path, body in every_route("alice", acme.memory):
        makes_own = (method, path) in (("POST", "/v1/banks/alice/turns"), ("PUT", "/v1/banks/alice"))
        if path.startswith("/v1/banks/alice") and not makes_own:
            response = await guarded_client.request(method, path, json=body, headers=stranger)
            nowhere = await guarded_client.request(method, path.replace("alice", "nobody"), json=body, headers=stranger)
            assert problem_of(response) == problem_of(nowhere)
            assert response.status_code == 404
    assert await count_rows(sessions) == before


async def test_a_cursor_of_another_tenant_leads_only_to_own_rows(
    guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    acme = await owning(guarded_client, sessions, "acme", TURN)
    rival = await owning(guarded_client, sessions, "rival", OTHER)
    await guarded_client.post("/v1/banks/bob/turns", json={"turns": [TURN]}, headers=acme.headers)
    page = (await guarded_client.get("/v1/banks?limit=1", headers=acme.headers)).json()
    followed = await guarded_client.get(f"/v1/banks?cursor={page['next_cursor']}", headers=rival.headers)
    assert followed.json() == {"banks": [], "next_cursor": None}


async def test_deleting_a_bank_leaves_the_same_name_of_others_alone(
    guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    acme = await owning(guarded_client, sessions, "acme", TURN)
    rival = await owning(guarded_client, sessions, "rival", OTHER)
    assert (await guarded_client.delete("/v1/banks/alice", headers=acme.headers)).status_code == 200
    assert (await guarded_client.get("/v1/banks/alice", headers=acme.headers)).status_code == 404
    kept = await guarded_client.get(f"/v1/banks/alice/memories/{rival.memory}", headers=rival.headers)
    assert UUID(kept.json()["memory"]["id"]) == UUID(rival.memory)
