"""Answers and ingestions over server-sent events, from a real server to clients that stay, go away or may not ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import func, select

from app.api import streaming as streams
from app.core import errors
from app.core.values import Prompt
from app.db import tables
from app.db.engine import Sessions
from app.services import following
from app.settings import Settings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter, abstains_where_it_may, every_sentence
from tests.fixtures.everything import everything
from tests.fixtures.hearing import Event, HeldCompleter, all_events, streaming
from tests.fixtures.live import live
from tests.fixtures.problems import slug_of
from tests.fixtures.tenants import key_of

SAID = 'I adopted a dog named Žofka 🐕\u2028 "Bud\\dy".'
ASK = {"question": "Which dog does Alice have?"}
AT = "/v1/banks/alice"
ANSWER = f"{AT}/answer"
PATIENCE = 60


@pytest.fixture
def completer() -> HeldCompleter:
    """Holds in the middle of an answer, until it is let go."""
    return HeldCompleter("named")


@pytest_asyncio.fixture
async def http(live_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a whole service over HTTP, with one memory in the bank "alice"."""
    async with httpx.AsyncClient(base_url=live_url, timeout=PATIENCE, trust_env=False) as client:
        await post(client, SAID)
        yield client


async def post(client: httpx.AsyncClient, *said: str, wait: bool = True, **options: Any) -> dict[str, Any]:
    headers = {"prefer": "wait=60"} if wait else {}
    turns = [{"speaker": "Alice", "text": text} for text in said]
    headers |= options.pop("headers", {})
    posted = await client.post(f"{AT}/turns", json={"turns": turns}, headers=headers, **options)
    assert posted.status_code == 202, posted.text
    receipt: dict[str, Any] = posted.json()
    return receipt


def text_of(events: list[Event]) -> str:
    """The answer's text as a client puts it together."""
    text = ""
    for event in events:
        text = "" if event.name == "reset" else text + (event.data["text"] if event.name == "token" else "")
    return text


async def stored(sessions: Sessions, table: Any) -> int:
    async with everything(sessions) as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def until_free(completer: HeldCompleter) -> None:
    async with asyncio.timeout(PATIENCE):
        while completer.under_way:
            await asyncio.sleep(0.01)


async def test_a_streamed_answer_is_the_plain_one_told_in_order(
    http: httpx.AsyncClient, completer: HeldCompleter
) -> None:
    completer.go_on.set()
    plain = (await http.post(ANSWER, json=ASK)).json()
    events = await all_events(http, "POST", ANSWER, json=ASK)
    names = [event.name for event in events]
    assert names[:2] == ["candidates", "distilled"]
    assert names[-1] == "done"
    assert set(names[2:-1]) == {"token"}
    assert len(names) > 4
    done = events[-1].data
    told_by_chance = {"id", "timings", "created_at"}
    assert {k: v for k, v in done.items() if k not in told_by_chance} == {
        k: v for k, v in plain.items() if k not in told_by_chance
    }
    assert text_of(events) == done["answer"] == plain["answer"]
    assert "🐕" in done["answer"]
    assert events[1].data["memories"] == done["memories"]
    shown = [{k: v for k, v in one.items() if k != "distilled"} for one in done["candidates"]]
    assert events[0].data["candidates"] == shown
    assert (await http.get(f"{AT}/answers/{done['id']}")).json() == done


async def test_a_best_guess_is_streamed_too(http: httpx.AsyncClient, completer: HeldCompleter) -> None:
    completer.go_on.set()
    completer.replies["answerer"] = abstains_where_it_may
    for best_guess, text in ((False, ""), (True, "Alice")):
        events = await all_events(http, "POST", ANSWER, json=ASK | {"best_guess": best_guess})
        assert (text_of(events), events[-1].data["best_guess"]) == (text, best_guess)


async def test_tokens_come_before_the_model_has_ended_and_in_ascii(
    http: httpx.AsyncClient, completer: HeldCompleter
) -> None:
    async with http.stream("POST", ANSWER, json=ASK, headers={"accept": "text/event-stream"}) as response:
        assert response.headers["content-type"].partition(";")[0] == "text/event-stream"
        assert response.headers["cache-control"] == "no-store"
        raw = b""
        async for chunk in response.aiter_raw():
            raw += chunk
            if b"event: token" in raw:
                completer.go_on.set()
    assert raw.isascii()
    assert b"event: done" in raw
    assert [line for line in raw.decode().split("\n") if line and not line.startswith(("event: ", "data: "))] == []


async def test_where_nothing_is_known_nothing_is_said(http: httpx.AsyncClient) -> None:
    await http.delete(AT)
    await http.post(f"{AT}/turns", json={"turns": [{"speaker": "Alice", "text": "Who?"}]}, headers={"prefer": "wait=9"})
    events = await all_events(http, "POST", ANSWER, json=ASK)
    assert [event.name for event in events] == ["candidates", "distilled", "done"]
    assert (events[-1].data["abstained"], events[-1].data["candidates"]) == (True, [])


async def test_who_asks_for_a_stream_gets_one(http: httpx.AsyncClient, completer: HeldCompleter) -> None:
    completer.go_on.set()
    streamed = ("text/event-stream", "application/json, Text/Event-Stream;q=0.5")
    plain = ("text/event-stream;q=0", "text/event-stream; q=0.000", "*/*", "text/*", ",;,text/event-streams", "")
    for accept in (*streamed, *plain):
        response = await http.post(ANSWER, json=ASK, headers={"accept": accept})
        kind = response.headers["content-type"].partition(";")[0]
        assert kind == ("text/event-stream" if accept in streamed else "application/json"), accept


async def test_what_fails_before_the_first_event_is_an_ordinary_problem(
    http: httpx.AsyncClient, embedder: HashEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"accept": "text/event-stream"}
    gone = await http.post("/v1/banks/nobody/answer", json=ASK, headers=headers)
    assert (gone.status_code, slug_of(gone)) == (404, "unknown-bank")
    bad = await http.post(ANSWER, json={}, headers=headers)
    assert (bad.status_code, slug_of(bad)) == (422, "invalid-input")

    async def fail(texts: Any) -> Any:
        raise errors.ModelTimedOut()

    monkeypatch.setattr(embedder, "embed", fail)
    away = await http.post(ANSWER, json=ASK, headers=headers)
    assert (away.status_code, slug_of(away)) == (504, "model-timed-out")


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (errors.ModelUnreachable(), 503, "model-unreachable"),
        (errors.ReplyCutOff(), 502, "reply-cut-off"),
        (ZeroDivisionError("SECRET"), 500, "internal-error"),
    ],
)
async def test_a_model_that_dies_in_the_middle_ends_the_stream_with_its_problem(
    http: httpx.AsyncClient,
    completer: HeldCompleter,
    sessions: Sessions,
    error: Exception,
    status: int,
    slug: str,
) -> None:
    completer.error = error
    completer.go_on.set()
    events = await all_events(http, "POST", ANSWER, json=ASK)
    assert [event.name for event in events] == ["candidates", "distilled", "token", "error"]
    problem = events[-1].data
    assert (problem["status"], problem["type"].rpartition("/")[2]) == (status, slug)
    assert "SECRET" not in json.dumps(problem)
    assert (await stored(sessions, tables.answers), completer.under_way) == (0, 0)


async def test_a_refused_reply_is_void(http: httpx.AsyncClient, completer: HeldCompleter, sessions: Sessions) -> None:
    completer.replies["answerer"] = lambda prompt: '{"memories": [1], "answer": "he is named Bu'
    completer.go_on.set()
    events = await all_events(http, "POST", ANSWER, json=ASK)
    assert [event.name for event in events] == ["candidates", "distilled", "token", "token", "error"]
    assert events[-1].data["status"] == 502
    assert await stored(sessions, tables.answers) == 0


async def test_a_reply_that_begins_anew_is_told_anew(http: httpx.AsyncClient, completer: HeldCompleter) -> None:
    completer.restarts_with = '{"memories": [], "answer": "Another."}'
    completer.go_on.set()
    events = await all_events(http, "POST", ANSWER, json=ASK)
    assert [event.name for event in events] == [
        *("candidates", "distilled", "token"),
        *("reset", "distilled", "token", "done"),
    ]
    assert text_of(events) == events[-1].data["answer"] == "Another."


async def test_a_client_that_goes_away_ends_the_call_and_frees_its_place(
    settings: Settings, completer: HeldCompleter, embedder: HashEmbedder, sessions: Sessions
) -> None:
    one = settings.model_copy(
        update={"server": settings.server.model_copy(update={"max_answers": 1, "require_key": True})}
    )
    headers = await key_of(sessions, "acme", questions_per_day=1)
    async with live(one, completer, embedder) as url, httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http:
        await post(http, SAID, headers=headers)
        async with streaming(http, "POST", ANSWER, json=ASK, headers=headers) as (_, events):
            async for event in events:
                if event.name == "token":
                    break
            assert completer.under_way == 1
        await until_free(completer)
        completer.go_on.set()
        async with asyncio.timeout(PATIENCE):
            # The place and the day's question come back, in the time that giving them back takes.
            while (answered := await http.post(ANSWER, json=ASK, headers=headers)).status_code == 429:
                await asyncio.sleep(0.05)
        assert answered.status_code == 200
    assert await stored(sessions, tables.answers) == 1


async def test_one_key_one_answer_streamed_or_not(
    http: httpx.AsyncClient, completer: HeldCompleter, sessions: Sessions
) -> None:
    completer.go_on.set()
    key = {"idempotency-key": "k1"}
    async with streaming(http, "POST", ANSWER, json=ASK, headers=key) as (response, events):
        assert "idempotency-replayed" not in response.headers
        done = [event async for event in events][-1].data
    plain = await http.post(ANSWER, json=ASK, headers=key)
    assert (plain.json(), plain.headers["idempotency-replayed"]) == (done, "true")
    async with streaming(http, "POST", ANSWER, json=ASK, headers=key) as (response, events):
        assert response.headers["idempotency-replayed"] == "true"
        again = [event async for event in events]
    assert [event.name for event in again] == ["candidates", "distilled", "token", "done"]
    assert (again[-1].data, text_of(again)) == (done, done["answer"])
    assert await stored(sessions, tables.answers) == 1
    other = await http.post(ANSWER, json={"question": "Who?"}, headers={**key, "accept": "text/event-stream"})
    assert (other.status_code, slug_of(other)) == (409, "idempotency-conflict")


async def test_of_two_at_once_under_one_key_both_end_with_the_answer_that_was_kept(
    http: httpx.AsyncClient, completer: HeldCompleter, sessions: Sessions
) -> None:
    asked = 0

    def another_each_time(prompt: Prompt) -> str:
        nonlocal asked
        asked += 1
        return json.dumps({"memories": [1], "answer": f"Number {asked} is named."})

    completer.replies["answerer"] = another_each_time
    options = {"json": ASK, "headers": {"idempotency-key": "k1"}}
    both = [asyncio.create_task(all_events(http, "POST", ANSWER, **options)) for _ in range(2)]
    async with asyncio.timeout(PATIENCE):
        while completer.under_way < 2:
            await asyncio.sleep(0.01)
    completer.go_on.set()
    one, other = await asyncio.gather(*both)
    assert one[-1].data == other[-1].data
    assert text_of(one) == text_of(other) == one[-1].data["answer"]
    assert sum(event.name == "reset" for event in one + other) == 1
    assert await stored(sessions, tables.answers) == 1


async def test_silence_is_kept_alive_by_comments(
    http: httpx.AsyncClient, completer: HeldCompleter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.02)
    async with http.stream("POST", ANSWER, json=ASK, headers={"accept": "text/event-stream"}) as response:
        raw = ""
        async for chunk in response.aiter_text():
            raw += chunk
            if raw.count(": ping\n\n") >= 3:
                completer.go_on.set()
    assert "event: done" in raw


def events_of(receipt: dict[str, Any]) -> str:
    return f"{AT}/ingestions/{receipt['ingestion_id']}/events"


async def test_each_turn_is_told_as_it_ends_woken_by_the_database(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 3600.0)
    monkeypatch.setattr(following, "PAGE", 2)
    receipt = await post(http, *[f"I bought item number {n}." for n in range(5)], wait=False)
    async with asyncio.timeout(PATIENCE):
        events = await all_events(http, "GET", events_of(receipt))
    assert [event.name for event in events] == ["turn"] * 5 + ["end"]
    assert [event.data["turn_id"] for event in events[:-1]] == receipt["turn_ids"]
    assert [event.data["operations"][0]["kind"] for event in events[:-1]] == ["ADD"] * 5
    assert events[-1].data == {"id": receipt["ingestion_id"], "state": "done", "done": 5, "failed": 0}
    whole = (await http.get(f"{AT}/ingestions/{receipt['ingestion_id']}")).json()
    assert [event.data for event in events[:-1]] == whole["turns"]

    for n in range(5):
        later = await all_events(http, "GET", events_of(receipt), headers={"last-event-id": events[n].id})
        assert [event[:2] for event in later] == [event[:2] for event in events[n + 1 :]]


async def test_a_turn_that_failed_is_told_again_once_it_was_retried(
    http: httpx.AsyncClient, completer: HeldCompleter
) -> None:
    completer.replies["extractor"] = lambda prompt: "no JSON"
    receipt = await post(http, "I bought a cat.", "I bought a hat.", wait=False)
    failed = await all_events(http, "GET", events_of(receipt))
    assert [event.data["state"] for event in failed] == ["failed"] * 3
    assert failed[0].data["error"]["type"] == "BrokenReply"
    completer.replies["extractor"] = every_sentence
    assert (await http.post(f"{AT}/ingestions/{receipt['ingestion_id']}/retry")).status_code == 202
    done = await all_events(http, "GET", events_of(receipt), headers={"last-event-id": failed[1].id})
    assert [event.data["state"] for event in done] == ["done"] * 3


async def test_a_post_of_nothing_new_ends_at_once(http: httpx.AsyncClient) -> None:
    turns = {"turns": [{"speaker": "Alice", "text": "I bought a cat.", "external_id": "1"}]}
    await http.post(f"{AT}/turns", json=turns, headers={"prefer": "wait=60"})
    again = (await http.post(f"{AT}/turns", json=turns)).json()
    (end,) = await all_events(http, "GET", events_of(again))
    assert (end.name, end.data["done"]) == ("end", 0)


async def test_a_place_that_was_never_given_out_is_refused(http: httpx.AsyncClient) -> None:
    receipt = await post(http, "I bought a cat.")
    for place in ("x", "0", "!", "MQ", "MS4x.", "OTk5OTk5OTk5OTk5OTk5OTk5LjE", "é", "x" * 300):
        refused = await http.get(events_of(receipt), headers=[(b"last-event-id", place.encode())])
        assert (refused.status_code, slug_of(refused)) == (422, "invalid-input"), place


async def test_another_tenants_answers_and_ingestions_are_not_there(
    settings: Settings, completer: HeldCompleter, embedder: HashEmbedder, sessions: Sessions
) -> None:
    guarded = settings.model_copy(update={"server": settings.server.model_copy(update={"require_key": True})})
    mine, theirs = await key_of(sessions, "acme"), await key_of(sessions, "rival")
    elsewhere = await key_of(sessions, "acme", banks=("bob",))
    completer.go_on.set()
    async with live(guarded, completer, embedder) as url, httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http:
        receipt = await post(http, SAID, headers=mine)
        await post(http, "I bought a cat.", headers=theirs)
        for headers, status in (({}, 401), (theirs, 404), (elsewhere, 404)):
            refused = await http.get(events_of(receipt), headers=headers)
            assert refused.status_code == status
        events = await all_events(http, "POST", ANSWER, json=ASK, headers=theirs)
        assert "Žofka" not in str(events)
        assert (await http.post(ANSWER, json=ASK, headers={"accept": "text/event-stream"})).status_code == 401
        assert [event.name for event in await all_events(http, "GET", events_of(receipt), headers=mine)] == [
            "turn",
            "end",
        ]


async def waiting(http: httpx.AsyncClient, completer: ScriptedCompleter) -> dict[str, Any]:
    """A post whose only turn is worked on for ever."""
    completer.delay = 3600
    return await post(http, "I bought a cat.", wait=False)


async def test_a_bank_that_is_erased_while_it_is_followed_ends_with_a_problem(
    http: httpx.AsyncClient, completer: HeldCompleter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.05)
    receipt = await waiting(http, completer)
    async with streaming(http, "GET", events_of(receipt)) as (response, events):
        assert response.status_code == 200
        assert (await http.delete(AT)).is_success
        (last,) = [event async for event in events]
    assert (last.name, last.data["status"]) == ("error", 404)


async def test_who_follows_is_let_go_when_the_time_is_up_or_the_process_ends(
    settings: Settings, completer: HeldCompleter, embedder: HashEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        async with live(settings, completer, embedder) as url:
            http.base_url = httpx.URL(url)
            receipt = await waiting(http, completer)
            with monkeypatch.context() as patch:
                patch.setattr(following, "FOLLOW_SECONDS", 0.1)
                assert await all_events(http, "GET", events_of(receipt)) == []
            head = await http.head(events_of(receipt))
            assert (head.status_code, head.content) == (200, b"")
            opened = asyncio.Event()

            async def follow() -> list[Event]:
                async with streaming(http, "GET", events_of(receipt)) as (_, events):
                    opened.set()
                    return [event async for event in events]

            follower = asyncio.create_task(follow())
            await opened.wait()
        assert await follower == []
