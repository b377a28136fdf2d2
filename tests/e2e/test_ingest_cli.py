"""`memory-r1 ingest`, and what shows its outcome, against a service with scripted replies."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.values import Message, Prompt, Role
from tests.e2e.conversations import BUDDY, Json, said
from tests.e2e.processes import Service, Workplace, is_one_line_error
from tests.fixtures.doubles import every_sentence
from tests.llm.scripted import Messages, Reply, ScriptedServer, fails, says

TURNS = [said(BUDDY, 2), said("Hello, Alice!", 3, "Robin"), said("[bold]Tags[/] are no markup.", 4)]


@pytest.fixture
def service(scripted_server: ScriptedServer, workplace: Workplace) -> Iterator[Service]:
    """The embedded Postgres with a model server of one's own."""
    scripted_server.on(extracted, role=Role.EXTRACTOR)
    scripted_server.on(says({"memories": [1], "answer": "Buddy"}), role=Role.ANSWERER)
    with workplace.started("serve", "--local", "--port", "0", llm__base_url=scripted_server.base_url) as service:
        service.url()
        yield service
        assert service.end(signal.SIGTERM) == 0


def extracted(messages: Messages) -> Reply:
    """One fact for each sentence of the turn."""
    shown = tuple(Message.model_validate(message) for message in messages)
    return Reply(every_sentence(Prompt(role=Role.EXTRACTOR, messages=shown, constant=0, reply_schema={}, version="")))


def in_json(workplace: Workplace, service: Service, *arguments: str) -> list[Json]:
    shown = workplace.run(*arguments, "--json", url=service.url())
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    return found if isinstance(found, list) else [found]


def locomo_file(folder: Path) -> Path:
    """Two sessions in LoCoMo's upstream form."""
    spoken = [
        ("session_1", "D1:1", "Caroline", "I went to the museum yesterday."),
        ("session_1", "D1:2", "Melanie", "How was it?"),
        ("session_2", "D2:1", "Caroline", "I bought a red canoe."),
    ]
    conversation: Json = {"speaker_a": "Caroline", "speaker_b": "Melanie"}
    for session, dia_id, speaker, text in spoken:
        conversation.setdefault(session, []).append({"dia_id": dia_id, "speaker": speaker, "text": text})
    conversation["session_1_date_time"] = "1:56 pm on 8 May, 2023"
    conversation["session_2_date_time"] = "9:00 am on 1 June, 2023"
    asked = {"question": "What did Caroline buy?", "answer": "a canoe", "category": 4, "evidence": ["D2:1"]}
    path = folder / "locomo.json"
    path.write_text(json.dumps([{"sample_id": "conv-1", "conversation": conversation, "qa": [asked]}]))
    return path


def test_a_file_of_turns_is_ingested_once_however_often_it_is_posted(service: Service, workplace: Workplace) -> None:
    url = service.url()
    (workplace.folder / "chat.json").write_text(json.dumps(TURNS))
    (workplace.folder / "chat.jsonl").write_text("\n".join(json.dumps(turn) for turn in TURNS))
    for file in ("chat.json", "chat.jsonl"):
        posted = workplace.run("ingest", file, "--bank", "alice", url=url)
        assert posted.returncode == 0, posted.stderr
        assert posted.stdout == "3 of 3 turns done in bank 'alice'.\n"
        assert "turns (0 failed, 0 retrying)" in posted.stderr
        assert "3/3" in posted.stderr

    memories = in_json(workplace, service, "memories", "list", "--bank", "alice")
    texts = ["Alice adopted a dog named Buddy.", "Robin Hello, Alice!", "Alice [bold]Tags[/] are no markup."]
    assert [memory["text"] for memory in memories] == texts
    assert [memory["version"] for memory in memories] == [1, 1, 1]
    (bank,) = in_json(workplace, service, "banks", "list")
    assert (bank["name"], bank["turns"], bank["memories"]) == ("alice", 3, 3)
    check_what_is_shown(service, workplace, texts)


def check_what_is_shown(service: Service, workplace: Workplace, texts: list[str]) -> None:
    shown = workplace.run("memories", "list", "--bank", "alice", url=service.url()).stdout
    assert all(text in shown for text in texts)
    asked = workplace.run("ask", "Which dog does Alice have?", "--bank", "alice", url=service.url())
    assert asked.returncode == 0, asked.stderr
    assert "? Which dog does Alice have?" in asked.stdout
    assert "Buddy" in asked.stdout
    assert f"Alice, 2023-05-02: {BUDDY}" in asked.stdout
    (answer,) = in_json(workplace, service, "ask", "Which dog does Alice have?", "--bank", "alice")
    assert answer["answer"] == "Buddy"
    assert [source["text"] for source in answer["memories"][0]["sources"]] == [BUDDY]
    unknown = workplace.run("ask", "Anyone?", "--bank", "nobody", url=service.url())
    assert (unknown.returncode, unknown.stderr.count("\n")) == (3, 1), unknown.stderr


def test_a_conversation_of_locomo_is_ingested_and_a_failed_turn_is_told(
    service: Service, scripted_server: ScriptedServer, workplace: Workplace
) -> None:
    ingest = ("ingest", "--locomo", str(locomo_file(workplace.folder)), "--conversation", "conv-1")
    scripted_server.on(fails(400, "refused"), role=Role.EXTRACTOR, matching=r"^Melanie: How was it\?\Z")
    for _ in range(2):
        posted = workplace.run(*ingest, url=service.url())
        assert posted.returncode == 1, posted.stderr
        assert posted.stdout == "2 of 3 turns done in bank 'conv-1'.\n"
        assert "turns (1 failed, 0 retrying)" in posted.stderr
        assert "Traceback" not in posted.stderr
    memories = in_json(workplace, service, "memories", "list", "--bank", "conv-1")
    texts = ["Caroline went to the museum on 7 May 2023.", "Caroline bought a red canoe."]
    assert [memory["text"] for memory in memories] == texts
    assert [memory["said_at"][:10] for memory in memories] == ["2023-05-08", "2023-06-01"]


def test_a_file_that_cannot_be_read_is_told(workplace: Workplace) -> None:
    (workplace.folder / "chat.json").write_text('{"speaker": "Alice"')
    for arguments in (("chat.json",), ("missing.json",), ("--locomo", "chat.json"), ()):
        refused = workplace.run("ingest", *arguments)
        assert is_one_line_error(refused), refused.stderr
        assert refused.stderr.count("\n") == 1
