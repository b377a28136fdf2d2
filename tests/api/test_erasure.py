"""Erasing over the API: receipts, replays, and what is refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import httpx
import pytest

from app.core.values import Prompt
from tests.fixtures.doubles import ScriptedCompleter, decisions
from tests.fixtures.problems import problem_of, slug_of

BANK = "/v1/banks/alice"
# The same in every process: the tests are shared out by their names.
NOT_THERE = "7a1f7a3e-52a5-4d0e-9c39-2f6a1d0c4b11"
TURNS = [{"speaker": "Alice", "text": f"I bought item number {n}."} for n in range(3)]
WAIT = {"prefer": "wait=30"}


async def fill(client: httpx.AsyncClient) -> list[str]:
    posted = await client.post(f"{BANK}/turns", json={"turns": TURNS}, headers=WAIT)
    assert posted.json()["state"] == "done"
    ids: list[str] = posted.json()["turn_ids"]
    return ids


def digest_of(receipt: dict[str, Any]) -> str:
    said = {name: value for name, value in receipt.items() if name != "digest"}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def test_a_receipt_is_given_and_can_be_asked_for_again(client: httpx.AsyncClient) -> None:
    first, second, _ = await fill(client)
    erased = [
        (await client.delete(f"{BANK}/turns/{first}")).json(),
        (await client.delete(f"{BANK}/turns/{second}?derived=all")).json(),
        (await client.delete(BANK)).json(),
    ]
    assert [receipt["erased"] for receipt in erased] == ["turn", "turn", "bank"]
    assert [receipt["derived"] for receipt in erased] == ["only", "all", None]
    for receipt in erased:
        assert receipt["digest"] == digest_of(receipt)
        assert set(receipt["verified"].values()) == {0} and receipt["removed"].keys() == receipt["verified"].keys()
        assert (await client.get(f"/v1/erasures/{receipt['digest']}")).json() == receipt
    page = (await client.get("/v1/erasures?limit=2")).json()
    rest = (await client.get(f"/v1/erasures?limit=2&cursor={page['next_cursor']}")).json()
    assert page["receipts"] + rest["receipts"] == erased and rest["next_cursor"] is None


async def test_a_replay_says_so_and_another_request_under_the_key_is_refused(client: httpx.AsyncClient) -> None:
    first, second, _ = await fill(client)
    headers = {"idempotency-key": "once"}
    one, two = [await client.delete(f"{BANK}/turns/{first}", headers=headers) for _ in range(2)]
    assert one.json() == two.json() and two.headers["idempotency-replayed"] == "true"
    for other in (f"{BANK}/turns/{second}", f"{BANK}/turns/{first}?derived=all", BANK):
        assert slug_of(await client.delete(other, headers=headers)) == "idempotency-conflict"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/banks/nobody", 404),
        (f"/v1/banks/nobody/turns/{NOT_THERE}", 404),
        (f"{BANK}/turns/{NOT_THERE}", 404),
        (f"{BANK}/turns/1", 422),
        (f"{BANK}/turns/{NOT_THERE}?derived=some", 422),
        ("/v1/banks/%00", 422),
    ],
)
async def test_what_is_not_there_cannot_be_erased(client: httpx.AsyncClient, path: str, status: int) -> None:
    await fill(client)
    response = await client.delete(path)
    assert problem_of(response)["status"] == status
    assert (await client.get("/v1/erasures")).json()["receipts"] == []


@pytest.mark.parametrize(("digest", "status"), [("0" * 64, 404), ("x", 422), ("A" * 64, 422)])
async def test_receipts_that_are_not_there(client: httpx.AsyncClient, digest: str, status: int) -> None:
    assert problem_of(await client.get(f"/v1/erasures/{digest}"))["status"] == status


async def test_a_bank_is_told_what_to_do_about_failed_turns(client: httpx.AsyncClient) -> None:
    await fill(client)
    before = (await client.get(BANK)).json()
    assert (before["on_failure"], before["blocked_by"]) == ("set_aside", None)
    changed = await client.patch(BANK, json={"on_failure": "wait"}, headers={"idempotency-key": "k"})
    assert changed.json() == {**before, "on_failure": "wait"} == (await client.get(BANK)).json()
    again = await client.patch(BANK, json={"on_failure": "wait"}, headers={"idempotency-key": "k"})
    assert again.json() == changed.json() and again.headers["idempotency-replayed"] == "true"
    bodies: list[Any] = [{}, {"on_failure": "never"}, {"on_failure": None}, {"on_failure": "wait", "name": "x"}, []]
    for body in bodies:
        assert (await client.patch(BANK, json=body)).status_code == 422
    assert (await client.patch("/v1/banks/nobody", json={"on_failure": "wait"})).status_code == 404


async def test_a_memory_that_lost_a_version_is_not_said_to_be_unchanged(
    client: httpx.AsyncClient, completer: ScriptedCompleter
) -> None:
    def decide(fact: str) -> list[dict[str, Any]]:
        revise = {"op": "UPDATE", "memory": "m1", "text": "Alice like green tea. Alice also like green tea with lemon."}
        return [revise if "lemon" in fact else {"op": "ADD"}]

    def manager(prompt: Prompt) -> str:
        return decisions(prompt, decide)

    completer.replies["manager"] = manager
    texts = ("I like green tea.", "I also like green tea with lemon.")
    turns = [{"speaker": "Alice", "text": text} for text in texts]
    posted = (await client.post(f"{BANK}/turns", json={"turns": turns}, headers=WAIT)).json()
    (memory,) = (await client.get(f"{BANK}/memories")).json()["memories"]
    place = f"{BANK}/memories/{memory['id']}"
    before = await client.get(place)
    assert memory["version"] == len(before.json()["versions"]) == 2
    assert (await client.delete(f"{BANK}/turns/{posted['turn_ids'][0]}")).status_code == 200
    after = await client.get(place, headers={"if-none-match": before.headers["etag"]})
    assert (after.status_code, after.json()["memory"]["version"], len(after.json()["versions"])) == (200, 2, 1)
    renewed = await client.get(place, headers={"if-none-match": after.headers["etag"]})
    assert renewed.status_code == 304
    # The text is what it was, and whoever read it before may go on writing.
    revised = {"text": "Alice likes tea."}
    written = await client.patch(place, json=revised, headers={"if-match": before.headers["etag"]})
    assert written.status_code == 200


async def test_a_post_is_no_longer_known_by_its_idempotency_key(client: httpx.AsyncClient) -> None:
    """What was posted could be guessed from its hash."""
    post, headers = {"turns": TURNS}, WAIT | {"idempotency-key": "k"}
    first, *_ = (await client.post(f"{BANK}/turns", json=post, headers=headers)).json()["turn_ids"]
    assert (await client.delete(f"{BANK}/turns/{first}")).json()["removed"]["idempotency_keys"] == 1
    assert slug_of(await client.post(f"{BANK}/turns", json=post, headers=headers)) == "idempotency-conflict"
    assert (await client.get(BANK)).json()["turns"] == len(TURNS) - 1
