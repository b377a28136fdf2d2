"""Who listens, by setting: nobody by default, and then neither library is loaded."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from app.core.errors import InvalidInput
from app.core.telemetry import SILENT, Meter, Telemetry
from app.db.engine import Sessions
from app.settings import Settings, TelemetrySettings

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_telemetry(settings: TelemetrySettings) -> AsyncIterator[Telemetry]:
    """What the settings ask for, until the block ends. Raises `InvalidInput` where the extra is not installed."""
    async with AsyncExitStack() as stack:
        meter, tracer = SILENT.meter, SILENT.tracer
        if settings.metrics_port is not None:
            from app.telemetry.prometheus import PrometheusMeter

            meter = PrometheusMeter()
        if settings.otlp_endpoint is not None:
            try:
                from app.telemetry.tracing import OpenTelemetryTracer
            except ImportError as error:
                raise InvalidInput("Traces need more packages: pip install 'memory-r1[telemetry]'.") from error
            tracer = OpenTelemetryTracer(settings)
            await stack.enter_async_context(tracer.running())
        yield Telemetry(meter, tracer)


@asynccontextmanager
async def exposed(settings: Settings, sessions: Sessions, meter: Meter) -> AsyncIterator[int | None]:
    """`/metrics` on its own port, where metrics are kept, until the block ends; the port. Raises OSError."""
    chosen = settings.telemetry
    if chosen.metrics_port is None:
        yield None
        return
    from app.telemetry.gauges import Gauges
    from app.telemetry.prometheus import PrometheusMeter

    if not isinstance(meter, PrometheusMeter):
        yield None
        return
    most = settings.database.pool_size + settings.database.max_overflow
    meter.show(Gauges(sessions, meter, most, chosen.queue_seconds))
    async with meter.served(chosen.metrics_host, chosen.metrics_port) as port:
        log.info("metrics at http://%s:%d/metrics", chosen.metrics_host, port)
        yield port
