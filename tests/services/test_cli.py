"""The command line against a live service: clean output for pipes, one line for what a user can mend."""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from rich.console import Console

from app import client, ingesting
from app.core.values import Prompt
from tests.fixtures.console import Ran, Run, fails_in_one_line, memory_r1, url
from tests.fixtures.doubles import ScriptedCompleter, every_sentence

__all__ = ["memory_r1", "url"]

ROOT = Path(__file__).parents[2]
TURNS = [
    {"speaker": "Alice", "text": "I adopted a dog named Buddy.", "external_id": "1", "said_at": "2023-05-08T18:00:00Z"},
    {"speaker": "Bob [red]", "text": "I like [/] tea.", "external_id": "2", "said_at": "2023-05-08T18:01:00Z"},
]


@pytest.fixture
def conversation(tmp_path: Path) -> Path:
    """A file of turns, one JSON object a line."""
    file = tmp_path / "chat.jsonl"
    file.write_text("\n".join(json.dumps(turn) for turn in TURNS) + "\n\n")
    return file


def test_a_conversation_is_ingested_asked_and_shown(url: str, conversation: Path, memory_r1: Run) -> None:
    ingested = memory_r1("ingest", str(conversation), "--url", url)
    assert (ingested.returncode, ingested.stdout) == (0, "2 of 2 turns done in bank 'chat'.\n"), ingested
    asked = memory_r1("ask", "Which dog does Alice have?", "--bank", "chat", "--json", MEMORY_R1_URL=url)
    answer = json.loads(asked.stdout)
    assert answer["memories"][0]["sources"][0]["text"] == TURNS[0]["text"]
    shown = memory_r1("ask", "Which dog does Alice have?", "--bank", "chat", "--url", url)
    assert "Alice, 2023-05-08: I adopted a dog named Buddy." in shown.stdout
    memories = memory_r1("memories", "list", "--bank", "chat", "--url", url, "--json")
    assert len(json.loads(memories.stdout)) == 2
    table = memory_r1("memories", "list", "--bank", "chat", "--url", url)
    assert "[/] tea" in table.stdout and "Bob [red]" in table.stdout
    banks = memory_r1("banks", "list", "--url", url)
    assert "chat" in banks.stdout and "Bob [red]" in banks.stdout
    assert [bank["name"] for bank in json.loads(memory_r1("banks", "list", "--url", url, "--json").stdout)] == ["chat"]
    assert [r.stderr for r in (asked, memories, banks)] == ["", "", ""]


def test_an_interrupted_ingest_is_finished_by_running_it_again(url: str, conversation: Path, memory_r1: Run) -> None:
    with client.Client(url) as http:
        earlier = http.post_turns("chat", TURNS[:1])
        again = ingesting.Ingest(http, "chat", Console(stderr=True)).run(TURNS)
        assert again.ingestions[0] == earlier["ingestion_id"] and len(again.ingestions) == 2
    result = memory_r1("ingest", str(conversation), "--url", url)
    assert (result.returncode, result.stdout) == (0, "2 of 2 turns done in bank 'chat'.\n"), result
    with client.Client(url) as http:
        (bank,) = http.banks()
        assert bank["turns"] == 2
        assert len(http.memories("chat")) == 2


def test_turns_that_failed_earlier_are_reported_when_run_again(
    url: str, conversation: Path, completer: ScriptedCompleter, memory_r1: Run
) -> None:
    def broken_for_bob(prompt: Prompt) -> str:
        return "no json" if "tea" in prompt.messages[-1].content.rpartition("Last turn")[2] else every_sentence(prompt)

    completer.replies["extractor"] = broken_for_bob
    for _ in range(2):
        result = memory_r1("ingest", str(conversation), "--url", url)
        assert (result.returncode, result.stdout) == (1, "1 of 2 turns done in bank 'chat'.\n"), result


@pytest.mark.parametrize("command", [["banks", "list"], ["ask", "Who?", "--bank", "a"]])
def test_a_service_that_is_not_there_is_one_line(command: list[str], memory_r1: Run) -> None:
    said = fails_in_one_line(memory_r1(*command, "--url", "http://127.0.0.1:1"))
    assert "Is the service running?" in said


@pytest.mark.parametrize(
    "bad", ["nonsense", "ftp://127.0.0.1", "http://[::1", "http://127.0.0.1:99999999", "http://\x01"]
)
def test_urls_of_no_service_are_said(bad: str) -> None:
    with pytest.raises(client.ServiceError), client.Client(bad) as http:
        http.banks()


@pytest.mark.parametrize("bank", ["", "..", "a/b", "../../v1/banks", "a b", "é", "a\n", "x" * 129, "a?b", "\udcff"])
def test_names_of_no_bank_are_said_and_lead_nowhere_else(bank: str) -> None:
    with client.Client("http://127.0.0.1:1") as http, pytest.raises(client.ServiceError, match="cannot name a bank"):
        http.delete_bank(bank)


def test_keys_and_words_that_cannot_be_sent_are_said() -> None:
    with pytest.raises(client.ServiceError, match="key"):
        client.Client("http://127.0.0.1:1", "ключ")
    with client.Client("http://127.0.0.1:1") as http, pytest.raises(client.ServiceError, match="no text"):
        http.answer("alice", "\udcff")


def test_problems_of_the_service_are_said_with_their_place(url: str, memory_r1: Run) -> None:
    assert "There is no such bank." in fails_in_one_line(memory_r1("ask", "Who?", "--bank", "nobody", "--url", url), 3)
    with client.Client(url) as http, pytest.raises(client.ServiceError, match=r"body\.turns\.0\.text: Field required"):
        http.post_turns("a", [{"speaker": "A"}])


OTHER_REPLIES = {"/page": (200, b"<html>"), "/list": (200, b"[]"), "/moved": (302, b"{}"), "/teapot": (418, b'["x"]')}


class _Other(BaseHTTPRequestHandler):
    """A server of something else: replies that look like ours by status alone."""

    def do_GET(self) -> None:
        status, body = OTHER_REPLIES["/" + self.path.split("/")[1]]
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return None


def test_a_server_of_something_else_is_said() -> None:
    with HTTPServer(("127.0.0.1", 0), _Other) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            for path in OTHER_REPLIES:
                refused = pytest.raises(client.ServiceError, match="Is the URL right")
                with client.Client(f"http://127.0.0.1:{server.server_port}{path}") as http, refused:
                    http.banks()
        finally:
            server.shutdown()
            thread.join()


def test_all_banks_are_listed_however_many(url: str, database_url: str) -> None:
    with client.Client(url) as http:
        assert http.banks() == []
        with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
            connection.execute(
                "INSERT INTO banks (tenant_id, name, embedding_model, embedding_dimension) "
                "SELECT id, 'b' || n, 'hashed-words', 384 FROM tenants, generate_series(1, 203) AS n"
            )
        assert len({bank["name"] for bank in http.banks()}) == 203


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no turns"),
        (b"[]", "holds no turns"),
        (b"not json", "cannot be read"),
        (b'{"speaker": "A",\n"text": "x"}', "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"[1, 2]", "must hold objects"),
        (b"null", "must hold objects"),
    ],
)
def test_files_of_no_turns_are_said(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_bytes(content)
    with pytest.raises(client.ServiceError, match=said):
        ingesting.read_turns(file, None, "")


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path, memory_r1: Run) -> None:
    for command in (["ingest", str(tmp_path)], ["ingest", str(tmp_path / "none")], ["ingest"]):
        fails_in_one_line(memory_r1(*command, "--url", "http://127.0.0.1:1"))
    (tmp_path / "other.json").write_text("{}")
    fails_in_one_line(memory_r1("ingest", "--locomo", str(tmp_path / "other.json"), "--url", "http://127.0.0.1:1"))


def test_lines_end_where_json_says_so(tmp_path: Path) -> None:
    file = tmp_path / "odd.jsonl"
    texts = ["a\u2028b", "a\x85b", "a\x1cb".replace("\x1c", "\u2029")]
    lines = [json.dumps({"speaker": "A", "text": text}, ensure_ascii=False) for text in texts]
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines, "  "]).encode())
    turns, name = ingesting.read_turns(file, None, "")
    assert ([turn["text"] for turn in turns], name) == (texts, "odd")


def test_keys_are_made_listed_rotated_and_revoked(database_url: str, memory_r1: Run) -> None:
    def keys(*arguments: str) -> Ran:
        return memory_r1("keys", *arguments, MEMORY_R1_DATABASE__URL=database_url, COLUMNS="250")

    acme = ("--tenant", "[b]acme")
    rights = ("--scope", "write", "--bank", "alice", "--bank", "bob", "--expires-in-days", "9", "--turns-per-day", "5")
    made = keys("create", "--name", "ci [/]", *acme, *rights)
    secret = made.stdout.removesuffix("\n")
    assert made.returncode == 0 and secret.startswith("mr1_") and "\n" not in secret
    assert secret not in made.stderr and "[b]acme" in made.stderr
    listed = keys("list", *acme)
    for shown in ("ci [/]", "[b]acme", "write", "alice, bob"):
        assert shown in listed.stdout
    assert secret not in listed.stdout and "ci" not in keys("list").stdout
    key_id = made.stderr.split()[1]
    rotated = keys("rotate", key_id, *acme, "--overlap-seconds", "60")
    assert rotated.returncode == 0 and rotated.stdout.startswith("mr1_") and rotated.stdout != made.stdout
    assert "rotated already" in fails_in_one_line(keys("rotate", key_id, *acme))
    assert keys("revoke", key_id, *acme).returncode == 0
    assert "no tenant 'default'" in fails_in_one_line(keys("revoke", key_id))
    assert "There is no key" in fails_in_one_line(keys("revoke", "00000000-0000-0000-0000-000000000000", *acme), 3)
    for wrong in (("--scope", "root"), ("--expires-in-days", "0"), ("--turns-per-day", "-1")):
        assert keys("create", "--name", "x", *wrong).returncode == 2
    assert "bank's name" in fails_in_one_line(keys("create", "--name", "x", "--bank", "a/b"))


def test_a_database_that_does_not_serve_is_one_line(empty_database_url: str, memory_r1: Run) -> None:
    command = ("keys", "create", "--name", "x")
    away = memory_r1(*command, MEMORY_R1_DATABASE__URL="postgresql+psycopg://a@127.0.0.1:1/b")
    assert "MEMORY_R1_DATABASE__URL" in fails_in_one_line(away)
    empty = memory_r1(*command, MEMORY_R1_DATABASE__URL=empty_database_url)
    assert "run `memory-r1 migrate`" in fails_in_one_line(empty)
    no_url = memory_r1(*command, MEMORY_R1_DATABASE__URL="nonsense:secret")
    assert "secret" not in fails_in_one_line(no_url)


def test_settings_and_options_out_of_bounds_are_said(database_url: str, memory_r1: Run) -> None:
    bad = fails_in_one_line(memory_r1("serve", MEMORY_R1_SERVER__PORT="70000"))
    assert "MEMORY_R1_SERVER__PORT" in bad
    assert memory_r1("keys", "create").returncode == 2
    blank = memory_r1("keys", "create", "--name", " ", MEMORY_R1_DATABASE__URL=database_url)
    assert "1 to 100 printable characters" in fails_in_one_line(blank)


def test_the_openapi_document_is_all_that_its_command_prints() -> None:
    command = [sys.executable, "-m", "app.cli", "openapi"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(printed.stdout)["info"]["title"] == "Memory-R1"
    assert printed.stderr == ""
