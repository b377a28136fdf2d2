"""A turn's way in and a question's way out, over HTTP."""

from __future__ import annotations

import httpx

from app.core.values import Role
from tests.fixtures.doubles import ScriptedCompleter, abstains_where_it_may
from tests.fixtures.problems import slug_of

BUDDY = {"speaker": "Alice", "text": "I adopted a dog named Buddy yesterday.", "said_at": "2023-05-08T18:00:00Z"}


async def test_turn_becomes_memory_becomes_answer(client: httpx.AsyncClient, completer: ScriptedCompleter) -> None:
    posted = await client.post("/v1/banks/alice/turns", json={"turns": [BUDDY]}, headers={"Prefer": "wait=20"})
    assert posted.status_code == 202, posted.text
    assert posted.json()["state"] == "done"
    read = (await client.get(posted.headers["location"])).json()
    assert read["turns"][0]["facts"] == ["Alice adopted a dog named Buddy on 7 May 2023."]
    assert [o["kind"] for o in read["turns"][0]["operations"]] == ["ADD"]
    answer = (await client.post("/v1/banks/alice/answer", json={"question": "Which dog does Alice have?"})).json()
    assert answer["memories"][0]["sources"][0]["text"] == BUDDY["text"]
    assert answer["memories"][0]["sources"][0]["id"] == posted.json()["turn_ids"][0]
    assert (await client.get(f"/v1/banks/alice/answers/{answer['id']}")).json() == answer
    assert completer.calls(Role.EXTRACTOR) == completer.calls(Role.MANAGER) == completer.calls(Role.ANSWERER) == 1


async def test_who_may_not_be_left_without_an_answer_asks_for_a_best_guess(
    client: httpx.AsyncClient, completer: ScriptedCompleter
) -> None:
    await client.post("/v1/banks/alice/turns", json={"turns": [BUDDY]}, headers={"Prefer": "wait=20"})
    completer.replies["answerer"] = abstains_where_it_may
    ask, once = {"question": "Who gave Buddy away?"}, {"idempotency-key": "one"}
    plain = (await client.post("/v1/banks/alice/answer", json=ask, headers=once)).json()
    assert (plain["answer"], plain["abstained"], plain["best_guess"]) == (None, True, False)
    asked_anew = await client.post("/v1/banks/alice/answer", json=ask | {"best_guess": True}, headers=once)
    assert slug_of(asked_anew) == "idempotency-conflict"
    guess = (await client.post("/v1/banks/alice/answer", json=ask | {"best_guess": True})).json()
    assert (guess["answer"], guess["abstained"], guess["best_guess"]) == ("Alice", False, True)
    wrong = await client.post("/v1/banks/alice/answer", json=ask | {"best_guess": "yes"})
    assert slug_of(wrong) == "invalid-input"
