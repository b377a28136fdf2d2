"""What a hostile client sends is refused as a problem that says why, repeats nothing, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio

from app.core.values import Role
from app.db.engine import Sessions
from app.settings import Settings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.problems import problem_of, slug_of
from tests.fixtures.rows import count_rows
from tests.fixtures.service import api

ECHO = "zebra-in-the-request"
GOOD = {"speaker": "Alice", "text": "I like tea."}
PATHS = {"turns": "/v1/banks/alice/turns", "search": "/v1/banks/alice/memories/search", "ask": "/v1/banks/alice/answer"}
JSON = {"content-type": "application/json"}


@pytest_asyncio.fixture
async def client(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service with one bank and no worker, so that rows change by requests alone."""
    async with api(settings, completer, embedder, with_worker=False) as client:
        await client.post(PATHS["turns"], json={"turns": [GOOD | {"external_id": "one"}]})
        yield client


async def refused(
    client: httpx.AsyncClient, sessions: Sessions, requests: Mapping[str, tuple[str, str, Any]], *statuses: int
) -> dict[str, dict[str, Any]]:
    """Send each request; its problem, once nothing was stored and nothing repeated."""
    before, problems, wrong = await count_rows(sessions), {}, {}
    for name, (method, path, body) in requests.items():
        content = body if isinstance(body, str | bytes | None) else json.dumps(body)
        response = await client.request(method, path, content=content, headers=JSON)
        if response.status_code not in statuses or ECHO in response.text:
            wrong[name] = (response.status_code, response.text[:300])
        else:
            problems[name] = problem_of(response)
    assert not wrong
    assert await count_rows(sessions) == before
    return problems


def posts(turns: Mapping[str, Any]) -> dict[str, tuple[str, str, Any]]:
    """One post for each turn."""
    return {name: ("POST", PATHS["turns"], {"turns": [GOOD, turn]}) for name, turn in turns.items()}


def faults(problems: Mapping[str, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """The first fault of each problem."""
    return {name: (p["errors"][0]["at"], p["errors"][0]["detail"]) for name, p in problems.items()}


async def test_bodies_that_are_no_json_are_unreadable(client: httpx.AsyncClient, sessions: Sessions) -> None:
    bodies: dict[str, Any] = {
        "cut": '{"turns": [',
        "words": ECHO,
        "two values": "{}{}",
        "latin-1": '{"question": "é"}'.encode("latin-1"),
        "deep lists": "[" * 100_000,
        "deep objects": '{"a":' * 100_000,
        "digits without end": '{"turns": ' + "9" * 5000 + "}",
        "only a mark": b"\xef\xbb\xbf",
    }
    requests = {f"{p} {n}": ("POST", path, body) for p, path in PATHS.items() for n, body in bodies.items()}
    problems = await refused(client, sessions, requests, 400)
    assert {p["detail"] for p in problems.values()} == {"The body cannot be read as JSON."}


async def test_json_of_another_shape_is_out_of_bounds(client: httpx.AsyncClient, sessions: Sessions) -> None:
    bodies = {
        "null": "null",
        "list": "[]",
        "text": f'"{ECHO}"',
        "number": "1",
        "nan": "NaN",
        "true": "true",
        "{}": "{}",
    }
    requests: dict[str, Any] = {f"{p} {n}": ("POST", path, b) for p, path in PATHS.items() for n, b in bodies.items()}
    requests |= {f"{p} empty": ("POST", path, "") for p, path in PATHS.items()}
    problems = await refused(client, sessions, requests, 422)
    assert all(at.startswith("body") for at, _ in faults(problems).values())


async def test_turns_of_wrong_types_are_out_of_bounds(client: httpx.AsyncClient, sessions: Sessions) -> None:
    values: dict[str, Any] = {
        "number": 1,
        "float": 1.5,
        "true": True,
        "list": [ECHO],
        "object": {"a": ECHO},
        "huge": 10**400,
    }
    fields = ("speaker", "text", "said_at", "session", "external_id")
    turns = {f"{field} {name}": GOOD | {field: value} for field in fields for name, value in values.items()}
    turns |= {f"{field} null": GOOD | {field: None} for field in ("speaker", "text", "metadata")}
    turns |= {f"metadata {name}": GOOD | {"metadata": value} for name, value in values.items() if name != "object"}
    found = faults(await refused(client, sessions, posts(turns), 422))
    assert {name.partition(" ")[0]: at for name, (at, _) in found.items()} == {
        field: f"body.turns.1.{field}" for field in (*fields, "metadata")
    }


async def test_bounds_of_a_turn_are_said(client: httpx.AsyncClient, sessions: Sessions) -> None:
    turns: dict[str, Any] = {
        "no fields": {},
        "empty speaker": GOOD | {"speaker": ""},
        "blank text": GOOD | {"text": " \t\n\u3000"},
        "long speaker": GOOD | {"speaker": "x" * 101},
        "long text": GOOD | {"text": "x" * 8001},
        "long session": GOOD | {"session": "x" * 201},
        "long id": GOOD | {"external_id": "x" * 201},
        "empty id": GOOD | {"external_id": ""},
        "big metadata": GOOD | {"metadata": {"a": "x" * 4096}},
        "unknown": GOOD | {ECHO: ECHO},
    }
    found = faults(await refused(client, sessions, posts(turns), 422))
    assert found == {
        "no fields": ("body.turns.1.speaker", "Field required"),
        "empty speaker": ("body.turns.1.speaker", "String should have at least 1 character"),
        "blank text": ("body.turns.1.text", "Value error, must not be blank"),
        "long speaker": ("body.turns.1.speaker", "String should have at most 100 characters"),
        "long text": ("body.turns.1.text", "String should have at most 8000 characters"),
        "long session": ("body.turns.1.session", "String should have at most 200 characters"),
        "long id": ("body.turns.1.external_id", "String should have at most 200 characters"),
        "empty id": ("body.turns.1.external_id", "String should have at least 1 character"),
        "big metadata": ("body.turns.1.metadata", "Value error, must be at most 4096 bytes as JSON"),
        "unknown": (
            "body.turns.1",
            "Value error, has an unknown field; known are speaker, text, said_at, session, external_id, metadata",
        ),
    }


async def test_characters_that_no_text_holds_are_refused(client: httpx.AsyncClient, sessions: Sessions) -> None:
    turns: dict[str, Any] = {}
    for name, bad in {"nul": f"{ECHO}\x00", "surrogate": f"{ECHO}\ud800"}.items():
        turns |= {f"{name} {field}": GOOD | {field: bad} for field in ("speaker", "text", "session", "external_id")}
        shapes: list[dict[str, Any]] = [{"a": bad}, {bad: 1}, {"a": {"b": [{bad: 1}]}}, {"a": {"b": [1, bad]}}]
        turns |= {f"{name} metadata {i}": GOOD | {"metadata": shape} for i, shape in enumerate(shapes)}
        turns |= {f"{name} field": GOOD | {bad: 1}, f"{name} said_at": GOOD | {"said_at": bad}}
    await refused(client, sessions, posts(turns), 422)
    texts = {"search": "query", "ask": "question"}
    bad_texts: dict[str, Any] = {
        f"{p} {code}": ("POST", PATHS[p], {field: f"{ECHO}{code}"})
        for p, field in texts.items()
        for code in "\x00\ud800"
    }
    await refused(client, sessions, bad_texts, 422)


async def test_metadata_that_is_no_plain_json_is_refused(client: httpx.AsyncClient, sessions: Sessions) -> None:
    values = {"nan": "NaN", "infinity": "-Infinity", "overflow": "1e999"}
    values |= {f"deep {n}": "[" * n + "]" * n for n in (16, 50, 200, 500, 900)}
    body = '{"turns": [{"speaker": "A", "text": "x", "metadata": {"a": %s}}]}'
    requests = {name: ("POST", PATHS["turns"], body % value) for name, value in values.items()}
    problems = await refused(client, sessions, requests, 422, 400)
    assert faults({n: p for n, p in problems.items() if n in ("nan", "deep 16")}) == {
        "nan": ("body.turns.0.metadata", "Value error, must be plain JSON without NaN, infinities or lone surrogates"),
        "deep 16": ("body.turns.0.metadata", "Value error, must be nested at most 16 deep"),
    }


async def test_metadata_at_its_bounds_is_stored_as_it_is(client: httpx.AsyncClient) -> None:
    deep: Any = "x"
    for _ in range(15):
        deep = [deep]
    metadata = {"deep": deep, "big": 10**400, "small": 5e-324, "written": "\\u0000", "pair": "\U0001f600", "": None}
    turn = GOOD | {"metadata": metadata, "external_id": "kept"}
    for duplicates in (0, 1):
        posted = await client.post(PATHS["turns"], json={"turns": [turn]})
        assert (posted.status_code, posted.json().get("duplicates")) == (202, duplicates), posted.text


async def test_dates_that_are_none_or_far_away_are_refused(client: httpx.AsyncClient, sessions: Sessions) -> None:
    dates: dict[str, Any] = {
        "year 0": "0000-01-01T00:00:00Z",
        "year 1": "0001-01-01T00:00:00+14:00",
        "year 1899": "1899-12-31T23:59:59Z",
        "year 9999": "9999-12-31T23:59:59-14:00",
        "year 10000": "10000-01-01T00:00:00Z",
        "naive": "2023-05-08T13:56:00",
        "date": "2023-05-08",
        "epoch": 1683554160,
        "epoch text": "1683554160",
        "epoch float": 1683554160.5,
        "true": True,
        "empty": "",
        "words": "yesterday",
        "month 13": "2023-13-01T00:00:00Z",
        "february 30": "2023-02-30T00:00:00Z",
        "hour 25": "2023-02-20T25:00:00Z",
        "far offset": "2023-02-20T20:00:00+99:99",
        "other digits": "２０２３-05-08T13:56:00Z",
        "infinite": "inf",
    }
    found = faults(
        await refused(client, sessions, posts({n: GOOD | {"said_at": date} for n, date in dates.items()}), 422)
    )
    assert {at for at, _ in found.values()} == {"body.turns.1.said_at"}
    assert found["year 1"][1] == found["year 9999"][1] == "Value error, must be from the year 1900 to 2199"
    assert found["naive"][1] == "Input should have timezone info"
    assert "as RFC 3339 has it" in found["epoch"][1]


async def test_posts_of_too_many_turns_say_how_many_are_allowed(client: httpx.AsyncClient, sessions: Sessions) -> None:
    def many(count: int) -> tuple[str, str, Any]:
        return "POST", PATHS["turns"], {"turns": [{"speaker": "A", "text": "x"}] * count}

    problems = await refused(client, sessions, {"none": many(0), "1001": many(1001), "10001": many(10_001)}, 422)
    assert problems["1001"]["detail"] == "A post holds at most 1000 turns."
    assert problems["10001"]["errors"][0]["detail"].startswith("List should have at most 10000 items")
    assert problems["none"]["errors"][0]["detail"].startswith("List should have at least 1 item")


async def test_many_faults_are_answered_with_a_few(client: httpx.AsyncClient, sessions: Sessions) -> None:
    bodies: dict[str, Any] = {
        "numbers": {"turns": [1] * 1_000_000},
        "bad turns": {"turns": [{}] * 10_000},
        "unknown fields": {"turns": [{f"{ECHO}{i}": 1 for i in range(100_000)}]},
    }
    requests = {name: ("POST", PATHS["turns"], body) for name, body in bodies.items()}
    problems = await refused(client, sessions, requests, 422)
    assert {name: len(problem["errors"]) for name, problem in problems.items()} == {
        "numbers": 1,
        "bad turns": 20,
        "unknown fields": 1,
    }


async def test_a_post_is_stored_whole_or_not_at_all(client: httpx.AsyncClient, sessions: Sessions) -> None:
    new = GOOD | {"external_id": "two"}
    other = GOOD | {"external_id": "one", "text": ECHO}
    requests: dict[str, Any] = {
        "known id with other text": ("POST", PATHS["turns"], {"turns": [new, other]}),
        "another time": (
            "POST",
            PATHS["turns"],
            {"turns": [new, GOOD | {"external_id": "one", "said_at": "2023-05-08T00:00:00Z"}]},
        ),
    }
    problems = await refused(client, sessions, requests, 409)
    assert {p["type"].rpartition("/")[2] for p in problems.values()} == {"turn-conflict"}
    repeated = {"twice": ("POST", "/v1/banks/new/turns", {"turns": [new, GOOD, new]})}
    found = await refused(client, sessions, repeated, 422)
    assert found["twice"]["detail"] == "Two turns of the post have the same external_id."


async def test_searches_and_questions_out_of_bounds_are_refused(
    client: httpx.AsyncClient, sessions: Sessions, completer: ScriptedCompleter
) -> None:
    searches: dict[str, Any] = {
        "blank": {"query": " "},
        "long": {"query": "x" * 2001},
        "limit 0": {"query": "x", "limit": 0},
        "limit 61": {"query": "x", "limit": 61},
        "limit text": {"query": "x", "limit": "5"},
        "limit true": {"query": "x", "limit": True},
        "limit float": {"query": "x", "limit": 1.5},
        "limit huge": {"query": "x", "limit": 10**400},
        "lexical text": {"query": "x", "lexical": "yes"},
        "per speaker number": {"query": "x", "per_speaker": 1},
        "unknown": {"query": "x", ECHO: 1},
    }
    questions: dict[str, Any] = {
        "blank": {"question": "\n"},
        "long": {"question": "x" * 2001},
        "number": {"question": 7},
        "null": {"question": None},
        "unknown": {"question": "x", ECHO: 1},
    }
    requests = {f"search {n}": ("POST", PATHS["search"], body) for n, body in searches.items()}
    requests |= {f"ask {n}": ("POST", PATHS["ask"], body) for n, body in questions.items()}
    found = faults(await refused(client, sessions, requests, 422))
    assert found["search limit 61"] == ("body.limit", "Input should be less than or equal to 60")
    assert found["ask long"] == ("body.question", "String should have at most 2000 characters")
    assert completer.calls(Role.ANSWERER) == 0


async def test_pages_out_of_bounds_are_refused(client: httpx.AsyncClient, sessions: Sessions) -> None:
    queries = [f"limit={limit}" for limit in ("0", "-1", "201", 10**20, "x", "", "1.5", "%zz", "%00", "9" * 5000)]
    # Not base64, not text, a NUL, blank, padded, not ours by a bit, nothing.
    cursors = [
        "!",
        "_w",
        "AGE",
        "IA",
        "MQ%3D%3D",
        "MR",
        "%ff",
        "%00",
        "a" * 399,
        "",
        "LTE",
        "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA",
    ]
    queries += [f"cursor={cursor}" for cursor in cursors]
    paths = ["/v1/banks/alice/memories"]
    requests: dict[str, Any] = {f"{p}?{q}"[:80]: ("GET", f"{p}?{q}", None) for p in paths for q in queries}
    requests |= {f"banks {q}"[:80]: ("GET", f"/v1/banks?{q}", None) for q in queries[:-2]}
    problems = await refused(client, sessions, requests, 422)
    limits = faults({n: p for n, p in problems.items() if n.endswith("limit=201")})
    assert set(limits.values()) == {("query.limit", "Input should be less than or equal to 200")}


async def test_names_that_no_bank_can_have_are_refused(client: httpx.AsyncClient, sessions: Sessions) -> None:
    names = ["%00", "a%00", "a%0A", "%20", "-a", ".a", "..%5Ca", "é", "%ff", "a" * 129, "a%22", "%F0%9F%98%80", "a%3Fb"]
    requests: dict[str, Any] = {f"get {name}": ("GET", f"/v1/banks/{name}", None) for name in names}
    requests |= {f"del {name}": ("DELETE", f"/v1/banks/{name}", None) for name in names}
    requests |= {f"post {n}": ("POST", f"/v1/banks/{n}/turns", {"turns": [GOOD]}) for n in names}
    found = faults(await refused(client, sessions, requests, 422))
    assert {at for at, _ in found.values()} == {"path.bank"}


async def test_paths_that_lead_elsewhere_lead_nowhere(client: httpx.AsyncClient, sessions: Sessions) -> None:
    paths = ["/", "/v1", "/v1/banks/", "/v1/banks/alice/", "/v1/banks//turns", "/v1/banks/..%2f..%2fetc%2fpasswd"]
    paths += ["/v1/banks/alice/turns/", f"/{ECHO}", "/v1/banks/%2e%2e%2f", "/v2/banks", "/V1/banks", "/openapi.json/x"]
    requests: dict[str, Any] = {path: ("GET", path, None) for path in paths}
    problems = await refused(client, sessions, requests, 404)
    assert {p["type"].rpartition("/")[2] for p in problems.values()} == {"no-such-path"}


async def test_ids_that_are_none_or_unknown_are_told_apart(client: httpx.AsyncClient, sessions: Sessions) -> None:
    places = {"ingestions/": "unknown-ingestion", "memories/": "unknown-memory", "answers/": "unknown-answer"}
    malformed = ["1", "x" * 36, "%00", f"{uuid4()}x", "a" * 5000, str(uuid4())[:-1], "%7Bfalse%7D"]
    requests: dict[str, Any] = {
        f"{place}{i}"[:60]: ("GET", f"/v1/banks/alice/{place}{i}", None) for place in places for i in malformed
    }
    requests["retry"] = ("POST", "/v1/banks/alice/ingestions/1/retry", None)
    await refused(client, sessions, requests, 422)
    for place, slug in places.items():
        response = await client.get(f"/v1/banks/alice/{place}{uuid4()}")
        assert (response.status_code, slug_of(response)) == (404, slug)
    retry = await client.post(f"/v1/banks/alice/ingestions/{uuid4()}/retry")
    assert (retry.status_code, slug_of(retry)) == (404, "unknown-ingestion")
    nobody = await client.get(f"/v1/banks/{ECHO}")
    assert problem_of(nobody)["detail"] == "There is no such bank." and ECHO not in nobody.text


async def test_bodies_that_are_not_declared_as_json_are_refused(client: httpx.AsyncClient, sessions: Sessions) -> None:
    before = await count_rows(sessions)
    body = json.dumps({"turns": [GOOD]})
    for kind in (
        "text/plain",
        "application/xml",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
        "json",
        "",
    ):
        response = await client.post(PATHS["turns"], content=body, headers={"content-type": kind} if kind else {})
        assert (response.status_code, slug_of(response)) == (415, "not-json"), kind
    assert await count_rows(sessions) == before
    fine = await client.post(PATHS["turns"], content=body, headers={"content-type": "Application/JSON; charset=utf-8"})
    assert fine.status_code == 202


async def test_methods_that_a_path_does_not_know_are_named(client: httpx.AsyncClient, sessions: Sessions) -> None:
    before = await count_rows(sessions)
    for path in (*PATHS.values(), "/v1/banks", "/v1/health/live"):
        # What is no search is about a memory of that id, which none can have.
        known = {"PATCH", "DELETE"} if path == PATHS["search"] else set()
        for method in {"PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"} - known:
            response = await client.request(method, path)
            assert (response.status_code, slug_of(response)) == (405, "no-such-method"), (method, path)
            assert response.headers["allow"]
    assert await count_rows(sessions) == before
