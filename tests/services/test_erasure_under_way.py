"""Erasing a turn while it, or what stands on it, is being worked on, answered about or waited for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy import select, update

from app.core import errors
from app.core.values import Prompt, Role
from app.db import tables
from app.services import answer, banks, ingest
from app.services.callers import Caller
from app.services.erasure import Derived
from app.services.ingest import State
from app.services.service import Service
from tests.fixtures.doubles import HashEmbedder
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import (
    FailingCompleter,
    WatchingCompleter,
    bought,
    ended,
    memory_texts,
    numbered,
    post,
    reached,
    said,
    until,
    working,
)
from tests.services.conftest import Remake
from tests.services.test_erasure_of_turns import adding, erase, heard, holds, write


@pytest.mark.parametrize("role", [Role.EXTRACTOR, Role.MANAGER])
@pytest.mark.parametrize("erased", [0, 1])
async def test_work_under_way_writes_nothing_of_an_erased_turn(
    remade: Remake, tenant: UUID, role: Role, erased: int
) -> None:
    """Also not of the turn before: what a fact says may come from there."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def hold(prompt: Prompt) -> None:
        is_of_second = "Bob" in prompt.messages[-1].content.rpartition("Last turn")[2].partition(" on ")[0] or (
            "number 8" in prompt.messages[-1].content.rpartition("\n")[2]
        )
        if prompt.role is role and is_of_second and not go_on.is_set():
            asked.set()
            await go_on.wait()

    service = remade(WatchingCompleter(hold), HashEmbedder(), prefetch=1)
    posted = [said("I keep SECRET cats."), said("I bought item number 8.", "Bob"), said("I like chess.", "Bob")]
    key, accepted = await post(service, tenant, "one", posted)
    async with working(service):
        await asked.wait()
        await erase(service, tenant, accepted.turn_ids[erased], Derived.ALL)
        go_on.set()
        await ended(service, key, accepted.ingestion_id)
    word = ("SECRET", "number 8")[erased]
    assert await holds(service, word) == []
    left = ["Alice keep SECRET cats.", "Bob bought item number 8.", "Bob like chess."]
    assert await memory_texts(service, key) == [one for one in left if word not in one]
    async with everything(service.sessions) as session:
        for ids in await session.scalars(select(tables.traces.c.turn_ids)):
            assert accepted.turn_ids[erased] not in ids


async def test_a_memory_that_is_being_revised_does_not_name_the_erased_turn(remade: Remake, tenant: UUID) -> None:
    """The manager was shown a memory of two turns; it is kept, and the decision is made anew."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def hold(prompt: Prompt) -> None:
        if prompt.role is Role.MANAGER:
            asked.set()
            await go_on.wait()

    completer = WatchingCompleter(hold)
    completer.replies["manager"] = lambda prompt: (
        '{"f1": [{"op": "UPDATE", "memory": "m1", "text": "Alice like tea and chess."}]}'
    )
    service = remade(completer, HashEmbedder())
    key, (first, second) = await heard(remade(), tenant, 2)
    await write(service, key, first, adding("Alice like tea.", first, second))
    async with everything(service.sessions) as session:
        await session.execute(update(tables.inbox).values(state="done"))
    _, accepted = await post(service, tenant, "one", [said("I like chess.")])
    async with working(service):
        await asked.wait()
        await erase(service, tenant, second)
        go_on.set()
        await ended(service, key, accepted.ingestion_id)
    for memory in await service.bank(key).memories():
        assert second not in memory.sources


async def test_an_answer_under_way_does_not_quote_what_was_erased(remade: Remake, tenant: UUID) -> None:
    async def meanwhile(prompt: Prompt) -> None:
        if prompt.role is Role.ANSWERER:
            await erase(service, tenant, accepted.turn_ids[0])

    service = remade(WatchingCompleter(meanwhile), HashEmbedder())
    key, accepted = await post(service, tenant, "one", numbered(2))
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    with pytest.raises(errors.ErasedMeanwhile):
        await answer.ask(service, key, "Which items?")
    async with everything(service.sessions) as session:
        assert list(await session.scalars(select(tables.answers.c.id))) == []


async def test_everything_at_once_ends_in_no_deadlock_and_no_dangling_source(service: Service, tenant: UUID) -> None:
    key, accepted = await post(service, tenant, "one", numbered(40))
    rng = random.Random(5)

    async def asking() -> None:
        for _ in range(30):
            try:
                await answer.ask(service, key, f"Which item is number {rng.randrange(40)}?")
            except errors.ErasedMeanwhile:
                continue

    async def erasing(turn_ids: Sequence[UUID]) -> None:
        for turn_id in turn_ids:
            await asyncio.sleep(rng.uniform(0, 0.03))
            await erase(service, tenant, turn_id, rng.choice(list(Derived)))

    chosen = rng.sample(accepted.turn_ids, 24)
    async with working(service, service):
        await asyncio.gather(asking(), asking(), erasing(chosen[:8]), erasing(chosen[8:16]), erasing(chosen[16:]))
        await ended(service, key, accepted.ingestion_id)
    left = [n for n, turn_id in enumerate(accepted.turn_ids) if turn_id not in chosen]
    assert await memory_texts(service, key) == [bought(40)[n] for n in left]
    async with everything(service.sessions) as session:
        for table in (tables.memories, tables.memory_versions):
            for sources in await session.scalars(select(table.c.sources)):
                assert not {*sources} & {*chosen}
        assert await session.scalar(select(tables.banks.c.turn_count)) == 16


@pytest.mark.parametrize("let_go", ["erase", "setting", "retry"])
async def test_a_bank_that_waits_for_a_failed_turn_goes_on_once_that_is_settled(
    remade: Remake, tenant: UUID, let_go: str
) -> None:
    failing = FailingCompleter(errors.ModelRefused("no"), Role.EXTRACTOR)
    service = remade(failing, HashEmbedder(), prefetch=1)
    key, accepted = await post(service, tenant, "one", [said("How are you?")])
    caller, failed = Caller(tenant_id=tenant), accepted.turn_ids[0]
    await banks.change_settings(service.sessions, caller, "one", banks.OnFailure.WAIT)
    async with working(service):
        await until(lambda: blocked(service, tenant))
        failing.error = None
        summary = await banks.read_bank(service.sessions, tenant, "one")
        assert (summary.on_failure, summary.blocked_by) == (banks.OnFailure.WAIT, failed)
        _, later = await post(service, tenant, "one", numbered(1))
        other, elsewhere = await post(service, tenant, "two", numbered(1))
        assert (await ended(service, other, elsewhere.ingestion_id)).state is State.DONE
        assert await ingest.state(service.sessions, key, later.ingestion_id) is State.QUEUED
        match let_go:
            case "erase":
                await erase(service, tenant, failed)
            case "setting":
                await banks.change_settings(service.sessions, caller, "one", banks.OnFailure.SET_ASIDE)
            case _:
                await ingest.retry(service.sessions, key, accepted.ingestion_id)
        await reached(service, key, later.ingestion_id, State.DONE)
    assert (await banks.read_bank(service.sessions, tenant, "one")).blocked_by is None
    states = [turn.state for turn in (await ingest.page(service.sessions, key, 10, None, None)).turns]
    assert states[:-1] == {"erase": [], "setting": [State.FAILED], "retry": [State.DONE]}[let_go]


async def blocked(service: Service, tenant: UUID) -> bool:
    return (await banks.read_bank(service.sessions, tenant, "one")).blocked_by is not None
