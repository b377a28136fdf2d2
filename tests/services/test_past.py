"""A bank read as of a moment never changes later, whoever was writing when it was read; and answers of the past."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core import errors
from app.core.changes import Changes
from app.core.values import Memory
from app.db import lanes, queries
from app.db.queries import BankKey
from app.services import answer, banks, memories, provenance
from app.services.edits import Edit
from app.services.service import Service
from tests.fixtures.banks import adding, make_bank, removing, revising
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import ended, numbered, post, said, until, working

BUDDY = "Alice adopted a dog named Buddy."


async def now(service: Service) -> datetime:
    """The database's time."""
    async with everything(service.sessions) as session:
        found: datetime = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return found


async def someone_waits(service: Service) -> bool:
    async with everything(service.sessions) as session:
        return bool(await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


async def texts_as_of(service: Service, key: BankKey, moment: datetime) -> list[str]:
    return [memory.text for memory in await service.bank(key, moment).memories()]


async def pages_as_of(service: Service, key: BankKey, moment: datetime) -> list[str]:
    return [memory.text for memory in (await memories.page(service.sessions, key, 50, None, moment)).memories]


Reads = Callable[[Service, BankKey, datetime], Awaitable[list[str]]]


@pytest.mark.parametrize("reads", [texts_as_of, pages_as_of])
async def test_who_reads_waits_for_what_was_written_before(service: Service, tenant: UUID, reads: Reads) -> None:
    key = await make_bank(service.sessions, tenant)
    async with service.sessions.begin(tenant) as session:
        await lanes.lock(session, key)
        stamp = await lanes.stamp(session, key, 0)
        await queries.apply_changes(session, key, Changes(adds=(adding(BUDDY),)), stamp.at)
        moment = await now(service)
        reading = asyncio.ensure_future(reads(service, key, moment))
        await until(lambda: someone_waits(service))
        assert not reading.done()
    assert await reading == await reads(service, key, moment) == [BUDDY]


@pytest.mark.parametrize("reads", [texts_as_of, pages_as_of])
async def test_who_writes_after_a_reader_is_not_seen_by_it(service: Service, tenant: UUID, reads: Reads) -> None:
    """The lock was taken before the moment, and the time of the write is after it."""
    key = await make_bank(service.sessions, tenant)
    async with service.sessions.begin(tenant) as session:
        await lanes.lock(session, key)
        moment = await now(service)
        reading = asyncio.ensure_future(reads(service, key, moment))
        await until(lambda: someone_waits(service))
        stamp = await lanes.stamp(session, key, 0)
        await queries.apply_changes(session, key, Changes(adds=(adding(BUDDY),)), stamp.at)
    assert await reading == await reads(service, key, moment) == []
    assert await reads(service, key, stamp.at) == [BUDDY]
    assert await reads(service, key, stamp.at - timedelta(microseconds=1)) == []


async def test_who_reads_waits_for_turns_that_were_received_before(
    service: Service, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await make_bank(service.sessions, tenant, "one")
    held, go_on = holding(monkeypatch, queries, "write_speakers")
    posting = asyncio.create_task(post(service, tenant, "one", numbered(1)))
    await held.wait()
    moment = await now(service)
    reading = asyncio.create_task(service.bank(key, moment).speakers())
    await until(lambda: someone_waits(service))
    assert not reading.done()
    go_on.set()
    _, accepted = await posting
    assert await reading == await service.bank(key, moment).speakers() == ["Alice"]
    assert len(await service.bank(key, moment).turns(accepted.turn_ids)) == 1


async def test_turns_of_a_post_that_began_before_are_received_after(
    service: Service, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await make_bank(service.sessions, tenant, "one")
    held, go_on = holding(monkeypatch, banks, "open_bank")
    posting = asyncio.create_task(post(service, tenant, "one", numbered(1)))
    await held.wait()
    moment = await now(service)
    assert await service.bank(key, moment).speakers() == []
    go_on.set()
    _, accepted = await posting
    assert await service.bank(key, moment).speakers() == []
    assert await service.bank(key, moment).turns(accepted.turn_ids) == []
    assert await service.bank(key, await now(service)).speakers() == ["Alice"]


def holding(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> tuple[asyncio.Event, asyncio.Event]:
    """Stop at a function until it is let go: that it was reached, and letting it go on."""
    held, go_on, real = asyncio.Event(), asyncio.Event(), getattr(module, name)

    async def stop(*args: Any) -> Any:
        held.set()
        await go_on.wait()
        return await real(*args)

    monkeypatch.setattr(module, name, stop)
    return held, go_on


async def test_reads_posts_and_writes_at_once_do_not_lock_each_other_out(service: Service, tenant: UUID) -> None:
    key, first = await post(service, tenant, "one", numbered(1))

    async def read() -> None:
        moment = await now(service)
        once = await texts_as_of(service, key, moment)
        await asyncio.sleep(0.01)
        assert await texts_as_of(service, key, moment) == once

    async with working(service):
        posts = [post(service, tenant, "one", numbered(1, first=n + 1)) for n in range(15)]
        edits = [Edit(service, key).add(f"Bob owns thing {n}.", "Bob") for n in range(15)]
        done = await asyncio.gather(*posts, *edits, *(read() for _ in range(30)))
        for _, accepted in [one for one in done if isinstance(one, tuple)]:
            await ended(service, key, accepted.ingestion_id)
        await ended(service, key, first.ingestion_id)
    assert len(await service.bank(key).memories()) == 31


async def test_the_future_and_a_bank_that_is_gone(service: Service, tenant: UUID) -> None:
    key = await make_bank(service.sessions, tenant)
    later = await now(service) + timedelta(minutes=1)
    with pytest.raises(errors.InvalidInput, match="future"):
        await texts_as_of(service, key, later)
    with pytest.raises(errors.InvalidInput, match="future"):
        await answer.ask(service, key, "Who?", as_of=later)
    gone = BankKey(tenant, key.bank_id + 1)
    with pytest.raises(errors.UnknownBank):
        await texts_as_of(service, gone, later - timedelta(hours=1))


async def test_pages_of_the_past_are_complete_whatever_is_written_between(service: Service, tenant: UUID) -> None:
    key = await make_bank(service.sessions, tenant)
    bank = service.bank(key)
    written = await bank.apply(Changes(adds=tuple(adding(f"Alice owns item {n}.") for n in range(9))))
    moment = written[0].updated_at
    seen: list[Memory] = []
    after = None
    for number in range(3):
        page = await memories.page(service.sessions, key, 3, after, moment)
        seen += page.memories
        after = page.next
        changes = Changes(
            adds=(adding("Alice owns more."),),
            revisions=(revising(written[8 - number], "x y z"),),
            removals=(removing(written[number]),),
        )
        await bank.apply(changes)
    assert (seen, after) == (written, None)


async def test_a_question_is_answered_from_what_was_known_then(service: Service, tenant: UUID) -> None:
    key, accepted = await post(service, tenant, "one", [said("bought item number 1.")])
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    (memory,) = await service.bank(key).memories()
    revised = await Edit(service, key).revise(memory.id, "Alice sold item number 1.", None)
    await Edit(service, key).add("Alice bought item number 2.", "Alice")
    then = await answer.ask(service, key, "What is item number 1?", as_of=memory.updated_at)
    assert (then.answer, then.as_of) == ("Alice bought item number 1.", memory.updated_at)
    assert [(used.id, used.version) for used in then.memories] == [(memory.id, 1)]
    assert [candidate.text for candidate in then.candidates] == [memory.text]
    assert await answer.read(service.sessions, key, then.id) == then
    today = await answer.ask(service, key, "Who sold item number 1?")
    assert (today.answer, today.as_of) == ("Alice sold item number 1.", None)
    before = await answer.ask(service, key, "Who?", as_of=memory.updated_at - timedelta(microseconds=1))
    assert before.abstained and before.candidates == ()
    found = await memories.search(service, key, "item", 5, use_lexical=None, per_speaker=False, as_of=memory.updated_at)
    assert [candidate.memory for candidate in found] == [memory]
    uses = await provenance.answers_of(service.sessions, key, memory.id, 10, None)
    assert [(use.id, use.version) for use in uses.answers] == [(today.id, revised.memory.version), (then.id, 1)]


async def test_readers_of_the_past_do_not_keep_a_writer_out(service: Service, tenant: UUID) -> None:
    """A reader that is slow, or many that overlap, hold no lock that a writer wants."""
    key = await make_bank(service.sessions, tenant)
    await service.bank(key).apply(Changes(adds=(adding(BUDDY),)))
    moment = await now(service)
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def read_slowly() -> None:
        async with service.bank(key, moment)._reading() as session:
            await session.execute(text("SELECT 1"))
            reading.set()
            await go_on.wait()

    slow = asyncio.create_task(read_slowly())
    await reading.wait()
    for _ in range(3):
        await service.bank(key).apply(Changes(adds=(adding("Alice adopted a dog named Scout."),)))
        await post(service, tenant, "alice", numbered(1))
    go_on.set()
    await slow
    assert await texts_as_of(service, key, moment) == [BUDDY]
