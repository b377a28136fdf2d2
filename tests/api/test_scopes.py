"""What keys of each scope, and keys for some banks, may do; and that no route is left open by mistake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from app.api.dependencies import Tenant, guard
from app.api.guarded import GuardedRoute
from app.api.scopes import NEEDS, PUBLIC, UNDECLARED, need_of
from app.db.engine import Sessions
from app.main import create_app
from app.services import keys
from app.services.callers import Scope
from app.settings import Settings
from tests.api.test_auth import TURN, every_route
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.problems import problem_of, slug_of
from tests.fixtures.rows import count_rows
from tests.fixtures.service import opened
from tests.fixtures.tenants import bearing, guarded, guarded_client, key_of, routes_of

__all__ = ["guarded", "guarded_client"]

DOCUMENTS = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
"""The only routes that the guard does not stand before."""


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(Settings(_env_file=None))


def test_every_route_declares_its_scope_or_is_public(app: FastAPI) -> None:
    routes = routes_of(app)
    assert {getattr(route, "path", None) for route in routes if not isinstance(route, APIRoute)} == DOCUMENTS
    ids = [route.operation_id for route in routes if isinstance(route, APIRoute)]
    assert len(ids) == len(set(ids)) and None not in ids
    assert set(ids) == NEEDS.keys() | PUBLIC, "declare new routes in app/api/scopes.py"
    assert not NEEDS.keys() & PUBLIC
    assert {"live", "ready"} == PUBLIC


def test_the_guard_stands_before_the_whole_app(app: FastAPI) -> None:
    assert [dependency.dependency for dependency in app.router.dependencies] == [guard]


def test_the_guard_stands_before_every_body(app: FastAPI) -> None:
    assert app.router.route_class is GuardedRoute
    assert all(isinstance(route, GuardedRoute) for route in routes_of(app) if isinstance(route, APIRoute))


def test_what_is_not_declared_asks_for_the_most_powerful_key() -> None:
    for operation_id in (None, "", "no_such_operation"):
        assert need_of(operation_id) is UNDECLARED
    assert UNDECLARED.scope is Scope.ADMIN and not UNDECLARED.shows_own


def test_the_document_names_the_scope(app: FastAPI) -> None:
    for path in app.openapi()["paths"].values():
        for operation in path.values():
            need = need_of(operation["operationId"])
            security = operation.get("security")
            assert security == (None if need is None else [{"HTTPBearer": [need.scope.value]}])
            assert need is None or {"401", "403", "429"} <= operation["responses"].keys()


@pytest_asyncio.fixture
async def forgetful_client(
    guarded: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service with routes that nobody declared."""
    app = create_app(guarded, lambda: opened(guarded, completer, embedder))
    inner, outer = APIRouter(), APIRouter()

    @app.get("/v1/forgotten")
    async def forgotten() -> str:
        return "done"

    @inner.get("/v1/banks/{bank}/forgotten", operation_id="forgotten_of_bank")
    async def forgotten_of_bank(bank: str, tenant: Tenant) -> str:
        return "done"

    outer.include_router(inner)
    app.include_router(outer)
    async with LifespanManager(app) as manager:
        transport = httpx.ASGITransport(app=manager.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", timeout=60) as client:
            yield client


@pytest.mark.parametrize("scope", [None, *Scope])
async def test_a_forgotten_route_is_closed_to_all_but_the_most_powerful_key(
    scope: Scope | None, forgetful_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    if scope is None:
        for path in ("/v1/forgotten", "/v1/banks/alice/forgotten"):
            assert (await forgetful_client.get(path)).status_code == 401
        return
    whole, part = await key_of(sessions, "acme", scope), await key_of(sessions, "acme", scope, ("alice",))
    statuses = [
        (await forgetful_client.get(path, headers=key)).status_code
        for key in (whole, part)
        for path in ("/v1/forgotten", "/v1/banks/alice/forgotten", "/v1/banks/bob/forgotten")
    ]
    assert statuses == ([200, 200, 200, 403, 200, 404] if scope is Scope.ADMIN else [403] * 6)


async def test_a_narrow_key_does_nothing_wider(guarded_client: httpx.AsyncClient, sessions: Sessions) -> None:
    headers = {scope: await key_of(sessions, "acme", scope) for scope in Scope}
    posted = await guarded_client.post("/v1/banks/alice/turns", json={"turns": [TURN]}, headers=headers[Scope.WRITE])
    ingestion = posted.json()["ingestion_id"]
    await guarded_client.get(
        f"/v1/banks/alice/ingestions/{ingestion}", headers={**headers[Scope.READ], "prefer": "wait=30"}
    )
    before = await count_rows(sessions)
    needs = operations_at(every_route("alice", ingestion))
    for (method, path, body), need in needs:
        for scope in Scope:
            if not scope.covers(need):
                response = await guarded_client.request(method, path, json=body, headers=headers[scope])
                assert (response.status_code, slug_of(response)) == (403, "forbidden"), (method, path, scope)
                assert need.value in problem_of(response)["detail"]
    assert {need for _, need in needs} == set(Scope)
    assert await count_rows(sessions) == before


def operations_at(requests: list[tuple[str, str, Any]]) -> list[tuple[tuple[str, str, Any], Scope]]:
    """Requests with the scope that each asks for, by matching them with the app's routes."""
    routes = [r for r in routes_of(create_app(Settings(_env_file=None))) if isinstance(r, APIRoute)]
    found = []
    for method, path, body in requests:
        route = next(r for r in routes if method in (r.methods or ()) and r.path_regex.fullmatch(path))
        need = need_of(route.operation_id)
        assert need is not None
        found.append(((method, path, body), need.scope))
    return found


@pytest.mark.parametrize("scope", list(Scope))
async def test_keys_of_a_scope_do_what_it_holds(
    scope: Scope, guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    admin, key = await key_of(sessions, "acme"), await key_of(sessions, "acme", scope)
    await guarded_client.post("/v1/banks/alice/turns", json={"turns": [TURN]}, headers={**admin, "prefer": "wait=30"})
    for (method, path, body), need in operations_at(every_route("alice", str(uuid4()))):
        if scope.covers(need) and path != "/v1/webhooks":
            response = await guarded_client.request(method, path, json=body, headers=key)
            assert response.status_code not in (401, 403) and response.status_code < 500, (method, path)
            if (method, path) == ("DELETE", "/v1/banks/alice"):
                await guarded_client.post("/v1/banks/alice/turns", json={"turns": [TURN]}, headers=admin)


@pytest.mark.parametrize("scope", list(Scope))
async def test_a_key_for_some_banks_sees_no_other(
    scope: Scope, guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    admin, key = await key_of(sessions, "acme"), await key_of(sessions, "acme", scope, ("alice", "none"))
    for bank in ("alice", "bob"):
        await guarded_client.post(
            f"/v1/banks/{bank}/turns", json={"turns": [TURN]}, headers={**admin, "prefer": "wait=30"}
        )
    before = await count_rows(sessions)
    for method, path, body in every_route("bob", str(uuid4())):
        if path.startswith("/v1/banks/bob"):
            there = await guarded_client.request(method, path, json=body, headers=key)
            nowhere = await guarded_client.request(method, path.replace("bob", "nobody"), json=body, headers=key)
            assert problem_of(there) == problem_of(nowhere), (method, path)
            assert there.status_code in (403, 404)
            if there.status_code == 404:
                assert slug_of(there) == "unknown-bank"
                own = await guarded_client.request(method, path.replace("bob", "none"), json=body, headers=key)
                assert problem_of(own) == problem_of(there), (method, path)
    assert await count_rows(sessions) == before
    if scope is not Scope.READ:
        posted = await guarded_client.post("/v1/banks/none/turns", json={"turns": [TURN]}, headers=key)
        assert posted.status_code == 202
        refused = await guarded_client.post("/v1/banks/bob/turns", json={"turns": [TURN]}, headers=key)
        assert (refused.status_code, slug_of(refused)) == (403, "forbidden")
    assert (await guarded_client.get("/v1/banks/alice", headers=key)).status_code == 200


async def test_no_spelling_of_a_name_leads_to_another_bank(
    guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    admin, key = await key_of(sessions, "acme"), await key_of(sessions, "acme", Scope.ADMIN, ("alice",))
    await guarded_client.post("/v1/banks/bob/turns", json={"turns": [TURN]}, headers=admin)
    for name in ("b%6Fb", "%62ob", "bob%00", "bob%0A", "bob%20", "BOB", "alice%2F..%2Fbob", "..%2Fbob", "alice/../bob"):
        response = await guarded_client.get(f"/v1/banks/{name}/memories", headers=key)
        assert response.status_code in (404, 422), name
        assert "bob" not in response.text


async def test_only_the_keys_banks_are_listed(guarded_client: httpx.AsyncClient, sessions: Sessions) -> None:
    admin = await key_of(sessions, "acme")
    names = [f"b{number}" for number in range(8)]
    for name in names:
        await guarded_client.post(f"/v1/banks/{name}/turns", json={"turns": [TURN]}, headers=admin)
    mine = ("b1", "b4", "b6", "none")
    key = await key_of(sessions, "acme", Scope.READ, mine)
    page = (await guarded_client.get("/v1/banks", headers=key)).json()
    assert ([bank["name"] for bank in page["banks"]], page["next_cursor"]) == (["b1", "b4", "b6"], None)
    seen, cursor = [], None
    while True:
        asked = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = (await guarded_client.get("/v1/banks", params=asked, headers=key)).json()
        seen += [bank["name"] for bank in page["banks"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["b1", "b4", "b6"]
    first = (await guarded_client.get("/v1/banks?limit=3", headers=admin)).json()
    followed = (await guarded_client.get(f"/v1/banks?cursor={first['next_cursor']}", headers=key)).json()
    assert [bank["name"] for bank in followed["banks"]] == ["b4", "b6"]


async def test_what_is_the_whole_tenants_takes_a_key_for_all_banks(
    guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    key = await key_of(sessions, "acme", Scope.ADMIN, ("alice",))
    before = await count_rows(sessions)
    asked = [one for one in every_route("alice", str(uuid4())) if not one[1].startswith(("/v1/banks", "/mcp"))]
    assert {"keys", "audit", "webhooks"} <= {path.split("/")[2] for _, path, _ in asked}
    for method, path, body in asked:
        response = await guarded_client.request(method, path, json=body, headers=key)
        assert (response.status_code, slug_of(response)) == (403, "forbidden"), (method, path)
    assert await count_rows(sessions) == before


async def test_a_revoked_key_is_refused_at_once(guarded_client: httpx.AsyncClient, sessions: Sessions) -> None:
    admin = await key_of(sessions, "acme")
    made = (await guarded_client.post("/v1/keys", json={"name": "a", "scope": "read"}, headers=admin)).json()
    key = bearing(made["secret"])
    assert (await guarded_client.get("/v1/banks", headers=key)).status_code == 200
    assert (await guarded_client.delete(f"/v1/keys/{made['id']}", headers=admin)).status_code == 200
    assert (await guarded_client.get("/v1/banks", headers=key)).status_code == 401
    acme = await keys.operator(sessions, "acme")
    assert (await keys.read(sessions, acme, made["id"])).revoked_at is not None
