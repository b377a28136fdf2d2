"""Metrics by prometheus-client, on a port of their own. Imported only where they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.metrics_core import GaugeMetricFamily

from app.core.metrics import CATALOGUE, Kind, Metric
from app.telemetry.gauges import Sample


class PrometheusMeter:
    """Implements `app.core.telemetry.Meter`."""

    def __init__(self) -> None:
        # A series of times beside every counter, which nothing here reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._counters = {m.name: Counter(m.name, m.help, m.labels, registry=self.registry) for m in _of(Kind.COUNTER)}
        self._histograms = {
            m.name: Histogram(m.name, m.help, m.labels, buckets=m.buckets, registry=self.registry)
            for m in _of(Kind.HISTOGRAM)
        }
        for metric in CATALOGUE:
            for labels in metric.known:
                self._counters[metric.name].labels(*labels)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def count(self, metric: Metric, *labels: str, amount: float = 1) -> None:
        counter = self._counters[metric.name]
        (counter.labels(*labels) if labels else counter).inc(amount)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        histogram = self._histograms[metric.name]
        (histogram.labels(*labels) if labels else histogram).observe(value)

    def show(self, read: Callable[[], Iterable[Sample]]) -> None:
        """Show at each scrape what `read` returns; it is called in the thread of the scrape."""
        self.registry.register(_Gauges(read))

    @asynccontextmanager
    async def served(self, host: str, port: int) -> AsyncIterator[int]:
        """`/metrics` for as long as the block runs; the port. Raises OSError where it is taken."""
        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError as error:
            raise OSError(
                f"Cannot serve metrics on {host} port {port}: {error.strerror}. "
                "Choose another by MEMORY_R1_TELEMETRY__METRICS_PORT."
            ) from error
        try:
            yield int(server.server_port)
        finally:
            # A scrape that is under way asks this loop, which must run meanwhile.
            await asyncio.to_thread(server.shutdown)
            server.server_close()
            await asyncio.to_thread(thread.join)


class _Gauges:
    """What is read when somebody looks."""

    def __init__(self, read: Callable[[], Iterable[Sample]]) -> None:
        self._read = read

    def describe(self) -> list[GaugeMetricFamily]:
        return list(self._families(()))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        return self._families(tuple(self._read()))

    def _families(self, samples: Sequence[Sample]) -> Iterator[GaugeMetricFamily]:
        for metric in _of(Kind.GAUGE):
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for sample in samples:
                if sample.metric is metric:
                    family.add_metric(sample.labels, sample.value)
            yield family


def _of(kind: Kind) -> list[Metric]:
    return [metric for metric in CATALOGUE if metric.kind is kind]
