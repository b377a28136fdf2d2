"""Erasing one turn: its text is nowhere, and what other turns told stays."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, text, update

from app.core import errors
from app.core.changes import AddMemory, Changes, LoggedOperation, RemoveMemory, ReviseMemory, Verdict
from app.core.operations import OperationKind
from app.core.values import Memory
from app.db import lanes, oplog, queries, tables
from app.db.oplog import Origin
from app.db.queries import BankKey, in_bank
from app.services import answer, banks, erasure_of_turns, ingest
from app.services.callers import Caller
from app.services.erasure import Derived, Receipt
from app.services.ingest import State
from app.services.once import Once
from app.services.service import Service
from tests.fixtures.banks import MONDAY, embedded
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import (
    ended,
    memory_texts,
    numbered,
    post,
    said,
    working,
)

Change = AddMemory | ReviseMemory | RemoveMemory


async def erase(
    service: Service, tenant: UUID, turn_id: UUID, derived: Derived = Derived.ONLY, once: Once | None = None
) -> Receipt:
    receipt = await erasure_of_turns.erase_turn(
        service.sessions, Caller(tenant_id=tenant), "one", turn_id, derived, once
    )
    assert set(receipt.verified.values()) == {0}, receipt.verified
    return receipt


async def write(service: Service, key: BankKey, turn_id: UUID | None, *changes: Change) -> None:
    """Apply changes with a line of the log for each."""
    adds = tuple(c for c in changes if isinstance(c, AddMemory))
    revisions = tuple(c for c in changes if isinstance(c, ReviseMemory))
    removals = tuple(c for c in changes if isinstance(c, RemoveMemory))
    async with service.sessions.begin(key.tenant_id) as session:
        await lanes.lock(session, key)
        stamp = await lanes.stamp(session, key, len(changes))
        before = await queries.memories_by_id(session, key, [c.memory_id for c in changes])
        ordered: tuple[Change, ...] = (*adds, *revisions, *removals)
        lines = [line_of(change, before) for change in ordered]
        await queries.apply_changes(session, key, Changes(adds=adds, revisions=revisions, removals=removals), stamp.at)
        await oplog.write(session, key, stamp, lines, Origin.WORKER, turn_id=turn_id, reasoning="because of SECRET")


def line_of(change: Change, before: dict[UUID, Memory]) -> LoggedOperation:
    kinds = {AddMemory: OperationKind.ADD, ReviseMemory: OperationKind.UPDATE, RemoveMemory: OperationKind.DELETE}
    earlier = before.get(change.memory_id)
    return LoggedOperation(
        kind=kinds[type(change)],
        fact="a fact",
        verdict=Verdict.APPLIED,
        memory_id=change.memory_id,
        version_before=earlier.version if earlier else None,
        version_after=None if isinstance(change, RemoveMemory) else (earlier.version if earlier else 0) + 1,
        text_before=earlier.text if earlier else None,
        text_after=None if isinstance(change, RemoveMemory) else change.text,
    )


def adding(content: str, *sources: UUID) -> AddMemory:
    return AddMemory(
        memory_id=uuid4(), text=content, speaker="Alice", said_at=MONDAY, sources=sources, embedded=embedded(content)
    )


def revising(memory_id: UUID, version: int, content: str, *sources: UUID) -> ReviseMemory:
    said_at, forms = MONDAY + timedelta(days=version), embedded(content)
    return ReviseMemory(
        memory_id=memory_id, version=version, text=content, said_at=said_at, sources=sources, embedded=forms
    )


async def heard(service: Service, tenant: UUID, count: int) -> tuple[BankKey, Sequence[UUID]]:
    """A bank with so many turns that nobody works on."""
    key, accepted = await post(service, tenant, "one", numbered(count))
    return key, accepted.turn_ids


async def history(service: Service, key: BankKey, memory_id: UUID) -> list[tuple[int, str, tuple[UUID, ...]]]:
    return [(m.version, m.text, m.sources) for m in await service.bank(key).history(memory_id)]


async def holds(service: Service, word: str) -> list[str]:
    """The tables in which a word stands anywhere."""
    found = []
    async with everything(service.sessions) as session:
        for table in tables.metadata.sorted_tables:
            statement = f"SELECT count(*) FROM {table.name} AS t WHERE CAST(t AS text) LIKE :word"
            if await session.scalar(text(statement), {"word": f"%{word}%"}):
                found.append(table.name)
    return found


async def test_a_turn_goes_with_everything_that_it_alone_told(service: Service, tenant: UUID) -> None:
    posted = [said("I like green tea.", "Bob"), said("I keep SECRET cats.", "Carol"), said("I like chess.", "Bob")]
    key, accepted = await post(service, tenant, "one", posted)
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    await answer.ask(service, key, "Who keeps cats?")
    assert set(await holds(service, "SECRET")) >= {"turns", "inbox", "memories", "memory_versions", "operations"}
    receipt = await erase(service, tenant, accepted.turn_ids[1])
    assert await holds(service, "SECRET") == []
    assert await holds(service, "Carol") == []
    # Lines of the turn, and of the one that was decided upon in sight of it; their traces, and that of the answer.
    gone = {"turns": 1, "inbox": 1, "memories": 1, "memory_versions": 1, "operations": 2, "answers": 1, "speakers": 1}
    assert receipt.removed == {**gone, "traces": 5, "idempotency_keys": 0}
    assert (receipt.kept, receipt.turn_id, receipt.derived) == ((), accepted.turn_ids[1], Derived.ONLY)
    assert await memory_texts(service, key) == ["Bob like green tea.", "Bob like chess."]
    summary = await banks.read_bank(service.sessions, tenant, "one")
    assert (summary.turns, summary.speakers) == (2, ("Bob",))
    again = await ingest.accept(service, tenant, "one", numbered(1))
    async with service.sessions.begin(tenant) as session:
        positions = list(await session.scalars(select(tables.turns.c.position).order_by(tables.turns.c.position)))
    assert positions == [1, 3, 4] and len(again.turn_ids) == 1


async def test_what_is_left_of_a_post_is_read_as_before(service: Service, tenant: UUID) -> None:
    key, accepted = await post(service, tenant, "one", numbered(3))
    async with working(service):
        before = await ended(service, key, accepted.ingestion_id)
        await erase(service, tenant, accepted.turn_ids[1])
        after = await ingest.read(service.sessions, key, accepted.ingestion_id)
        assert [t.turn_id for t in after.turns] == [before.turns[0].turn_id, before.turns[2].turn_id]
        assert [t.operations for t in after.turns] == [before.turns[0].operations, before.turns[2].operations]
        assert after.state is State.DONE
        page = await ingest.page(service.sessions, key, 10, None, None)
        assert [t.turn_id for t in page.turns] == [t.turn_id for t in after.turns]
        for turn in after.turns:
            await erase(service, tenant, turn.turn_id)
    assert (await ingest.read(service.sessions, key, accepted.ingestion_id)).turns == ()


@pytest.mark.parametrize("derived", list(Derived))
async def test_a_memory_of_two_turns_keeps_or_loses_what_both_told(
    service: Service, tenant: UUID, derived: Derived
) -> None:
    key, (first, second) = await heard(service, tenant, 2)
    await write(service, key, first, add := adding("tea", first))
    memory = add.memory_id
    await write(service, key, second, revising(memory, 1, "SECRET tea", first, second))
    receipt = await erase(service, tenant, second, derived)
    if derived is Derived.ONLY:
        assert receipt.kept == (memory,)
        assert await history(service, key, memory) == [(1, "tea", (first,)), (2, "SECRET tea", (first,))]
        return
    assert receipt.kept == ()
    assert await history(service, key, memory) == [(1, "tea", (first,)), (3, "tea", (first,))]
    assert (await service.bank(key).get(memory)).version == 3
    assert await holds(service, "SECRET") == ["operations"]
    async with service.sessions.begin(tenant) as session:
        lines = (await session.execute(select(tables.operations).order_by(tables.operations.c.number))).all()
        restores = await session.scalar(
            select(tables.memory_versions.c.restores).where(tables.memory_versions.c.version == 3)
        )
    assert restores == 1
    assert [line.number for line in lines] == [1, 2, 3]
    assert (lines[1].fact, lines[1].reasoning, lines[1].text_before, lines[1].text_after) == (None,) * 4
    assert lines[1].erased_at is not None and lines[0].erased_at is None
    returned = lines[2]
    assert (returned.origin, returned.version_before, returned.version_after) == ("erasure", 2, 3)
    assert (returned.text_after, returned.memory_id) == ("tea", memory)


async def test_a_deleted_memory_does_not_keep_its_last_text(service: Service, tenant: UUID) -> None:
    key, (first, second, third) = await heard(service, tenant, 3)
    await write(service, key, first, kept := adding("tea", first), gone := adding("SECRET cats", second))
    await write(service, key, second, revising(kept.memory_id, 1, "SECRET tea", first, second))
    await write(
        service,
        key,
        third,
        RemoveMemory(memory_id=kept.memory_id, version=2),
        RemoveMemory(memory_id=gone.memory_id, version=1),
    )
    async with everything(service.sessions) as session:
        await session.execute(update(tables.operations).values(reasoning=None))
    await erase(service, tenant, second, Derived.ALL)
    assert await holds(service, "SECRET") == []
    assert await history(service, key, kept.memory_id) == [(1, "tea", (first,))]
    assert await service.bank(key).memories() == []
    async with everything(service.sessions) as session:
        (head,) = (await session.execute(select(tables.memories))).all()
    assert (head.id, head.live, head.text, head.version) == (kept.memory_id, False, "tea", 2)


async def test_lines_that_were_decided_in_sight_of_an_erased_memory_lose_what_may_quote_it(
    service: Service, tenant: UUID
) -> None:
    key, (first, second) = await heard(service, tenant, 2)
    await write(service, key, first, seen := adding("SECRET cats", first))
    await write(service, key, second, other := adding("chess", second))
    async with everything(service.sessions) as session:
        shown = [{"id": str(seen.memory_id), "version": 1}]
        number = tables.operations.c.number
        await session.execute(update(tables.operations).where(number == 2).values(shown=shown, reason="loses SECRET"))
        row = {**key._asdict(), "number": 3, "kind": "UPDATE", "verdict": "rejected", "memory_id": other.memory_id}
        row |= {"shown": shown, "version_before": 1, "text_after": "chess of SECRET cats", "fact": "chess again"}
        await session.execute(insert(tables.operations).values(**row, turn_id=second))
        await session.execute(update(tables.lanes).values(last_operation=3))
    receipt = await erase(service, tenant, first)
    assert receipt.removed["operations"] == 3
    assert await holds(service, "SECRET") == []
    async with everything(service.sessions) as session:
        lines = (await session.execute(select(tables.operations).order_by(number))).all()
    assert [(line.fact, line.text_after) for line in lines] == [
        (None, None),
        ("a fact", "chess"),
        ("chess again", None),
    ]


async def test_traces_of_which_nobody_knows_whose_text_they_hold_go(service: Service, tenant: UUID) -> None:
    key, (first, second) = await heard(service, tenant, 2)
    rows: list[dict[str, Any]] = [
        {"turn_ids": [second], "memory_ids": []},
        {"turn_ids": None, "memory_ids": None},
        {"turn_ids": [first]},
    ]
    async with everything(service.sessions) as session:
        for row in rows:
            what = {"id": uuid4(), "role": "manager", "body": {}, "turn_ids": None, "memory_ids": [], **row}
            await session.execute(insert(tables.traces).values(**key._asdict(), **what))
    assert (await erase(service, tenant, first)).removed["traces"] == 2
    async with everything(service.sessions) as session:
        assert list(await session.scalars(select(tables.traces.c.turn_ids))) == [[second]]


async def test_cached_responses_that_may_quote_the_turn_are_gone(service: Service, tenant: UUID) -> None:
    key, (first, _) = await heard(service, tenant, 2)
    rows = [("quoting", True, key.bank_id), ("ids", False, key.bank_id), ("elsewhere", True, None)]
    async with everything(service.sessions) as session:
        for name, quotes, bank in rows:
            row = {"tenant_id": tenant, "key": name, "digest": b"d", "body": {}, "holds_text": quotes, "bank_id": bank}
            await session.execute(insert(tables.idempotency_keys).values(row))
    assert (await erase(service, tenant, first)).removed["idempotency_keys"] == 2
    async with everything(service.sessions) as session:
        keys = tables.idempotency_keys.c
        assert set(await session.scalars(select(keys.digest).where(keys.bank_id == key.bank_id))) == {b""}
    for name, _, bank in rows:
        once = Once(name, b"d")
        if bank is not None:
            with pytest.raises(errors.IdempotencyConflict, match="erased"):
                await once.look(service.sessions, tenant)
        else:
            assert await once.look(service.sessions, tenant) == {}


async def test_what_is_not_there_is_refused_and_a_replay_is_not(service: Service, tenant: UUID) -> None:
    _, (first, _) = await heard(service, tenant, 2)
    receipts = [await erase(service, tenant, first, once=Once("key", b"d")) for _ in range(2)]
    assert receipts[0] == receipts[1]
    for turn_id in (first, uuid4()):
        with pytest.raises(errors.UnknownTurn):
            await erase(service, tenant, turn_id)
    assert (await banks.read_bank(service.sessions, tenant, "one")).turns == 1


@pytest.mark.parametrize("seed", range(12))
async def test_versions_are_what_a_plain_model_says(service: Service, tenant: UUID, seed: int) -> None:
    """Random memories of random turns, erased one after the other, against a few lines of Python."""
    rng = random.Random(seed)
    key, turn_ids = await heard(service, tenant, 4)
    model: dict[UUID, list[tuple[str, set[UUID]]]] = {}
    dead: set[UUID] = set()
    for n in range(8):
        turn = rng.choice(turn_ids)
        alive = [m for m in model if m not in dead]
        chosen = rng.choice(alive) if alive and rng.random() < 0.6 else None
        sources = set(rng.sample(list(turn_ids), rng.randint(1, 3)))
        if chosen is None:
            await write(service, key, turn, add := adding(f"text t{n}", *sources))
            model[add.memory_id] = [(f"text t{n}", sources)]
        elif rng.random() < 0.25:
            await write(service, key, turn, RemoveMemory(memory_id=chosen, version=len(model[chosen])))
            dead.add(chosen)
        else:
            await write(service, key, turn, revising(chosen, len(model[chosen]), f"text t{n}", *sources))
            model[chosen].append((f"text t{n}", sources))
    for turn_id in rng.sample(list(turn_ids), 3):
        derived = rng.choice(list(Derived))
        receipt = await erase(service, tenant, turn_id, derived)
        rests = set()
        for memory_id, versions in list(model.items()):
            kept = [(t, s) for t, s in versions if turn_id not in s or (derived is Derived.ONLY and s != {turn_id})]
            rests |= {memory_id for _, s in kept if turn_id in s}
            kept = [(t, s - {turn_id}) for t, s in kept]
            if kept and versions[-1][0] != kept[-1][0] and memory_id not in dead:
                kept.append(kept[-1])
            model[memory_id] = kept
            if not kept:
                del model[memory_id]
        assert set(receipt.kept) == rests
        await agree(service, key, model, dead)


async def agree(
    service: Service, key: BankKey, model: dict[UUID, list[tuple[str, set[UUID]]]], dead: set[UUID]
) -> None:
    bank = service.bank(key)
    alive = {memory.id: (memory.text, set(memory.sources)) for memory in await bank.memories()}
    assert alive == {m: versions[-1] for m, versions in model.items() if m not in dead}
    for memory_id, versions in model.items():
        assert [(t, set(s)) for _, t, s in await history(service, key, memory_id)] == versions
    async with everything(service.sessions) as session:
        heads = (await session.execute(select(tables.memories).where(in_bank(tables.memories, key)))).all()
        kept = list(await session.scalars(select(tables.operations.c.text_after)))
    assert {head.id: head.text for head in heads} == {m: versions[-1][0] for m, versions in model.items()}
    told = {content for versions in model.values() for content, _ in versions}
    assert {content for content in kept if content is not None} <= told
    numbers = range(1, len(kept) + 1)
    async with everything(service.sessions) as session:
        stored = list(await session.scalars(select(tables.operations.c.number).order_by(tables.operations.c.number)))
    assert stored == list(numbers)
