"""Every error becomes a problem with a status and a slug that stay; what is away comes back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from app.api import problems
from app.core import errors
from app.core.values import Prompt
from app.settings import Settings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.problems import problem_of, slug_of
from tests.fixtures.service import api

TURN = {"speaker": "Alice", "text": "I adopted a dog named Buddy."}
SECRET = "zebra-said-in-confidence"
SLUGS = {
    "memory-service-error": 500,
    "not-found": 404,
    "unknown-bank": 404,
    "unknown-memory": 404,
    "unknown-turn": 404,
    "unknown-ingestion": 404,
    "unknown-answer": 404,
    "unknown-operation": 404,
    "unknown-key": 404,
    "unknown-webhook": 404,
    "unknown-delivery": 404,
    "unknown-erasure": 404,
    "unknown-policy": 404,
    "conflict": 409,
    "turn-conflict": 409,
    "stale-memory": 409,
    "nothing-to-retry": 409,
    "idempotency-conflict": 409,
    "undo-conflict": 409,
    "nothing-to-undo": 409,
    "ingestion-under-way": 409,
    "erased-meanwhile": 409,
    "bank-exists": 409,
    "precondition-failed": 412,
    "forbidden": 403,
    "invalid-input": 422,
    "unfit-policy": 422,
    "unauthenticated": 401,
    "embedding-mismatch": 409,
    "overloaded": 429,
    "rate-limited": 429,
    "quota-exceeded": 429,
    "model-error": 502,
    "model-unreachable": 503,
    "model-timed-out": 504,
    "model-overloaded": 503,
    "model-refused": 502,
    "reply-cut-off": 502,
    "broken-reply": 502,
}


def served_errors(kind: type[errors.MemoryServiceError]) -> Iterator[type[errors.MemoryServiceError]]:
    """The tree of errors, as far as the service itself raises them."""
    yield kind
    for below in kind.__subclasses__():
        # Scoring belongs to the evaluation: whether it was imported before this test must not matter.
        if below.__module__.startswith(("app.core", "app.services")) and below.__module__ != "app.core.scoring":
            yield from served_errors(below)


def test_every_error_has_the_status_and_slug_that_clients_know() -> None:
    kinds = set(served_errors(errors.MemoryServiceError))
    assert kinds == set(problems.STATUS_OF)
    assert {problems.slug_of(kind): problems.STATUS_OF[kind] for kind in kinds} == SLUGS


def test_retries_are_offered_where_they_can_help() -> None:
    for status in problems.STATUS_OF.values():
        headers = problems.problem_response(status, "some", "Some.").headers
        assert ("retry-after" in headers) is (status in (429, 503))
        assert ("www-authenticate" in headers) is (status == 401)


@pytest.mark.parametrize(
    ("kind", "status"),
    [(kind, status) for kind, status in problems.STATUS_OF.items() if issubclass(kind, errors.ModelError)],
)
async def test_a_model_that_fails_is_told_apart_from_a_bank_that_does_not_know(
    kind: type[errors.ModelError], status: int, client: httpx.AsyncClient, completer: ScriptedCompleter
) -> None:
    await client.post("/v1/banks/alice/turns", json={"turns": [TURN]}, headers={"prefer": "wait=30"})
    completer.replies["answerer"] = raising(kind(f"inside: {SECRET}") if kind is errors.ModelError else kind())
    response = await client.post("/v1/banks/alice/answer", json={"question": "Which dog?"})
    assert (response.status_code, slug_of(response)) == (status, problems.slug_of(kind))


def raising(error: Exception) -> Callable[[Prompt], str]:
    """A reply that fails."""

    def reply(prompt: Prompt) -> str:
        raise error

    return reply


async def test_a_reply_that_follows_no_schema_is_a_bad_gateway(
    client: httpx.AsyncClient, completer: ScriptedCompleter
) -> None:
    await client.post("/v1/banks/alice/turns", json={"turns": [TURN]}, headers={"prefer": "wait=30"})
    completer.replies["answerer"] = lambda prompt: SECRET
    response = await client.post("/v1/banks/alice/answer", json={"question": "Which dog?"})
    assert (response.status_code, slug_of(response)) == (502, "broken-reply")
    assert SECRET not in response.text


async def test_a_fault_of_ours_says_nothing_of_its_cause(
    client: httpx.AsyncClient, completer: ScriptedCompleter
) -> None:
    await client.post("/v1/banks/alice/turns", json={"turns": [TURN]}, headers={"prefer": "wait=30"})
    completer.replies["answerer"] = raising(ZeroDivisionError(SECRET))
    response = await client.post("/v1/banks/alice/answer", json={"question": "Which dog?"})
    assert (response.status_code, slug_of(response)) == (500, "internal-error")
    assert SECRET not in response.text


async def test_what_users_say_is_in_no_log(
    client: httpx.AsyncClient, completer: ScriptedCompleter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    turn = {"speaker": SECRET, "text": SECRET, "external_id": SECRET, "metadata": {SECRET: SECRET}}
    turns = [turn | {"text": f"{SECRET}\x00"}, turn | {SECRET: 1}, turn | {"said_at": SECRET}]
    for bad in turns:
        assert (await client.post("/v1/banks/alice/turns", json={"turns": [bad]})).status_code == 422
    await client.post("/v1/banks/alice/turns", json={"turns": [turn]}, headers={"prefer": "wait=30"})
    conflict = await client.post("/v1/banks/alice/turns", json={"turns": [turn | {"text": "other"}]})
    assert (conflict.status_code, slug_of(conflict)) == (409, "turn-conflict")
    completer.replies["answerer"] = raising(errors.ModelUnreachable())
    assert (await client.post("/v1/banks/alice/answer", json={"question": SECRET})).status_code == 503
    assert (await client.post("/v1/banks/alice/memories/search", json={"query": f"{SECRET}\x00"})).status_code == 422
    assert SECRET not in caplog.text
    assert SECRET not in conflict.text


async def test_a_database_that_is_away_is_a_503_and_comes_back(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    async with api(settings, completer, embedder) as client:
        await client.post("/v1/banks/alice/turns", json={"turns": [TURN]}, headers={"prefer": "wait=30"})
        allow_connections(settings, False)
        asked = {"question": "Which dog?"}
        for response in (
            await client.get("/v1/health/ready"),
            await client.post("/v1/banks/alice/turns", json={"turns": [TURN]}),
            await client.post("/v1/banks/alice/answer", json=asked),
            await client.get("/v1/banks"),
        ):
            assert (response.status_code, slug_of(response)) == (503, "database-away")
            assert response.headers["retry-after"] == "2"
            assert "127.0.0.1" not in response.text
        assert (await client.get("/v1/health/live")).status_code == 200
        allow_connections(settings, True)
        assert (await client.get("/v1/health/ready")).status_code == 200
        posted = await client.post("/v1/banks/alice/turns", json={"turns": [TURN]}, headers={"prefer": "wait=60"})
        assert posted.json()["state"] == "done"


async def test_a_database_that_was_never_there_is_a_503(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    nowhere = settings.database.model_copy(update={"url": SecretStr("postgresql+psycopg://a@127.0.0.1:1/b")})
    async with api(settings.model_copy(update={"database": nowhere}), completer, embedder, with_worker=False) as client:
        response = await client.get("/v1/health/ready")
        assert problem_of(response)["detail"] == "The database cannot be reached."


def allow_connections(settings: Settings, allow: bool) -> None:
    """Let nobody into the test's database any more and end who is in, or let them in again."""
    server, _, name = settings.database.url.get_secret_value().replace("+psycopg", "").rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {allow}'.encode())
        if not allow:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
