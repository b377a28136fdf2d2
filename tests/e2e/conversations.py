"""One conversation for every model, and what must hold of its outcome whatever the model says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from app.client import Client
from tests.e2e.processes import eventually

ENDED = {"done", "failed"}
BUDDY = "I adopted a dog named Buddy."
SCOUT = "I adopted another dog named Scout."
Json = dict[str, Any]


@dataclass(frozen=True)
class Held:
    """What a conversation left behind."""

    turn_ids: list[str]
    memories: list[Json]
    answer: Json


def said(text: str, number: int, speaker: str = "Alice") -> Json:
    """A turn to post."""
    return {
        "speaker": speaker,
        "text": text,
        "said_at": f"2023-05-{number:02}T13:56:00Z",
        "external_id": f"turn-{number}",
    }


def hold_conversation(url: str, bank: str) -> Held:
    """Two dogs are told of and asked for; every step is checked for its form, and nothing for its words."""
    turns = [said("Hi there!", 1, "Robin"), said(BUDDY, 2), said(SCOUT, 3)]
    with Client(url) as client:
        receipt = client.post_turns(bank, turns)
        assert receipt["duplicates"] == 0
        ended = wait_until_ended(client, bank, receipt["ingestion_id"])
        assert [turn["state"] for turn in ended["turns"]] == ["done"] * 3, ended
        assert [turn["turn_id"] for turn in ended["turns"]] == receipt["turn_ids"]
        memories = client.memories(bank)
        check_memories(client, bank, ended["turns"], memories)
        answer = client.answer(bank, "Which dogs does Alice have?")
        check_answer(url, bank, answer, memories, {turn["text"] for turn in turns})
    return Held(receipt["turn_ids"], memories, answer)


def wait_until_ended(client: Client, bank: str, ingestion_id: str) -> Json:
    """The ingestion once every turn is done or has failed."""
    assert eventually(lambda: client.ingestion(bank, ingestion_id, wait=10)["state"] in ENDED)
    return client.ingestion(bank, ingestion_id)


def check_memories(client: Client, bank: str, turns: list[Json], memories: list[Json]) -> None:
    """The bank holds what the operation log says, and each memory tells the turns that it came from."""
    applied = [line for turn in turns for line in turn["operations"] if line["verdict"] == "applied"]
    added = {line["memory_id"] for line in applied if line["kind"] == "ADD"}
    deleted = {line["memory_id"] for line in applied if line["kind"] == "DELETE"}
    assert {memory["id"] for memory in memories} == added - deleted
    for memory in memories:
        detail = client.memory(bank, memory["id"])
        assert detail["memory"] == memory
        assert [version["version"] for version in detail["versions"]] == list(range(1, memory["version"] + 1))
        of_memory = {t["turn_id"] for t in turns for o in t["operations"] if o["memory_id"] == memory["id"]}
        assert set(memory["sources"]) <= of_memory
        assert [source["id"] for source in detail["sources"]] == memory["sources"]


def check_answer(url: str, bank: str, answer: Json, memories: list[Json], texts: set[str]) -> None:
    """An answer stands on memories of the bank and on words that were said, and is read again as it was given."""
    assert answer["abstained"] == (answer["answer"] is None)
    assert {c["id"]: c["version"] for c in answer["candidates"]} == {m["id"]: m["version"] for m in memories}
    used = [memory["id"] for memory in answer["memories"]]
    assert set(used) == {c["id"] for c in answer["candidates"] if c["distilled"]}
    sources = {memory["id"]: memory["sources"] for memory in memories}
    for memory in answer["memories"]:
        assert [source["id"] for source in memory["sources"]] == sources[memory["id"]]
        assert {source["text"] for source in memory["sources"]} <= texts
    assert read_answer(url, bank, answer["id"]) == answer


def read_answer(url: str, bank: str, answer_id: str) -> Json:
    """An earlier answer."""
    response = httpx.get(f"{url}/v1/banks/{bank}/answers/{answer_id}", timeout=60).raise_for_status()
    answer: Json = response.json()
    return answer
