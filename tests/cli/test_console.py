"""The console as a program: exit codes, keys, pipes, signals, terminals; bad input is a line and never a trace."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args

import psycopg
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from app import cli_banks, cli_keys, cli_memories, cli_options, cli_policies
from app.cli import cli
from app.client import Client, ServiceError
from app.core.changes import Verdict
from app.core.values import Role
from app.ingesting import Ingest, named
from app.services import callers
from app.services.banks import OnFailure
from app.services.erasure import Derived
from app.settings import Settings
from app.transfer_file import Checked, DamagedExport
from tests.fixtures.console import Run, fails_as_problem, fails_in_one_line, ingested, memory_r1, url
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.live import live_in_thread

__all__ = ["memory_r1", "url"]

PROGRAM = [sys.executable, "-m", "app.cli"]
ROOT = Path(__file__).parents[2]
WITHOUT_JSON = {"serve", "worker", "demo", "openapi", "settings", "commands"}
"""They run until they are ended, or print a document."""


def environment(**given: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEMORY_R1_", "FORCE_"))}
    return kept | given


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


COMMANDS = dict(leaves(typer.main.get_command(cli)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_speaks_json(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli, [*path, "--help"])
    assert shown.exit_code == 0 and COMMANDS[path].help
    options = {option for parameter in COMMANDS[path].params for option in parameter.opts}
    assert ("--json" in options) is (path[0] not in WITHOUT_JSON)
    assert all(parameter.help for parameter in COMMANDS[path].params), path


@pytest.mark.parametrize("path", [path for path in COMMANDS if path[0] not in WITHOUT_JSON], ids=" ".join)
def test_a_wrong_command_line_is_a_problem_for_programs(path: tuple[str, ...], memory_r1: Run) -> None:
    fails_as_problem(memory_r1(*path, "--json", "--no-such-option"), 2, "usage")
    assert memory_r1(*path, "--no-such-option").returncode == 2


def test_choices_are_those_of_the_service() -> None:
    choices: list[tuple[Any, type[StrEnum]]] = [
        (cli_banks.OnFailure, OnFailure),
        (cli_banks.Derived, Derived),
        (cli_memories.Verdict, Verdict),
        (cli_keys.Scope, callers.Scope),
        (cli_policies.RoleName, Role),
    ]
    for ours, theirs in choices:
        assert set(get_args(ours)) == set(theirs), theirs
    assert (cli_keys.DAY, 30 * cli_keys.DAY) == (callers.DEFAULT_OVERLAP_SECONDS, callers.MAX_OVERLAP_SECONDS)


def test_a_wrong_key_is_one_line_with_a_code_of_its_own(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder, database_url: str, memory_r1: Run
) -> None:
    server = settings.server.model_copy(update={"require_key": True})
    closed = settings.model_copy(update={"server": server})
    own = {"MEMORY_R1_DATABASE__URL": database_url}
    with live_in_thread(closed, completer, embedder) as url:
        for key in ({}, {"MEMORY_R1_KEY": "mr1_wrong"}):
            refused = memory_r1("banks", "list", "--url", url, **key)
            assert "--key or MEMORY_R1_KEY" in fails_in_one_line(refused, 4)
        fails_as_problem(memory_r1("banks", "list", "--url", url, "--key", "x", "--json"), 4, "unauthenticated")
        made = memory_r1("keys", "create", "--name", "reader", "--scope", "read", "--json", **own).json()
        assert memory_r1("banks", "list", "--url", url, "--json", MEMORY_R1_KEY=made["secret"]).json() == []
        refused = memory_r1("banks", "delete", "x", "--yes", "--url", url, "--key", made["secret"])
        fails_in_one_line(refused, 3)
        refused = memory_r1("banks", "create", "x", "--url", url, "--key", made["secret"])
        assert "scope" in fails_in_one_line(refused, 4)
    listed = memory_r1("keys", "list", "--json", **own).json()
    assert [(key["name"], "secret" in key) for key in listed] == [("reader", False)]
    assert memory_r1("keys", "rotate", made["id"], "--json", **own).json()["secret"].startswith("mr1_")
    assert memory_r1("keys", "revoke", made["id"], "--json", **own).json()["revoked_at"]
    problem = fails_as_problem(memory_r1("keys", "revoke", str(made["id"])[::-1], "--json", **own), 2, "usage")
    assert made["secret"] not in json.dumps(problem)


BAD = ["", "..", "a/b", "é", "\udcff", "-x", "x" * 300, "a\x00b", "$(id)"]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_bad_input_is_told_and_never_a_trace(bad: str, url: str, memory_r1: Run) -> None:
    commands = [
        ("banks", "show", "--", bad),
        ("memories", "show", f"--bank={bad}", "--", bad),
        ("memories", "list", "--bank", "alice", f"--as-of={bad}"),
        ("operations", "undo", "--bank=alice", "--", bad),
        ("ask", f"--bank={bad}", "--", bad),
        ("import", "--bank=alice", "--", f"/nowhere/{bad}"),
        ("export", "--bank=alice", f"--output=/nowhere/{bad}"),
        ("erase", f"--bank={bad}", "--yes"),
        ("banks", "list", f"--key={bad}", "--url=http://127.0.0.1:1"),
        ("banks", "list", f"--url={bad}"),
    ]
    for command in commands:
        ended = memory_r1(*command, MEMORY_R1_URL=url)
        assert ended.returncode in (1, 2, 3) and ended.stdout == "", (command, ended)
        assert "Traceback" not in ended.stderr and ended.stderr, (command, ended)


def test_settings_that_cannot_be_read_are_one_line(memory_r1: Run) -> None:
    assert "llm" in fails_in_one_line(memory_r1("keys", "list", MEMORY_R1_LLM="{not json"))


def test_a_reader_that_goes_is_silent(url: str, database_url: str) -> None:
    with Client(url) as client:
        client.create_bank("b")
    rows = (
        "INSERT INTO banks (tenant_id, name, embedding_model, embedding_dimension) "
        "SELECT tenant_id, name || n || repeat('x', 100), 'm', 384 FROM banks, generate_series(1, 600) AS n"
    )
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        connection.execute(rows)
    for command in ("banks list | head -n 1", "banks list --json | true"):
        piped = f"{' '.join(PROGRAM)} {command}"
        given = environment(MEMORY_R1_URL=url)
        ended = subprocess.run(["bash", "-c", piped], cwd=ROOT, env=given, capture_output=True, timeout=120)
        assert (ended.returncode, ended.stderr) == (0, b""), ended


def in_terminal(url: str, *arguments: str, **given: str) -> str:
    """What a command writes to a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    given = {"MEMORY_R1_URL": url, "COLUMNS": "100", "TERM": "xterm-256color", **given}
    with subprocess.Popen(
        [*PROGRAM, *arguments], cwd=ROOT, env=environment(**given), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                # At the end of the process, Linux gives an error for the end of the file.
                piece = os.read(ours, 4096)
            except OSError:
                break
            written += piece
        assert process.wait(60) == 0, written
    os.close(ours)
    return written.decode()


def test_tables_and_colours_are_for_terminals_and_no_color_is_kept(url: str, memory_r1: Run) -> None:
    ingested(url, "alice", "I adopted a dog named Buddy.")
    shown = in_terminal(url, "memories", "list", "--bank", "alice")
    assert "┃" in shown and "\x1b[" in shown
    sober = in_terminal(url, "memories", "list", "--bank", "alice", NO_COLOR="1")
    assert "┃" in sober and not any(f"\x1b[{colour}m" in sober for colour in (31, 32, 33, 36))
    piped = memory_r1("memories", "list", "--bank", "alice", "--url", url, COLUMNS="20").stdout
    assert piped.count("\n") == 1 and "\tAlice adopted a dog named Buddy.\tAlice\t2023-05-01\t1\t1\n" in piped


def test_what_an_encoding_lacks_is_written_in_escapes(url: str) -> None:
    ingested(url, "alice", "Я люблю чай")
    given = environment(MEMORY_R1_URL=url, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    command = [*PROGRAM, "memories", "list", "--bank", "alice"]
    ended = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, timeout=60)
    assert ended.returncode == 0 and b"\\u0447\\u0430\\u0439" in ended.stdout


def test_ctrl_c_ends_an_ingest_cleanly_and_it_can_be_run_again(
    url: str, tmp_path: Path, completer: ScriptedCompleter, memory_r1: Run
) -> None:
    completer.delay = 1.0
    file = tmp_path / "chat.jsonl"
    # Twice the same, without ids or times: both are kept, once each.
    file.write_text('{"speaker": "Alice", "text": "Hello there, I like tea."}\n' * 2)
    command = [*PROGRAM, "ingest", str(file)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(MEMORY_R1_URL=url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell starts its background jobs without interrupts, and whoever they start inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        with Client(url) as client:
            while not any(bank["turns"] for bank in client.banks()):
                assert process.poll() is None
                time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, b""), complained
    assert b"run the same command" in complained and b"Traceback" not in complained
    completer.delay = 0.0
    again = memory_r1("ingest", str(file), "--url", url, "--json")
    told = json.loads(again.stdout)
    assert (told["bank"], told["turns"], told["failed"]) == ("chat", 2, 0)
    with Client(url) as client:
        assert client.bank("chat")["turns"] == 2


def test_turns_get_ids_of_their_content_and_keep_their_own() -> None:
    turns: list[dict[str, Any]] = [
        {"text": "a"},
        {"text": "a"},
        {"text": "b", "external_id": "mine"},
        {"text": "b", "external_id": None},
    ]
    ids = [turn["external_id"] for turn in named(turns, "chat.jsonl")]
    assert len(set(ids)) == 4 and ids[2] == "mine"
    assert [turn["external_id"] for turn in named([*turns, {"text": "new"}], "chat.jsonl")][:4] == ids
    assert not {*ids} - {"mine"} & {turn["external_id"] for turn in named(turns, "other.jsonl")}


class _Away(BaseHTTPRequestHandler):
    """A service that is full, then cut off, then there."""

    replies: list[tuple[int, dict[str, Any]] | None]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._reply()

    def do_GET(self) -> None:
        self._reply()

    def _reply(self) -> None:
        reply = self.replies.pop(0)
        if reply is None:
            self.close_connection = True
            return
        body = json.dumps(reply[1]).encode()
        self.send_response(reply[0])
        self.send_header("content-length", str(len(body)))
        if reply[0] in (429, 503):
            self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return None


def test_an_ingest_waits_for_a_service_that_is_full_or_away(monkeypatch: pytest.MonkeyPatch) -> None:
    full = (429, {"title": "Too Many", "status": 429, "detail": "full"})
    stored = (202, {"ingestion_id": "1", "turn_ids": ["t"], "earlier_ingestion_ids": []})
    done = (200, {"state": "done", "turns": [{"turn_id": "t", "state": "done"}]})
    waited: list[float] = []
    monkeypatch.setattr("app.ingesting.time.sleep", waited.append)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Away) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Client(f"http://127.0.0.1:{server.server_port}") as client:
            ingest = Ingest(client, "alice", Console(stderr=True))
            _Away.replies = [full, stored, None, done]
            outcome = ingest.run([{"speaker": "A", "text": "x"}])
            assert (outcome.done, outcome.failed) == (1, 0)
            assert waited == [7.0, 0.5]
            # For ever is too long.
            _Away.replies = [full] * 100
            with pytest.raises(ServiceError, match="full"):
                ingest.run([{"speaker": "A", "text": "x"}])
            assert 100 < sum(waited) < 400
        server.shutdown()


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_an_export_that_is_not_whole_is_known(size: int) -> None:
    body = b'{"kind":"bank"}\n{"kind":"turn","text":"\xe2\x80\xa8"}\n'
    end = json.dumps({"kind": "end", "lines": 2, "sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n"

    def check(content: bytes) -> Checked:
        checked = Checked()
        for start in range(0, len(content), size):
            checked.take(content[start : start + size])
        checked.end()
        return checked

    whole = check(body + end)
    assert (whole.size, whole.lines) == (len(body + end), 2)
    for damaged in (body, b"", body + end[:-9], body[:-1] + end, body[1:] + end, body + end + b"\n", body + body + end):
        with pytest.raises(DamagedExport):
            check(damaged)


def test_the_shell_completes_names_of_banks(url: str) -> None:
    with Client(url) as client:
        for name in ("alice", "albert", "bob"):
            client.create_bank(name)
    asked = {"_MEMORY_R1_COMPLETE": "complete_bash", "COMP_WORDS": "memory-r1 ask x --bank al", "COMP_CWORD": "4"}
    command = [str(Path(sys.executable).with_name("memory-r1"))]
    given = environment(MEMORY_R1_URL=url, **asked)
    ended = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=120)
    assert (ended.stdout.split(), ended.stderr) == (["albert", "alice"], "")
    context = typer.Context(COMMANDS[("ask",)])
    context.params = {"url": "http://127.0.0.1:1", "key": None}
    assert cli_options._bank_names(context, "al") == []
