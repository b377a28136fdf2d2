"""Pages of strangers whose name was pointed at the service (DNS rebinding) get nothing from it."""

from __future__ import annotations

import httpx
import pytest

from app.settings import Settings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.problems import slug_of
from tests.fixtures.service import api

OWN = (
    "127.0.0.1",
    "127.0.0.1:8080",
    "[::1]:8080",
    "10.1.2.3",
    "localhost",
    "LOCALHOST:80",
    "app.localhost",
    "api:8080",
)
FOREIGN = (
    "evil.example",
    "evil.example:8080",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "localhost@evil.example",
    "mymachine.local",
    "127.0.0.1.",
    "[",
    "",
)


def of(settings: Settings, **server: object) -> Settings:
    return settings.model_copy(update={"server": settings.server.model_copy(update=server)})


async def answer(client: httpx.AsyncClient, host: str, path: str = "/v1/banks") -> httpx.Response:
    return await client.get(path, headers={"host": host})


@pytest.mark.parametrize("path", ["/v1/banks", "/v1/health/ready", "/docs", "/openapi.json", "/nowhere"])
async def test_without_keys_only_names_that_nobody_else_can_have_lead_here(
    client: httpx.AsyncClient, path: str
) -> None:
    for host in OWN:
        assert (await answer(client, host, path)).status_code in (200, 404), host
    for host in FOREIGN:
        refused = await answer(client, host, path)
        assert (refused.status_code, slug_of(refused)) == (421, "unknown-host"), host
        assert "ALLOWED_HOSTS" in refused.json()["detail"]
        assert refused.headers["x-request-id"]


async def test_a_strange_page_stores_nothing(client: httpx.AsyncClient) -> None:
    turn = {"turns": [{"speaker": "Eve", "text": "Alice owes me money."}]}
    headers = {"host": "evil.example"}
    assert (await client.post("/v1/banks/alice/turns", json=turn, headers=headers)).status_code == 421
    assert (await client.get("/v1/banks/alice")).status_code == 404


async def test_a_list_of_hosts_is_the_whole_of_it(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    listed = of(settings, allowed_hosts=["Memory.example", "other.example:444"])
    async with api(listed, completer, embedder) as client:
        for host in ("memory.example", "MEMORY.example:8080", "other.example:444"):
            assert (await answer(client, host)).status_code == 200, host
        for host in ("127.0.0.1", "localhost", "other.example", "other.example:445", "evil.example"):
            assert (await answer(client, host)).status_code == 421, host


async def test_behind_keys_any_name_leads_here_unless_some_are_listed(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    async with api(of(settings, require_key=True), completer, embedder) as client:
        assert (await answer(client, "memory.example")).status_code == 401
    async with api(of(settings, require_key=True, allowed_hosts=["memory.example"]), completer, embedder) as client:
        assert (await answer(client, "memory.example")).status_code == 401
        assert (await answer(client, "other.example")).status_code == 421
