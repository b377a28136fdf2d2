from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import select

from app.core import errors
from app.db import lanes, tables
from app.db.queries import in_bank
from app.main import open_service
from app.services import banks, ingest
from app.services.ingest import NewTurn, State, state_of
from app.services.service import Service
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import (
    bought,
    ended,
    memory_texts,
    numbered,
    post,
    rows_of,
    said,
    until,
    working,
)
from tests.services.conftest import Remake


@pytest.mark.parametrize(
    ("turns", "whole"),
    [
        ([], State.DONE),
        ([State.QUEUED, State.QUEUED], State.QUEUED),
        ([State.DONE, State.QUEUED], State.RUNNING),
        ([State.FAILED, State.QUEUED], State.RUNNING),
        ([State.DONE, State.RETRYING, State.QUEUED], State.RETRYING),
        ([State.DONE, State.FAILED], State.FAILED),
        ([State.DONE, State.DONE], State.DONE),
    ],
)
def test_the_state_of_an_ingestion_is_the_sum_of_its_turns(turns: list[State], whole: State) -> None:
    assert state_of(turns) is whole


async def test_a_post_is_durable_with_its_place_in_the_inbox(service: Service, tenant: UUID) -> None:
    key, accepted = await post(service, tenant, "one", numbered(3))
    read = await ingest.read(service.sessions, key, accepted.ingestion_id)
    assert [turn.turn_id for turn in read.turns] == list(accepted.turn_ids)
    assert read.state is State.QUEUED
    assert [turn.text for turn in await service.bank(key).turns(accepted.turn_ids)] == [t.text for t in numbered(3)]
    async with everything(service.sessions) as session:
        assert await lanes.waiting_count(session, key) == 3


async def test_the_same_turns_again_are_stored_and_worked_on_once(remade: Remake, tenant: UUID) -> None:
    completer = ScriptedCompleter()
    service = remade(completer)
    turns = [said(f"I bought item number {n}.", external_id=f"t{n}") for n in range(3)]
    async with working(service):
        key, first = await post(service, tenant, "one", turns)
        await ended(service, key, first.ingestion_id)
        key, second = await post(service, tenant, "one", [*turns, said("I bought item number 3.")])
        assert (await ended(service, key, second.ingestion_id)).state is State.DONE
    assert second.turn_ids[:3] == first.turn_ids
    assert (first.duplicates, second.duplicates) == (0, 3)
    assert await memory_texts(service, key) == bought(4)
    assert (await rows_of(service.sessions, key))["turns"] == 4


async def test_the_same_turn_posted_by_many_at_once_is_stored_once(service: Service, tenant: UUID) -> None:
    turn = said("I bought item number 0.", external_id="same")
    accepted = await asyncio.gather(*(ingest.accept(service, tenant, "one", [turn]) for _ in range(12)))
    assert len({receipt.turn_ids for receipt in accepted}) == 1
    assert sorted(receipt.duplicates for receipt in accepted) == [0] + [1] * 11
    key = await banks.find_bank(service.sessions, tenant, "one")
    assert (await rows_of(service.sessions, key))["inbox"] == 1


async def test_posts_at_once_get_positions_without_gap_and_keep_each_post_together(
    service: Service, tenant: UUID
) -> None:
    posts = [[said(f"I bought item number {100 * p + n}.") for n in range(5)] for p in range(8)]
    await asyncio.gather(*(ingest.accept(service, tenant, "one", turns) for turns in posts))
    key = await banks.find_bank(service.sessions, tenant, "one")
    async with everything(service.sessions) as session:
        statement = select(tables.turns).where(in_bank(tables.turns, key)).order_by(tables.turns.c.position)
        rows = (await session.execute(statement)).all()
    assert [row.position for row in rows] == list(range(1, 41))
    texts = [[row.text for row in rows[start : start + 5]] for start in range(0, 40, 5)]
    assert sorted(texts) == sorted([turn.text for turn in turns] for turns in posts)


async def test_posts_at_once_to_a_bank_that_is_worked_on_all_become_memories(service: Service, tenant: UUID) -> None:
    async with working(service, service):
        await asyncio.gather(
            *(ingest.accept(service, tenant, "one", [said(f"I bought item number {n}.")]) for n in range(24))
        )
        key = await banks.find_bank(service.sessions, tenant, "one")

        async def all_done() -> bool:
            async with everything(service.sessions) as session:
                return await lanes.waiting_count(session, key) == 0

        await until(all_done)
    assert sorted(await memory_texts(service, key)) == sorted(bought(24))


async def test_a_known_turn_with_another_content_is_a_conflict_and_nothing_of_the_post_is_stored(
    service: Service, tenant: UUID
) -> None:
    key, _ = await post(service, tenant, "one", [said("I like tea.", external_id="t")])
    with pytest.raises(errors.TurnConflict):
        await post(service, tenant, "one", [said("I am new."), said("I like coffee.", external_id="t")])
    with pytest.raises(errors.InvalidInput):
        await post(service, tenant, "one", [said("One.", external_id="x"), said("Two.", external_id="x")])
    assert (await rows_of(service.sessions, key))["turns"] == 1


async def test_a_bank_with_too_many_waiting_turns_takes_no_more_until_some_are_worked_on(
    remade: Remake, tenant: UUID
) -> None:
    base = remade()
    server = base.settings.server.model_copy(update={"max_waiting_turns": 3})
    settings = base.settings.model_copy(update={"server": server})
    service = Service(settings, base.sessions, base.completers, base.embedder)
    key, accepted = await post(service, tenant, "one", numbered(2))
    with pytest.raises(errors.Overloaded):
        await post(service, tenant, "one", numbered(2))
    await post(service, tenant, "two", numbered(3))
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    _, accepted = await post(service, tenant, "one", numbered(3))
    assert accepted.duplicates == 0


async def test_a_bank_of_another_embedder_takes_no_turns(remade: Remake, tenant: UUID) -> None:
    await post(remade(), tenant, "one", numbered(1))
    other = remade(embedder=HashEmbedder("another-model", 384))
    with pytest.raises(errors.EmbeddingMismatch, match="hashed-words"):
        await post(other, tenant, "one", numbered(1))
    with pytest.raises(errors.EmbeddingMismatch, match="another-model"):
        await banks.check_embedder(other.sessions, other.embedder)
    smaller = HashEmbedder(dimension=8)
    with pytest.raises(errors.EmbeddingMismatch, match="8 dimensions"):
        await banks.check_embedder(other.sessions, smaller)


async def test_a_service_does_not_start_on_banks_of_another_embedder(service: Service, tenant: UUID) -> None:
    await post(service, tenant, "one", numbered(1))
    embedding = service.settings.embedding.model_copy(
        update={"kind": "http", "base_url": "http://127.0.0.1:9/v1", "model": "other", "dimension": 16}
    )
    settings = service.settings.model_copy(update={"embedding": embedding})
    with pytest.raises(errors.EmbeddingMismatch, match="other"):
        async with open_service(settings, completers={}):
            pytest.fail("it started")


async def test_an_unknown_ingestion_is_told_from_an_empty_one(service: Service, tenant: UUID) -> None:
    turns = [NewTurn(speaker="Alice", text="I like tea.", external_id="t")]
    key, _ = await post(service, tenant, "one", turns)
    with pytest.raises(errors.UnknownIngestion):
        await ingest.read(service.sessions, key, tenant)
    with pytest.raises(errors.UnknownIngestion):
        await ingest.state(service.sessions, key, tenant)
