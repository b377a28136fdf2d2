"""Following what was posted, page by page and turn by turn, while other things happen."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import nullcontext
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from sqlalchemy import select

from app.core.values import Prompt, Role
from app.db import tables
from app.db.engine import Sessions
from app.main import create_app
from app.services.service import Service
from app.settings import Settings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter, decisions
from tests.fixtures.everything import everything
from tests.fixtures.problems import slug_of
from tests.fixtures.rows import count_rows
from tests.fixtures.service import api

BANK = "/v1/banks/alice"
WAIT = {"prefer": "wait=60"}


def turn(number: int, text: str = "I like tea") -> dict[str, Any]:
    return {"speaker": "Alice", "text": f"{text} {number}.", "external_id": str(number)}


async def post(client: httpx.AsyncClient, *turns: dict[str, Any], bank: str = "alice") -> dict[str, Any]:
    """The receipt of turns that are worked off."""
    response = await client.post(f"/v1/banks/{bank}/turns", json={"turns": turns}, headers=WAIT)
    assert response.status_code == 202, response.text
    receipt: dict[str, Any] = response.json()
    return receipt


async def test_pages_of_memories_are_complete_while_some_are_added(client: httpx.AsyncClient) -> None:
    await post(client, *(turn(i) for i in range(7)))
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 3}
    while True:
        page = (await client.get(f"{BANK}/memories", params=params)).json()
        seen += [memory["text"] for memory in page["memories"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
        if len(seen) == 3:
            await post(client, turn(7), turn(8))
    assert seen == [f"Alice likes tea {i}." for i in range(9)] or seen == [f"Alice like tea {i}." for i in range(9)]


async def test_pages_of_banks_are_complete_while_some_are_added(client: httpx.AsyncClient) -> None:
    for name in ("b", "d", "B", "10", "9", "a.b", "a-b", "a"):
        await post(client, turn(1), bank=name)
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.get("/v1/banks", params=params)).json()
        seen += [bank["name"] for bank in page["banks"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
        if len(seen) == 2:
            await post(client, turn(1), bank="zz")
    assert len(seen) == len(set(seen))
    assert set(seen) == {"b", "d", "B", "10", "9", "a.b", "a-b", "a", "zz"}


async def test_a_page_that_ends_where_the_rows_do_is_the_last(client: httpx.AsyncClient) -> None:
    await post(client, turn(0), turn(1))
    page = (await client.get(f"{BANK}/memories", params={"limit": 2})).json()
    assert (len(page["memories"]), page["next_cursor"]) == (2, None)


async def test_a_post_names_its_place_and_what_was_waited_for(client: httpx.AsyncClient) -> None:
    response = await client.post(
        f"{BANK}/turns", json={"turns": [turn(0)]}, headers={"prefer": "respond-async, wait=999999999"}
    )
    assert response.headers["location"] == f"{BANK}/ingestions/{response.json()['ingestion_id']}"
    assert response.headers["preference-applied"] == "wait=60"
    read = await client.get(response.headers["location"], headers={"prefer": "wait=5"})
    assert (read.json()["state"], read.headers["preference-applied"]) == ("done", "wait=5")


async def test_without_a_preference_nothing_is_waited_for(
    client: httpx.AsyncClient, completer: ScriptedCompleter
) -> None:
    completer.delay = 0.3
    response = await client.post(f"{BANK}/turns", json={"turns": [turn(0)]})
    assert response.json()["state"] == "queued"
    assert "preference-applied" not in response.headers


async def test_a_wait_that_ends_early_says_how_far_it_got(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    async with api(settings, completer, embedder, with_worker=False) as client:
        response = await client.post(f"{BANK}/turns", json={"turns": [turn(0)]}, headers={"prefer": "wait=1"})
        assert (response.status_code, response.json()["state"]) == (202, "queued")


async def test_posting_again_stores_nothing_twice(client: httpx.AsyncClient, sessions: Sessions) -> None:
    first = await post(client, turn(0), turn(1))
    before = await count_rows(sessions)
    again = await post(client, turn(1), turn(0))
    assert again["duplicates"] == 2
    assert again["turn_ids"] == first["turn_ids"][::-1]
    assert again["earlier_ingestion_ids"] == [first["ingestion_id"]]
    assert again["state"] == "done"
    read = (await client.get(f"{BANK}/ingestions/{again['ingestion_id']}")).json()
    assert (read["state"], read["turns"]) == ("done", [])
    after = await count_rows(sessions)
    assert after == before | {"ingestions": before["ingestions"] + 1}


async def test_a_post_may_hold_old_and_new_turns(client: httpx.AsyncClient) -> None:
    first = await post(client, turn(0))
    mixed = await post(client, turn(1), turn(0), turn(2))
    assert (mixed["duplicates"], mixed["turn_ids"][1]) == (1, first["turn_ids"][0])
    assert len(set(mixed["turn_ids"])) == 3
    assert (await client.get(BANK)).json()["turns"] == 3


async def test_posting_other_content_under_an_id_is_a_conflict(client: httpx.AsyncClient, sessions: Sessions) -> None:
    kept = turn(0) | {
        "said_at": "2023-05-08T13:56:00Z",
        "session": "s",
        "metadata": {"a": [1, True, 1e23, {"b": None}]},
    }
    await post(client, kept)
    before = await count_rows(sessions)
    same_time = kept | {"said_at": "2023-05-08T15:56:00+02:00"}
    assert (await post(client, same_time))["duplicates"] == 1
    others: list[dict[str, Any]] = [
        {"text": "x"},
        {"speaker": "Bob"},
        {"session": None},
        {"said_at": "2023-05-08T13:56:01Z"},
    ]
    others += [{"metadata": {"a": value}} for value in ([1], [True, 1, 1e23, {"b": None}], [1, 1, 1e23, {"b": None}])]
    for other in others:
        response = await client.post(f"{BANK}/turns", json={"turns": [turn(5), kept | other]})
        assert (response.status_code, slug_of(response)) == (409, "turn-conflict"), other
        assert response.json()["detail"].startswith("turns.1: ")
    after = await count_rows(sessions)
    assert after == before | {"ingestions": before["ingestions"] + 1}


async def test_two_posts_of_the_same_turns_at_once_store_them_once(client: httpx.AsyncClient) -> None:
    turns = [turn(i) for i in range(5)]
    receipts = await asyncio.gather(*(post(client, *turns) for _ in range(6)))
    assert len({tuple(receipt["turn_ids"]) for receipt in receipts}) == 1
    assert sorted(receipt["duplicates"] for receipt in receipts) == [0, 5, 5, 5, 5, 5]


async def test_posts_and_work_on_one_bank_do_not_lock_each_other_out(client: httpx.AsyncClient) -> None:
    receipts = await asyncio.gather(*(post(client, turn(i), turn(i + 100)) for i in range(12)))
    assert {receipt["state"] for receipt in receipts} == {"done"}
    assert (await client.get(BANK)).json()["memories"] == 24


async def test_a_bank_with_too_much_waiting_takes_no_more(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder, sessions: Sessions
) -> None:
    server = settings.server.model_copy(update={"max_waiting_turns": 3})
    bounded = settings.model_copy(update={"server": server})
    async with api(bounded, completer, embedder, with_worker=False) as client:
        assert (await client.post(f"{BANK}/turns", json={"turns": [turn(0), turn(1)]})).status_code == 202
        before = await count_rows(sessions)
        full = await client.post(f"{BANK}/turns", json={"turns": [turn(2), turn(3)]})
        assert (full.status_code, slug_of(full), full.headers["retry-after"]) == (429, "overloaded", "2")
        assert "3 turns" in full.json()["detail"]
        assert await count_rows(sessions) == before
        assert (await client.post(f"{BANK}/turns", json={"turns": [turn(0), turn(1), turn(2)]})).status_code == 202
        assert (await client.post("/v1/banks/bob/turns", json={"turns": [turn(2), turn(3)]})).status_code == 202


async def test_more_questions_than_allowed_are_turned_away(service: Service) -> None:
    full = dataclasses.replace(service, answering=asyncio.Semaphore(0))
    async with LifespanManager(create_app(service.settings, lambda: nullcontext(full))) as manager:
        transport = httpx.ASGITransport(app=manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            await client.post(f"{BANK}/turns", json={"turns": [turn(0)]})
            response = await client.post(f"{BANK}/answer", json={"question": "What?"})
    assert (response.status_code, slug_of(response), response.headers["retry-after"]) == (429, "overloaded", "2")


async def test_a_bank_is_deleted_while_its_turns_are_worked_on(
    client: httpx.AsyncClient, completer: ScriptedCompleter, sessions: Sessions
) -> None:
    completer.delay = 0.02
    for _ in range(3):
        posted = await client.post(f"{BANK}/turns", json={"turns": [turn(i) for i in range(30)]})
        assert posted.status_code == 202
        while completer.calls(Role.MANAGER) == 0:
            await asyncio.sleep(0.01)
        assert (await client.delete(BANK)).status_code == 200
        assert (await client.get(posted.headers["location"])).status_code == 404
        completer.prompts.clear()
    completer.delay = 0
    await post(client, turn(1), bank="other")
    counts = await count_rows(sessions)
    assert (counts["banks"], counts["turns"], counts["inbox"], counts["lanes"]) == (1, 1, 1, 1)


async def test_posts_and_deletions_at_once_end_in_a_whole_bank_or_none(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    requests = [client.post(f"{BANK}/turns", json={"turns": [turn(i)]}) for i in range(20)]
    requests += [client.delete(BANK) for _ in range(20)]
    responses = await asyncio.gather(
        *(request for pair in zip(requests[:20], requests[20:], strict=True) for request in pair)
    )
    assert {response.status_code for response in responses} <= {200, 202, 404}, [r.text for r in responses]
    await client.post(f"{BANK}/turns", json={"turns": [turn(99)]}, headers=WAIT)
    async with everything(sessions) as session:
        positions = list(await session.scalars(select(tables.turns.c.position).order_by(tables.turns.c.position)))
    assert positions == list(range(1, len(positions) + 1))


async def test_an_empty_bank_abstains_without_asking_a_model(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    async with api(settings, completer, embedder, with_worker=False) as client:
        await client.post(f"{BANK}/turns", json={"turns": [turn(0)]})
        answer = (await client.post(f"{BANK}/answer", json={"question": "Which dog?"})).json()
        assert (answer["abstained"], answer["answer"], answer["policy"]) == (True, None, None)
        assert completer.prompts == []
        found = (await client.post(f"{BANK}/memories/search", json={"query": "dog"})).json()
        assert found == {"candidates": [], "as_of": None}


@pytest.fixture
def forgetful(completer: ScriptedCompleter) -> ScriptedCompleter:
    """Deletes the first memory it is shown once it hears of nothing, and adds everything else."""
    completer.replies["manager"] = deciding
    return completer


def deciding(prompt: Prompt) -> str:
    def decide(fact: str) -> list[dict[str, Any]]:
        return [{"op": "DELETE", "memory": "m1"}] if "no longer" in fact else [{"op": "ADD"}]

    return decisions(prompt, decide)


async def test_a_deleted_memory_can_still_be_read_with_its_versions(
    client: httpx.AsyncClient, forgetful: ScriptedCompleter
) -> None:
    await post(client, turn(0, "I drink green tea"))
    memory = (await client.get(f"{BANK}/memories")).json()["memories"][0]
    live = (await client.get(f"{BANK}/memories/{memory['id']}")).json()
    made = {"valid_from": memory["created_at"], "valid_to": None, "restores": None, "operation": 1}
    assert (live["deleted"], live["memory"], live["versions"]) == (False, memory, [memory | made])
    gone = await post(client, turn(1, "I no longer drink green tea"))
    read = (await client.get(f"{BANK}/ingestions/{gone['ingestion_id']}")).json()
    assert read["turns"][0]["operations"][0]["kind"] == "DELETE"
    assert memory["id"] not in (await client.get(f"{BANK}/memories")).text
    dead = (await client.get(f"{BANK}/memories/{memory['id']}")).json()
    assert dead["deleted"] is True
    assert [version["text"] for version in dead["versions"]] == [memory["text"]]
    assert dead["sources"][0]["external_id"] == "0"


async def test_a_failed_turn_can_be_retried_once_and_is_then_done(
    client: httpx.AsyncClient, completer: ScriptedCompleter
) -> None:
    working = completer.replies["extractor"]
    completer.replies["extractor"] = lambda prompt: "no json"
    failed = await post(client, turn(0))
    assert failed["state"] == "failed"
    place = f"{BANK}/ingestions/{failed['ingestion_id']}"
    assert (await client.get(place)).json()["turns"][0]["error"]["type"] == "BrokenReply"
    completer.replies["extractor"] = working
    retried = await client.post(f"{place}/retry")
    assert (retried.status_code, retried.json()) == (202, {"turns": 1})
    assert (await client.get(place, headers=WAIT)).json()["state"] == "done"
    again = await client.post(f"{place}/retry")
    assert (again.status_code, slug_of(again)) == (409, "nothing-to-retry")
