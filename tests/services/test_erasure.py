"""Erasing a bank: nothing of it is left, whatever was under way, and the receipt says so."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import ProgrammingError

from app.core import errors
from app.core.values import Prompt, Role
from app.db import lanes, tables
from app.db.queries import BankKey
from app.services import answer, banks, erasure, ingest, work
from app.services.callers import Caller
from app.services.erasure import Receipt
from app.services.once import Once
from app.services.service import Service
from tests.fixtures.database import make_tenant
from tests.fixtures.doubles import HashEmbedder
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import WatchingCompleter, ended, numbered, post, rows_of, until, working
from tests.services.conftest import Remake


async def filled(service: Service, tenant: UUID, name: str = "one") -> BankKey:
    """A bank with something in every table that the service fills."""
    key, accepted = await post(service, tenant, name, numbered(3))
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    await answer.ask(service, key, "Which item is number 1?")
    return key


async def erase(service: Service, tenant: UUID, name: str = "one", once: Once | None = None) -> Receipt:
    return await erasure.erase_bank(service.sessions, Caller(tenant_id=tenant), name, once)


async def test_the_receipt_counts_what_was_there_and_that_nothing_is(service: Service, tenant: UUID) -> None:
    key = await filled(service, tenant)
    other = await filled(service, tenant, "two")
    hook = {
        "tenant_id": tenant,
        "id": (hook_id := UUID(int=1)),
        "url": "https://a.example",
        "events": [],
        "secret": "s",
    }
    async with everything(service.sessions) as session:
        for bank, event_id in ((key, UUID(int=2)), (other, UUID(int=3))):
            row = {"tenant_id": tenant, "id": event_id, "bank_id": bank.bank_id, "type": "x", "body": {}}
            await session.execute(insert(tables.events).values(row))
            if bank is key:
                await session.execute(insert(tables.webhooks).values(hook))
            ids = {"tenant_id": tenant, "webhook_id": hook_id, "event_id": event_id}
            await session.execute(insert(tables.deliveries).values(ids))
    before, others = await rows_of(service.sessions, key), await rows_of(service.sessions, other)
    receipt = await erase(service, tenant)
    assert receipt.removed == {**before, "banks": 1, "deliveries": 1}
    assert before["answers"] == 1 and before["traces"] == 7 and before["memories"] == 3
    assert set(receipt.verified.values()) == {0} and receipt.verified.keys() == receipt.removed.keys()
    assert set((await rows_of(service.sessions, key)).values()) == {0}
    assert await rows_of(service.sessions, other) == others
    async with everything(service.sessions) as session:
        assert list(await session.scalars(text("SELECT event_id FROM deliveries"))) == [UUID(int=3)]


async def test_anybody_can_compute_the_digest_and_the_receipt_does_not_name_the_bank(
    service: Service, tenant: UUID
) -> None:
    await filled(service, tenant, "alice.liddell")
    receipt = await erase(service, tenant, "alice.liddell")
    said: dict[str, Any] = json.loads(receipt.model_dump_json())
    digest = said.pop("digest")
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
    assert digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert said["bank"] == hashlib.sha256(f"{tenant}:alice.liddell".encode()).hexdigest()
    assert "liddell" not in receipt.model_dump_json()
    assert await erasure.read_receipt(service.sessions, tenant, digest) == receipt


async def test_receipts_are_paged_and_belong_to_their_tenant(service: Service, tenant: UUID) -> None:
    receipts = []
    for n in range(5):
        await post(service, tenant, f"bank-{n}", numbered(1))
        receipts.append(await erase(service, tenant, f"bank-{n}"))
    found: list[Receipt] = []
    after = None
    while True:
        page = await erasure.list_receipts(service.sessions, tenant, 2, after)
        found += page.receipts
        if (after := page.next) is None:
            break
    assert found == receipts
    stranger = await make_tenant(service.sessions, "stranger")
    assert (await erasure.list_receipts(service.sessions, stranger, 10, None)).receipts == ()
    with pytest.raises(errors.UnknownErasure):
        await erasure.read_receipt(service.sessions, stranger, receipts[0].digest)
    assert (await erasure.list_receipts(service.sessions, stranger, 10, receipts[0].digest)).receipts == ()


@pytest.mark.parametrize("statement", ["DELETE FROM erasures", "UPDATE erasures SET body = '{}'"])
async def test_a_receipt_cannot_be_taken_back(service: Service, tenant: UUID, statement: str) -> None:
    await post(service, tenant, "one", numbered(1))
    await erase(service, tenant)
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with service.sessions.begin(tenant) as session:
            await session.execute(text(statement))


async def test_a_second_request_with_one_key_gets_the_same_receipt(service: Service, tenant: UUID) -> None:
    await post(service, tenant, "one", numbered(1))
    once = [Once("key", b"digest") for _ in range(3)]
    first, second = await asyncio.gather(*(erase(service, tenant, once=o) for o in once[:2]))
    assert first == second and {once[0].replayed, once[1].replayed} == {True, False}
    await post(service, tenant, "one", numbered(1))
    assert await erase(service, tenant, once=once[2]) == first
    assert (await banks.read_bank(service.sessions, tenant, "one")).turns == 1
    with pytest.raises(errors.IdempotencyConflict):
        await erase(service, tenant, once=Once("key", b"other"))


async def test_no_such_bank_leaves_no_receipt(service: Service, tenant: UUID) -> None:
    stranger = await make_tenant(service.sessions, "stranger")
    await post(service, stranger, "one", numbered(1))
    with pytest.raises(errors.UnknownBank):
        await erase(service, tenant)
    assert (await erasure.list_receipts(service.sessions, tenant, 10, None)).receipts == ()


@pytest.mark.parametrize("role", list(Role))
async def test_nothing_under_way_writes_to_an_erased_bank(remade: Remake, tenant: UUID, role: Role) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    armed = False

    async def hold(prompt: Prompt) -> None:
        if armed and prompt.role is role:
            asked.set()
            await go_on.wait()

    service = remade(WatchingCompleter(hold), HashEmbedder())
    key = await filled(service, tenant)
    armed = True
    await ingest.accept(service, tenant, "one", numbered(2, first=7))
    question = asyncio.create_task(answer.ask(service, key, "Which?")) if role is Role.ANSWERER else None
    async with working(service):
        await asked.wait()
        await erase(service, tenant)
        go_on.set()
        other, accepted = await post(service, tenant, "two", numbered(1))
        await ended(service, other, accepted.ingestion_id)
        if question is not None:
            with pytest.raises(errors.UnknownBank):
                await question
    assert set((await rows_of(service.sessions, key)).values()) == {0}


async def test_posts_answers_and_erasures_at_once_do_not_lock_each_other_out(service: Service, tenant: UUID) -> None:
    """A deadlock would come up as an error of the database."""

    async def posting() -> None:
        for n in range(25):
            await ingest.accept(service, tenant, "one", numbered(2, first=n))

    async def asking() -> None:
        for _ in range(40):
            try:
                key = await banks.find_bank(service.sessions, tenant, "one")
                await answer.ask(service, key, "Which item is number 1?")
            except (errors.UnknownBank, errors.ErasedMeanwhile):
                await asyncio.sleep(0)

    async def erasing() -> None:
        for _ in range(15):
            await asyncio.sleep(0.02)
            try:
                receipt = await erase(service, tenant)
                assert set(receipt.verified.values()) == {0}
            except errors.UnknownBank:
                continue

    async with working(service, service):
        await asyncio.gather(posting(), posting(), asking(), asking(), erasing())
        key, accepted = await post(service, tenant, "one", numbered(1, first=1000))
        await ended(service, key, accepted.ingestion_id)
        await erase(service, tenant)
    assert set((await rows_of(service.sessions, key)).values()) == {0}


async def test_an_extraction_being_kept_and_an_erasure_do_not_wait_for_each_other(
    service: Service, tenant: UUID
) -> None:
    """The extraction has locked its turns when the erasure comes; it must not need the bank only after them."""
    key, _ = await post(service, tenant, "one", numbered(1))
    async with everything(service.sessions) as session:
        (item,) = await lanes.waiting(session, key, 1)
    async with everything(service.sessions) as holding:
        await holding.execute(text("SELECT FROM inbox FOR UPDATE"))
        extracting = asyncio.create_task(work.extract(service, key, item))
        await until(lambda: waits(service, 1))
        erasing = asyncio.create_task(erase(service, tenant))
        await until(lambda: waits(service, 2))
    await extracting
    assert (await erasing).removed["traces"] == 1


async def waits(service: Service, count: int) -> bool:
    statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with everything(service.sessions) as session:
        return int(await session.scalar(text(statement)) or 0) >= count
