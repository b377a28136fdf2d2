"""The inbox and its lanes: one worker a bank, in order of arrival, and nothing written without the lease."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import BrokenReply
from app.db import lanes, tables
from app.db.engine import Sessions
from app.db.lanes import LeaseLost
from app.db.queries import BankKey, in_bank
from tests.fixtures.banks import make_bank, make_turn, write_turns
from tests.fixtures.database import make_tenant
from tests.fixtures.everything import everything

LONG = 600.0
"""Seconds that no test takes: a lease or a delay of this length lasts; one of no seconds is over at once."""


@pytest_asyncio.fixture
async def key(sessions: Sessions) -> BankKey:
    return await make_bank(sessions, await make_tenant(sessions))


async def _post(sessions: Sessions, key: BankKey, *texts: str, ingestion_id: UUID | None = None) -> UUID:
    """Store turns and put them into the inbox, as one ingestion."""
    posted = ingestion_id or uuid4()
    async with everything(sessions) as session:
        await lanes.enqueue(session, key, posted, await write_turns(session, key, [make_turn(t) for t in texts]))
    return posted


async def _claim(sessions: Sessions, seconds: float = LONG) -> tuple[BankKey | None, UUID]:
    owner = uuid4()
    async with everything(sessions) as session:
        claimed = await lanes.claim(session, owner, seconds)
        return (claimed[0] if claimed else None), owner


async def _release(sessions: Sessions, key: BankKey, owner: UUID) -> None:
    async with everything(sessions) as session:
        await lanes.release(session, key, owner)


async def _waiting(sessions: Sessions, key: BankKey, limit: int = 100) -> list[lanes.InboxItem]:
    async with everything(sessions) as session:
        return await lanes.waiting(session, key, limit)


async def _finish(sessions: Sessions, key: BankKey, owner: UUID, position: int) -> None:
    async with everything(sessions) as session:
        await lanes.hold(session, key, owner)
        await lanes.finish(session, key, position)


async def _run_at(sessions: Sessions, key: BankKey) -> object:
    async with everything(sessions) as session:
        return await session.scalar(select(tables.lanes.c.run_at).where(in_bank(tables.lanes, key)))


async def _seconds_to_next(sessions: Sessions) -> float | None:
    async with everything(sessions) as session:
        return await lanes.seconds_to_next(session)


async def test_without_work_nothing_is_claimed(sessions: Sessions, key: BankKey) -> None:
    assert (await _claim(sessions))[0] is None
    assert await _seconds_to_next(sessions) is None
    assert await _waiting(sessions, key) == []


async def test_a_bank_with_work_is_claimed_once(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.", "Two.")
    assert (await _claim(sessions))[0] == key
    assert (await _claim(sessions))[0] is None


async def test_of_many_claims_at_once_one_gets_the_bank(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.")
    claims = await asyncio.gather(*(_claim(sessions) for _ in range(20)))
    assert [claimed for claimed, _ in claims if claimed] == [key]


async def test_of_many_claims_at_once_each_bank_goes_to_one(sessions: Sessions, key: BankKey) -> None:
    keys = [key, *[await make_bank(sessions, key.tenant_id, f"bank {number}") for number in range(4)]]
    for each in keys:
        await _post(sessions, each, "One.")
    claims = await asyncio.gather(*(_claim(sessions) for _ in range(20)))
    claimed = [found for found, _ in claims if found]
    claimed += [found for found, _ in [await _claim(sessions) for _ in range(6)] if found]
    assert sorted(claimed) == sorted(keys)


async def test_the_bank_that_waited_longest_is_claimed_first(sessions: Sessions, key: BankKey) -> None:
    other = await make_bank(sessions, key.tenant_id, "other")
    await _post(sessions, other, "First.")
    await _post(sessions, key, "Second.")
    assert [(await _claim(sessions))[0] for _ in range(2)] == [other, key]


async def test_a_bank_whose_lease_ran_out_goes_to_another(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.")
    _, late = await _claim(sessions, 0.0)
    claimed, owner = await _claim(sessions)
    assert claimed == key
    for step in _steps(late):
        with pytest.raises(LeaseLost):
            async with everything(sessions) as session:
                await step(session, key)
    await _release(sessions, key, late)
    assert (await _claim(sessions))[0] is None, "a late release must not free another worker's bank"
    await _finish(sessions, key, owner, 1)


def _steps(owner: UUID) -> list[Callable[[AsyncSession, BankKey], Awaitable[object]]]:
    return [
        lambda session, key: lanes.hold(session, key, owner),
        lambda session, key: lanes.extend(session, key, owner, LONG),
    ]


async def test_freeing_all_ends_the_leases_of_workers_that_are_gone(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "one")
    _, gone = await _claim(sessions)
    async with everything(sessions) as session:
        await lanes.free_all(session)
    assert (await _claim(sessions))[0] == key
    async with everything(sessions) as session:
        with pytest.raises(LeaseLost):
            await lanes.hold(session, key, gone)


async def test_a_lease_that_ran_out_is_lost_though_nobody_took_it(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.")
    _, owner = await _claim(sessions, 0.0)
    for step in _steps(owner):
        with pytest.raises(LeaseLost):
            async with everything(sessions) as session:
                await step(session, key)


async def test_a_stranger_holds_nothing(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.")
    for step in _steps(uuid4()):
        with pytest.raises(LeaseLost):
            async with everything(sessions) as session:
                await step(session, key)


async def test_extending_keeps_the_lease(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.")
    _, owner = await _claim(sessions, LONG)
    async with everything(sessions) as session:
        await lanes.extend(session, key, owner, 2 * LONG)
    seconds = await _seconds_to_next(sessions)
    assert seconds is not None and seconds > LONG
    async with everything(sessions) as session:
        await lanes.hold(session, key, owner)


async def test_while_a_lane_is_held_nobody_claims_it_even_when_its_lease_runs_out(
    sessions: Sessions, key: BankKey
) -> None:
    await _post(sessions, key, "One.")
    _, owner = await _claim(sessions)
    async with everything(sessions) as session:
        await lanes.hold(session, key, owner)
        lease_over = update(tables.lanes).values(lease_until=tables.lanes.c.run_at)
        await session.execute(lease_over)
        assert (await _claim(sessions))[0] is None
        await lanes.finish(session, key, 1)
    assert await _waiting(sessions, key) == []


async def test_turns_wait_in_order_of_arrival(sessions: Sessions, key: BankKey) -> None:
    first = await _post(sessions, key, "One.", "Two.")
    second = await _post(sessions, key, "Three.")
    items = await _waiting(sessions, key)
    assert [item.turn.text for item in items] == ["One.", "Two.", "Three."]
    assert [item.position for item in items] == [1, 2, 3]
    assert [item.ingestion_id for item in items] == [first, first, second]
    assert [(item.due, item.attempts, item.extraction) for item in items] == [(True, 0, None)] * 3
    assert [item.turn.text for item in await _waiting(sessions, key, 2)] == ["One.", "Two."]


async def test_only_turns_of_the_bank_wait_in_it(sessions: Sessions, key: BankKey) -> None:
    other = await make_bank(sessions, key.tenant_id, "other")
    await _post(sessions, key, "Mine.")
    await _post(sessions, other, "Theirs.")
    assert [item.turn.text for item in await _waiting(sessions, key)] == ["Mine."]
    async with everything(sessions) as session:
        assert await lanes.waiting_count(session, other) == 1


async def test_a_finished_turn_waits_no_more_and_cannot_be_finished_again(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.", "Two.")
    _, owner = await _claim(sessions)
    await _finish(sessions, key, owner, 1)
    assert [item.position for item in await _waiting(sessions, key)] == [2]
    with pytest.raises(LeaseLost):
        await _finish(sessions, key, owner, 1)


async def test_a_postponed_turn_holds_up_the_later_ones_of_its_bank_alone(sessions: Sessions, key: BankKey) -> None:
    other = await make_bank(sessions, key.tenant_id, "other")
    await _post(sessions, key, "One.", "Two.")
    _, owner = await _claim(sessions)
    async with everything(sessions) as session:
        await lanes.postpone(session, key, (await lanes.waiting(session, key, 1))[0], LONG, RuntimeError("x" * 5000))
    first, second = await _waiting(sessions, key)
    assert (first.position, first.due, first.attempts) == (1, False, 1)
    assert (second.position, second.due) == (2, True)
    await _release(sessions, key, owner)
    assert (await _claim(sessions))[0] is None
    seconds = await _seconds_to_next(sessions)
    assert seconds is not None and LONG / 2 < seconds <= LONG
    await _post(sessions, other, "Elsewhere.")
    assert (await _claim(sessions))[0] == other


async def test_new_turns_wake_a_bank_but_do_not_overtake_its_postponed_head(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.")
    _, owner = await _claim(sessions)
    async with everything(sessions) as session:
        await lanes.postpone(session, key, (await lanes.waiting(session, key, 1))[0], LONG, RuntimeError())
    await _release(sessions, key, owner)
    await _post(sessions, key, "Two.")
    claimed, owner = await _claim(sessions)
    assert claimed == key
    assert [item.due for item in await _waiting(sessions, key)] == [False, True]
    await _release(sessions, key, owner)
    assert (await _claim(sessions))[0] is None, "after a look the bank sleeps until its head is due"


async def test_an_error_is_noted_in_short_and_forgotten_with_success(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.")
    _, owner = await _claim(sessions)
    noted = select(tables.inbox.c.state, tables.inbox.c.error_type, tables.inbox.c.error)
    async with everything(sessions) as session:
        item = (await lanes.waiting(session, key, 1))[0]
        await lanes.postpone(session, key, item, 0.0, BrokenReply("y" * 5000))
        assert tuple((await session.execute(noted)).one()) == ("retrying", "BrokenReply", "y" * 1000)
        await lanes.postpone(session, key, item, 0.0, ValueError("what somebody said"))
        assert tuple((await session.execute(noted)).one()) == ("retrying", "ValueError", lanes.UNEXPECTED)
        await lanes.finish(session, key, 1)
        assert tuple((await session.execute(noted)).one()) == ("done", None, None)
    await _release(sessions, key, owner)


async def test_an_extraction_is_kept_for_the_next_try(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.")
    kept = {"facts": [{"text": "naïve 名前 🙂"}], "n": None}
    async with everything(sessions) as session:
        await lanes.keep_extraction(session, key, 1, kept)
    assert (await _waiting(sessions, key))[0].extraction == kept


async def test_a_released_bank_without_work_is_not_due(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.")
    _, owner = await _claim(sessions)
    await _finish(sessions, key, owner, 1)
    await _release(sessions, key, owner)
    assert await _run_at(sessions, key) is None
    assert (await _claim(sessions))[0] is None
    await _post(sessions, key, "Two.")
    assert (await _claim(sessions))[0] == key


async def test_a_bank_released_with_work_is_due_at_once(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.", "Two.")
    _, owner = await _claim(sessions)
    await _finish(sessions, key, owner, 1)
    await _release(sessions, key, owner)
    assert (await _claim(sessions))[0] == key


async def test_a_turn_posted_while_a_bank_is_given_back_is_not_forgotten(sessions: Sessions, key: BankKey) -> None:
    for round_ in range(10):
        await _post(sessions, key, "Before.")
        _, owner = await _claim(sessions)
        items = await _waiting(sessions, key)
        for item in items:
            await _finish(sessions, key, owner, item.position)
        await asyncio.gather(_release(sessions, key, owner), _post(sessions, key, "Meanwhile."))
        claimed, owner = await _claim(sessions)
        assert claimed == key, round_
        await _release(sessions, key, owner)


async def test_failed_turns_of_an_ingestion_wait_again(sessions: Sessions, key: BankKey) -> None:
    mine, theirs = await _post(sessions, key, "One.", "Two."), await _post(sessions, key, "Three.")
    _, owner = await _claim(sessions)
    async with everything(sessions) as session:
        first, second, third = await lanes.waiting(session, key, 3)
        await lanes.set_aside(session, key, first, RuntimeError("no"))
        await lanes.finish(session, key, second.position)
        await lanes.set_aside(session, key, third, RuntimeError("no"))
    await _release(sessions, key, owner)
    assert await _waiting(sessions, key) == []
    async with everything(sessions) as session:
        assert await lanes.retry_failed(session, key, mine) == 1
        assert await lanes.retry_failed(session, key, mine) == 0
        assert await lanes.retry_failed(session, key, uuid4()) == 0
    (again,) = await _waiting(sessions, key)
    assert (again.position, again.attempts, again.due) == (first.position, 0, True)
    assert (await _claim(sessions))[0] == key
    async with everything(sessions) as session:
        assert await lanes.retry_failed(session, key, theirs) == 1


async def test_a_bank_that_was_deleted_meanwhile_is_a_lost_lease(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.")
    _, owner = await _claim(sessions)
    item = (await _waiting(sessions, key))[0]
    async with everything(sessions) as session:
        await session.execute(delete(tables.banks).where(tables.banks.c.id == key.bank_id))
    steps: list[Callable[[AsyncSession, BankKey], Awaitable[object]]] = [
        *_steps(owner),
        lambda session, key: lanes.finish(session, key, 1),
        lambda session, key: lanes.keep_extraction(session, key, 1, {}),
        lambda session, key: lanes.postpone(session, key, item, LONG, RuntimeError()),
        lambda session, key: lanes.set_aside(session, key, item, RuntimeError()),
    ]
    for step in steps:
        with pytest.raises(LeaseLost):
            async with everything(sessions) as session:
                await step(session, key)
    await _release(sessions, key, owner)
    assert await _seconds_to_next(sessions) is None


async def test_the_turns_before_a_position_come_oldest_first(sessions: Sessions, key: BankKey) -> None:
    await _post(sessions, key, "One.", "Two.", "Three.", "Four.")
    async with everything(sessions) as session:
        items = await lanes.waiting(session, key, 4, context=2)
        without = await lanes.waiting(session, key, 4)
    before = [[turn.text for turn in item.before] for item in items]
    assert before == [[], ["One."], ["One.", "Two."], ["Two.", "Three."]]
    assert {item.before for item in without} == {()}
