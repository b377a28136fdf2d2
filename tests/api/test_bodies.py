"""Bodies: who calls is asked before any of one is read, and none may take forever to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from app.db.engine import Sessions
from app.services.callers import Scope
from app.settings import Settings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.problems import problem_of, slug_of
from tests.fixtures.rows import count_rows
from tests.fixtures.service import api
from tests.fixtures.tenants import guarded, guarded_client, key_of

__all__ = ["guarded", "guarded_client"]

JSON = {"content-type": "application/json"}
AT = "/v1/banks/alice/turns"
BROKEN = b"[" * 100
POSTED = b'{"turns": [{"speaker": "Alice", "text": "I like tea."}]}'


class Read:
    """A body that notes whether anybody read it, and ends only if it is told to."""

    def __init__(self, *chunks: bytes, ends: bool = True) -> None:
        self._chunks, self._ends = chunks, ends
        self.is_touched = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.is_touched = True
        for chunk in self._chunks:
            yield chunk
        if not self._ends:
            await asyncio.Event().wait()


@pytest.mark.parametrize("path", ["turns", "memories", "memories/search", "answer", "import", "operations/1/undo"])
async def test_without_a_key_no_body_is_read(path: str, guarded_client: httpx.AsyncClient) -> None:
    at = f"/v1/banks/alice/{path}"
    for body in (Read(BROKEN), Read(b" " * 5_000_000), Read(b"{", ends=False)):
        response = await guarded_client.post(at, content=body, headers=JSON)
        assert (response.status_code, slug_of(response)) == (401, "unauthenticated")
        assert not body.is_touched
    for content in (BROKEN, b" " * 5_000_000):
        assert (await guarded_client.post(at, content=content, headers=JSON)).status_code == 401


async def test_with_too_little_scope_no_body_is_read(guarded_client: httpx.AsyncClient, sessions: Sessions) -> None:
    reader, of_bob = await key_of(sessions, "acme", Scope.READ), await key_of(sessions, "acme", banks=("bob",))
    for key in (reader, of_bob):
        body = Read(BROKEN)
        response = await guarded_client.post(AT, content=body, headers=key | JSON)
        assert (response.status_code, body.is_touched) == (403, False)


@pytest.mark.parametrize("content", [BROKEN, b"\xff", b"{}", b" " * 5_000_000], ids=["cut", "bytes", "empty", "huge"])
async def test_what_cannot_be_parsed_counts_against_the_rate(
    content: bytes, guarded_client: httpx.AsyncClient, sessions: Sessions
) -> None:
    key = await key_of(sessions, "acme", Scope.WRITE, requests_per_minute=1)
    answers = [await guarded_client.post(AT, content=content, headers=key | JSON) for _ in range(2)]
    assert answers[0].status_code in (400, 413, 422)
    assert (answers[1].status_code, slug_of(answers[1])) == (429, "rate-limited")
    assert all("ratelimit" in answer.headers for answer in answers)


async def test_a_request_is_weighed_once(guarded_client: httpx.AsyncClient, sessions: Sessions) -> None:
    key = await key_of(sessions, "acme", Scope.WRITE, requests_per_minute=3)
    posted = await guarded_client.post(AT, content=POSTED, headers=key | JSON | {"idempotency-key": "k"})
    assert posted.status_code == 202
    assert posted.headers["ratelimit"].startswith('"minute";r=2;')


async def test_a_body_that_does_not_arrive_is_given_up(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder, sessions: Sessions
) -> None:
    hasty = settings.model_copy(update={"server": settings.server.model_copy(update={"body_seconds": 0.05})})
    async with api(hasty, completer, embedder, with_worker=False) as client:
        assert (await client.get("/v1/banks")).status_code == 200
        before = await count_rows(sessions)
        for path in ("turns", "memories", "memories/search", "answer"):
            for chunks in ((), (POSTED[:-1],)):
                late = Read(*chunks, ends=False)
                response = await client.post(f"/v1/banks/alice/{path}", content=late, headers=JSON)
                if path == "turns":
                    assert problem_of(response)["detail"] == "The body did not arrive within 0.05 seconds."
                assert (response.status_code, slug_of(response)) == (408, "request-timeout")
                assert response.headers["connection"] == "close"
        assert await count_rows(sessions) == before


async def test_only_receiving_is_timed(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for at in range(0, len(POSTED), 10):
            await asyncio.sleep(0.001)
            yield POSTED[at : at + 10]

    brief = settings.model_copy(update={"server": settings.server.model_copy(update={"body_seconds": 1})})
    async with api(brief, completer, embedder, with_worker=False) as client:
        # Nobody works on the turn, so that this waits for longer than a body may take.
        response = await client.post(AT, content=slowly(), headers=JSON | {"prefer": "wait=2"})
        assert (response.status_code, response.json()["state"]) == (202, "queued")
