"""Events on their way out: told once for each change that is committed, never for another, to nobody else."""

from __future__ import annotations

import asyncio
import random
import signal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, event, select

from app.core.errors import ModelRefused, UnknownWebhook
from app.core.values import Prompt, Role
from app.db import lanes, tables
from app.db.oplog import Origin
from app.services import erasure, erasure_of_turns, events, ingest, webhooks
from app.services.callers import Caller
from app.services.erasure import Derived
from app.services.events import EventType
from app.services.ingest import State
from app.services.service import Service
from app.services.webhooks import DeliveryState
from tests.fixtures.banks import make_bank
from tests.fixtures.database import make_tenant
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import WatchingCompleter, ended, numbered, post, reached, until, working
from tests.fixtures.telling import (
    all_settled,
    an_add,
    ask,
    change,
    couriers,
    events_of,
    ids_of,
    make_webhook,
    of_type,
    states,
    telling,
    told,
)
from tests.fixtures.worker_process import worker_process
from tests.outgoing.receivers import receiving, replies
from tests.services.conftest import Remake

CHANGED, DONE, FAILED = EventType.MEMORY_CHANGED, EventType.INGESTION_DONE, EventType.INGESTION_FAILED


async def operations_told(service: Service) -> list[tuple[int, int]]:
    """(bank, number) of each operation in any event, sorted."""
    rows = [row for row in await events_of(service) if row.type == CHANGED]
    return sorted((row.bank_id, line["number"]) for row in rows for line in row.body["data"]["operations"])


async def operations_applied(service: Service) -> list[tuple[int, int]]:
    log = tables.operations.c
    async with everything(service.sessions) as session:
        rows = await session.execute(select(log.bank_id, log.number).where(log.verdict == "applied"))
        return sorted((row.bank_id, row.number) for row in rows)


async def test_each_turn_is_told_once_signed_and_without_any_text(service: Service, tenant: UUID) -> None:
    service = telling(service)
    async with receiving(replies(204, body=b"")) as receiver, couriers(service), working(service):
        webhook = await make_webhook(service, tenant, receiver)
        key, accepted = await post(service, tenant, "alice", numbered(4))
        await ended(service, key, accepted.ingestion_id)
        await until(lambda: all_settled(service))
        changes = of_type(receiver, CHANGED, webhook.secret)
        (done,) = of_type(receiver, DONE, webhook.secret)
    assert [line["number"] for one in changes for line in one["operations"]] == [1, 2, 3, 4]
    assert {(one["bank"], one["origin"], one["omitted"]) for one in changes} == {("alice", "worker", 0)}
    memories = [str(memory.id) for memory in await service.bank(key).memories()]
    assert [line["memory_id"] for one in changes for line in one["operations"]] == memories
    line = changes[0]["operations"][0]
    assert (line["kind"], line["version_before"], line["version_after"]) == ("ADD", None, 1)
    assert done["bank"] == "alice" and done["ingestion_id"] == str(accepted.ingestion_id)
    assert (done["turns"], done["error_types"]) == ({"done": 4, "failed": 0}, [])
    assert len(set(ids_of(receiver))) == len(receiver.calls) == 5
    sent = b"".join(call.body for call in receiver.calls)
    assert b"Alice" not in sent and b"bought" not in sent
    assert not any(str(turn_id).encode() in sent for turn_id in accepted.turn_ids)
    assert await states(service, tenant, webhook) == [DeliveryState.DELIVERED] * 5


async def test_what_is_rolled_back_is_never_told(service: Service, tenant: UUID) -> None:
    service = telling(service)
    key = await make_bank(service.sessions, tenant)
    async with receiving(replies()) as receiver, couriers(service):
        webhook = await make_webhook(service, tenant, receiver)
        with pytest.raises(ZeroDivisionError):
            async with service.sessions.begin(tenant) as session:
                await lanes.lock(session, key)
                written = await lanes.stamp(session, key, 1)
                await events.memory_changed(session, key, written, [an_add()], Origin.CLIENT)
                await events.bank_erased(session, tenant, "alice", "0" * 64)
                raise ZeroDivisionError
        await change(service, key)
        await until(lambda: all_settled(service))
        # The number of the write that was undone is that of the next one: it is told of once.
        (told_of,) = of_type(receiver, CHANGED, webhook.secret)
    assert [line["number"] for line in told_of["operations"]] == [1]
    assert len(receiver.calls) == 1


async def test_a_worker_that_fails_after_telling_tells_nothing_of_that_try(
    remade: Remake, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, tries, tell = telling(remade()), [0], events.ingestion_ended

    async def fail_every_other(*given: Any) -> None:
        await tell(*given)
        tries[0] += 1
        if tries[0] % 2:
            raise RuntimeError("between telling and committing")

    await make_webhook(service, tenant, "http://127.0.0.1:9/")
    monkeypatch.setattr(events, "ingestion_ended", fail_every_other)
    async with working(service):
        key, accepted = await post(service, tenant, "alice", numbered(4))
        assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE
    assert tries[0] > 4
    assert await operations_told(service) == await operations_applied(service)
    assert [row.type for row in await events_of(service)] == [CHANGED] * 4 + [DONE]


async def test_killed_workers_tell_of_each_committed_operation_once(service: Service, tenant: UUID) -> None:
    await make_webhook(telling(service), tenant, "http://127.0.0.1:9/")
    posted = [await post(service, tenant, name, numbered(12, name)) for name in ("Ann", "Ben")]
    url = service.settings.database.url.get_secret_value()
    for _ in range(3):
        with worker_process(url, delay=0.05) as process:
            before = len(await events_of(service))

            async def more(seen: int = before) -> bool:
                return len(await events_of(service)) > seen

            await until(more)
            await asyncio.sleep(random.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
    with worker_process(url, delay=0):
        for key, accepted in posted:
            assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE
    assert await operations_told(service) == await operations_applied(service)
    ends = [row.body["data"]["ingestion_id"] for row in await events_of(service) if row.type == DONE]
    assert sorted(ends) == sorted(str(accepted.ingestion_id) for _, accepted in posted)


async def test_an_ingestion_that_fails_and_is_retried_is_told_each_time_it_ends(remade: Remake, tenant: UUID) -> None:
    broken = True

    async def fail(prompt: Prompt) -> None:
        if broken and prompt.role is Role.MANAGER and "number 1." in prompt.messages[-1].content:
            raise ModelRefused("secret words of a user")

    service = telling(remade(WatchingCompleter(fail)))
    await make_webhook(service, tenant, "http://127.0.0.1:9/", DONE, FAILED)
    async with working(service):
        key, accepted = await post(service, tenant, "alice", numbered(3))
        await reached(service, key, accepted.ingestion_id, State.FAILED)
        broken = False
        await ingest.retry(service.sessions, key, accepted.ingestion_id)
        await reached(service, key, accepted.ingestion_id, State.DONE)
    failed, done = await events_of(service)
    assert (failed.type, failed.body["data"]["error_types"]) == (FAILED, ["ModelRefused"])
    assert failed.body["data"]["turns"]["failed"] >= 1
    assert sum(failed.body["data"]["turns"].values()) == 3
    assert "secret words" not in str(failed.body)
    assert (done.type, done.body["data"]["turns"]) == (DONE, {"done": 3, "failed": 0})


async def test_ingestions_of_one_bank_end_each_by_itself(service: Service, tenant: UUID) -> None:
    service = telling(service)
    await make_webhook(service, tenant, "http://127.0.0.1:9/", DONE)
    posted = [(await post(service, tenant, "alice", numbered(n, first=10 * n)))[1] for n in (1, 3, 1, 2)]
    key, last = await post(service, tenant, "alice", numbered(1, first=99))
    async with working(service):
        await ended(service, key, last.ingestion_id)
    ends = [row.body["data"] for row in await events_of(service)]
    assert [one["ingestion_id"] for one in ends] == [str(a.ingestion_id) for a in [*posted, last]]
    assert [one["turns"]["done"] for one in ends] == [1, 3, 1, 2, 1]


async def test_erasing_the_last_turn_that_waits_ends_its_ingestion(remade: Remake, tenant: UUID) -> None:
    asked, caller = asyncio.Event(), Caller(tenant_id=tenant)

    async def hold(prompt: Prompt) -> None:
        if prompt.role is Role.MANAGER and "number 1." in prompt.messages[-1].content.partition("New facts")[2]:
            asked.set()
            await asyncio.Event().wait()

    service = telling(remade(WatchingCompleter(hold)))
    webhook = await make_webhook(service, tenant, "http://127.0.0.1:9/", DONE, EventType.TURN_ERASED)
    key, accepted = await post(service, tenant, "alice", numbered(2))
    async with working(service):
        await asked.wait()
        args = (service.sessions, caller, "alice", accepted.turn_ids[1], Derived.ONLY)
        receipt = await erasure_of_turns.erase_turn(*args)
    erased, done = await events_of(service)
    assert (erased.type, erased.body["data"]) == ("turn.erased", {"bank": "alice", "receipt": receipt.digest})
    assert (done.type, done.body["data"]["turns"]) == (DONE, {"done": 1, "failed": 0})
    assert len(await states(service, tenant, webhook)) == 2
    assert key.tenant_id == tenant


async def test_events_go_with_their_bank_and_its_erasure_is_told(service: Service, tenant: UUID) -> None:
    service = telling(service)
    gone, stays = [await make_bank(service.sessions, tenant, name) for name in ("alice", "bob")]
    webhook = await make_webhook(service, tenant, "http://127.0.0.1:9/")
    await change(service, gone, 3)
    await change(service, stays)
    receipt = await erasure.erase_bank(service.sessions, Caller(tenant_id=tenant), "alice")
    left = [(row.type, row.bank_id, row.body["data"]["bank"]) for row in await events_of(service)]
    assert left == [(CHANGED, stays.bank_id, "bob"), ("bank.erased", None, "alice")]
    assert len(await states(service, tenant, webhook)) == 2
    told_of = (await events_of(service))[-1].body["data"]
    assert told_of == {"bank": "alice", "receipt": receipt.digest}
    assert (receipt.removed["events"], receipt.removed["deliveries"]) == (3, 3)
    assert (receipt.verified["events"], receipt.verified["deliveries"]) == (0, 0)


async def test_a_webhook_hears_of_its_banks_and_types_only(service: Service, tenant: UUID) -> None:
    service = telling(service)
    alice, bob = [await make_bank(service.sessions, tenant, name) for name in ("alice", "bob")]
    everything_, of_bob, erased, of_nobody = [
        await make_webhook(service, tenant, "http://127.0.0.1:9/", *types, banks=banks)
        for types, banks in (((), None), ((), ["bob"]), ((EventType.BANK_ERASED,), ["alice"]), ((), ["carol"]))
    ]
    off = await make_webhook(service, tenant, "http://127.0.0.1:9/")
    args = (service.sessions, Caller(tenant_id=tenant), service.settings.webhooks)
    await webhooks.change(*args, off.id, {"enabled": False})
    await change(service, alice)
    await change(service, bob)
    for name in ("alice", "bob"):
        await erasure.erase_bank(service.sessions, Caller(tenant_id=tenant), name)
    # What was told of the banks before went with them.
    heard = [len(await states(service, tenant, one)) for one in (everything_, of_bob, erased, of_nobody, off)]
    assert heard == [2, 1, 1, 0, 0]


async def test_a_bank_that_only_unwanting_webhooks_hear_of_leaves_no_event(service: Service, tenant: UUID) -> None:
    service = telling(service)
    alice = await make_bank(service.sessions, tenant, "alice")
    await change(service, alice)
    await make_webhook(service, tenant, "http://127.0.0.1:9/", banks=["bob"])
    await make_webhook(service, tenant, "http://127.0.0.1:9/", DONE)
    await change(service, alice)
    assert await events_of(service) == []


async def test_tenants_hear_nothing_of_each_other(service: Service, tenant: UUID) -> None:
    service = telling(service)
    rival = await make_tenant(service.sessions, "rival")
    keys = [await make_bank(service.sessions, one, "alice") for one in (tenant, rival)]
    async with receiving(replies()) as mine, receiving(replies()) as theirs, couriers(service, service):
        hooks = [await make_webhook(service, *pair) for pair in ((tenant, mine), (rival, theirs))]
        await asyncio.gather(change(service, keys[0], 5), change(service, keys[1], 3))
        await erasure.erase_bank(service.sessions, Caller(tenant_id=rival), "alice")
        await until(lambda: all_settled(service))
    assert [told(call, hooks[0].secret)["type"] for call in mine.calls] == [CHANGED] * 5
    assert {told(call, hooks[1].secret)["type"] for call in theirs.calls} <= {CHANGED, "bank.erased"}
    assert "bank.erased" in {told(call)["type"] for call in theirs.calls}
    for foreign in (hooks[1].id, uuid4()):
        with pytest.raises(UnknownWebhook):
            await webhooks.read(service.sessions, tenant, foreign)


async def test_telling_takes_one_statement_whoever_listens(service: Service, tenant: UUID) -> None:
    service = telling(service)
    key = await make_bank(service.sessions, tenant)
    statements: list[str] = []
    event.listen(service.sessions.engine.sync_engine, "before_cursor_execute", lambda *a: statements.append(a[2]))

    async def cost(count: int) -> int:
        async with service.sessions.begin(tenant) as session:
            await lanes.lock(session, key)
            written = await lanes.stamp(session, key, count)
            before = len(statements)
            await events.memory_changed(session, key, written, [an_add() for _ in range(count)], Origin.CLIENT)
            return len(statements) - before

    assert await cost(1) == 1
    for _ in range(20):
        await make_webhook(service, tenant, "http://127.0.0.1:9/")
    assert (await cost(1), await cost(600), await cost(0)) == (1, 1, 0)
    assert await ask(service, "SELECT count(*) FROM deliveries") == 40
    long = (await events_of(service))[-1].body["data"]
    assert (len(long["operations"]), long["omitted"]) == (events.MAX_LISTED, 100)


async def test_a_webhook_that_is_removed_meanwhile_fails_no_write(service: Service, tenant: UUID) -> None:
    service, caller = telling(service), Caller(tenant_id=tenant)
    key = await make_bank(service.sessions, tenant)

    async def make_and_remove() -> None:
        for _ in range(15):
            webhook = await make_webhook(service, tenant, "http://127.0.0.1:9/")
            await asyncio.sleep(random.uniform(0, 0.01))
            await webhooks.remove(service.sessions, caller, webhook.id)

    await asyncio.gather(*(make_and_remove() for _ in range(3)), *(change(service, key, 25) for _ in range(2)))
    assert await ask(service, "SELECT count(*) FROM deliveries") == 0


async def test_removing_webhooks_while_banks_are_erased_ends_in_no_deadlock(service: Service, tenant: UUID) -> None:
    service, caller = telling(service), Caller(tenant_id=tenant)
    for n in range(4):
        name = f"bank{n}"
        key = await make_bank(service.sessions, tenant, name)
        hooks = [await make_webhook(service, tenant, "http://127.0.0.1:9/") for _ in range(3)]
        await change(service, key, 40)
        removing = [webhooks.remove(service.sessions, caller, webhook.id) for webhook in hooks]
        await asyncio.gather(*removing, erasure.erase_bank(service.sessions, caller, name))
        await ask(service, "DELETE FROM events")
    assert await ask(service, "SELECT count(*) FROM deliveries") == 0


async def test_erasing_a_bank_waits_for_a_removal_before_it_locks_any_event(service: Service, tenant: UUID) -> None:
    service, caller = telling(service), Caller(tenant_id=tenant)
    key = await make_bank(service.sessions, tenant)
    webhook = await make_webhook(service, tenant, "http://127.0.0.1:9/")
    await change(service, key, 3)
    async with everything(service.sessions) as removing:
        row = select(tables.webhooks.c.id).where(tables.webhooks.c.id == webhook.id)
        await removing.execute(row.with_for_update())
        erasing = asyncio.create_task(erasure.erase_bank(service.sessions, caller, "alice"))
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )

        async def it_waits() -> bool:
            return int(await ask(service, waiting)) > 0

        await until(it_waits)
        for table in (tables.events, tables.deliveries):
            await removing.execute(select(table.c.tenant_id).with_for_update(nowait=True))
        await removing.execute(delete(tables.webhooks))
    await erasing
    assert await ask(service, "SELECT count(*) FROM deliveries") == 0


async def test_an_end_is_told_just_where_no_turn_of_the_ingestion_waits(service: Service, tenant: UUID) -> None:
    service = telling(service)
    await make_webhook(service, tenant, "http://127.0.0.1:9/", DONE, FAILED)
    sizes = (1, 3, 2, 4)
    posted = [(await post(service, tenant, "alice", numbered(n, first=10 * n)))[1] for n in sizes]
    key = (await post(service, tenant, "alice", numbered(1)))[0]
    places = [n for n, size in enumerate(sizes) for _ in range(size)]
    dice, seen = random.Random(5), set()
    for _ in range(60):
        drawn = [dice.choice(["queued", "retrying", "done", "done", "done", "failed"]) for _ in places]
        position = dice.randrange(len(places))
        drawn[position] = dice.choice(["done", "failed"])
        await ask(service, "DELETE FROM events")
        await ask(service, "UPDATE inbox SET state = (CAST(:states AS TEXT[]))[position]", states=[*drawn, "done"])
        async with service.sessions.begin(tenant) as session:
            await lanes.lock(session, key)
            ingestion = posted[places[position]].ingestion_id
            await events.ingestion_ended(session, key, ingestion, position + 1)
        own = [state for state, place in zip(drawn, places, strict=True) if place == places[position]]
        found = [(row.type, row.body["data"]["turns"]) for row in await events_of(service)]
        if {"queued", "retrying"} & set(own):
            assert found == []
        else:
            counts = {"done": own.count("done"), "failed": own.count("failed")}
            assert found == [(FAILED if counts["failed"] else DONE, counts)]
        seen.add(bool(found))
    assert seen == {True, False}


def test_ids_of_events_sort_by_time() -> None:
    ids = [events.new_id() for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    assert all(one.version == 7 and one.variant == "specified in RFC 4122" for one in ids)
    assert [one.int >> 80 for one in ids] == sorted(one.int >> 80 for one in ids)
