"""A turn's way in and a question's way out, over HTTP."""

from __future__ import annotations

import httpx

from app.core.values import Role
from tests.fixtures.doubles import ScriptedCompleter

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
