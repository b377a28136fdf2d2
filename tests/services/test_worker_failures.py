from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from app.core import errors
from app.core.changes import Changes, RemoveMemory
from app.core.values import Prompt, Role, Vector
from app.db import lanes, tables
from app.services import ingest
from app.services.ingest import State
from app.services.service import Service
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter, decisions
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import (
    FailingCompleter,
    RawCompleter,
    WatchingCompleter,
    bought,
    ended,
    lane_of,
    memory_texts,
    numbered,
    operations_per_turn,
    post,
    reached,
    said,
    until,
    working,
)
from tests.services.conftest import Remake

UNREACHABLE = errors.ModelUnreachable("Cannot reach the model server.")


@pytest.mark.parametrize("role", [Role.EXTRACTOR, Role.MANAGER])
async def test_a_model_that_is_down_is_visible_as_retrying_and_done_when_it_is_back(
    remade: Remake, tenant: UUID, role: Role
) -> None:
    completer = FailingCompleter(UNREACHABLE, role)
    service = remade(completer, max_attempts=100)
    key, accepted = await post(service, tenant, "one", numbered(3))
    async with working(service):
        seen = await reached(service, key, accepted.ingestion_id, State.RETRYING)
        first, *others = seen.turns
        assert first.error is not None
        assert (first.error.type, first.error.detail) == ("ModelUnreachable", str(UNREACHABLE))
        assert first.attempts >= 1
        assert {turn.state for turn in others} == {State.QUEUED}
        completer.error = None
        done = await ended(service, key, accepted.ingestion_id)
    assert done.state is State.DONE
    assert done.turns[0].error is None
    assert await memory_texts(service, key) == bought(3)
    assert await operations_per_turn(service.sessions, key) == [1, 1, 1]


async def test_facts_once_extracted_are_not_asked_for_again(remade: Remake, tenant: UUID) -> None:
    completer = FailingCompleter(UNREACHABLE, Role.MANAGER)
    service = remade(completer, max_attempts=100)
    key, accepted = await post(service, tenant, "one", numbered(1))
    async with working(service):
        await until(lambda: tried(service, key, 3))
        completer.error = None
        await ended(service, key, accepted.ingestion_id)
    assert completer.calls(Role.EXTRACTOR) == 1


async def tried(service: Service, key: Any, times: int) -> bool:
    statement = select(func.max(tables.inbox.c.attempts)).where(tables.inbox.c.bank_id == key.bank_id)
    async with everything(service.sessions) as session:
        return (await session.scalar(statement) or 0) >= times


def only_item_one(error: Exception) -> Callable[[Prompt], Any]:
    async def fail(prompt: Prompt) -> None:
        if prompt.role is Role.EXTRACTOR and "number 1." in prompt.messages[-1].content.rpartition("Last turn")[2]:
            raise error

    return fail


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (UNREACHABLE, 5),
        (errors.ModelTimedOut(), 5),
        (errors.BrokenReply("no JSON"), 3),
        (errors.ReplyCutOff(), 3),
        (errors.ModelRefused("Status 400"), 1),
        (RuntimeError("a fault of ours"), 3),
    ],
)
async def test_a_turn_that_keeps_failing_is_failed_with_the_reason_and_the_bank_goes_on(
    remade: Remake, tenant: UUID, error: Exception, attempts: int
) -> None:
    service = remade(WatchingCompleter(only_item_one(error)))
    key, accepted = await post(service, tenant, "one", numbered(4))
    async with working(service):
        read = await ended(service, key, accepted.ingestion_id)
    assert read.state is State.FAILED
    assert [turn.state for turn in read.turns] == [State.DONE, State.FAILED, State.DONE, State.DONE]
    failed = read.turns[1]
    assert failed.error is not None
    # Faults that are not ours by name may quote anything.
    detail = str(error) if isinstance(error, errors.ModelError) else lanes.UNEXPECTED
    assert (failed.error.type, failed.error.detail) == (type(error).__name__, detail)
    assert failed.attempts == attempts
    assert await memory_texts(service, key) == [t for n, t in enumerate(bought(4)) if n != 1]


async def test_failed_turns_can_be_tried_again_in_order(remade: Remake, tenant: UUID) -> None:
    completer = FailingCompleter(errors.ModelRefused("Status 401"))
    service = remade(completer)
    key, accepted = await post(service, tenant, "one", numbered(5))
    async with working(service):
        assert (await ended(service, key, accepted.ingestion_id)).state is State.FAILED
        completer.error = None
        assert (await ingest.retry(service.sessions, key, accepted.ingestion_id)).turns == 5
        done = await ended(service, key, accepted.ingestion_id)
    assert done.state is State.DONE
    assert await memory_texts(service, key) == bought(5)
    assert await operations_per_turn(service.sessions, key) == [1] * 5
    with pytest.raises(errors.NothingToRetry):
        await ingest.retry(service.sessions, key, accepted.ingestion_id)
    with pytest.raises(errors.UnknownIngestion):
        await ingest.retry(service.sessions, key, tenant)


@pytest.mark.parametrize(
    ("role", "reply"),
    [
        (Role.EXTRACTOR, "{}"),
        (Role.EXTRACTOR, '{"facts": ["a string"]}'),
        (Role.EXTRACTOR, '{"facts": null}'),
        (Role.EXTRACTOR, "[]"),
        (Role.EXTRACTOR, ""),
        (Role.EXTRACTOR, "I am sorry, I cannot do that."),
        (Role.EXTRACTOR, '{"facts": [{"who": "Alice", "what'),
        (Role.MANAGER, "{}"),
        (Role.MANAGER, '{"f1": [{"op": "FORGET"}]}'),
        (Role.MANAGER, '{"f1": [{"op": "DELETE", "memory": "m7"}]}'),
        (Role.MANAGER, '{"f1": "ADD"}'),
    ],
)
async def test_a_malformed_reply_never_counts_as_nothing_to_remember(
    remade: Remake, tenant: UUID, role: Role, reply: str
) -> None:
    service = remade(RawCompleter(role, reply))
    key, accepted = await post(service, tenant, "one", numbered(1))
    async with working(service):
        read = await ended(service, key, accepted.ingestion_id)
    assert read.state is State.FAILED
    assert read.turns[0].error is not None
    assert read.turns[0].error.type == "BrokenReply"
    assert read.turns[0].attempts == 3


@pytest.mark.parametrize("text", ["NUL \x00 inside", "lone surrogate \ud800", "x" * 100_000])
async def test_an_error_that_the_database_cannot_hold_is_noted_all_the_same(
    remade: Remake, tenant: UUID, text: str
) -> None:
    completer = FailingCompleter(errors.ModelRefused(text))
    service = remade(completer)
    key, accepted = await post(service, tenant, "one", numbered(1))
    async with working(service):
        read = await ended(service, key, accepted.ingestion_id)
    assert read.turns[0].error is not None
    assert read.turns[0].error.type == "ModelRefused"
    assert len(completer.prompts) == 1


@pytest.mark.parametrize(
    "fact", ["Alice bought \u0000 item", "Alice bought \ud800 item", "Alice bought item \U0001f600"]
)
async def test_no_text_of_a_model_stops_a_bank(remade: Remake, tenant: UUID, fact: str) -> None:
    reply = json.dumps({"facts": [{"who": "Alice", "what": fact}]})
    service = remade(WatchingCompleter(extractor=lambda prompt: reply))
    key, accepted = await post(service, tenant, "one", numbered(2))
    async with working(service):
        read = await ended(service, key, accepted.ingestion_id)
    assert [turn.state in (State.DONE, State.FAILED) for turn in read.turns] == [True, True]
    assert (await lane_of(service.sessions, key)).run_at is None


async def test_a_memory_changed_between_recall_and_apply_is_planned_again_once(remade: Remake, tenant: UUID) -> None:
    interfered: list[int] = []

    async def interfere(prompt: Prompt) -> None:
        if prompt.role is Role.MANAGER and "number 1" in prompt.messages[-1].content and not interfered:
            (memory,) = await service.bank(key).memories()
            interfered.append(memory.version)
            removal = RemoveMemory(memory_id=memory.id, version=memory.version)
            await service.bank(key).apply(Changes(removals=(removal,)))

    def replace(prompt: Prompt) -> str:
        shown = "m1" in prompt.reply_schema["properties"]["f1"].__repr__()
        update = {"op": "UPDATE", "memory": "m1", "text": "Alice bought item number 0 and item number 1."}
        return decisions(prompt, lambda fact: [update if shown and "number 1" in fact else {"op": "ADD"}])

    completer = WatchingCompleter(interfere, manager=replace)
    service = remade(completer)
    key, accepted = await post(service, tenant, "one", numbered(2))
    async with working(service):
        read = await ended(service, key, accepted.ingestion_id)
    assert interfered == [1]
    assert read.state is State.DONE
    assert read.turns[1].attempts == 0
    assert completer.calls(Role.MANAGER) == 3
    assert await memory_texts(service, key) == ["Alice bought item number 1."]


async def test_memories_that_change_all_the_time_make_the_turn_retry_visibly(remade: Remake, tenant: UUID) -> None:
    async def interfere(prompt: Prompt) -> None:
        if prompt.role is Role.MANAGER and "number 1" in prompt.messages[-1].content:
            async with everything(service.sessions) as session:
                bump = update(tables.memories).values(version=tables.memories.c.version + 1)
                await session.execute(bump.where(tables.memories.c.bank_id == key.bank_id))

    def replace(prompt: Prompt) -> str:
        change = {"op": "UPDATE", "memory": "m1", "text": "Alice bought item number 0 and item number 1."}
        return decisions(prompt, lambda fact: [change if "number 1" in fact else {"op": "ADD"}])

    service = remade(WatchingCompleter(interfere, manager=replace))
    key, accepted = await post(service, tenant, "one", numbered(2))
    async with working(service):
        read = await ended(service, key, accepted.ingestion_id)
    failed = read.turns[1]
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert (failed.error.type, failed.attempts) == ("StaleMemory", 5)
    assert await operations_per_turn(service.sessions, key) == [1, 0]


async def test_an_embedder_of_another_size_is_a_clear_error_of_the_turn(remade: Remake, tenant: UUID) -> None:
    class Mismatched(HashEmbedder):
        async def embed(self, texts: Any) -> list[Vector]:
            raise errors.EmbeddingMismatch("hashed-words with 384 dimensions", "768 dimensions")

    service = remade(ScriptedCompleter(), Mismatched())
    key, accepted = await post(service, tenant, "one", numbered(1))
    async with working(service):
        read = await ended(service, key, accepted.ingestion_id)
    assert read.turns[0].error is not None
    assert read.turns[0].error.type == "EmbeddingMismatch"
    assert "384 dimensions" in read.turns[0].error.detail


async def test_the_worker_outlives_a_database_that_refuses_its_statements(remade: Remake, tenant: UUID) -> None:
    service = remade(poll_seconds=0.1)
    async with working(service):
        async with everything(service.sessions) as session:
            await session.execute(text("ALTER TABLE lanes RENAME TO hidden"))
        await asyncio.sleep(0.5)
        async with everything(service.sessions) as session:
            await session.execute(text("ALTER TABLE hidden RENAME TO lanes"))
        key, accepted = await post(service, tenant, "one", numbered(1))
        assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE


async def test_a_failing_bank_does_not_hold_up_the_others(remade: Remake, tenant: UUID) -> None:
    async def fail_ann(prompt: Prompt) -> None:
        if "Ann:" in prompt.messages[-1].content:
            raise UNREACHABLE

    service = remade(WatchingCompleter(fail_ann), banks=1, max_attempts=100)
    bad = await post(service, tenant, "ann", [said("I bought a boat.", "Ann")])
    good = await post(service, tenant, "ben", numbered(3, "Ben"))
    async with working(service):
        assert (await ended(service, good[0], good[1].ingestion_id)).state is State.DONE
        assert await ingest.state(service.sessions, bad[0], bad[1].ingestion_id) is State.RETRYING


async def test_a_worker_with_another_embedding_model_writes_nothing(service: Service, tenant: UUID) -> None:
    key, first = await post(service, tenant, "one", numbered(1))
    async with working(service):
        await ended(service, key, first.ingestion_id)
    _, accepted = await post(service, tenant, "one", numbered(1, first=1))
    other = Service(service.settings, service.sessions, service.completers, HashEmbedder("another"))
    async with working(other):
        read = await reached(service, key, accepted.ingestion_id, State.RETRYING)
        assert read.turns[0].error is not None
        assert read.turns[0].error.type == "EmbeddingMismatch"
    assert await memory_texts(service, key) == bought(1)
    async with working(service):
        assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE
    assert await memory_texts(service, key) == bought(2)
