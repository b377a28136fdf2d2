"""Delivering: again after a failure, to whom it may, for as long as it may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

import pytest

from app import courier as courier_module
from app.core.errors import Conflict
from app.courier import canonical
from app.db.queries import BankKey
from app.outgoing.schedule import DELAYS
from app.services import webhooks
from app.services.callers import Caller
from app.services.once import Once
from app.services.service import Service
from app.services.webhooks import MAX_ATTEMPTS_KEPT, DeliveryState, NewWebhook, Why
from tests.fixtures.ingesting import until
from tests.fixtures.telling import (
    all_settled,
    ask,
    called,
    change,
    couriers,
    delivered,
    errors_of,
    ids_of,
    log_of,
    make_webhook,
    one_after_the_other,
    soon,
    states,
    statuses_of,
    telling,
    told,
)
from tests.outgoing.receivers import receiving, replies

NOWHERE = "http://127.0.0.1:9/"
WAITING, DELIVERED, FAILED = DeliveryState.WAITING, DeliveryState.DELIVERED, DeliveryState.FAILED


async def test_a_failed_delivery_is_made_again_with_the_same_id_and_bytes(service: Service, key: BankKey) -> None:
    service, tenant = telling(service), key.tenant_id
    talk = one_after_the_other(replies(500), replies(302, "Location: /elsewhere"), replies())
    async with receiving(talk) as receiver, couriers(service, next_attempt=soon):
        webhook = await make_webhook(service, tenant, receiver)
        await change(service, key)
        await until(lambda: all_settled(service))
    assert len(receiver.calls) == 3
    assert len(set(ids_of(receiver))) == len({call.body for call in receiver.calls}) == 1
    for call in receiver.calls:
        told(call, webhook.secret)
    (delivery,) = await log_of(service, tenant, webhook.id)
    assert (delivery.state, delivery.next_attempt_at) == (DELIVERED, None)
    assert delivery.event_id.hex == ids_of(receiver)[0]
    assert statuses_of(delivery.attempts) == [500, 302, 200]
    assert errors_of(delivery) == ["status", "redirect", None]
    assert [a.at for a in delivery.attempts] == sorted(a.at for a in delivery.attempts)
    assert (await webhooks.read(service.sessions, tenant, webhook.id)).failing_since is None


async def test_the_real_schedule_sets_when_it_is_tried_again(service: Service, key: BankKey) -> None:
    service, tenant = telling(service), key.tenant_id
    async with receiving(replies(503, "Retry-After: 3000")) as receiver, couriers(service):
        webhook = await make_webhook(service, tenant, receiver)
        await change(service, key)
        await until(lambda: attempted(service, tenant, webhook, 1))
    (delivery,) = await log_of(service, tenant, webhook.id)
    assert delivery.state is WAITING and delivery.next_attempt_at is not None
    waits = (delivery.next_attempt_at - delivery.attempts[0].at).total_seconds()
    assert 3000 <= waits <= 3000 * 1.2 + 60
    assert waits > DELAYS[0]


async def attempted(service: Service, tenant: UUID, webhook: NewWebhook, times: int) -> bool:
    log = await log_of(service, tenant, webhook.id)
    return bool(log) and all(len(delivery.attempts) >= times for delivery in log)


async def test_it_is_given_up_after_the_last_attempt_and_can_be_sent_again(service: Service, key: BankKey) -> None:
    service, tenant = telling(service), key.tenant_id
    talk = one_after_the_other(*[replies(500)] * 4, replies())
    async with receiving(talk) as receiver, couriers(service, next_attempt=soon):
        webhook = await make_webhook(service, tenant, receiver)
        await change(service, key)
        await until(lambda: all_settled(service))
        (delivery,) = await log_of(service, tenant, webhook.id)
        assert (delivery.state, len(delivery.attempts)) == (FAILED, 3)
        for state, attempts in ((FAILED, 4), (DELIVERED, 5), (DELIVERED, 6)):
            await webhooks.retry(service.sessions, Caller(tenant_id=tenant), webhook.id, delivery.event_id)
            await until(lambda n=attempts: attempted(service, tenant, webhook, n))  # type: ignore[misc]
            (again,) = await log_of(service, tenant, webhook.id)
            assert (again.state, len(again.attempts)) == (state, attempts)
    assert len(set(ids_of(receiver))) == 1


async def test_the_log_of_attempts_is_bounded(service: Service, key: BankKey) -> None:
    service, tenant = telling(service), key.tenant_id
    async with receiving(replies(500)) as receiver, couriers(service, next_attempt=lambda *_: 0.001):
        webhook = await make_webhook(service, tenant, receiver)
        await change(service, key)
        await until(called(receiver, MAX_ATTEMPTS_KEPT + 5))
    (delivery,) = await log_of(service, tenant, webhook.id)
    assert len(delivery.attempts) == MAX_ATTEMPTS_KEPT
    assert [a.at for a in delivery.attempts] == sorted(a.at for a in delivery.attempts)


async def test_a_receiver_that_is_gone_is_not_called_again(service: Service, key: BankKey) -> None:
    service, tenant, caller = telling(service, per_webhook=1), key.tenant_id, Caller(tenant_id=key.tenant_id)
    async with receiving(one_after_the_other(replies(410), replies())) as receiver:
        webhook = await make_webhook(service, tenant, receiver)
        await change(service, key, 3)
        async with couriers(service):
            await until(lambda: all_settled(service))
            assert await states(service, tenant, webhook) == [FAILED] * 3
            read = await webhooks.read(service.sessions, tenant, webhook.id)
            assert (read.enabled, read.disabled_reason) == (False, Why.GONE)
            await change(service, key)
            assert len(await states(service, tenant, webhook)) == 3
            (first, *_) = await log_of(service, tenant, webhook.id)
            with pytest.raises(Conflict):
                await webhooks.retry(service.sessions, caller, webhook.id, first.event_id)
            with pytest.raises(Conflict):
                await webhooks.test(service.sessions, caller, webhook.id)
            assert len(receiver.calls) == 1
            changed = await webhooks.change(
                service.sessions, caller, service.settings.webhooks, webhook.id, {"enabled": True}
            )
            assert (changed.enabled, changed.disabled_reason, changed.failing_since) == (True, None, None)
            await webhooks.retry(service.sessions, caller, webhook.id, first.event_id)
            await until(lambda: all_settled(service))
    assert (await states(service, tenant, webhook))[0] is DELIVERED


@pytest.mark.parametrize(("days", "enabled"), [(4.9, True), (5.1, False)])
async def test_a_webhook_that_fails_for_days_is_disabled(
    service: Service, key: BankKey, days: float, enabled: bool
) -> None:
    service, tenant = telling(service), key.tenant_id
    async with receiving(replies(500)) as receiver:
        webhook = await make_webhook(service, tenant, receiver)
        since = "UPDATE webhooks SET failing_since = now() - make_interval(secs => :seconds)"
        await ask(service, since, seconds=days * 86_400)
        await change(service, key)
        async with couriers(service):
            await until(lambda: attempted(service, tenant, webhook, 1))
    read = await webhooks.read(service.sessions, tenant, webhook.id)
    assert (read.enabled, read.disabled_reason) == (enabled, None if enabled else Why.FAILING)


async def test_one_success_ends_a_time_of_failing(service: Service, key: BankKey) -> None:
    service, tenant = telling(service), key.tenant_id
    async with receiving(one_after_the_other(replies(), replies(500))) as receiver:
        webhook = await make_webhook(service, tenant, receiver)
        await ask(service, "UPDATE webhooks SET failing_since = now() - interval '6 days'")
        async with couriers(service):
            await change(service, key)
            await until(lambda: all_settled(service))
            await change(service, key)
            await until(lambda: attempted(service, tenant, webhook, 1))
    read = await webhooks.read(service.sessions, tenant, webhook.id)
    assert read.enabled and read.failing_since is not None


async def test_what_a_former_url_answers_does_not_disable_the_webhook(service: Service, key: BankKey) -> None:
    service, caller, go_on = telling(service), Caller(tenant_id=key.tenant_id), asyncio.Event()

    async def gone_in_a_while(writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await replies(410)(writer)

    async with receiving(gone_in_a_while) as old, receiving(replies()) as new:
        webhook = await make_webhook(service, key.tenant_id, old)
        async with couriers(service, next_attempt=soon):
            await change(service, key)
            await until(called(old, 1))
            url = {"url": f"http://127.0.0.1:{new.port}/"}
            await webhooks.change(service.sessions, caller, service.settings.webhooks, webhook.id, url)
            go_on.set()
            await until(lambda: all_settled(service))
            await change(service, key)
            await until(called(new, 1))
    assert (await webhooks.read(service.sessions, key.tenant_id, webhook.id)).enabled


async def test_an_address_that_became_private_is_refused_when_it_is_sent_to(
    service: Service, key: BankKey, caplog: pytest.LogCaptureFixture
) -> None:
    service = telling(service, allow_private_addresses=False)

    async def inside(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with receiving(replies()) as receiver, couriers(service, next_attempt=soon, resolve=inside):
        url = f"https://hooks.example.com:{receiver.port}/"
        webhook = await make_webhook(service, key.tenant_id, url)
        await change(service, key)
        await until(lambda: all_settled(service))
        assert (receiver.connections, receiver.calls) == (0, [])
    (delivery,) = await log_of(service, key.tenant_id, webhook.id)
    assert (delivery.state, errors_of(delivery)) == (FAILED, ["refused-address"] * 3)
    assert statuses_of(delivery.attempts) == [None] * 3


async def test_a_rotated_secret_signs_beside_the_new_one_until_its_time_is_over(service: Service, key: BankKey) -> None:
    service, caller = telling(service), Caller(tenant_id=key.tenant_id)
    async with receiving(replies()) as receiver, couriers(service):
        first = await make_webhook(service, key.tenant_id, receiver)
        second = await webhooks.rotate(service.sessions, caller, first.id, 3600)
        assert second.secret != first.secret and second.previous_until is not None
        await change(service, key)
        await until(called(receiver, 1))
        told(receiver.calls[0], first.secret, second.secret)
        await ask(service, "UPDATE webhooks SET previous_until = now() - interval '1 second'")
        await change(service, key)
        await until(called(receiver, 2))
        third = await webhooks.rotate(service.sessions, caller, first.id, 0)
        await change(service, key)
        await until(called(receiver, 3))
    told(receiver.calls[1], second.secret)
    told(receiver.calls[2], third.secret)
    for call, wrong in ((receiver.calls[1], first), (receiver.calls[2], second)):
        with pytest.raises(Exception, match="signature"):
            told(call, wrong.secret)


async def test_secrets_and_urls_are_in_no_log(
    service: Service, key: BankKey, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    service, secrets = telling(service), []
    async with receiving(one_after_the_other(replies(500), replies(410))) as receiver:
        secrets.append((await make_webhook(service, key.tenant_id, f"http://127.0.0.1:{receiver.port}/tok3n")).secret)
        await change(service, key)
        async with couriers(service, next_attempt=soon) as (courier,):
            await until(lambda: all_settled(service))

            async def broken(*given: object) -> None:
                raise RuntimeError("a fault of ours")

            monkeypatch.setattr(courier, "_record", broken)
            secrets.append((await make_webhook(service, key.tenant_id, NOWHERE)).secret)
            await change(service, key)
            await until(lambda: logged(caplog, "a delivery failed unexpectedly"))
    assert all(secret and secret.removeprefix("whsec_") not in caplog.text for secret in secrets)
    assert "tok3n" not in caplog.text
    assert "disabled the webhook" in caplog.text


async def logged(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return words in caplog.text


async def test_what_is_old_is_forgotten_but_not_what_still_waits(service: Service, key: BankKey) -> None:
    service, caller = telling(service), Caller(tenant_id=key.tenant_id)
    async with receiving(replies()) as receiver:
        webhook = await make_webhook(service, key.tenant_id, receiver)
        async with couriers(service) as (courier,):
            await change(service, key, 2)
            await until(lambda: delivered(service, key.tenant_id, webhook, 2))
            await ask(service, "UPDATE events SET created_at = now() - interval '8 days'")
            await change(service, key)
            await until(lambda: delivered(service, key.tenant_id, webhook, 3))
        await change(service, key)
        newest = "(SELECT id FROM events ORDER BY id DESC LIMIT 1)"
        await ask(service, f"UPDATE events SET created_at = now() - interval '8 days' WHERE id = {newest}")
        for name in ("old", "new"):
            await webhooks.test(service.sessions, caller, webhook.id, Once(name, b"x"))
        await ask(service, "UPDATE idempotency_keys SET created_at = now() - interval '73 hours' WHERE key = 'old'")
        await courier.forget_old()
    assert await states(service, key.tenant_id, webhook) == [DELIVERED, WAITING, WAITING, WAITING]
    assert await ask(service, "SELECT array_agg(key) FROM idempotency_keys") == ["new"]


async def test_more_than_one_transaction_forgets_is_forgotten_too(
    service: Service, key: BankKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "MOST_FORGOTTEN", 3)
    service = telling(service)
    await make_webhook(service, key.tenant_id, NOWHERE)
    async with couriers(service) as (courier,):
        await change(service, key, 10)
        await ask(service, "UPDATE deliveries SET state = 'failed', run_at = NULL")
        await ask(service, "UPDATE events SET created_at = now() - interval '8 days'")
        await courier.forget_old()
    assert await ask(service, "SELECT count(*) FROM events") == 0


def test_the_same_event_is_always_the_same_bytes() -> None:
    one, other = {"b": [1, {"z": "ü", "a": None}], "a": 1}, {"a": 1, "b": [1, {"a": None, "z": "ü"}]}
    assert canonical(one) == canonical(other) == '{"a":1,"b":[1,{"a":null,"z":"ü"}]}'.encode()
