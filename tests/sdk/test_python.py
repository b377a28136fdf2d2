"""The Python client against the live service, as a chatbot would use it."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from memory_r1_client import (
    AsyncMemoryR1,
    IngestionFailed,
    MemoryR1,
    MemoryR1Error,
    ProblemError,
    StillWaiting,
    models,
    problems,
    turn_of,
)
from memory_r1_client.generated.api.memories import get_memory
from memory_r1_client.generated.api.transfer import export_bank, import_bank
from memory_r1_client.generated.models import CandidatesEvent, DistilledEvent, DoneEvent, TokenEvent
from memory_r1_client.generated.types import File

from tests.sdk.flaky import FlakyProxy

ODD = "Zoë 🐕‍🦺 heißt שלום \u202eبادي \u2028 \U0001f9ff Ünïcödé"


def test_what_is_said_is_remembered_and_answered(memory: MemoryR1) -> None:
    alice = memory.bank("alice")
    receipt = alice.remember("I adopted a dog named Buddy.", speaker="Alice", wait=True)
    assert receipt.state == "done" and receipt.duplicates == 0
    answered = alice.answer("Which dog?")
    assert answered.answer == "Alice adopted a dog named Buddy."
    assert [used.id for used in answered.memories] == [one.id for one in alice.memories()]
    assert not answered.best_guess and alice.answer("Which dog?", best_guess=True).best_guess
    assert [bank.name for bank in memory.banks()] == ["alice"]


async def test_the_other_client_does_the_same(async_memory: AsyncMemoryR1) -> None:
    alice = async_memory.bank("alice")
    said_at = datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
    await alice.remember("I adopted a dog named Buddy.", speaker="Alice", said_at=said_at, wait=True)
    (remembered,) = [one async for one in alice.memories()]
    assert remembered.said_at == said_at
    assert (await alice.answer("Which dog?")).answer == "Alice adopted a dog named Buddy."
    assert (await alice.answer("Which dog?", best_guess=True)).best_guess
    assert [bank.name async for bank in async_memory.banks()] == ["alice"]
    forgotten = await alice.forget(remembered.id)
    assert [one async for one in alice.memories()] == []
    await alice.undo(forgotten.operation)
    assert [one.text async for one in alice.memories()] == [remembered.text]
    assert [one.number async for one in alice.operations(order=models.Order.OLDEST)] == [1, 2, 3]
    before = datetime.now(UTC)
    assert [one.text async for one in alice.memories(as_of=before)] == [remembered.text]
    assert await alice.search("dog", as_of=datetime(2020, 1, 1, tzinfo=UTC)) == []


def test_any_text_comes_back_as_it_was(memory: MemoryR1) -> None:
    bank = memory.bank("odd:bank@example.com")
    bank.remember(ODD, speaker="Zoë 🐕", external_id=ODD, session=ODD, metadata={ODD: [ODD, None, 1.5]}, wait=True)
    (turn,) = bank.turns()
    assert (turn.text, turn.speaker, turn.external_id, turn.session) == (ODD, "Zoë 🐕", ODD, ODD)
    assert [found.memory.text for found in bank.search(ODD)]


@pytest.mark.parametrize(
    "text", ["", "   ", "\x00", "\ud800", "x" * 100_000], ids=["empty", "blank", "nul", "half", "long"]
)
def test_text_that_cannot_be_stored_is_an_error_of_its_own_kind(memory: MemoryR1, text: str) -> None:
    with pytest.raises((problems.InvalidInput, ValueError)) as refused:
        memory.bank("alice").remember(text)
    if isinstance(refused.value, problems.InvalidInput):
        assert refused.value.errors[0].at.startswith("body.turns.0.text")
    assert list(memory.banks()) == []


def test_moments_without_an_offset_are_refused_before_anything_is_sent(memory: MemoryR1, proxy: FlakyProxy) -> None:
    with pytest.raises(ValueError, match="offset"):
        memory.bank("alice").remember("I am here.", said_at=datetime(2023, 5, 8))
    assert proxy.asked == []


@pytest.mark.parametrize("wrong", ["mr1_nobody_knows_this_key", None], ids=["unknown", "none"])
def test_a_wrong_key_is_told_at_once(proxy: FlakyProxy, wrong: str | None) -> None:
    with MemoryR1(proxy.url, wrong) as memory, pytest.raises(problems.Unauthenticated) as refused:
        memory.bank("alice").remember("I am here.")
    assert refused.value.status == 401 and isinstance(refused.value, ProblemError)
    assert len(proxy.asked) == 1


def test_the_key_is_not_shown(memory: MemoryR1, key: str) -> None:
    assert key not in repr(memory) and key not in repr(memory.bank("alice"))
    assert key not in repr(memory.get_httpx_client().headers)


@pytest.mark.parametrize("key", ["kéy", "a b\r\nx: y", "", " key"], ids=["letter", "lines", "empty", "space"])
def test_what_cannot_be_a_key_is_not_sent(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        MemoryR1("http://127.0.0.1:1", key)


@pytest.mark.parametrize(
    "url", ["", "localhost:8080", "ftp://127.0.0.1", "http://"], ids=["empty", "bare", "ftp", "nowhere"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        MemoryR1(url)


def test_errors_have_the_class_of_their_problem(memory: MemoryR1) -> None:
    with pytest.raises(problems.NotFound) as missing:
        memory.bank("nobody").answer("Who?")
    assert type(missing.value) is problems.UnknownBank and isinstance(missing.value, MemoryR1Error)
    with pytest.raises(problems.InvalidInput):
        memory.bank("no bank!").answer("Who?")


def test_a_turn_that_is_posted_again_waits_for_the_first(memory: MemoryR1) -> None:
    alice = memory.bank("alice")
    first = alice.remember("I have a cat.", external_id="1")
    second = alice.remember("I have a cat.", external_id="1", wait=True)
    assert second.duplicates == 1 and second.earlier_ingestion_ids == [first.ingestion_id]
    assert len(list(alice.memories())) == 1
    with pytest.raises(problems.TurnConflict):
        alice.remember("I have another cat.", external_id="1")


def test_a_turn_that_cannot_be_worked_on_is_no_success(memory: MemoryR1) -> None:
    alice = memory.bank("alice")
    with pytest.raises(IngestionFailed, match="reply"):
        alice.remember("This breaks the model.", wait=True)
    alice.remember("I have a cat.", wait=True)
    with pytest.raises(problems.BrokenReply) as failed:
        alice.answer("What breaks the model?")
    assert failed.value.status == 502
    with pytest.raises(problems.BrokenReply):
        list(alice.stream_answer("What breaks the model?"))


def test_patience_ends(memory: MemoryR1) -> None:
    with pytest.raises(StillWaiting) as waiting:
        memory.bank("alice").remember("This takes the model long.", wait=True, patience=0)
    assert memory.bank("alice").wait_for(waiting.value.ingestion_id).state == "done"


def test_long_lists_are_read_page_by_page(memory: MemoryR1, proxy: FlakyProxy) -> None:
    alice = memory.bank("alice")
    said = [f"{number} {ODD * 20}?" for number in range(401)]
    alice.remember_all([turn_of(text, "Alice") for text in said])
    proxy.asked.clear()
    turns = alice.turns()
    assert next(turns).text == said[0]
    assert len(proxy.asked) == 1, "a page is fetched when it is asked for"
    assert [turn.text for turn in turns] == said[1:]
    assert len(proxy.asked) == 3
    assert len(list(alice.turns(limit=100))) == 401


async def test_an_answer_is_heard_while_it_is_made(async_memory: AsyncMemoryR1, memory: MemoryR1) -> None:
    alice = async_memory.bank("alice")
    await alice.remember(f"{ODD} is my dog.", wait=True)
    events = [event async for event in alice.stream_answer("Which dog?")]
    done = events[-1]
    assert isinstance(done, DoneEvent) and done.data.answer and ODD.split()[0] in done.data.answer
    assert "".join(event.data.text for event in events if isinstance(event, TokenEvent)) == done.data.answer
    assert {CandidatesEvent, DistilledEvent} <= {type(event) for event in events}
    assert [one.id for one in (await alice.answer("Which dog?")).memories] == [one.id for one in done.data.memories]


def test_a_question_to_no_bank_fails_before_the_first_event(memory: MemoryR1) -> None:
    with pytest.raises(problems.UnknownBank):
        next(memory.bank("nobody").stream_answer("Who?"))


def test_an_ingestion_is_followed_to_its_end(memory: MemoryR1) -> None:
    alice = memory.bank("alice")
    receipt = alice.remember_all([turn_of(f"I have {number} cats.", "Alice") for number in range(5)])
    ended = list(alice.follow(receipt.ingestion_id))
    assert [turn.turn_id for turn in ended] == receipt.turn_ids
    assert all(turn.state == "done" and turn.operations for turn in ended)


def test_every_operation_can_be_called_by_its_generated_function(memory: MemoryR1) -> None:
    alice = memory.bank("alice")
    alice.remember(ODD, wait=True)
    exported = export_bank.sync("alice", client=memory).payload.read()
    assert json.loads(exported.splitlines()[0])
    imported = import_bank.sync("bob", client=memory, body=File(payload=io.BytesIO(exported)))
    assert imported.bank == "bob"
    (kept,) = memory.bank("bob").memories()
    detail = get_memory.sync_detailed("bob", kept.id, client=memory)
    assert detail.headers["etag"] and detail.parsed is not None and detail.parsed.memory == kept
