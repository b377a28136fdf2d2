"""The operation log of a worker's and of clients' writes, and undoing them, alone and by ingestion."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text, update

from app.core import errors
from app.core.changes import Verdict
from app.core.operations import OperationKind
from app.core.values import Prompt
from app.db import lanes, tables
from app.db.oplog import Origin
from app.db.queries import BankKey, in_bank
from app.services import operations
from app.services.callers import Caller
from app.services.edits import Edit
from app.services.erasure import Derived
from app.services.erasure_of_turns import erase_turn
from app.services.ingest import Accepted, State
from app.services.once import Once
from app.services.operations import Order, Which
from app.services.service import Service
from tests.fixtures.doubles import ScriptedCompleter, decisions
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import ended, memory_texts, numbered, post, said, until, working
from tests.fixtures.logbook import check_bank, digests_of, log_of
from tests.services.conftest import Remake

ONE, BOTH = "Alice has a dog named Buddy.", "Alice has two dogs named Buddy and Scout."


def two_dogs(prompt: Prompt) -> str:
    """Merges what is said of a second dog into the first memory shown, and forgets it on hearing of no longer."""

    def decide(fact: str) -> list[dict[str, Any]]:
        if "Scout" in fact:
            return [{"op": "UPDATE", "memory": "m1", "text": BOTH}]
        return [{"op": "DELETE", "memory": "m1"}] if "no longer" in fact else [{"op": "ADD"}]

    return decisions(prompt, decide)


async def worked(service: Service, tenant: UUID, *texts: str) -> tuple[BankKey, list[Accepted]]:
    """One ingestion for each text, worked off."""
    receipts = []
    async with working(service):
        for one in texts:
            key, accepted = await post(service, tenant, "one", [said(one)])
            receipts.append(accepted)
            assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE
    return key, receipts


async def test_a_line_tells_what_led_to_it(remade: Remake, tenant: UUID) -> None:
    service = remade(ScriptedCompleter(manager=two_dogs))
    key, (first, second) = await worked(
        service, tenant, "have a dog named Buddy.", "also have a second dog named Scout, so two dogs."
    )
    added, merged = await check_bank(service, key)
    assert (added.number, added.kind, added.verdict, added.origin) == (1, "ADD", "applied", "worker")
    assert (added.turn_id, added.ingestion_id, added.shown) == (first.turn_ids[0], first.ingestion_id, ())
    assert (merged.kind, merged.verdict, merged.ingestion_id) == ("UPDATE", "applied", second.ingestion_id), merged
    assert [(shown.id, shown.version) for shown in merged.shown] == [(added.memory_id, 1)]
    assert (merged.version_before, merged.version_after, merged.text_after) == (1, 2, BOTH)
    assert merged.policy == "scripted" and merged.prompt_version and merged.key_id is None
    assert await operations.read(service.sessions, key, 2) == merged
    with pytest.raises(errors.UnknownOperation):
        await operations.read(service.sessions, key, 3)


async def test_an_ingestion_is_undone_whole_and_each_step_can_be_undone_again(remade: Remake, tenant: UUID) -> None:
    service = remade(ScriptedCompleter(manager=two_dogs))
    texts = ["have a dog named Buddy.", "also have a second dog named Scout, so two dogs.", "no longer have the dogs."]
    key, accepted = await post(service, tenant, "one", [said(one) for one in texts])
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    assert [line.kind for line in await log_of(service.sessions, key)] == ["ADD", "UPDATE", "DELETE"]
    before = await digests_of(service.sessions, key)
    undone = await operations.undo_ingestion(service.sessions, key, accepted.ingestion_id, Once())
    assert [(line.kind, line.undoes) for line in undone.operations] == [("ADD", 3), ("UPDATE", 2), ("DELETE", 1)]
    assert all(line.origin is Origin.UNDO and line.turn_id is None for line in undone.operations)
    assert await memory_texts(service, key) == []
    assert before.items() <= (await digests_of(service.sessions, key)).items()
    log = await check_bank(service, key)
    assert [line.undone_by for line in log] == [6, 5, 4, None, None, None]
    with pytest.raises(errors.NothingToUndo):
        await operations.undo_ingestion(service.sessions, key, accepted.ingestion_id, Once())
    for number, texts_then in [(6, [log[0].text_after]), (5, [BOTH]), (4, [])]:
        await operations.undo_one(service.sessions, key, number, Once())
        assert await memory_texts(service, key) == texts_then
    assert [line.undone_by for line in await check_bank(service, key)] == [None] * 3 + [9, 8, 7] + [None] * 3


async def test_an_ingestion_is_undone_whole_or_not_at_all(service: Service, tenant: UUID) -> None:
    key, accepted = await post(service, tenant, "one", numbered(3))
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    memories = await service.bank(key).memories()
    changed = await Edit(service, key).revise(memories[1].id, "Alice sold item number 1.", None)
    removed = await Edit(service, key).remove(memories[2].id)
    with pytest.raises(errors.UndoConflict) as conflict:
        await operations.undo_ingestion(service.sessions, key, accepted.ingestion_id, Once())
    assert conflict.value.operations == [changed.operation, removed.operation]
    assert len(await check_bank(service, key)) == 5
    for edited in (changed, removed):
        await operations.undo_one(service.sessions, key, edited.operation, Once())
    undone = await operations.undo_ingestion(service.sessions, key, accepted.ingestion_id, Once())
    assert [line.undoes for line in undone.operations] == [3, 2, 1]
    assert await memory_texts(service, key) == []
    await check_bank(service, key)


async def test_what_was_undone_already_is_left_out_of_its_ingestion(service: Service, tenant: UUID) -> None:
    key, accepted = await post(service, tenant, "one", numbered(3))
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    await operations.undo_one(service.sessions, key, 2, Once())
    undone = await operations.undo_ingestion(service.sessions, key, accepted.ingestion_id, Once())
    assert [line.undoes for line in undone.operations] == [3, 1]


async def test_a_big_ingestion_is_undone_in_one_go(service: Service, tenant: UUID) -> None:
    key, accepted = await post(service, tenant, "one", numbered(120))
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    undone = await operations.undo_ingestion(service.sessions, key, accepted.ingestion_id, Once())
    assert [line.undoes for line in undone.operations] == list(range(120, 0, -1))
    assert len({line.created_at for line in undone.operations}) == 1
    await check_bank(service, key)


@pytest.mark.parametrize("state", ["queued", "retrying"])
async def test_an_ingestion_under_way_is_not_undone(service: Service, tenant: UUID, state: str) -> None:
    key, accepted = await post(service, tenant, "one", numbered(2))
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    async with everything(service.sessions) as session:
        waiting = update(tables.inbox).where(in_bank(tables.inbox, key), tables.inbox.c.position == 2)
        await session.execute(waiting.values(state=state))
    with pytest.raises(errors.IngestionUnderWay):
        await operations.undo_ingestion(service.sessions, key, accepted.ingestion_id, Once())
    with pytest.raises(errors.UnknownIngestion):
        await operations.undo_ingestion(service.sessions, key, uuid4(), Once())
    assert len(await check_bank(service, key)) == 2


async def test_what_changed_nothing_cannot_be_undone(remade: Remake, tenant: UUID) -> None:
    service = remade(ScriptedCompleter(manager=two_dogs))
    key, _ = await worked(service, tenant, "have a dog named Buddy.", "have a dog named Buddy.", "like tea.")
    lines = await log_of(service.sessions, key)
    unchanged = [line.number for line in lines if line.verdict is not Verdict.APPLIED]
    assert unchanged
    memory = (await service.bank(key).memories())[0]
    same = await Edit(service, key).revise(memory.id, memory.text, memory.said_at)
    for number in [*unchanged, same.operation]:
        with pytest.raises(errors.NothingToUndo):
            await operations.undo_one(service.sessions, key, number, Once())
    assert (await service.bank(key).get(memory.id)) == memory


async def test_what_was_erased_cannot_be_undone_and_stands_in_nobodys_way(remade: Remake, tenant: UUID) -> None:
    service = remade(ScriptedCompleter(manager=two_dogs))
    key, (_, second) = await worked(
        service, tenant, "have a dog named Buddy.", "also have a second dog named Scout, so two dogs."
    )
    await erase_turn(service.sessions, Caller(tenant_id=tenant), "one", second.turn_ids[0], Derived.ALL)
    lines = await log_of(service.sessions, key)
    assert [line.origin for line in lines] == ["worker", "worker", "erasure"]
    for number in (2, 3):
        with pytest.raises(errors.NothingToUndo, match="erased"):
            await operations.undo_one(service.sessions, key, number, Once())
    with pytest.raises(errors.NothingToUndo):
        await operations.undo_ingestion(service.sessions, key, second.ingestion_id, Once())
    await operations.undo_one(service.sessions, key, 1, Once())
    assert await memory_texts(service, key) == []


async def test_an_erased_turn_does_not_make_the_rest_of_its_post_irreversible(remade: Remake, tenant: UUID) -> None:
    """The memory that it changed stays as it is, since another turn told the rest of it."""
    service = remade(ScriptedCompleter(manager=two_dogs))
    texts = ["have a dog named Buddy.", "also have a second dog named Scout, so two dogs.", "like tea."]
    key, accepted = await post(service, tenant, "one", [said(one) for one in texts])
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    await erase_turn(service.sessions, Caller(tenant_id=tenant), "one", accepted.turn_ids[1], Derived.ONLY)
    added, wiped = [(await operations.read(service.sessions, key, number)).text_after for number in (1, 2)]
    assert added and wiped is None
    undone = await operations.undo_ingestion(service.sessions, key, accepted.ingestion_id, Once())
    assert [line.undoes for line in undone.operations] == [3, 2, 1] and undone.skipped == ()
    assert (undone.operations[1].text_before, undone.operations[1].text_after) == (BOTH, added)
    assert await memory_texts(service, key) == []
    await operations.undo_one(service.sessions, key, 6, Once())
    assert await memory_texts(service, key) == [added]


async def test_what_was_erased_for_good_is_skipped_and_the_rest_of_its_post_undone(
    remade: Remake, tenant: UUID
) -> None:
    service = remade(ScriptedCompleter(manager=two_dogs))
    texts = ["have a dog named Buddy.", "also have a second dog named Scout, so two dogs.", "like tea."]
    key, accepted = await post(service, tenant, "one", [said(one) for one in texts])
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    # The first version goes; the second has the other turn left.
    await erase_turn(service.sessions, Caller(tenant_id=tenant), "one", accepted.turn_ids[0], Derived.ONLY)
    for number in (1, 2):
        with pytest.raises(errors.NothingToUndo, match="erased"):
            await operations.undo_one(service.sessions, key, number, Once())
    asked = [Once("k", b"1") for _ in range(2)]
    undone = [await operations.undo_ingestion(service.sessions, key, accepted.ingestion_id, once) for once in asked]
    assert undone[0] == undone[1] and asked[1].replayed
    assert [line.undoes for line in undone[0].operations] == [3] and undone[0].skipped == (1, 2)
    assert await memory_texts(service, key) == [BOTH]
    with pytest.raises(errors.NothingToUndo):
        await operations.undo_ingestion(service.sessions, key, accepted.ingestion_id, Once())


async def test_two_undos_at_once_undo_once(service: Service, tenant: UUID) -> None:
    key, accepted = await post(service, tenant, "one", numbered(1))
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    undos = [operations.undo_one(service.sessions, key, 1, Once()) for _ in range(6)]
    outcomes = await asyncio.gather(*undos, return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, BaseException)]
    assert [type(one) for one in refused] == [errors.NothingToUndo] * 5
    assert len(await check_bank(service, key)) == 2


async def test_an_undo_is_done_once_under_its_key(service: Service, tenant: UUID) -> None:
    key, accepted = await post(service, tenant, "one", numbered(1))
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    requests = [Once("same", b"digest") for _ in range(5)]
    outcomes = await asyncio.gather(*(operations.undo_one(service.sessions, key, 1, once) for once in requests))
    assert outcomes == [outcomes[0]] * 5
    assert sorted(once.replayed for once in requests) == [False] + [True] * 4
    with pytest.raises(errors.IdempotencyConflict):
        await operations.undo_one(service.sessions, key, 1, Once("same", b"other"))
    with pytest.raises(errors.NothingToUndo):
        await operations.undo_one(service.sessions, key, 1, Once("new", b"digest"))
    # Refused, so the key is free for what is sent with it next.
    assert (await operations.undo_one(service.sessions, key, 2, Once("new", b"digest"))).operations[0].undoes == 2


async def test_lines_are_found_by_what_they_are_about(service: Service, tenant: UUID) -> None:
    key, (first, second) = await worked(service, tenant, "like tea. I like milk.", "like beer.")
    memory = (await service.bank(key).memories())[0]
    key_id = uuid4()
    await Edit(service, key, key_id=key_id).revise(memory.id, "Alice hates tea.", None)
    await operations.undo_one(service.sessions, key, 4, Once(), key_id)
    await Edit(service, key).revise(memory.id, memory.text, None)

    async def numbers(order: Order = Order.OLDEST, **which: Any) -> list[int]:
        found: list[int] = []
        after = None
        while True:
            page = await operations.page(service.sessions, key, Which(**which), 2, after, order)
            found += [line.number for line in page.operations]
            after = page.next
            if after is None:
                return found

    assert await numbers() == [1, 2, 3, 4, 5, 6]
    assert await numbers(Order.NEWEST) == [6, 5, 4, 3, 2, 1]
    assert await numbers(memory_id=memory.id) == [1, 4, 5, 6]
    assert await numbers(ingestion_id=first.ingestion_id) == [1, 2]
    assert await numbers(turn_id=second.turn_ids[0]) == [3]
    assert await numbers(verdict=Verdict.UNCHANGED) == [6]
    assert await numbers(origin=Origin.UNDO) == [5]
    assert await numbers(Order.NEWEST, origin=Origin.WORKER, memory_id=memory.id) == [1]
    assert await numbers(memory_id=uuid4()) == []
    assert [line.key_id for line in (await log_of(service.sessions, key))[3:]] == [key_id, key_id, None]


async def test_undoing_waits_for_the_writer_under_way_and_sees_what_it_did(service: Service, tenant: UUID) -> None:
    key, _ = await worked(service, tenant, "like tea.")
    (memory,) = await service.bank(key).memories()
    async with service.sessions.begin(tenant) as session:
        await lanes.lock(session, key)
        undo = asyncio.create_task(operations.undo_one(service.sessions, key, 1, Once()))
        await until(lambda: someone_waits(service))
        assert not undo.done()
        await session.execute(text("UPDATE memories SET version = 2"))
        copied = "SELECT tenant_id, bank_id, memory_id, 2, text, speaker, said_at, sources, embedding, terms, now()"
        await session.execute(
            text(
                "INSERT INTO memory_versions (tenant_id, bank_id, memory_id, version, text, speaker, said_at, sources, "
                f"embedding, terms, valid_from) {copied} FROM memory_versions"
            )
        )
    with pytest.raises(errors.NothingToUndo):
        await undo
    assert (await service.bank(key).get(memory.id)).version == 2


async def someone_waits(service: Service) -> bool:
    """Whether a transaction waits for a lock."""
    async with everything(service.sessions) as session:
        return bool(await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


async def test_kinds_of_undoing_are_told_by_their_effect(service: Service, tenant: UUID) -> None:
    key, _ = await worked(service, tenant, "like tea.")
    (memory,) = await service.bank(key).memories()
    await Edit(service, key).remove(memory.id)
    (back,) = (await operations.undo_one(service.sessions, key, 2, Once())).operations
    assert (back.kind, back.version_before, back.version_after) == (OperationKind.ADD, None, 2)
    assert (back.text_before, back.text_after, back.fact, back.turn_id) == (None, memory.text, None, None)
    restored = await service.bank(key).get(memory.id)
    assert restored.sources == memory.sources and restored.said_at == memory.said_at
