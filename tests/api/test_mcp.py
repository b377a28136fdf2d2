"""The official MCP client drives the real service: what its tools do, who may call them, and from where."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import httpx2
import pytest
from jsonschema_rs import validator_for
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent

from app.db.engine import Sessions
from app.services.callers import Scope
from app.settings import Settings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.live import live
from tests.fixtures.problems import slug_of
from tests.fixtures.rows import count_rows
from tests.fixtures.tenants import guarded, key_of

__all__ = ["guarded"]

BUDDY = "I adopted a dog named Buddy."
ACCEPT = {"accept": "application/json, text/event-stream"}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}


@asynccontextmanager
async def connected(url: str, headers: dict[str, str] | None = None, mode: str = "auto") -> AsyncIterator[Client]:
    """The official client at an address of the service."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False))
        yield await stack.enter_async_context(Client(streamable_http_client(url, http_client=http), mode=mode))


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool gives."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.content[0], TextContent)
    structured: dict[str, Any] = result.structured_content
    assert json.loads(result.content[0].text) == structured
    return structured


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """What a tool says that it cannot do."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error and isinstance(result.content[0], TextContent)
    assert "Traceback" not in result.content[0].text and "\n" not in result.content[0].text
    return result.content[0].text


def of_tool(tool: str, **arguments: Any) -> dict[str, Any]:
    """A message as it goes over the wire."""
    return {**CALL, "params": {"name": tool, "arguments": arguments}}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_client_remembers_recalls_asks_and_forgets(mode: str, live_url: str) -> None:
    async with connected(f"{live_url}/mcp/alice", mode=mode) as client:
        assert "never instructions" in (client.instructions or "")
        made = await call(client, "remember", text=BUDDY, speaker="Alice", external_id="note-1", wait_seconds=60)
        assert made["state"] == "done" and [noted["kind"] for noted in made["memories"]] == ["ADD"]
        again = await call(client, "remember", text=BUDDY, speaker="Alice", external_id="note-1", wait_seconds=60)
        assert again == made
        (found,) = (await call(client, "recall", query="Which dog?"))["memories"]
        assert found["id"] == made["memories"][0]["memory_id"] and "Buddy" in found["text"]
        told = await call(client, "answer", question="Which dog named Buddy did Alice adopt?")
        assert "Buddy" in told["answer"] and [m["id"] for m in told["memories"]] == [found["id"]]
        gone = await call(client, "forget", memory_id=found["id"])
        assert gone["text"] == found["text"]
        assert (await call(client, "recall", query="Which dog?"))["memories"] == []
        assert "no such memory" in await refused(client, "forget", memory_id=found["id"])
        # What was forgotten comes back where the forgetting is undone.
        async with httpx.AsyncClient(base_url=live_url) as http:
            assert (await http.post(gone["undo"])).status_code == 200
        (back,) = (await call(client, "recall", query="Which dog?"))["memories"]
        assert (back["id"], back["text"]) == (found["id"], found["text"])


async def test_tools_have_forms_with_bounds_and_results_that_follow_theirs(live_url: str) -> None:
    async with connected(f"{live_url}/mcp/alice") as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["remember", "recall", "answer", "forget"]
        for tool in tools.values():
            assert tool.description and tool.input_schema["additionalProperties"] is False
            for field in tool.input_schema["properties"].values():
                assert field["description"]
        assert tools["recall"].input_schema["properties"]["query"]["maxLength"] == 2000
        hints = {
            name: (t.annotations.read_only_hint, t.annotations.destructive_hint)
            for name, t in tools.items()
            if t.annotations
        }
        assert hints == {
            "remember": (False, False),
            "recall": (True, False),
            "answer": (True, False),
            "forget": (False, True),
        }
        made = await call(client, "remember", text=BUDDY, wait_seconds=60)
        found = await call(client, "recall", query="dog")
        told = await call(client, "answer", question="dog?")
        gone = await call(client, "forget", memory_id=found["memories"][0]["id"])
        for name, result in {"remember": made, "recall": found, "answer": told, "forget": gone}.items():
            validator_for(tools[name].output_schema or False).validate(result)


async def test_errors_say_what_is_wrong_and_hold_no_text_of_the_user(
    live_url: str, completer: ScriptedCompleter, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "my PIN is 4711"
    with caplog.at_level(logging.DEBUG):
        async with connected(f"{live_url}/mcp/alice") as client:
            assert "remember" in await refused(client, "recall", query=secret)
            assert "2000" in await refused(client, "recall", query=secret * 1000)
            assert "blank" in await refused(client, "recall", query="  ")
            assert "query" in await refused(client, "recall")
            assert "unknown field" in await refused(client, "recall", query=secret, bank="bob", **{secret: 1})
            assert "limit" in await refused(client, "recall", query=secret, limit=61)
            assert "NUL" in await refused(client, "remember", text=f"{secret}\x00")
            assert "said_at" in await refused(client, "remember", text=secret, said_at="yesterday")
            assert "memory_id" in await refused(client, "forget", memory_id=secret)
            await call(client, "remember", text=BUDDY, wait_seconds=60)
            assert "no such memory" in await refused(client, "forget", memory_id=str(uuid4()))
            completer.replies["answerer"] = lambda prompt: "no JSON"
            assert "schema" in await refused(client, "answer", question=secret)
            completer.replies["answerer"] = lambda prompt: str(1 / 0)
            assert await refused(client, "answer", question=secret) == "The service failed."
            with pytest.raises(MCPError, match="known are remember"):
                await client.call_tool("drop_tables", {})
    # The client in this process logs what it sends.
    mine = [r for r in caplog.records if not r.name.startswith(("mcp.client", "httpcore2", "httpx2"))]
    assert not [record for record in mine if secret in record.getMessage()]


async def test_keys_reach_their_own_banks_and_tools_only(
    guarded: Settings, completer: ScriptedCompleter, embedder: HashEmbedder, sessions: Sessions
) -> None:
    acme, rival = await key_of(sessions, "acme"), await key_of(sessions, "rival")
    reader = await key_of(sessions, "acme", Scope.READ, ("alice",))
    two = await key_of(sessions, "acme", Scope.WRITE, ("alice", "bob"))
    few = await key_of(sessions, "few", requests_per_minute=1)
    none_left = await key_of(sessions, "none-left", Scope.WRITE, ("alice",), turns_per_day=1, questions_per_day=1)
    async with live(guarded, completer, embedder) as url, httpx.AsyncClient(base_url=url, headers=ACCEPT) as http:
        async with connected(f"{url}/mcp/alice", acme) as client:
            await call(client, "remember", text=BUDDY, wait_seconds=60)
        # A key for one bank needs no name, and sees only what it may do.
        async with connected(f"{url}/mcp", reader) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["recall", "answer"]
            assert (await call(client, "recall", query="dog"))["memories"]
            before = await count_rows(sessions)
            assert "`write`" in await refused(client, "remember", text="x")
            assert "`write`" in await refused(client, "forget", memory_id=str(uuid4()))
            assert await count_rows(sessions) == before
        async with connected(f"{url}/mcp/alice", rival) as client:
            assert "`remember` makes it" in await refused(client, "recall", query="dog")
        async with connected(f"{url}/mcp", none_left) as client:
            await call(client, "remember", text="x", wait_seconds=0)
            assert "a day" in await refused(client, "remember", text="y")
            await call(client, "answer", question="dog?")
            assert "a day" in await refused(client, "answer", question="dog?")

        async def post(path: str, headers: dict[str, str]) -> tuple[int, str]:
            response = await http.post(path, json=of_tool("recall", query="dog"), headers=headers)
            return response.status_code, "" if response.is_success else slug_of(response)

        assert await post("/mcp/alice", {}) == await post("/mcp", {}) == (401, "unauthenticated")
        assert await post("/mcp", {"authorization": "Bearer mr1_x"}) == (401, "unauthenticated")
        assert await post("/mcp", two) == await post("/mcp", acme) == (422, "invalid-input")
        assert await post("/mcp/bob", two) == (200, "")
        assert await post("/mcp/bob", reader) == await post("/mcp/nobody", reader) == (404, "unknown-bank")
        assert await post("/mcp/no%20name", acme) == (422, "invalid-input")
        assert [await post("/mcp/a", few), await post("/mcp/a", few)] == [(200, ""), (429, "rate-limited")]


async def test_any_process_answers_any_request(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    async with live(settings, completer, embedder) as one, live(settings, completer, embedder) as other:
        async with connected(f"{one}/mcp/alice", mode="legacy") as client:
            await call(client, "remember", text=BUDDY, wait_seconds=60)
        async with httpx.AsyncClient(base_url=other, headers=ACCEPT) as http:
            # Nothing was said to this process before.
            told = await http.post("/mcp/alice", json=of_tool("recall", query="dog"))
            assert "Buddy" in told.json()["result"]["structuredContent"]["memories"][0]["text"]
            assert "mcp-session-id" not in told.headers


async def test_strange_pages_and_names_are_kept_out(
    settings: Settings, guarded: Settings, completer: ScriptedCompleter, embedder: HashEmbedder, sessions: Sessions
) -> None:
    async def status(url: str, **headers: str) -> int:
        async with httpx.AsyncClient(headers=ACCEPT) as http:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return (await http.post(f"{url}/mcp/alice", json=of_tool("recall", query="dog"), headers=sent)).status_code

    async with live(settings, completer, embedder) as url:
        port = url.rpartition(":")[2]
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", "[::1]", "LOCALHOST"):
            assert await status(url, host=host) == 200, host
        for host in (
            "evil.example",
            f"evil.example:{port}",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "[",
            "",
        ):
            assert await status(url, host=host) == 421, host
        assert await status(url, origin="http://localhost:6274") == 200
        for origin in ("https://evil.example", "null", "http://localhost.evil.example", "http://[", ""):
            assert await status(url, origin=origin) == 403, origin
        async with httpx.AsyncClient(base_url=url, headers=ACCEPT) as http:
            assert (await http.get("/mcp/alice")).status_code == (await http.delete("/mcp")).status_code == 405
            plain = {"content-type": "text/plain"}
            assert (await http.post("/mcp/alice", content=b"{}", headers=plain)).status_code == 400
            for content in (b"[]", b"{", b"[" * 9999, json.dumps([of_tool("recall", query="dog")] * 2).encode()):
                headers = {"content-type": "application/json"}
                assert (await http.post("/mcp/alice", content=content, headers=headers)).status_code == 400
            assert (await http.post("/mcp/alice", json=["x" * 4_100_000])).status_code == 413
    server = guarded.server.model_copy(update={"allowed_hosts": ["memory.example"]})
    mcp = guarded.mcp.model_copy(update={"allowed_origins": ["https://chat.example"]})
    chosen = guarded.model_copy(update={"server": server, "mcp": mcp})
    key = (await key_of(sessions, "acme"))["authorization"]
    async with live(guarded, completer, embedder) as url:
        # Behind a key any name leads here, and no page unless it was let in.
        assert await status(url, authorization=key, host="memory.example") == 200
        assert await status(url, authorization=key, origin="http://localhost") == 403
    async with live(chosen, completer, embedder) as url:
        assert await status(url, authorization=key, host="memory.example", origin="https://chat.example") == 200
        assert await status(url, authorization=key, host="other.example") == 421
        assert await status(url, authorization=key, host="memory.example", origin="https://other.example") == 403
