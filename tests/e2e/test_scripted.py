"""The service as it is deployed, with a model server that says what a test wants: the outcome is known exactly."""

from __future__ import annotations

import signal

from app.client import Client
from app.core.values import Role
from tests.e2e.conversations import (
    BUDDY,
    SCOUT,
    check_answer,
    check_memories,
    hold_conversation,
    said,
    wait_until_ended,
)
from tests.e2e.processes import Workplace
from tests.llm.scripted import ScriptedServer, says

ONE = "Alice adopted a dog named Buddy."
BOTH = "Alice adopted two dogs named Buddy and Scout."


def script_two_dogs(server: ScriptedServer) -> None:
    """Replies to the acceptance case: the second dog is merged into the memory of the first."""
    for text in (BUDDY, SCOUT):
        facts = says({"facts": [{"who": "Alice", "what": text.removeprefix("I ")}]})
        server.on(facts, role=Role.EXTRACTOR, matching=rf"Alice: {text}\Z")
    server.on(says({"reasoning": "New.", "f1": [{"op": "ADD"}]}), role=Role.MANAGER, matching=r"^f1: .*Buddy")
    merge = {"op": "UPDATE", "memory": "m1", "text": BOTH}
    server.on(says({"reasoning": "A second dog.", "f1": [merge]}), role=Role.MANAGER, matching=r"^f1: .*Scout")
    server.on(says({"memories": [1], "answer": "Buddy and Scout"}), role=Role.ANSWERER)


def test_two_dogs_become_one_memory_with_both(
    empty_database_url: str, scripted_server: ScriptedServer, workplace: Workplace
) -> None:
    script_two_dogs(scripted_server)
    settings = {"database__url": empty_database_url, "llm__base_url": scripted_server.base_url}
    migrated = workplace.run("migrate", **settings)
    assert migrated.returncode == 0, migrated.stderr
    with workplace.started("serve", "--port", "0", **settings) as service:
        url = service.url()
        check_two_dogs(url)
        check_the_common_conversation(url)
        assert service.end(signal.SIGTERM) == 0
        assert "Loading weights" not in service.printed()


def check_two_dogs(url: str) -> None:
    with Client(url) as client:
        first = client.post_turns("alice", [said(BUDDY, 2)])
        second = client.post_turns("alice", [said(SCOUT, 3)])
        turns = [
            turn
            for receipt in (first, second)
            for turn in wait_until_ended(client, "alice", receipt["ingestion_id"])["turns"]
        ]
        assert [(turn["state"], turn["attempts"], turn["error"]) for turn in turns] == [("done", 0, None)] * 2
        assert [turn["facts"] for turn in turns] == [[ONE], ["Alice adopted another dog named Scout."]]
        lines = [(o["kind"], o["version_before"], o["version_after"]) for turn in turns for o in turn["operations"]]
        assert lines == [("ADD", None, 1), ("UPDATE", 1, 2)]

        (memory,) = client.memories("alice")
        turn_ids = first["turn_ids"] + second["turn_ids"]
        assert (memory["text"], memory["version"], memory["sources"]) == (BOTH, 2, turn_ids)
        detail = client.memory("alice", memory["id"])
        assert [(version["version"], version["text"]) for version in detail["versions"]] == [(1, ONE), (2, BOTH)]
        assert [source["text"] for source in detail["sources"]] == [BUDDY, SCOUT]
        check_memories(client, "alice", turns, [memory])

        answer = client.answer("alice", "Which dogs does Alice have?")
        assert (answer["answer"], answer["abstained"]) == ("Buddy and Scout", False)
        assert [used["id"] for used in answer["memories"]] == [memory["id"]]
        assert [source["external_id"] for source in answer["memories"][0]["sources"]] == ["turn-2", "turn-3"]
        check_answer(url, "alice", answer, [memory], {BUDDY, SCOUT})


def check_the_common_conversation(url: str) -> None:
    held = hold_conversation(url, "bob")
    assert [memory["text"] for memory in held.memories] == [BOTH]
    assert held.memories[0]["sources"] == held.turn_ids[1:]
