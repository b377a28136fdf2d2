"""A whole service behind a real server, with metrics and with spans that stay in memory."""

from __future__ import annotations

import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from app.core.telemetry import Telemetry
from app.core.values import Role
from app.db.engine import Sessions, make_engine
from app.main import create_app
from app.services.service import Service
from app.serving import bound, served
from app.settings import Settings
from app.telemetry.observed import observed_completers, observed_embedder
from app.telemetry.opening import exposed
from app.telemetry.prometheus import PrometheusMeter
from app.telemetry.tracing import OpenTelemetryTracer
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter

NOWHERE = "http://127.0.0.1:9"
Samples = dict[str, dict[tuple[str, ...], float]]
"""By name of the sample, and by the values of its labels in the order of their names."""


def observing_settings(settings: Settings, **changed: Any) -> Settings:
    """The same settings with everything on; the queue is asked for at each scrape."""
    chosen = {"metrics_port": 0, "otlp_endpoint": NOWHERE, "queue_seconds": 0.0, **changed}
    return settings.model_copy(update={"telemetry": settings.telemetry.model_copy(update=chosen)})


@dataclass
class Watched:
    """A running service, and what it tells."""

    service: Service
    client: httpx.AsyncClient
    metrics_port: int
    exporter: InMemorySpanExporter
    tracer: OpenTelemetryTracer

    def spans(self) -> list[ReadableSpan]:
        """What ended, in the order of its beginning."""
        self.tracer.provider.force_flush()
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def exposition(self) -> str:
        """What Prometheus reads; blocks."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=30) as response:
            return str(response.read().decode())


@asynccontextmanager
async def watched(
    settings: Settings, completer: ScriptedCompleter, *, with_worker: bool = True
) -> AsyncIterator[Watched]:
    """The whole service; `settings` have telemetry on."""
    exporter, meter = InMemorySpanExporter(), PrometheusMeter()
    tracer = OpenTelemetryTracer(settings.telemetry, exporter)
    telemetry = Telemetry(meter, tracer)
    engine = make_engine(settings.database)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        await stack.enter_async_context(tracer.running())
        sessions = Sessions(engine, telemetry)
        port = await stack.enter_async_context(exposed(settings, sessions, meter))
        assert port is not None
        servers: Any = dict.fromkeys(Role, completer)
        servers = observed_completers(servers, settings, telemetry)
        observed = observed_embedder(HashEmbedder(), telemetry)
        service = Service(settings, sessions, servers, observed, telemetry=telemetry)

        @asynccontextmanager
        async def opened() -> AsyncIterator[Service]:
            yield service

        app = create_app(settings, opened, with_worker=with_worker)
        listening = stack.enter_context(bound("127.0.0.1", 0))
        url, _ = await stack.enter_async_context(served(app, listening))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60))
        yield Watched(service, client, port, exporter, tracer)


def samples_of(exposition: str) -> Samples:
    """The values of an exposition."""
    found: Samples = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


async def remembered(client: httpx.AsyncClient, bank: str, *texts: str, **headers: str) -> dict[str, Any]:
    """Post turns and wait until they are worked off; the receipt."""
    turns = [{"speaker": "Alice", "text": text, "said_at": "2024-03-01T12:00:00Z"} for text in texts]
    response = await client.post(f"/v1/banks/{bank}/turns", json={"turns": turns}, headers=headers)
    assert response.status_code == 202, response.text
    receipt: dict[str, Any] = response.json()
    path = f"/v1/banks/{bank}/ingestions/{receipt['ingestion_id']}"
    state = "queued"
    while state not in ("done", "failed"):
        read = await client.get(path, headers={"prefer": "wait=10"})
        state = read.json()["state"]
    return receipt
