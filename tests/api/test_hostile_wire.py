"""What only a real connection can carry: bodies without an end, broken requests, clients that go away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest_asyncio

from app.db.engine import Sessions
from tests.fixtures.live import send_raw
from tests.fixtures.problems import problem_of, slug_of
from tests.fixtures.rows import count_rows

LINE = b"POST /v1/banks/alice/turns HTTP/1.1\r\n"
HEADERS = b"Host: service\r\nContent-Type: application/json\r\nConnection: close\r\n"
BODY = b'{"turns": [{"speaker": "Alice", "text": "I like tea."}]}'
MEGABYTE = b" " * 1_000_000


@pytest_asyncio.fixture
async def http(live_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client over a real connection."""
    headers = {"content-type": "application/json"}
    async with httpx.AsyncClient(base_url=live_url, headers=headers, timeout=60, trust_env=False) as client:
        await client.post("/v1/banks/first/turns", content=BODY, headers={"prefer": "wait=30"})
        yield client


def sized(body: bytes) -> bytes:
    """A whole post of this body."""
    return LINE + HEADERS + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def megabytes(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield MEGABYTE


async def test_ten_megabytes_are_refused_with_the_bound(http: httpx.AsyncClient, sessions: Sessions) -> None:
    before = await count_rows(sessions)
    for path in ("turns", "answer", "memories/search"):
        for content in (MEGABYTE * 10, megabytes(10)):
            response = await http.post(f"/v1/banks/alice/{path}", content=content)
            assert (response.status_code, slug_of(response)) == (413, "body-too-large")
            assert problem_of(response)["detail"] == "The body is larger than 4000000 bytes."
    assert await count_rows(sessions) == before


async def test_a_body_in_pieces_is_read_as_one(http: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in BODY:
            yield bytes([byte])
        yield MEGABYTE

    response = await http.post("/v1/banks/alice/turns", content=pieces())
    assert response.status_code == 202, response.text


async def test_a_client_that_goes_away_leaves_nothing(
    http: httpx.AsyncClient, live_url: str, sessions: Sessions
) -> None:
    before = await count_rows(sessions)
    address = urlsplit(live_url)
    for sent in (LINE, LINE + HEADERS, sized(BODY)[:-1], LINE + HEADERS + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(sent)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await http.get("/v1/health/ready")).status_code == 200
    assert await count_rows(sessions) == before


async def test_a_slow_body_holds_up_nobody(http: httpx.AsyncClient, live_url: str) -> None:
    address = urlsplit(live_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    request = sized(BODY)
    writer.write(request[:-5])
    await writer.drain()
    assert (await http.get("/v1/health/ready")).status_code == 200
    writer.write(request[-5:])
    assert (await reader.readline()).startswith(b"HTTP/1.1 202")
    writer.close()


async def test_text_that_is_no_utf8_is_unreadable(http: httpx.AsyncClient, live_url: str, sessions: Sessions) -> None:
    before = await count_rows(sessions)
    for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80"):
        answer = await send_raw(live_url, sized(BODY.replace(b"tea", bad)))
        assert answer.startswith(b"HTTP/1.1 4"), (bad, answer)
        assert b"application/problem+json" in answer
    assert await count_rows(sessions) == before


async def test_strange_paths_are_refused(http: httpx.AsyncClient, live_url: str, sessions: Sessions) -> None:
    before = await count_rows(sessions)
    paths = [b"/v1/banks/%00", b"/v1/banks/%", b"/v1/banks/%zz", b"/v1/banks/%ff%fe", b"/v1/banks/a%0d%0aX: y"]
    paths += [b"/v1/banks/../../etc/passwd", b"/v1/banks/..%2f..%2fetc", b"//v1/banks", b"/v1/banks/%c0%ae%c0%ae", b"*"]
    paths += [
        b"/v1/banks/alice\x00",
        b"/v1/banks/\xe9",
        b"/v1/banks/" + b"a" * 20_000,
        b"/v1/banks?limit=%",
        b"/" * 5000,
    ]
    for path in paths:
        for method in (b"GET", b"DELETE"):
            answer = await send_raw(
                live_url, method + b" " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            assert answer.startswith(b"HTTP/1.1 4"), (method, path[:60], answer[:300])
            assert b"etc" not in answer
    assert await count_rows(sessions) == before


async def test_requests_that_are_no_http_are_refused(
    http: httpx.AsyncClient, live_url: str, sessions: Sessions
) -> None:
    before = await count_rows(sessions)
    requests = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100 + b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/banks HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /v1/banks HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        LINE + HEADERS + b"Content-Length: 5\r\nContent-Length: 60\r\n\r\n" + BODY,
        LINE + HEADERS + b"Content-Length: -1\r\n\r\n" + BODY,
        LINE + HEADERS + b"Content-Length: x\r\n\r\n" + BODY,
        LINE + HEADERS + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n" + BODY,
        LINE + HEADERS + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY,
        LINE + HEADERS + b"Content-Length: 56\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
    ]
    for request in requests:
        answer = await send_raw(live_url, request, half_close=True)
        assert not answer or answer.startswith(b"HTTP/1.1 4"), (request[:80], answer[:300])
    assert (await http.get("/v1/health/ready")).status_code == 200
    assert await count_rows(sessions) == before


async def test_repeated_headers_are_no_way_around_a_bound(live_url: str, http: httpx.AsyncClient) -> None:
    pairs = [
        ("prefer", "wait=0"),
        ("prefer", "wait=99999999"),
        ("authorization", "Bearer x"),
        ("authorization", "Bearer y"),
    ]
    response = await http.get("/v1/banks", headers=pairs)
    assert (response.status_code, slug_of(response)) == (401, "unauthenticated")
    answer = await send_raw(live_url, b"GET /v1/banks HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))


async def test_the_form_of_a_refusal_is_the_same_over_a_connection(http: httpx.AsyncClient) -> None:
    for content, status in (
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"null", 422),
        (json.dumps({"turns": []}).encode(), 422),
    ):
        response = await http.post("/v1/banks/alice/turns", content=content)
        assert (response.status_code, problem_of(response)["status"]) == (status, status)
    head = await http.head("/v1/banks/first")
    assert (head.status_code, head.content) == (200, b"")
    assert (await http.get("/v1/banks/first")).status_code == 200
