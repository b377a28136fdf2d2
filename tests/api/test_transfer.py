"""Export and import over the API: streams with bounds of their own."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from starlette.types import Message

from app.main import create_app
from app.settings import Settings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.problems import slug_of
from tests.fixtures.service import api, opened

BANK = "/v1/banks/alice"


async def fill(client: httpx.AsyncClient, count: int = 3) -> None:
    turns = [{"speaker": "Alice", "text": f"I bought item number {n}."} for n in range(count)]
    posted = await client.post(f"{BANK}/turns", json={"turns": turns}, headers={"prefer": "wait=60"})
    assert posted.json()["state"] == "done"


def with_server(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"server": settings.server.model_copy(update=changes)})


async def test_a_bank_goes_out_and_comes_in(client: httpx.AsyncClient) -> None:
    await fill(client)
    exported = await client.get(f"{BANK}/export")
    assert exported.headers["content-type"] == "application/x-ndjson"
    assert exported.headers["content-disposition"] == 'attachment; filename="alice.ndjson"'
    headers = {"idempotency-key": "once", "content-type": "application/x-ndjson"}
    first, second = [
        await client.post("/v1/banks/bob/import", content=exported.content, headers=headers) for _ in range(2)
    ]
    assert (first.status_code, first.json()) == (201, second.json())
    assert "idempotency-replayed" not in first.headers and second.headers["idempotency-replayed"] == "true"
    assert first.json()["counts"]["turn"] == 3
    changed = await client.post("/v1/banks/bob/import", content=exported.content[:-2], headers=headers)
    assert slug_of(changed) == "idempotency-conflict"
    assert slug_of(await client.post("/v1/banks/bob/import", content=exported.content)) == "bank-exists"
    again = await client.get("/v1/banks/bob/export")
    assert again.content.splitlines()[1:-1] == exported.content.splitlines()[1:-1]


async def test_there_is_nothing_to_export(client: httpx.AsyncClient) -> None:
    assert slug_of(await client.get("/v1/banks/nobody/export")) == "unknown-bank"


async def test_a_file_that_is_none_is_refused(client: httpx.AsyncClient) -> None:
    for content in (b"", b"{}", b"\xff", b"{}\n" * 5):
        response = await client.post(f"{BANK}/import", content=content)
        assert (response.status_code, slug_of(response)) == (422, "invalid-input")
    assert (await client.get(BANK)).status_code == 404


async def test_a_file_has_a_bound_of_its_own(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    small = with_server(settings, max_body_bytes=2000, max_import_bytes=100_000)
    async with api(small, completer, embedder) as client:
        await fill(client)
        file = (await client.get(f"{BANK}/export")).content
        assert 2000 < len(file) < 100_000

        async def undeclared() -> Any:
            for _ in range(200):
                yield b" " * 1000

        for content in (b" " * 100_001, undeclared()):
            refused = await client.post("/v1/banks/bob/import", content=content)
            assert (refused.status_code, slug_of(refused)) == (413, "body-too-large")
        for path in ("turns", "answer", "memories/search"):
            assert (await client.post(f"/v1/banks/bob/{path}", content=file)).status_code == 413
        assert (await client.post("/v1/banks/bob/import", content=file)).status_code == 201


async def test_without_a_key_nothing_of_a_file_is_read(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    async with api(with_server(settings, require_key=True), completer, embedder) as client:
        for method, path in (("GET", f"{BANK}/export"), ("POST", f"{BANK}/import")):
            assert (await client.request(method, path, content=b"{}\n")).status_code == 401


class Reader:
    """A client of the app that takes what is sent as slowly as a test wants."""

    def __init__(self, *, stalls: bool = False, leaves: bool = False) -> None:
        self.sent: list[Message] = []
        self._stalls, self._leaves = stalls, leaves
        self._asked = False

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if not self._leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if self._stalls and message["type"] == "http.response.body":
            await asyncio.Event().wait()
        await asyncio.sleep(0)


@pytest.mark.parametrize("how", ["stalls", "leaves"])
async def test_a_reader_that_stalls_or_leaves_is_cut_off(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder, how: str
) -> None:
    """The snapshot is let go of, and the next export has its place."""
    hurried = with_server(settings, transfer_seconds=1.0 if how == "stalls" else 600)
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"{BANK}/export",
        "raw_path": f"{BANK}/export".encode(),
        "query_string": b"",
        "headers": [(b"host", b"service")],
        "scheme": "http",
        "server": ("service", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "http_version": "1.1",
    }
    async with api(settings, completer, embedder) as client:
        await fill(client, 60)
    # A worker looks for work at any moment, and would be counted as what the export still holds.
    app = create_app(hurried, lambda: opened(hurried, completer, embedder), with_worker=False)
    async with LifespanManager(app) as manager:
        transport = httpx.ASGITransport(app=manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", timeout=60) as client:
            for _ in range(3):
                reader = Reader(stalls=how == "stalls", leaves=how == "leaves")
                async with asyncio.timeout(30):
                    await manager.app(dict(scope), reader.receive, reader.send)
                assert not any(m["type"] == "http.response.body" and not m.get("more_body") for m in reader.sent)
                assert b'"kind":"end"' not in b"".join(m.get("body", b"") for m in reader.sent)
            service = app.state.service
            assert service.sessions.engine.pool.checkedout() == 0
            assert b'"kind":"end"' in (await client.get(f"{BANK}/export")).content


async def test_a_file_goes_over_a_real_connection(live_url: str) -> None:
    async with httpx.AsyncClient(base_url=live_url, timeout=60, trust_env=False) as client:
        await fill(client, 40)
        exported = await client.get(f"{BANK}/export")
        assert exported.headers["transfer-encoding"] == "chunked" and "content-length" not in exported.headers
        assert (await client.head(f"{BANK}/export")).content == b""

        async def pieces() -> Any:
            for start in range(0, len(exported.content), 5000):
                yield exported.content[start : start + 5000]

        imported = await client.post("/v1/banks/bob/import", content=pieces())
        assert imported.status_code == 201, imported.text
        again = await client.get("/v1/banks/bob/export")
        assert again.content.splitlines()[1:-1] == exported.content.splitlines()[1:-1]
