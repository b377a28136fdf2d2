"""The embedded default as users start it: whatever ends it, what was acknowledged is there afterwards."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from app.client import Client
from tests.e2e.conversations import ENDED, hold_conversation, read_answer, said, wait_until_ended
from tests.e2e.processes import Service, Workplace, eventually, is_one_line_error

SERVE = ("serve", "--local", "--port", "0")
LONG_LEASE = {"worker__lease_seconds": 600}
"""A service that starts on its own folder does not wait for the lease of the one that was killed."""
LATER = [said("I work as a nurse in Leeds.", 5), said("My cat is called Miso.", 6, "Robin")]


def test_what_was_acknowledged_outlives_a_kill(workplace: Workplace, small_model_dir: Path) -> None:
    workplace.share_model(small_model_dir)
    with workplace.started(*SERVE, **LONG_LEASE) as service:
        held = hold_conversation(service.url(), "alice")
        with Client(service.url()) as client:
            receipt = client.post_turns("alice", LATER)
        service.end(signal.SIGKILL)
    assert eventually(lambda: not workplace.processes()), "the killed service left processes behind"

    with workplace.started(*SERVE) as service:
        with Client(service.url()) as client:
            ended = wait_until_ended(client, "alice", receipt["ingestion_id"])
            assert [turn["turn_id"] for turn in ended["turns"]] == receipt["turn_ids"]
            assert {turn["state"] for turn in ended["turns"]} == {"done"}
            turns = client.turns("alice")["turns"]
            assert [turn["turn_id"] for turn in turns] == held.turn_ids + receipt["turn_ids"]
            check_nothing_was_lost(client, [memory["id"] for memory in held.memories])
            again = client.post_turns("alice", LATER)
            assert again["turn_ids"] == receipt["turn_ids"]
            assert again["duplicates"] == len(LATER)
        assert read_answer(service.url(), "alice", held.answer["id"]) == held.answer
        check_a_second_service_is_refused(workplace, service)
        check_turns_under_way_do_not_hold_up_the_end(service)
        assert not workplace.processes()


def check_nothing_was_lost(client: Client, memory_ids: list[str]) -> None:
    for memory_id in memory_ids:
        detail = client.memory("alice", memory_id)
        assert len(detail["versions"]) == detail["memory"]["version"]
        assert detail["sources"]


def check_a_second_service_is_refused(workplace: Workplace, service: Service) -> None:
    same_folder = workplace.run(*SERVE)
    assert is_one_line_error(same_folder), same_folder.stderr
    assert str(workplace.data_dir) in same_folder.stderr
    assert f"in use by process {service.process.pid}" in same_folder.stderr

    port = service.url().rpartition(":")[2]
    same_port = workplace.run("serve", "--local", "--port", port)
    assert is_one_line_error(same_port), same_port.stderr
    assert same_port.stderr.count("\n") == 1
    assert port in same_port.stderr
    assert "--port" in same_port.stderr


def check_turns_under_way_do_not_hold_up_the_end(service: Service) -> None:
    with Client(service.url()) as client:
        receipt = client.post_turns("alice", [said("I sold my bike.", 9), said("Oh no!", 10, "Robin")])
        assert client.ingestion("alice", receipt["ingestion_id"])["state"] not in ENDED
    assert service.end(signal.SIGTERM) == 0, service.printed()
    assert "Traceback" not in service.printed()


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("creating the database cluster", signal.SIGINT),
        ("starting Postgres", signal.SIGTERM),
        ("loading the language model", signal.SIGINT),
    ],
)
def test_a_start_that_is_broken_off_ends_cleanly(
    step: str, number: signal.Signals, workplace: Workplace, small_model_dir: Path
) -> None:
    workplace.share_model(small_model_dir)
    with workplace.started(*SERVE) as service:
        service.wait_for(step)
        assert service.end(number) == 0, service.printed()
        assert not workplace.processes()
        assert "ready at" not in service.printed()
        assert "Traceback" not in service.printed()
