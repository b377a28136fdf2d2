from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, select

from app.core.values import Prompt, Role, Vector
from app.db import lanes, tables
from app.db.lanes import LeaseLost
from app.db.queries import BankKey
from app.services import erasure, work
from app.services.callers import Caller
from app.services.ingest import State
from app.services.service import Service
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import (
    WatchingCompleter,
    bought,
    checked_out,
    end_lease,
    ended,
    lane_of,
    memory_texts,
    numbered,
    operations_per_turn,
    post,
    rows_of,
    said,
    until,
    working,
)
from tests.services.conftest import Remake

LEASE = 30.0


async def test_turns_of_a_bank_become_memories_in_order_of_arrival(service: Service, tenant: UUID) -> None:
    key, accepted = await post(service, tenant, "one", numbered(12))
    async with working(service):
        assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE
    assert await memory_texts(service, key) == bought(12)
    assert await operations_per_turn(service.sessions, key) == [1] * 12


async def test_order_holds_for_many_banks_under_several_workers(remade: Remake, tenant: UUID) -> None:
    completer = WatchingCompleter()
    service = remade(completer, banks=3, prefetch=3)
    names = [f"Person{n}" for n in range(6)]
    posted = [await post(service, tenant, name, numbered(6, name)) for name in names]
    async with working(service, service, service):
        for key, accepted in posted:
            assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE
    for name, (key, _) in zip(names, posted, strict=True):
        assert await memory_texts(service, key) == bought(6, name)
        assert await operations_per_turn(service.sessions, key) == [1] * 6
        assert completer.most[Role.MANAGER, name] == 1


async def test_facts_are_extracted_ahead_side_by_side_while_deciding_goes_one_by_one(
    remade: Remake, tenant: UUID
) -> None:
    all_extract = asyncio.Barrier(8)

    async def hold(prompt: Prompt) -> None:
        if prompt.role is Role.EXTRACTOR:
            await all_extract.wait()

    completer = WatchingCompleter(hold)
    service = remade(completer, prefetch=8)
    key, accepted = await post(service, tenant, "one", numbered(8))
    async with working(service):
        assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE
    deciding = [what for what, role, _ in completer.events if role is Role.MANAGER]
    assert completer.most[Role.EXTRACTOR, "Alice"] == 8
    assert deciding == ["begin", "end"] * 8
    assert await memory_texts(service, key) == bought(8)


async def test_each_decision_sees_what_the_turn_before_it_changed(remade: Remake, tenant: UUID) -> None:
    completer = ScriptedCompleter()
    service = remade(completer, prefetch=8)
    key, accepted = await post(service, tenant, "one", numbered(4))
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    shown = [p.messages[-1].content.count("bought item") for p in completer.prompts if p.role is Role.MANAGER]
    assert shown == [1, 2, 3, 4]


async def test_two_banks_are_worked_on_side_by_side(remade: Remake, tenant: UUID) -> None:
    both_decide = asyncio.Barrier(2)

    async def hold(prompt: Prompt) -> None:
        if prompt.role is Role.MANAGER:
            await both_decide.wait()

    service = remade(WatchingCompleter(hold))
    posted = [await post(service, tenant, name, numbered(1, name)) for name in ("Ann", "Ben")]
    async with working(service):
        for key, accepted in posted:
            assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE


async def test_a_leased_bank_is_not_claimed_until_its_lease_runs_out(service: Service, tenant: UUID) -> None:
    key, _ = await post(service, tenant, "one", numbered(1))
    first, second = uuid4(), uuid4()
    async with everything(service.sessions) as session:
        assert await lanes.claim(session, first, LEASE) == [key]
    async with everything(service.sessions) as session:
        assert await lanes.claim(session, second, LEASE) == []
    async with everything(service.sessions) as session:
        await lanes.release(session, key, second)
    async with everything(service.sessions) as session:
        assert await lanes.claim(session, second, LEASE) == []
        await lanes.extend(session, key, first, 0)
    async with everything(service.sessions) as session:
        assert await lanes.claim(session, second, LEASE) == [key]
    with pytest.raises(LeaseLost):
        async with everything(service.sessions) as session:
            await lanes.hold(session, key, first)
    with pytest.raises(LeaseLost):
        async with everything(service.sessions) as session:
            await lanes.extend(session, key, first, LEASE)


async def test_many_claims_at_once_give_each_bank_to_one(service: Service, tenant: UUID) -> None:
    keys = {(await post(service, tenant, f"bank{n}", numbered(1)))[0] for n in range(6)}

    async def claim(count: int) -> list[BankKey]:
        async with everything(service.sessions) as session:
            return await lanes.claim(session, uuid4(), LEASE, count)

    claimed = [key for some in await asyncio.gather(*(claim(n % 3 + 1) for n in range(18))) for key in some]
    while found := await claim(2):
        claimed += found
    assert sorted(claimed) == sorted(keys)


async def test_a_lost_lease_in_the_middle_of_work_writes_nothing_twice(remade: Remake, tenant: UUID) -> None:
    deciding, go_on = asyncio.Event(), asyncio.Event()

    async def hold(prompt: Prompt) -> None:
        if prompt.role is Role.MANAGER and not deciding.is_set():
            deciding.set()
            await go_on.wait()

    slow, other = remade(WatchingCompleter(hold), banks=1), remade(ScriptedCompleter())
    key, accepted = await post(slow, tenant, "one", numbered(3))
    async with working(slow):
        await deciding.wait()
        await end_lease(slow.sessions, key)
        async with working(other):
            await ended(other, key, accepted.ingestion_id)
            go_on.set()
    assert await memory_texts(other, key) == bought(3)
    assert await operations_per_turn(other.sessions, key) == [1, 1, 1]


async def test_a_worker_that_missed_its_own_lease_does_not_work_twice_on_one_bank(remade: Remake, tenant: UUID) -> None:
    deciding, go_on = asyncio.Event(), asyncio.Event()

    async def hold(prompt: Prompt) -> None:
        if prompt.role is Role.MANAGER and not deciding.is_set():
            deciding.set()
            await go_on.wait()

    completer = WatchingCompleter(hold)
    service = remade(completer)
    key, accepted = await post(service, tenant, "one", numbered(3))
    async with working(service) as (worker,):
        await deciding.wait()
        owner = (await lane_of(service.sessions, key)).lease_owner
        await end_lease(service.sessions, key)

        async def taken_again() -> bool:
            lane = await lane_of(service.sessions, key)
            return lane.run_at is None or lane.lease_owner is not None

        await until(taken_again)
        assert (await lane_of(service.sessions, key)).lease_owner != owner
        go_on.set()
        await ended(service, key, accepted.ingestion_id)
    assert await memory_texts(service, key) == bought(3)
    assert await operations_per_turn(service.sessions, key) == [1, 1, 1]
    assert worker is not None


async def test_stopping_gives_the_banks_back_at_once(remade: Remake, tenant: UUID) -> None:
    deciding = asyncio.Event()

    async def hold(prompt: Prompt) -> None:
        if prompt.role is Role.MANAGER:
            deciding.set()
            await asyncio.Event().wait()

    service = remade(WatchingCompleter(hold), lease_seconds=600)
    key, accepted = await post(service, tenant, "one", numbered(3))
    async with working(service):
        await deciding.wait()
    lane = await lane_of(service.sessions, key)
    assert (lane.lease_owner, lane.lease_until) == (None, None)
    assert lane.run_at is not None
    assert checked_out(service) == 0
    other = remade(ScriptedCompleter())
    async with working(other):
        assert (await ended(other, key, accepted.ingestion_id)).state is State.DONE
    assert await memory_texts(service, key) == bought(3)


async def test_stopping_while_a_bank_is_given_back_does_not_keep_it(
    remade: Remake, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    giving, released = asyncio.Event(), lanes.release

    async def slow(session: Any, key: BankKey, owner: UUID) -> None:
        giving.set()
        await asyncio.sleep(0.2)
        await released(session, key, owner)

    monkeypatch.setattr(lanes, "release", slow)
    service = remade(lease_seconds=600)
    key, _ = await post(service, tenant, "one", numbered(1))
    async with working(service):
        await giving.wait()
    lane = await lane_of(service.sessions, key)
    assert (lane.lease_owner, lane.lease_until, lane.run_at) == (None, None, None)


async def test_a_turn_posted_while_its_bank_is_given_back_is_not_forgotten(remade: Remake, tenant: UUID) -> None:
    service = remade(poll_seconds=30)
    async with working(service):
        for n in range(25):
            key, accepted = await post(service, tenant, "one", numbered(1, first=n))
            await asyncio.sleep(0.004 * (n % 7))
        assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE
    assert await memory_texts(service, key) == bought(25)


async def test_posting_to_a_bank_while_its_turn_is_applied_ends_in_no_deadlock(service: Service, tenant: UUID) -> None:
    key, _ = await post(service, tenant, "one", numbered(1))
    owner = uuid4()
    async with everything(service.sessions) as session:
        await lanes.claim(session, owner, LEASE)
        (item,) = await lanes.waiting(session, key, 1)
    extraction = await work.extract(service, key, item)
    async with everything(service.sessions) as posting:
        await posting.execute(select(tables.banks).where(tables.banks.c.id == key.bank_id).with_for_update())
        applying = asyncio.create_task(work.decide_and_apply(service, key, item, extraction, owner))
        await until(lambda: somebody_waits_for_a_lock(service))
        await lanes.make_due(posting, key)
    await applying
    assert await memory_texts(service, key) == bought(1)


async def test_deleting_a_bank_while_facts_are_kept_ends_in_no_deadlock(service: Service, tenant: UUID) -> None:
    key, _ = await post(service, tenant, "one", numbered(1))
    async with everything(service.sessions) as session:
        (item,) = await lanes.waiting(session, key, 1)
    async with everything(service.sessions) as holding:
        await holding.execute(select(tables.inbox).where(tables.inbox.c.bank_id == key.bank_id).with_for_update())
        extracting = asyncio.create_task(work.extract(service, key, item))
        await until(lambda: somebody_waits_for_a_lock(service))
        deleting = asyncio.create_task(erasure.erase_bank(service.sessions, Caller(tenant_id=tenant), "one"))
        await until(lambda: somebody_waits_for_a_lock(service, 2))
    await extracting
    await deleting
    assert set((await rows_of(service.sessions, key)).values()) == {0}


async def somebody_waits_for_a_lock(service: Service, count: int = 1) -> bool:
    statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with everything(service.sessions) as session:
        connection = await session.connection()
        return int((await connection.exec_driver_sql(statement)).scalar_one()) >= count


@pytest.mark.parametrize("role", [Role.EXTRACTOR, Role.MANAGER])
async def test_a_bank_deleted_while_in_flight_leaves_no_rows(remade: Remake, tenant: UUID, role: Role) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def hold(prompt: Prompt) -> None:
        if prompt.role is role:
            asked.set()
            await go_on.wait()

    service = remade(WatchingCompleter(hold))
    key, _ = await post(service, tenant, "one", numbered(3))
    async with working(service):
        await asked.wait()
        await erasure.erase_bank(service.sessions, Caller(tenant_id=tenant), "one")
        go_on.set()
        other, accepted = await post(service, tenant, "two", numbered(1))
        assert (await ended(service, other, accepted.ingestion_id)).state is State.DONE
    assert set((await rows_of(service.sessions, key)).values()) == {0}


async def test_no_connection_is_held_across_a_model_or_embedding_call(remade: Remake, tenant: UUID) -> None:
    held: list[int] = []
    service = remade()

    async def watch(prompt: Prompt) -> None:
        held.append(await least_held(service))

    class WatchingEmbedder(HashEmbedder):
        async def embed(self, texts: Any) -> list[Vector]:
            held.append(await least_held(service))
            return await super().embed(texts)

    watched = remade(WatchingCompleter(watch), WatchingEmbedder(), prefetch=1)
    key, accepted = await post(watched, tenant, "one", numbered(2))
    async with working(watched):
        await ended(watched, key, accepted.ingestion_id)
    assert len(held) >= 6
    assert held == [0] * len(held)


async def least_held(service: Service) -> int:
    """A call that holds a connection holds it throughout; other tasks use one for moments only."""
    least = checked_out(service)
    for _ in range(10):
        await asyncio.sleep(0.02)
        least = min(least, checked_out(service))
    return least


async def test_a_turn_takes_two_model_calls_and_two_embedding_calls_at_most_and_an_empty_one_takes_one(
    remade: Remake, tenant: UUID
) -> None:
    completer, embedder = ScriptedCompleter(), HashEmbedder()
    service = remade(completer, embedder)
    key, accepted = await post(service, tenant, "one", numbered(5))
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
        assert (completer.calls(Role.EXTRACTOR), completer.calls(Role.MANAGER)) == (5, 5)
        assert embedder.calls == 5
        key, accepted = await post(service, tenant, "one", [said("How are you?")])
        await ended(service, key, accepted.ingestion_id)
    assert (completer.calls(Role.EXTRACTOR), completer.calls(Role.MANAGER)) == (6, 5)
    assert embedder.calls == 5


async def test_a_turn_takes_few_statements(remade: Remake, tenant: UUID) -> None:
    service, turns = remade(poll_seconds=60), 40
    statements: list[str] = []
    engine = service.sessions.engine.sync_engine
    key, _ = await post(service, tenant, "one", numbered(turns))
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    async def given_back() -> bool:
        asked_by_the_test.append(len(statements))
        return (await lane_of(service.sessions, key)).run_at is None

    asked_by_the_test: list[int] = []
    async with working(service):
        await until(given_back)
    # Each look of the test's own sets its role first.
    each = (len(statements) - 2 * len(asked_by_the_test)) / turns
    print(f"{each:.1f} statements a turn of one fact")
    # Two of them tell webhooks, whether or not there are any.
    assert each <= 23
