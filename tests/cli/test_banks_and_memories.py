"""The console against a live service: banks, memories, the log, erasing, moving a bank."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from app.client import Client
from tests.fixtures.console import Run, fails_as_problem, fails_in_one_line, ingested, memory_r1, url

__all__ = ["memory_r1", "url"]

DOG, TEA = "I adopted a dog named Buddy.", "I like tea."
OPENAPI = json.loads((Path(__file__).parents[2] / "openapi" / "openapi.json").read_text())
Console = Callable[..., Any]


@pytest.fixture
def console(memory_r1: Run, url: str) -> Run:
    """The console script with the service as its environment names it."""
    return lambda *arguments, **given: memory_r1(*arguments, **{"MEMORY_R1_URL": url, **given})


def has_form(data: Any, name: str) -> None:
    """Fails where data are not of a schema of the API, by which the documentation names them."""
    jsonschema_rs.validate({"$ref": f"#/components/schemas/{name}", "components": OPENAPI["components"]}, data)


def test_a_bank_is_made_shown_changed_listed_and_deleted(console: Run) -> None:
    made = console("banks", "create", "alice", "--json").json()
    has_form(made, "BankSummary")
    assert (made["name"], made["turns"], made["on_failure"]) == ("alice", 0, "set_aside")
    assert console("banks", "create", "alice", "--json").json() == made
    assert console("banks", "create", "bob", "--on-failure", "wait", "--json").json()["on_failure"] == "wait"
    assert console("banks", "show", "bob").stdout.startswith("bank\tbob\n")
    assert console("banks", "change", "bob", "--on-failure", "set_aside", "--json").json()["on_failure"] == "set_aside"
    assert [line.split("\t")[0] for line in console("banks", "list").stdout.splitlines()] == ["alice", "bob"]
    receipt = console("banks", "delete", "bob", "--yes", "--json").json()
    has_form(receipt, "Receipt")
    assert [bank["name"] for bank in console("banks", "list", "--json").json()] == ["alice"]
    assert "There is no such bank." in fails_in_one_line(console("banks", "show", "bob"), 3)
    assert fails_as_problem(console("banks", "show", "bob", "--json"), 3, "unknown-bank")["status"] == 404


def test_nothing_is_erased_before_somebody_said_yes(console: Run, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = ingested(url, "alice", DOG, TEA)
    turn = read["turns"][0]["turn_id"]
    asked: list[str] = []

    def answered(question: str, **how: Any) -> bool:
        asked.append(question)
        return False

    for command in (["erase", "--bank", "alice"], ["banks", "delete", "alice"]):
        refused = console(*command)
        assert refused.returncode == 2 and "--yes" in refused.stderr and "2 memories" in refused.stderr
    problem = fails_as_problem(console("erase", "--bank", "alice", "--turn", turn, "--json"), 2, "usage")
    assert DOG in problem["detail"] and "--yes" in problem["detail"]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", answered)
    refused = console("erase", "--bank", "alice")
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", "Nothing was done.\n")
    assert "2 turns of Alice, 2 memories" in asked[0]
    assert len(console("memories", "list", "--bank", "alice", "--json").json()) == 2


def test_a_turn_and_a_bank_are_erased_with_receipts(console: Run, url: str) -> None:
    turn = ingested(url, "alice", DOG, TEA)["turns"][0]["turn_id"]
    receipt = console("erase", "--bank", "alice", "--turn", turn, "--yes", "--json").json()
    assert (receipt["erased"], receipt["turn_id"], receipt["removed"]["memories"]) == ("turn", turn, 1)
    assert [one["text"] for one in console("memories", "list", "--bank", "alice", "--json").json()] == [
        "Alice like tea."
    ]
    assert "no such turn" in fails_in_one_line(console("erase", "--bank", "alice", "--turn", turn, "--yes"), 3)
    erased = console("erase", "--bank", "alice", "--yes")
    assert erased.returncode == 0 and "turns\t1\n" in erased.stdout and "Receipt " in erased.stdout
    fails_in_one_line(console("erase", "--bank", "alice", "--yes"), 3)


def test_memories_are_added_edited_forgotten_and_that_is_undone(console: Run) -> None:
    of_alice = ("--bank", "alice", "--json")
    console("banks", "create", "alice")
    added = console("memories", "add", "Likes \x1b[31mtea.", "--speaker", "Alice", *of_alice).json()
    has_form(added, "Edited")
    memory = added["memory"]["id"]
    edited = console("memories", "edit", memory[:8], "--text", "Likes coffee.", "--version", "1", *of_alice).json()
    assert (edited["memory"]["text"], edited["memory"]["version"]) == ("Likes coffee.", 2)
    stale = console("memories", "edit", memory, "--text", "Likes water.", "--version", "1", *of_alice)
    assert fails_as_problem(stale, 1, "precondition-failed")["status"] == 412
    assert "is forgotten (operation 3" in console("memories", "forget", memory[:8], "--bank", "alice").stdout
    assert "by its whole id" in fails_in_one_line(console("memories", "show", memory[:8], "--bank", "alice"), 3)
    undone = console("operations", "undo", "3", *of_alice).json()
    has_form(undone, "Undone")
    shown = console("memories", "show", memory[:8], *of_alice).json()
    has_form(shown, "MemoryDetail")
    assert [version["text"] for version in shown["versions"]] == [
        "Likes \x1b[31mtea.",
        "Likes coffee.",
        "Likes coffee.",
    ]
    text = console("memories", "show", memory, "--bank", "alice").stdout
    # What users said does not steer the terminal of who reads it.
    assert "Likes \\x1b[31mtea." in text and "\x1b" not in text
    log = console("operations", "list", *of_alice).json()
    assert [(one["number"], one["kind"]) for one in log][-1] == (1, "ADD") and len(log) == 4
    has_form({"operations": log, "next_cursor": None}, "OperationList")
    assert [one["number"] for one in console("operations", "list", "--limit", "1", *of_alice).json()] == [4]
    assert console("operations", "list", "--bank", "alice").stdout.count("\n") == 4


def test_a_post_is_undone_whole(console: Run, url: str) -> None:
    ingestion = ingested(url, "alice", DOG, TEA)["id"]
    found = console("memories", "search", "dog", "--bank", "alice", "--limit", "1", "--json").json()
    assert "dog" in found[0]["memory"]["text"]
    assert "dog" in console("memories", "search", "dog", "--bank", "alice").stdout
    has_form(console("memories", "list", "--bank", "alice", "--json").json()[0], "Memory")
    assert console("operations", "undo", "--bank", "alice", "--ingestion", ingestion).returncode == 0
    assert console("memories", "list", "--bank", "alice", "--json").json() == []
    assert console("operations", "undo", "--bank", "alice").returncode == 2
    assert console("operations", "undo", "1", "--ingestion", ingestion, "--bank", "alice").returncode == 2
    conflict = console("operations", "undo", "1", "--bank", "alice", "--json")
    fails_as_problem(conflict, 1, "nothing-to-undo")


def test_ids_are_found_by_their_beginning_and_never_by_a_guess(console: Run, url: str) -> None:
    ingested(url, "alice", *(f"I have {n} cats." for n in range(40)))
    assert console("memories", "show", "abc", "--bank", "alice").returncode == 2
    fails_in_one_line(console("memories", "forget", "../../x", "--bank", "alice"), 3)
    with Client(url) as client:
        ids = [memory["id"] for memory in client.memories("alice")]
    assert console("memories", "show", ids[7][:13], "--bank", "alice", "--json").json()["memory"]["id"] == ids[7]


def test_a_bank_moves_by_a_file_and_a_second_import_is_the_first(console: Run, url: str, tmp_path: Path) -> None:
    ingested(url, "alice", DOG, TEA)
    file = tmp_path / "alice.ndjson"
    told = console("export", "--bank", "alice", "--output", str(file), "--json").json()
    assert told["bytes"] == file.stat().st_size and told["lines"] == len(file.read_bytes().splitlines()) - 1
    assert file.stat().st_mode & 0o077 == 0
    assert console("export", "--bank", "alice").stdout.splitlines()[1:-1] == file.read_text().splitlines()[1:-1]
    imported = console("import", str(file), "--bank", "copy", "--json").json()
    has_form(imported, "Imported")
    # As where the first answer was lost on its way.
    assert console("import", str(file), "--bank", "copy", "--json").json() == imported
    assert "is made of" in console("import", str(file), "--bank", "other").stdout
    file.write_bytes(file.read_bytes() + b"\n")
    assert fails_in_one_line(console("import", str(file), "--bank", "third"))
    fails_as_problem(console("import", str(tmp_path / "none"), "--bank", "x", "--json"), 1, "command-failed")
    assert console("export", "--bank", "alice", "--json").returncode == 2
    fails_in_one_line(console("export", "--bank", "nobody", "--output", str(tmp_path / "nobody")), 3)
    fails_in_one_line(console("export", "--bank", "alice", "--output", str(tmp_path / "no" / "folder")))
    assert [path.name for path in tmp_path.iterdir()] == ["alice.ndjson"]


def test_as_of_reads_the_bank_as_it_was(console: Run, url: str) -> None:
    ingested(url, "alice", DOG)
    before = ("--as-of", "2001-01-01T00:00:00Z", "--bank", "alice", "--json")
    assert console("memories", "list", *before).json() == []
    assert console("ask", "Which dog?", *before).json()["abstained"] is True
    guess = console("ask", "Which dog?", "--bank", "alice", "--best-guess", "--json").json()
    assert guess["best_guess"] and not guess["abstained"]
    bad = console("memories", "list", "--bank", "alice", "--as-of", "yesterday")
    assert bad.returncode == 1 and "query.as_of" in bad.stderr and "Traceback" not in bad.stderr
