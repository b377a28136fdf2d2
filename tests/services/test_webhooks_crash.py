"""Several couriers, dead receivers, and couriers that are stopped or killed in the middle."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest
from sqlalchemy import event

from app import courier as courier_module
from app.db.queries import BankKey
from app.services import erasure, webhooks
from app.services.callers import Caller
from app.services.events import EventType
from app.services.service import Service
from app.services.webhooks import DeliveryState
from tests.fixtures.banks import make_bank
from tests.fixtures.courier_process import courier_process
from tests.fixtures.database import make_tenant
from tests.fixtures.ingesting import until
from tests.fixtures.telling import (
    all_settled,
    ask,
    called,
    change,
    couriers,
    delivered,
    events_of,
    ids_of,
    log_of,
    make_webhook,
    one_after_the_other,
    soon,
    states,
    telling,
    told,
)
from tests.outgoing.receivers import hangs, receiving, replies

WAITING, DELIVERED = DeliveryState.WAITING, DeliveryState.DELIVERED


async def test_dead_receivers_hold_up_nobody_else(service: Service, key: BankKey) -> None:
    service = telling(service, timeout=20.0, concurrency=6, per_webhook=2)
    other = await make_tenant(service.sessions, "other")
    theirs = await make_bank(service.sessions, other, "alice")
    async with receiving(hangs()) as dead, receiving(replies()) as alive:
        for _ in range(2):
            await make_webhook(service, key.tenant_id, dead)
        await change(service, key, 30)
        async with couriers(service):
            await until(called(dead, 4))
            webhook = await make_webhook(service, other, alive)
            await change(service, theirs, 20)
            await until(called(alive, 20))
            # The dead ones were never answered, and never more of them than their share.
            assert dead.open_now == len(dead.calls) == 4
            await until(lambda: delivered(service, other, webhook, 20))
    assert await ask(service, "SELECT count(*) FROM deliveries WHERE state = 'waiting'") == 60


async def test_a_courier_that_may_send_nothing_more_does_not_look_all_the_time(
    service: Service, key: BankKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "GRACE_SECONDS", 0.1)
    service = telling(service, per_webhook=1, poll_seconds=600.0, lease_seconds=3600.0, timeout=60.0)
    looks: list[str] = []
    engine = service.sessions.engine.sync_engine
    async with receiving(hangs()) as dead:
        await make_webhook(service, key.tenant_id, dead)
        await change(service, key, 10)
        async with couriers(service):
            await until(called(dead, 1))
            await asyncio.sleep(0.2)
            event.listen(engine, "before_cursor_execute", lambda *args: looks.append(args[2]))
            await asyncio.sleep(0.5)
    assert not [look for look in looks if "claim_deliveries" in look]


async def test_what_is_due_is_sent_on_time_however_rarely_the_courier_polls(
    service: Service, key: BankKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "GRACE_SECONDS", 0.1)
    service = telling(service, per_webhook=1, poll_seconds=600.0, lease_seconds=3600.0, timeout=900.0)
    twice = one_after_the_other(replies(500), replies())
    later = couriers(service, next_attempt=lambda *_: 0.3)
    async with receiving(hangs()) as dead, receiving(twice) as alive, later:
        await make_webhook(service, key.tenant_id, dead, EventType.MEMORY_CHANGED)
        await change(service, key, 5)
        await until(called(dead, 1))
        # What the dead receiver has waiting is due for ever, and must not hide what becomes due.
        webhook = await make_webhook(service, key.tenant_id, alive, EventType.BANK_ERASED)
        await webhooks.test(service.sessions, Caller(tenant_id=key.tenant_id), webhook.id)
        await until(lambda: delivered(service, key.tenant_id, webhook, 1))
    assert len(alive.calls) == 2


async def test_several_couriers_deliver_each_event_once(service: Service, key: BankKey) -> None:
    services = [telling(service, per_webhook=3) for _ in range(3)]
    async with receiving(replies()) as receiver, couriers(*services):
        webhook = await make_webhook(services[0], key.tenant_id, receiver)
        await asyncio.gather(*(change(service, key, 20) for _ in range(3)))
        await until(lambda: delivered(service, key.tenant_id, webhook, 60))
    assert len(ids_of(receiver)) == len(set(ids_of(receiver))) == 60
    numbers = [told(call, webhook.secret)["data"]["operations"][0]["number"] for call in receiver.calls]
    assert sorted(numbers) == list(range(1, 61))


async def test_a_courier_killed_in_the_middle_leaves_its_events_to_be_sent_again(
    service: Service, key: BankKey
) -> None:
    service = telling(service)
    url = service.settings.database.url.get_secret_value()
    talks = one_after_the_other(*[hangs()] * 4, replies())
    async with receiving(talks) as receiver:
        webhook = await make_webhook(service, key.tenant_id, receiver)
        await change(service, key, 6)
        with courier_process(url, lease=2.0) as process:
            await until(called(receiver, 4))
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        assert await states(service, key.tenant_id, webhook) == [WAITING] * 6
        cut_off = set(ids_of(receiver))
        with courier_process(url, lease=30.0):
            await until(lambda: delivered(service, key.tenant_id, webhook, 6))
    bodies = {call.headers["webhook-id"]: call.body for call in receiver.calls}
    assert len(receiver.calls) == 10 and len(bodies) == 6
    assert all(ids_of(receiver).count(one) == (2 if one in cut_off else 1) for one in bodies)
    for call in receiver.calls:
        assert call.body == bodies[call.headers["webhook-id"]]
        told(call, webhook.secret)


async def test_couriers_killed_again_and_again_lose_nothing(service: Service, key: BankKey) -> None:
    service = telling(service)
    url = service.settings.database.url.get_secret_value()
    async with receiving(replies()) as receiver:
        webhook = await make_webhook(service, key.tenant_id, receiver)
        telling_on = asyncio.create_task(change(service, key, 80))
        for _ in range(3):
            with courier_process(url, lease=6.1) as process:
                await until(called(receiver, len(receiver.calls) + 1))
                await asyncio.sleep(random.uniform(0, 0.05))
                process.send_signal(signal.SIGKILL)
        await telling_on
        async with couriers(service):
            await until(lambda: delivered(service, key.tenant_id, webhook, 80))
    assert len(set(ids_of(receiver))) == 80
    assert len(await events_of(service)) == 80


async def test_a_courier_that_is_stopped_leaves_the_rest_to_others_at_once(
    service: Service, key: BankKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "GRACE_SECONDS", 0.1)
    service = telling(service, lease_seconds=3600.0, timeout=60.0)
    async with receiving(one_after_the_other(hangs(), hangs(), replies())) as receiver:
        webhook = await make_webhook(service, key.tenant_id, receiver)
        await change(service, key, 2)
        async with couriers(service):
            await until(called(receiver, 2))
        assert await states(service, key.tenant_id, webhook) == [WAITING] * 2
        async with couriers(service):
            await until(lambda: delivered(service, key.tenant_id, webhook, 2))
    assert sorted(ids_of(receiver)[:2]) == sorted(ids_of(receiver)[2:])


async def test_a_stopped_courier_lets_what_is_under_way_end(service: Service, key: BankKey) -> None:
    service, go_on = telling(service), asyncio.Event()

    async def slow(writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await replies()(writer)

    async with receiving(slow) as receiver:
        webhook = await make_webhook(service, key.tenant_id, receiver)
        await change(service, key)
        async with couriers(service) as (courier,):
            await until(called(receiver, 1))
            courier.stop()
            go_on.set()
    assert await states(service, key.tenant_id, webhook) == [DELIVERED]
    assert len(receiver.calls) == 1


async def test_events_that_wait_go_with_their_bank_also_while_they_are_sent(service: Service, key: BankKey) -> None:
    service, go_on = telling(service), asyncio.Event()

    async def slow(writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await replies(500)(writer)

    async with receiving(slow) as receiver:
        webhook = await make_webhook(service, key.tenant_id, receiver)
        async with couriers(service, next_attempt=soon):
            await change(service, key, 10)
            await until(called(receiver, 4))
            await erasure.erase_bank(service.sessions, Caller(tenant_id=key.tenant_id), "alice")
            go_on.set()
            await until(lambda: all_settled(service))
    assert len(receiver.calls) == 4 + 3
    (left,) = await log_of(service, key.tenant_id, webhook.id)
    assert left.type == "bank.erased"


async def test_a_late_failure_does_not_undo_anothers_success(service: Service, key: BankKey) -> None:
    service, go_on = telling(service), asyncio.Event()

    async def fail_late(writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await replies(500)(writer)

    async with receiving(one_after_the_other(fail_late, replies())) as receiver:
        webhook = await make_webhook(service, key.tenant_id, receiver)
        await change(service, key)
        async with couriers(service):
            await until(called(receiver, 1))
            await ask(service, "UPDATE deliveries SET run_at = now()")
            async with couriers(telling(service)):
                await until(lambda: all_settled(service))
            go_on.set()
    assert await states(service, key.tenant_id, webhook) == [DELIVERED]
