"""Clients writing memories themselves, with versions as preconditions, and undoing what was done."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import select

from app.core.values import Role
from app.db import tables
from app.db.engine import Sessions
from app.services import keys
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.everything import everything
from tests.fixtures.problems import problem_of, slug_of
from tests.fixtures.rows import count_rows

BANK = "/v1/banks/alice"
MEMORIES, OPERATIONS = f"{BANK}/memories", f"{BANK}/operations"
TEA, MILK = {"text": "Alice likes tea.", "speaker": "Alice"}, {"text": "Alice likes milk."}
WAIT = {"prefer": "wait=60"}


async def post(client: httpx.AsyncClient, *texts: str) -> dict[str, Any]:
    """The receipt of turns that are worked off; the bank is there then."""
    turns = [{"speaker": "Alice", "text": text} for text in texts or ("Hello?",)]
    response = await client.post(f"{BANK}/turns", json={"turns": turns}, headers=WAIT)
    receipt: dict[str, Any] = response.json()
    assert receipt["state"] == "done", receipt
    return receipt


async def add(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post(MEMORIES, json=TEA | fields)
    assert response.status_code == 201, response.text
    added: dict[str, Any] = response.json()
    return added


async def at(client: httpx.AsyncClient, memory_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"{MEMORIES}/{memory_id}")).json()
    return found


async def test_a_memory_is_added_revised_removed_and_all_of_it_undone(client: httpx.AsyncClient) -> None:
    await post(client)
    response = await client.post(MEMORIES, json=TEA | {"text": " Alice  likes\ntea. ", "said_at": "2024-02-01T00:00Z"})
    memory = response.json()["memory"]
    assert (response.status_code, response.headers["etag"]) == (201, '"1"')
    assert response.headers["location"] == f"{MEMORIES}/{memory['id']}"
    assert (memory["text"], memory["sources"], memory["said_at"]) == (TEA["text"], [], "2024-02-01T00:00:00Z")
    place = response.headers["location"]
    revised = await client.patch(place, json=MILK)
    assert (revised.headers["etag"], revised.json()["memory"]["text"]) == ('"2"', MILK["text"])
    assert revised.json()["memory"]["said_at"] == memory["said_at"]
    dated = await client.patch(place, json={"said_at": "2024-03-01T00:00:00+01:00"})
    assert (dated.json()["memory"]["version"], dated.json()["memory"]["text"]) == (3, MILK["text"])
    removed = await client.delete(place)
    assert (removed.status_code, removed.json()["operation"]) == (200, 4)
    assert (await client.get(MEMORIES)).json()["memories"] == []
    for number, text in [(4, MILK["text"]), (3, MILK["text"]), (2, TEA["text"])]:
        undone = await client.post(f"{OPERATIONS}/{number}/undo")
        assert undone.json()["operations"][0]["undoes"] == number
        assert (await at(client, memory["id"]))["memory"]["text"] == text
    assert (await client.post(f"{OPERATIONS}/1/undo")).status_code == 200
    detail = await at(client, memory["id"])
    assert (detail["deleted"], [version["restores"] for version in detail["versions"]]) == (
        True,
        [None, None, None, 3, 2, 1],
    )
    assert [version["operation"] for version in detail["versions"]] == [1, 2, 3, 5, 6, 7]
    ends = [(version["valid_from"], version["valid_to"]) for version in detail["versions"]]
    assert all(began < ended for began, ended in ends)
    lines = (await client.get(OPERATIONS, params={"order": "oldest"})).json()["operations"]
    assert [line["kind"] for line in lines] == [
        "ADD",
        "UPDATE",
        "UPDATE",
        "DELETE",
        "ADD",
        "UPDATE",
        "UPDATE",
        "DELETE",
    ]
    assert {line["origin"] for line in lines} == {"client", "undo"}


async def test_a_new_date_keeps_the_vectors_and_asks_no_embedder(
    client: httpx.AsyncClient, embedder: HashEmbedder, sessions: Sessions
) -> None:
    await post(client)
    memory = (await add(client))["memory"]
    calls = embedder.calls
    await client.patch(f"{MEMORIES}/{memory['id']}", json={"said_at": "2024-03-01T00:00:00Z"})
    assert embedder.calls == calls
    versions = tables.memory_versions.c
    async with everything(sessions) as session:
        rows = (await session.execute(select(versions.embedding, versions.terms).order_by(versions.version))).all()
    assert len(rows) == 2
    assert (rows[0].embedding, rows[0].terms.to_text()) == (rows[1].embedding, rows[1].terms.to_text())


async def test_versions_are_preconditions(client: httpx.AsyncClient) -> None:
    await post(client)
    memory = (await add(client))["memory"]
    place = f"{MEMORIES}/{memory['id']}"
    await client.patch(place, json=MILK)
    for stale in ('"1"', '"3"', 'W/"2"', '"1", W/"2"', '"02"', '"x"', '""', '"20"'):
        for method, body in (("PATCH", TEA["text"]), ("DELETE", None)):
            json = {"text": body} if body else None
            refused = await client.request(method, place, json=json, headers={"if-match": stale})
            assert (refused.status_code, slug_of(refused)) == (412, "precondition-failed"), stale
    for malformed in ("2", '"2', "", " ", "*, *", '"1" "2"', '"1",', "W/2", '* "2"', '"' + "1" * 2000 + '"', "'2'"):
        refused = await client.patch(place, json=MILK, headers={"if-match": malformed})
        assert refused.status_code == 422, malformed
    assert (await at(client, memory["id"]))["memory"]["version"] == 2
    for fresh, version in (('"2"', 3), ("*", 4), (' "9" ,\t"4" ', 5), ('W/"5", "5"', 6)):
        done = await client.patch(place, json={"text": f"Alice likes {version}."}, headers={"if-match": fresh})
        assert (done.status_code, done.headers["etag"]) == (200, f'"{version}"'), fresh
    two_lines = [("if-match", '"1"'), ("if-match", '"6"')]
    assert (await client.delete(place, headers=two_lines)).status_code == 200
    for headers in ({}, {"if-match": "*"}, {"if-match": '"6"'}):
        assert (await client.delete(place, headers=headers)).status_code == 404
        assert (await client.patch(place, json=MILK, headers=headers)).status_code == 404


async def test_an_unchanged_memory_is_not_sent_again(client: httpx.AsyncClient) -> None:
    await post(client)
    memory = (await add(client))["memory"]
    place = f"{MEMORIES}/{memory['id']}"
    etag = (await client.get(place)).headers["etag"]
    assert re.fullmatch('"1-[0-9a-f]{16}"', etag)
    for known in (etag, f"W/{etag}", f'"7", {etag}', "*"):
        response = await client.get(place, headers={"if-none-match": known})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag), known
    for other in ('"1"', '"2"', f'"2{etag[2:]}', f'"01{etag[2:]}'):
        assert (await client.get(place, headers={"if-none-match": other})).status_code == 200
    assert (await client.get(place, headers={"if-none-match": "1"})).status_code == 422
    await client.delete(place)
    gone = await client.get(place, headers={"if-none-match": etag})
    assert (gone.status_code, gone.json()["deleted"], "etag" in gone.headers) == (200, True, False)


async def test_the_tag_of_a_read_is_a_precondition_of_writes(client: httpx.AsyncClient) -> None:
    await post(client)
    place = f"{MEMORIES}/{(await add(client))['memory']['id']}"
    etag = (await client.get(place)).headers["etag"]
    for tag in (f"W/{etag}", '"1-"', f'"2{etag[2:]}', f'{etag[:-1]}0"', '"1-x"'):
        assert (await client.patch(place, json=MILK, headers={"if-match": tag})).status_code == 412, tag
    assert (await client.patch(place, json=MILK, headers={"if-match": etag})).status_code == 200
    assert (await client.patch(place, json=MILK, headers={"if-match": etag})).status_code == 412
    assert (await client.delete(place, headers={"if-match": '"2"'})).status_code == 200


async def test_what_changes_nothing_makes_no_version(client: httpx.AsyncClient) -> None:
    await post(client)
    memory = (await add(client))["memory"]
    same = await client.patch(f"{MEMORIES}/{memory['id']}", json={"text": memory["text"], "said_at": memory["said_at"]})
    assert (same.status_code, same.json()["memory"]) == (200, memory)
    line = (await client.get(f"{OPERATIONS}/{same.json()['operation']}")).json()
    assert (line["verdict"], line["version_before"], line["version_after"]) == ("unchanged", 1, None)
    refused = await client.post(f"{OPERATIONS}/{line['number']}/undo")
    assert (refused.status_code, slug_of(refused)) == (409, "nothing-to-undo")


async def test_writers_of_one_version_are_one_and_without_it_none_is_lost(client: httpx.AsyncClient) -> None:
    await post(client)
    place = f"{MEMORIES}/{(await add(client))['memory']['id']}"

    async def write(number: int, headers: dict[str, str]) -> httpx.Response:
        return await client.patch(place, json={"text": f"Alice likes {number}."}, headers=headers)

    guarded = await asyncio.gather(*(write(n, {"if-match": '"1"'}) for n in range(8)))
    assert sorted(response.status_code for response in guarded) == [200] + [412] * 7
    open_ = await asyncio.gather(*(write(n + 10, {}) for n in range(8)))
    assert {response.status_code for response in open_} == {200}
    assert sorted(response.json()["memory"]["version"] for response in open_) == list(range(3, 11))
    versions = (await client.get(place)).json()["versions"]
    assert {version["text"] for version in versions[2:]} == {f"Alice likes {n + 10}." for n in range(8)}


async def test_bodies_out_of_bounds_are_refused(client: httpx.AsyncClient, sessions: Sessions) -> None:
    await post(client)
    place = f"{MEMORIES}/{(await add(client))['memory']['id']}"
    before = await count_rows(sessions)
    wrong: list[dict[str, Any]] = [{"text": text} for text in ("", " \n", "x" * 1001, "a\x00", 7)]
    wrong += [{"said_at": date} for date in ("2024-01-01", "2024-01-01T00:00:00", 1, "2300-01-01T00:00:00Z")]
    wrong += [{"version": 3}, {"text": "x", "speaker": "Bob"}]
    for body in [*wrong, {}, {"text": None}, {"text": None, "said_at": None}]:
        assert (await client.patch(place, json=body)).status_code == 422, body
    speakers = [{"speaker": speaker} for speaker in ("", " ", "x" * 101, None)]
    for body in [*wrong[:-1], *speakers, {"text": None}, {"sources": []}]:
        assert (await client.post(MEMORIES, json=TEA | body)).status_code == 422, body
    assert (await client.patch(f"{MEMORIES}/{uuid4()}", json=MILK)).status_code == 404
    assert (await client.delete(f"{MEMORIES}/{uuid4()}")).status_code == 404
    assert (await client.post("/v1/banks/nobody/memories", json=TEA)).status_code == 404
    assert await count_rows(sessions) == before
    assert (await client.patch(place, json={"text": "x" * 1000})).status_code == 200


async def test_writes_are_done_once_under_their_key(client: httpx.AsyncClient, embedder: HashEmbedder) -> None:
    await post(client)
    first = await client.post(MEMORIES, json=TEA, headers={"idempotency-key": "add"})
    calls = embedder.calls
    again = await client.post(MEMORIES, json=TEA, headers={"idempotency-key": "add"})
    assert (again.status_code, again.json(), again.headers["etag"]) == (201, first.json(), '"1"')
    assert (again.headers["location"], again.headers["idempotency-replayed"]) == (first.headers["location"], "true")
    assert embedder.calls == calls
    place = first.headers["location"]
    headers = {"idempotency-key": "revise", "if-match": '"1"'}
    revised = [await client.patch(place, json=MILK, headers=headers) for _ in range(2)]
    assert [response.status_code for response in revised] == [200, 200]
    assert revised[0].json() == revised[1].json()
    other = await client.patch(place, json=MILK, headers=headers | {"if-match": '"2"'})
    assert (other.status_code, slug_of(other)) == (409, "idempotency-conflict")
    removed = [await client.delete(place, headers={"idempotency-key": "remove"}) for _ in range(2)]
    assert removed[0].json() == removed[1].json()
    undone = [await client.post(f"{OPERATIONS}/3/undo", headers={"idempotency-key": "undo"}) for _ in range(2)]
    assert undone[0].json() == undone[1].json() and undone[1].headers["idempotency-replayed"] == "true"
    assert (await client.get(OPERATIONS)).json()["operations"][0]["number"] == 4


async def test_an_undo_names_what_is_in_its_way(client: httpx.AsyncClient) -> None:
    receipt = await post(client, "I like tea.")
    (memory,) = (await client.get(MEMORIES)).json()["memories"]
    await client.patch(f"{MEMORIES}/{memory['id']}", json=MILK)
    for path in (f"{OPERATIONS}/1/undo", f"{BANK}/ingestions/{receipt['ingestion_id']}/undo"):
        problem = problem_of(await client.post(path))
        assert (problem["status"], problem["conflicts"]) == (409, [2])
        assert problem["type"].endswith("/undo-conflict")
    assert (await client.post(f"{OPERATIONS}/2/undo")).status_code == 200
    undone = await client.post(f"{BANK}/ingestions/{receipt['ingestion_id']}/undo")
    assert [line["undoes"] for line in undone.json()["operations"]] == [1]
    again = await client.post(f"{BANK}/ingestions/{receipt['ingestion_id']}/undo")
    assert (again.status_code, slug_of(again)) == (409, "nothing-to-undo")
    progress = (await client.get(f"{BANK}/ingestions/{receipt['ingestion_id']}")).json()["turns"][0]["operations"]
    assert [(line["number"], line["undone_by"]) for line in progress] == [(1, 4)]


async def test_an_ingestion_under_way_is_not_undone(client: httpx.AsyncClient, completer: ScriptedCompleter) -> None:
    await post(client)
    completer.delay = 0.5
    posted = (await client.post(f"{BANK}/turns", json={"turns": [{"speaker": "A", "text": "I like tea."}]})).json()
    refused = await client.post(f"{BANK}/ingestions/{posted['ingestion_id']}/undo")
    assert (refused.status_code, slug_of(refused)) == (409, "ingestion-under-way")


async def test_lines_of_the_log_come_in_pages_and_by_what_they_are_about(client: httpx.AsyncClient) -> None:
    await post(client, "I like tea. I like milk.", "I like beer.")
    (turn,) = (await client.get(f"{BANK}/turns", params={"limit": 1})).json()["turns"]
    seen: list[int] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.get(OPERATIONS, params=params)).json()
        seen += [line["number"] for line in page["operations"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
        if len(seen) == 2:
            await add(client)
    assert seen == [3, 2, 1]
    of_turn = (await client.get(OPERATIONS, params={"turn_id": turn["turn_id"], "order": "oldest"})).json()
    assert [line["number"] for line in of_turn["operations"]] == [1, 2]
    assert [line["number"] for line in turn["operations"]] == [1, 2]
    assert (await client.get(OPERATIONS, params={"origin": "client"})).json()["operations"][0]["number"] == 4
    for bad in ({"origin": "x"}, {"verdict": "x"}, {"order": "x"}, {"memory_id": "x"}, {"limit": 0}, {"cursor": "x"}):
        assert (await client.get(OPERATIONS, params=bad)).status_code == 422, bad
    for number, status in (("0", 422), ("-1", 422), ("x", 422), ("9" * 30, 422), ("99", 404)):
        assert (await client.get(f"{OPERATIONS}/{number}")).status_code == status, number
        assert (await client.post(f"{OPERATIONS}/{number}/undo")).status_code == status, number


async def test_the_log_names_the_key_that_asked(client: httpx.AsyncClient, sessions: Sessions) -> None:
    await post(client)
    made = await keys.create(sessions, keys.DEFAULT_TENANT, "mine")
    bearing = {"authorization": f"Bearer {made.secret}"}
    added = (await client.post(MEMORIES, json=TEA, headers=bearing)).json()
    await client.post(f"{OPERATIONS}/{added['operation']}/undo", headers=bearing)
    await add(client)
    lines = (await client.get(OPERATIONS, params={"order": "oldest"})).json()["operations"]
    assert [line["key_id"] for line in lines] == [str(made.id), str(made.id), None]


async def test_a_turn_tells_what_came_of_it(client: httpx.AsyncClient) -> None:
    receipt = await post(client, "I like tea. I like milk.", "Why?")
    (tea, milk) = (await client.get(MEMORIES)).json()["memories"]
    await client.patch(f"{MEMORIES}/{tea['id']}", json={"text": "Alice loves tea."})
    await client.delete(f"{MEMORIES}/{milk['id']}")
    turn = (await client.get(f"{BANK}/turns/{receipt['turn_ids'][0]}")).json()
    assert (turn["turn"]["state"], turn["ingestion_id"]) == ("done", receipt["ingestion_id"])
    assert [line["number"] for line in turn["turn"]["operations"]] == [1, 2]
    assert [(version["id"], version["version"]) for version in turn["memories"]] == [
        (tea["id"], 1),
        (tea["id"], 2),
        (milk["id"], 1),
    ]
    assert [version["valid_to"] is None for version in turn["memories"]] == [False, True, False]
    silent = (await client.get(f"{BANK}/turns/{receipt['turn_ids'][1]}")).json()
    assert silent["memories"] == []
    nobody = await client.get(f"{BANK}/turns/{uuid4()}")
    assert (nobody.status_code, slug_of(nobody)) == (404, "unknown-turn")


async def test_a_memory_tells_which_answers_stand_on_it(client: httpx.AsyncClient) -> None:
    await post(client, "I like tea.")
    (memory,) = (await client.get(MEMORIES)).json()["memories"]
    place = f"{MEMORIES}/{memory['id']}"
    asked = []
    for version in (1, 2, 3):
        asked.append((await client.post(f"{BANK}/answer", json={"question": f"What, {version}?"})).json())
        await client.patch(place, json={"text": f"Alice likes tea {version}."})
    seen: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.get(f"{place}/answers", params=params)).json()
        seen += page["answers"]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    expected = [(a["id"], a["question"], a["answer"], n) for n, a in enumerate(asked, start=1)]
    assert [(a["id"], a["question"], a["answer"], a["version"]) for a in seen] == expected[::-1]
    first = (await client.get(f"{BANK}/answers/{asked[0]['id']}")).json()
    assert first == asked[0] and first["memories"][0]["version"] == 1
    assert (await client.get(f"{MEMORIES}/{uuid4()}/answers")).status_code == 404
    unused = (await add(client))["memory"]
    assert (await client.get(f"{MEMORIES}/{unused['id']}/answers")).json() == {"answers": [], "next_cursor": None}
    for cursor in ("MQ", "MS4x", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkuMQ", "x", ""):
        assert (await client.get(f"{place}/answers", params={"cursor": cursor})).status_code == 422, cursor


async def test_the_past_is_read_searched_and_asked(client: httpx.AsyncClient, completer: ScriptedCompleter) -> None:
    await post(client, "I like tea.")
    (memory,) = (await client.get(MEMORIES)).json()["memories"]
    then = memory["created_at"]
    await client.patch(f"{MEMORIES}/{memory['id']}", json=MILK)
    page = (await client.get(MEMORIES, params={"as_of": then})).json()
    assert (page["memories"], page["as_of"]) == ([memory], then)
    assert (await client.get(MEMORIES)).json()["as_of"] is None
    found = (await client.post(f"{MEMORIES}/search", json={"query": "tea", "as_of": then})).json()
    assert ([c["memory"] for c in found["candidates"]], found["as_of"]) == ([memory], then)
    answer = (await client.post(f"{BANK}/answer", json={"question": "Tea?", "as_of": then})).json()
    assert (answer["answer"], answer["as_of"], answer["memories"][0]["version"]) == (memory["text"], then, 1)
    early = {"as_of": "2001-01-01T00:00:00+02:00"}
    assert (await client.get(MEMORIES, params=early)).json()["memories"] == []
    calls = completer.calls(Role.ANSWERER)
    for moment in ("2199-01-01T00:00:00Z", "2024-01-01", "2024-01-01T00:00:00", "1700000000", "now", "", "\x00"):
        assert (await client.get(MEMORIES, params={"as_of": moment})).status_code == 422, moment
        for path, field in ((f"{MEMORIES}/search", "query"), (f"{BANK}/answer", "question")):
            refused = await client.post(path, json={field: "tea", "as_of": moment})
            assert (refused.status_code, slug_of(refused)) == (422, "invalid-input"), moment
    assert completer.calls(Role.ANSWERER) == calls


async def test_a_key_that_may_only_read_changes_nothing(client: httpx.AsyncClient, sessions: Sessions) -> None:
    await post(client, "I like tea.")
    (memory,) = (await client.get(MEMORIES)).json()["memories"]
    made = (await client.post("/v1/keys", json={"name": "reader", "scope": "read"})).json()
    bearing = {"authorization": f"Bearer {made['secret']}"}
    before = await count_rows(sessions)
    place = f"{MEMORIES}/{UUID(memory['id'])}"
    for method, path, body in [
        ("POST", MEMORIES, TEA),
        ("PATCH", place, MILK),
        ("DELETE", place, None),
        ("POST", f"{OPERATIONS}/1/undo", None),
        ("POST", f"{BANK}/ingestions/{uuid4()}/undo", None),
    ]:
        response = await client.request(method, path, json=body, headers=bearing)
        assert (response.status_code, slug_of(response)) == (403, "forbidden")
    for path in (place, f"{place}/answers", OPERATIONS, f"{OPERATIONS}/1"):
        assert (await client.get(path, headers=bearing)).status_code == 200
    after = await count_rows(sessions)
    assert after == before | {"key_usage": after["key_usage"]}
