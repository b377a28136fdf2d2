"""Metrics by their exact values: what was done is counted once, and what was rolled back never."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text

from app.core.errors import ModelRefused, ModelUnreachable
from app.core.metrics import CATALOGUE, OPERATIONS, Kind
from app.core.telemetry import Telemetry
from app.core.values import Completion, Prompt
from app.db import committed, lanes
from app.db.engine import Sessions, make_engine
from app.services.service import Service
from app.settings import Settings
from app.telemetry.gauges import Gauges
from app.telemetry.prometheus import PrometheusMeter
from tests.fixtures.database import make_tenant
from tests.fixtures.doubles import ScriptedCompleter, decisions, question_of
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import numbered, post, until
from tests.fixtures.telling import all_settled, change, couriers, make_webhook, one_after_the_other, soon, telling
from tests.outgoing.receivers import receiving, replies
from tests.telemetry.observing import Samples, observing_settings, remembered, samples_of, watched

DOG = "I have a dog named Rex."


class Scripted(ScriptedCompleter):
    """Fails as often as it is told, by the words of what is asked."""

    def __init__(self, **failing: list[Exception]) -> None:
        super().__init__(manager=self._decide)
        self._failing = failing

    async def complete(self, prompt: Prompt) -> Completion:
        for word, errors in self._failing.items():
            if word in question_of(prompt).rpartition("Last turn")[2] and errors:
                raise errors.pop()
        return await super().complete(prompt)

    def _decide(self, prompt: Prompt) -> str:
        def decide(fact: str) -> list[dict[str, Any]]:
            if "cat" in fact:
                return [{"op": "DELETE", "memory": "m1"}, {"op": "UPDATE", "memory": "m1", "text": "Whiskers rules."}]
            return [{"op": "ADD"}]

        return decisions(prompt, decide)


async def test_a_scripted_day_is_counted_exactly(settings: Settings) -> None:
    settings = observing_settings(settings)
    completer = Scripted(flaky=[ModelUnreachable("x")], refused=[ModelRefused("x")])
    async with watched(settings, completer) as running:
        client = running.client
        await remembered(client, "alice", f"{DOG} I like tea.")
        await remembered(client, "alice", "I like tea.")
        await remembered(client, "alice", "I have a cat.")
        await remembered(client, "bob", "I am flaky.")
        await remembered(client, "bob", "I was refused.")
        added = await client.post("/v1/banks/alice/memories", json={"text": "Alice hikes.", "speaker": "Alice"})
        assert added.status_code == 201
        assert (await client.post("/v1/banks/alice/operations/1/undo")).status_code == 200
        assert (await client.post("/v1/banks/alice/operations/1/undo")).status_code == 409
        assert (await client.post("/v1/banks/alice/answer", json={"question": "What?"})).status_code == 200
        told = samples_of(await asyncio.to_thread(running.exposition))
    assert told["memory_r1_turns_received_total"] == {(): 5}
    assert told["memory_r1_turns_finished_total"] == {("done",): 4, ("failed",): 1}
    assert told["memory_r1_turn_tries_failed_total"] == {("ModelUnreachable",): 1, ("ModelRefused",): 1}
    # Labels in the order of their names: kind, origin, verdict.
    assert told["memory_r1_operations_total"] == {
        ("ADD", "worker", "applied"): 4,
        ("ADD", "worker", "unchanged"): 1,
        ("DELETE", "worker", "rejected"): 1,
        ("UPDATE", "worker", "rejected"): 1,
        ("ADD", "client", "applied"): 1,
        ("DELETE", "undo", "applied"): 1,
    }
    rejected = {reason: count for reason, count in told["memory_r1_operations_rejected_total"].items() if count}
    assert rejected == {("no_change_told",): 1, ("invented",): 1}
    calls = told["memory_r1_model_call_seconds_count"]
    assert calls == {
        ("ok", "extractor"): 4,
        ("ModelUnreachable", "extractor"): 1,
        ("ModelRefused", "extractor"): 1,
        ("ok", "manager"): 4,
        ("ok", "answerer"): 1,
    }
    assert told["memory_r1_model_tokens_total"] == {
        (direction, role): calls["ok", role] * tokens
        for direction, tokens in (("input", 100), ("output", 10))
        for role in ("extractor", "manager", "answerer")
    }
    # One for the facts of a turn, one for a memory that is added, one for a question; each turn and question searches.
    assert told["memory_r1_embedding_seconds_count"] == {("ok",): 6}
    assert told["memory_r1_retrieval_seconds_count"] == {(): 5}
    assert_of_processes(told)


def assert_of_processes(told: Samples) -> None:
    requests = told["memory_r1_http_requests_total"]
    assert requests["POST", "/v1/banks/{bank}/turns", "202"] == 5
    assert requests["POST", "/v1/banks/{bank}/operations/{number}/undo", "409"] == 1
    assert told["memory_r1_http_request_seconds_count"]["POST", "/v1/banks/{bank}/operations/{number}/undo"] == 2
    assert told["memory_r1_queue_turns"] == {("queued",): 0, ("retrying",): 0}
    assert told["memory_r1_queue_oldest_age_seconds"] == {(): 0}
    assert told["memory_r1_pool_limit"] == {(): 20}
    assert set(told["memory_r1_pool_connections"]) == {("in_use",), ("idle",)}


async def test_hostile_requests_make_no_new_labels(settings: Settings) -> None:
    async with watched(observing_settings(settings), ScriptedCompleter(), with_worker=False) as running:
        for n in range(5):
            await running.client.get(f"/v1/{'x' * n}zQcanaryQz")
            await running.client.request("PROPFIND", "/v1/banks")
            await running.client.get(f"/v1/banks/zQcanaryQz{n}/memories")
        await running.client.head("/v1/banks")
        exposition = await asyncio.to_thread(running.exposition)
    assert "zQcanaryQz" not in exposition
    requests = samples_of(exposition)["memory_r1_http_requests_total"]
    assert requests == {
        ("GET", "unmatched", "404"): 5,
        ("OTHER", "/v1/banks", "405"): 5,
        ("GET", "/v1/banks/{bank}/memories", "404"): 5,
        ("GET", "/v1/banks", "200"): 1,
    }


async def test_what_is_rolled_back_is_not_counted(sessions: Sessions) -> None:
    meter = PrometheusMeter()
    told = Sessions(sessions.engine, Telemetry(meter))
    tenant = await make_tenant(sessions)
    for fails in (True, False):
        try:
            async with told.begin(tenant) as session:
                committed.count(session, OPERATIONS, "ADD", "applied", "worker", amount=3)
                assert not fails or await session.scalar(text("SELECT 1 / 0"))
        except Exception:
            assert fails
    assert (
        meter.registry.get_sample_value(OPERATIONS.name, {"kind": "ADD", "verdict": "applied", "origin": "worker"}) == 3
    )
    async with sessions.begin(tenant) as session:
        committed.count(session, OPERATIONS, "ADD", "applied", "worker")
        assert session.info == {}


@pytest.fixture
def statements(service: Service) -> Iterator[list[str]]:
    """What was asked of Postgres."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked.append(statement)

    event.listen(service.sessions.engine.sync_engine, "before_cursor_execute", note)
    yield asked
    event.remove(service.sessions.engine.sync_engine, "before_cursor_execute", note)


def queue_of(gauges: Gauges) -> dict[str, float]:
    return {
        " ".join((sample.metric.name.removeprefix("memory_r1_"), *sample.labels)): sample.value for sample in gauges()
    }


async def make_old(service: Service, tenant: UUID, hours: int) -> None:
    statement = text(
        "UPDATE turns SET received_at = received_at - make_interval(hours => :hours) WHERE tenant_id = :id"
    )
    async with everything(service.sessions) as session:
        await session.execute(statement, {"hours": hours, "id": tenant})


async def test_every_replica_tells_the_same_queue_of_all_tenants(
    service: Service, settings: Settings, statements: list[str]
) -> None:
    acme, rival = [await make_tenant(service.sessions, name) for name in ("acme", "rival")]
    key, _ = await post(service, acme, "alice", numbered(4))
    await post(service, rival, "bob", numbered(3))
    async with service.sessions.begin(acme) as session:
        await lanes.finish(session, key, 1)
        items = await lanes.waiting(session, key, 1)
        await lanes.postpone(session, key, items[0], 60, ModelUnreachable("x"))
    await make_old(service, acme, 2)
    engine = make_engine(settings.database)
    try:
        replicas = [Gauges(sessions, PrometheusMeter(), 20, 3600) for sessions in (service.sessions, Sessions(engine))]
        one, other = [await asyncio.to_thread(queue_of, gauges) for gauges in replicas]
        age = one.pop("queue_oldest_age_seconds")
        assert other.pop("queue_oldest_age_seconds") == pytest.approx(age, abs=60)
        assert 7200 <= age < 7200 + 600
        for told in (one, other):
            assert told["queue_turns queued"] == 5
            assert told["queue_turns retrying"] == 1
            assert told["webhook_deliveries_waiting"] == 0
        # Scraping is cheap, however often it happens.
        await asyncio.gather(*(asyncio.to_thread(queue_of, replicas[0]) for _ in range(20)))
        assert sum("memory_r1_queue" in statement for statement in statements) == 1
    finally:
        await engine.dispose()


async def test_nobody_can_read_texts_by_what_counts_the_queue(sessions: Sessions) -> None:
    readable = "SELECT has_column_privilege('memory_r1_dispatch', :table, :column, 'SELECT')"
    async with everything(sessions) as session:
        for table, column in (("turns", "text"), ("turns", "speaker"), ("inbox", "extraction"), ("inbox", "error")):
            assert not await session.scalar(text(readable), {"table": table, "column": column})
        assert await session.scalar(text(readable), {"table": "turns", "column": "received_at"})


async def test_a_queue_that_cannot_be_seen_is_missing_and_not_empty(settings: Settings) -> None:
    database = settings.database.model_copy(
        update={"url": type(settings.database.url)("postgresql+psycopg://x@127.0.0.1:9/x")}
    )
    engine = make_engine(database)
    meter = PrometheusMeter()
    meter.show(Gauges(Sessions(engine), meter, 20, 0))
    try:
        async with meter.served("127.0.0.1", 0):
            found = await asyncio.to_thread(
                lambda: {sample.name for family in meter.registry.collect() for sample in family.samples}
            )
    finally:
        await engine.dispose()
    assert "memory_r1_queue_turns" not in found and "memory_r1_queue_oldest_age_seconds" not in found
    assert "memory_r1_pool_limit" in found
    assert meter.registry.get_sample_value("memory_r1_scrape_failures_total") == 1


async def test_attempts_at_webhooks_are_counted_by_outcome(service: Service) -> None:
    meter = PrometheusMeter()
    told = Sessions(service.sessions.engine, Telemetry(meter))
    service = telling(Service(service.settings, told, service.completers, service.embedder))
    tenant = await make_tenant(service.sessions)
    key, _ = await post(service, tenant, "alice", numbered(1))
    talk = one_after_the_other(replies(500), replies(200), replies(410))
    async with receiving(talk) as receiver, couriers(service, next_attempt=soon):
        await make_webhook(service, tenant, receiver)
        for _ in range(2):
            await change(service, key)
            await until(lambda: all_settled(service))
    outcomes = ("delivered", "retried", "failed")
    name = "memory_r1_webhook_deliveries_total"
    assert [meter.registry.get_sample_value(name, {"outcome": outcome}) for outcome in outcomes] == [1, 1, 1]


async def test_a_taken_port_is_said_in_one_line() -> None:
    meter = PrometheusMeter()
    async with meter.served("127.0.0.1", 0) as port:
        with pytest.raises(OSError, match=rf"port {port}: .*MEMORY_R1_TELEMETRY__METRICS_PORT"):
            async with PrometheusMeter().served("127.0.0.1", port):
                pass


def test_the_catalogue_names_things_as_prometheus_has_them() -> None:
    names = [metric.name for metric in CATALOGUE]
    assert len(names) == len(set(names)) > 15
    for metric in CATALOGUE:
        assert metric.name.startswith("memory_r1_") and metric.help.endswith(".")
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert not {"tenant", "bank", "key", "speaker"} & set(metric.labels)
