"""Limits of keys: exact however many ask at once, spent only on what was done, and of no cost to keys without any."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import event, func, select, update

from app.core.errors import BrokenReply, Overloaded, QuotaExceeded, RateLimited, TurnConflict
from app.db import tables
from app.db.engine import Sessions
from app.services import answer, banks, ingest, keys, limits
from app.services.callers import Caller, Limits, Rights
from app.services.limits import Rate
from app.services.once import Once
from app.services.service import Service
from tests.fixtures.doubles import ScriptedCompleter
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import numbered, said
from tests.services.conftest import Remake

MANY = 40


async def limited(sessions: Sessions, tenant: str = "acme", **most: int) -> Caller:
    """The caller of a new key."""
    made = await keys.create(sessions, tenant, "limited", Rights(limits=Limits(**most)))
    return await keys.authenticate(sessions, str(made.secret))


async def used(sessions: Sessions, caller: Caller) -> tuple[int, int]:
    """Turns and questions of the key's day."""
    usage = tables.key_usage.c
    async with everything(sessions) as session:
        row = (await session.execute(select(usage.turns, usage.questions).where(usage.key_id == caller.key_id))).one()
    return row.turns, row.questions


async def turn_back(sessions: Sessions, caller: Caller, by: timedelta) -> None:
    """As if the key had last been used so much earlier."""
    usage = tables.key_usage
    earlier = {"ready_at": usage.c.ready_at - by, "day": usage.c.day - by.days}
    async with everything(sessions) as session:
        await session.execute(update(usage).where(usage.c.key_id == caller.key_id).values(earlier))


def allowed(rates: Sequence[Rate | None]) -> int:
    return sum(rate is not None and not rate.is_refused for rate in rates)


async def test_a_minute_holds_just_so_many_of_any_number_at_once(sessions: Sessions) -> None:
    # One refills every six seconds.
    caller = await limited(sessions, requests_per_minute=10)
    began = time.monotonic()
    rates = await asyncio.gather(*(limits.take(sessions, caller) for _ in range(MANY)))
    refilled = (time.monotonic() - began) / 6
    assert 10 <= allowed(rates) <= 10 + refilled


async def test_what_is_refused_takes_nothing_and_says_when_to_come_again(sessions: Sessions) -> None:
    caller = await limited(sessions, requests_per_minute=2)
    first = [await limits.take(sessions, caller) for _ in range(2)]
    assert [rate and (rate.quota, rate.remaining, rate.is_refused) for rate in first] == [(2, 1, False), (2, 0, False)]
    waits = [await limits.take(sessions, caller) for _ in range(3)]
    for rate in waits:
        assert rate is not None and rate.is_refused and rate.remaining == 0 and 0 < rate.next_in <= 30
        with pytest.raises(RateLimited) as refused:
            limits.refuse(rate)
        assert refused.value.retry_after == rate.next_in
    await turn_back(sessions, caller, timedelta(seconds=30))
    again = await limits.take(sessions, caller)
    assert again is not None and not again.is_refused
    limits.refuse(again)
    refused_again = await limits.take(sessions, caller)
    assert refused_again is not None and refused_again.is_refused


async def test_a_long_pause_saves_up_no_more_than_a_minute(sessions: Sessions) -> None:
    caller = await limited(sessions, requests_per_minute=3)
    await limits.take(sessions, caller)
    await turn_back(sessions, caller, timedelta(days=3))
    rates = [await limits.take(sessions, caller) for _ in range(4)]
    assert [rate and rate.remaining for rate in rates] == [2, 1, 0, 0]
    assert allowed(rates) == 3


async def test_keys_do_not_share_their_minute(sessions: Sessions) -> None:
    mine, other, theirs = [
        await limited(sessions, tenant, requests_per_minute=1) for tenant in ("acme", "acme", "rival")
    ]
    assert allowed([await limits.take(sessions, caller) for caller in (mine, mine, other, theirs)]) == 3


async def test_keys_without_a_limit_cost_no_statement(sessions: Sessions) -> None:
    caller = await limited(sessions, turns_per_day=5)
    ran: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        ran.append(statement)

    event.listen(sessions.engine.sync_engine, "before_cursor_execute", note)
    assert await limits.take(sessions, caller) is None
    assert await limits.take(sessions, Caller(tenant_id=caller.tenant_id)) is None
    event.remove(sessions.engine.sync_engine, "before_cursor_execute", note)
    assert ran == []


async def post(service: Service, caller: Caller, count: int, bank: str = "alice", once: Once | None = None) -> None:
    await ingest.accept(service, caller.tenant_id, bank, numbered(count), once, caller)


async def test_a_day_holds_just_so_many_turns_of_any_number_at_once(service: Service) -> None:
    caller = await limited(service.sessions, turns_per_day=10)
    posts = (post(service, caller, 3, f"bank{number % 4}") for number in range(12))
    tried = await asyncio.gather(*posts, return_exceptions=True)
    assert sorted(type(one).__name__ for one in tried) == ["NoneType"] * 3 + ["QuotaExceeded"] * 9
    assert await used(service.sessions, caller) == (9, 0)
    async with everything(service.sessions) as session:
        assert await session.scalar(select(func.count()).select_from(tables.turns)) == 9
    await post(service, caller, 1)
    with pytest.raises(QuotaExceeded, match="10 turns a day") as refused:
        await post(service, caller, 1)
    assert 0 < refused.value.retry_after <= 86_400


async def test_only_turns_that_are_stored_count(service: Service) -> None:
    caller = await limited(service.sessions, turns_per_day=4)
    known = [said("I adopted Buddy.", external_id="1")]
    for _ in range(3):
        await ingest.accept(service, caller.tenant_id, "alice", known, Once("k", b"1"), caller)
        await ingest.accept(service, caller.tenant_id, "alice", known, None, caller)
    assert await used(service.sessions, caller) == (1, 0)
    with pytest.raises(TurnConflict):
        await ingest.accept(service, caller.tenant_id, "alice", [said("x", external_id="1")], None, caller)
    with pytest.raises(QuotaExceeded):
        await post(service, caller, 4)
    with pytest.raises(QuotaExceeded):
        await post(service, caller, 5)
    assert await used(service.sessions, caller) == (1, 0)
    await post(service, caller, 3)


async def test_what_is_refused_for_the_day_leaves_nothing_behind(service: Service) -> None:
    caller = await limited(service.sessions, turns_per_day=1)
    with pytest.raises(QuotaExceeded):
        await post(service, caller, 2, "new", Once("k", b"1"))
    async with everything(service.sessions) as session:
        for table in (tables.banks, tables.turns, tables.idempotency_keys, tables.key_usage):
            assert await session.scalar(select(func.count()).select_from(table)) == 0, table.name


async def test_a_rotated_key_goes_on_with_the_use_of_the_old(service: Service) -> None:
    caller = await limited(service.sessions, turns_per_day=3, requests_per_minute=2)
    await post(service, caller, 2)
    await limits.take(service.sessions, caller)
    acme, key_id, rotated = await keys.operator(service.sessions, "acme"), caller.key_id, [caller]
    for _ in range(2):
        assert key_id is not None
        made = await keys.rotate(service.sessions, acme, key_id, 60)
        rotated.append(await keys.authenticate(service.sessions, str(made.secret)))
        key_id = made.id
    await post(service, rotated[2], 1, "new")
    assert await used(service.sessions, caller) == (3, 0)
    for number, one in enumerate(rotated):
        with pytest.raises(QuotaExceeded):
            await post(service, one, 1, f"more-{number}")
    taken = [await limits.take(service.sessions, one) for one in rotated]
    assert [rate is not None and rate.is_refused for rate in taken] == [False, True, True]


async def test_the_next_day_begins_at_nothing(service: Service) -> None:
    caller = await limited(service.sessions, turns_per_day=2, questions_per_day=2, requests_per_minute=2)
    await post(service, caller, 2)
    await ask(service, caller)
    await turn_back(service.sessions, caller, timedelta(days=1))
    await limits.take(service.sessions, caller)
    await ask(service, caller)
    # The first of a day clears what the day before counted, also of the other kind.
    assert await used(service.sessions, caller) == (0, 1)
    await post(service, caller, 2)
    assert await used(service.sessions, caller) == (2, 1)
    async with everything(service.sessions) as session:
        assert await session.scalar(select(tables.key_usage.c.day)) == datetime.now(UTC).date()


async def ask(service: Service, caller: Caller, once: Once | None = None) -> UUID:
    key = await banks.find_bank(service.sessions, caller.tenant_id, "alice")
    return (await answer.ask(service, key, "Which dog?", once, caller)).id


async def test_a_day_holds_just_so_many_questions_of_any_number_at_once(service: Service) -> None:
    caller = await limited(service.sessions, questions_per_day=4)
    await post(service, caller, 1)
    tried = await asyncio.gather(*(ask(service, caller) for _ in range(15)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in tried) == ["QuotaExceeded"] * 11 + ["UUID"] * 4
    assert await used(service.sessions, caller) == (0, 4)


async def test_a_question_that_got_no_answer_does_not_count(service: Service, remade: Remake) -> None:
    caller = await limited(service.sessions, questions_per_day=3)
    await post(service, caller, 1)
    key = await banks.find_bank(service.sessions, caller.tenant_id, "alice")
    broken = remade(embedder=_FailingEmbedder())
    for _ in range(5):
        with pytest.raises(BrokenReply):
            await answer.ask(broken, key, "Which dog?", None, caller)
    assert await used(service.sessions, caller) == (0, 0)


class _FailingEmbedder:
    """Fails as a model server may."""

    model, dimension = "hashed-words", 384

    async def embed(self, texts: Sequence[str]) -> list[object]:
        raise BrokenReply()

    async def aclose(self) -> None:
        return None


async def test_a_repeated_question_counts_once(service: Service, completer: ScriptedCompleter) -> None:
    caller = await limited(service.sessions, questions_per_day=5)
    await post(service, caller, 1)
    first = await ask(service, caller, Once("k", b"q"))
    for _ in range(6):
        assert await ask(service, caller, Once("k", b"q")) == first
    together = await asyncio.gather(*(ask(service, caller, Once("j", b"q")) for _ in range(3)))
    assert len(set(together)) == 1
    assert await used(service.sessions, caller) == (0, 2)


async def test_a_question_that_finds_no_room_does_not_count(service: Service) -> None:
    caller = await limited(service.sessions, questions_per_day=1)
    await post(service, caller, 1)
    while not service.answering.locked():
        await service.answering.acquire()
    with pytest.raises(Overloaded):
        await ask(service, caller)
    service.answering.release()
    await ask(service, caller)
