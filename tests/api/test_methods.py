"""HEAD, and preferences that nobody can meet."""

from __future__ import annotations

import httpx

from tests.fixtures.problems import problem_of

TURNS = "/v1/banks/alice/turns"
BODY = {"turns": [{"speaker": "Alice", "text": "I like tea."}]}


async def test_head_is_answered_as_get_is_without_the_body(client: httpx.AsyncClient) -> None:
    await client.post(TURNS, json=BODY)
    for path, status in {"/v1/health/ready": 200, "/v1/banks/alice": 200, "/v1/banks/bob": 404, "/docs": 200}.items():
        response = await client.head(path)
        assert (response.status_code, response.content) == (status, b""), path
        assert int(response.headers["content-length"]) > 0


async def test_preferences_that_make_no_sense_are_ignored(client: httpx.AsyncClient) -> None:
    for prefer in (
        "wait",
        "wait=",
        "wait=-5",
        "wait=x",
        "wait=0",
        "wait=1e9",
        "respond-async",
        "\xff",
        ",;,",
        "await=9",
    ):
        response = await client.post(TURNS, json=BODY, headers=[(b"prefer", prefer.encode("latin-1"))])
        assert response.status_code == 202, prefer
        assert "preference-applied" not in response.headers
    too_long = await client.post(TURNS, json=BODY, headers={"prefer": "wait=1" + "0" * 200})
    assert problem_of(too_long)["errors"][0]["at"] == "header.prefer"
