"""The two narrow ports through which the service tells what happens: numbers and spans; and the silence by default.

Neither is ever given what somebody said, nor who: no tenant, no bank.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Protocol

from app.core.metrics import Metric

AttributeValue = str | int | float | bool
Attributes = Mapping[str, AttributeValue]


class SpanKind(StrEnum):
    """As OpenTelemetry has it."""

    INTERNAL = "internal"
    CLIENT = "client"
    CONSUMER = "consumer"


class Span(Protocol):
    """One step under way."""

    def note(self, attributes: Attributes) -> None:
        """Say more of the step."""
        ...


class Meter(Protocol):
    """Numbers; labels come in the order of `Metric.labels`."""

    def count(self, metric: Metric, *labels: str, amount: float = 1) -> None:
        """Add to a counter."""
        ...

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Add a value to a histogram."""
        ...


class Tracer(Protocol):
    """Spans: steps within steps, across processes."""

    def span(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: str | None = None,
        is_root: bool = True,
    ) -> AbstractContextManager[Span]:
        """A step for as long as the block runs, of the step under way, or of `parent` (a W3C `traceparent`) if given.

        Without either it begins a trace, or is left out where `is_root` is False. An exception that leaves the block is
        noted by its type alone.
        """
        ...

    def traceparent(self) -> str | None:
        """The step under way, in the form of W3C Trace Context; None where there is none."""
        ...

    def ids(self) -> dict[str, str]:
        """`trace_id` and `span_id` of the step under way, for log lines; empty where there is none."""
        ...


class NoMeter:
    """Implements `Meter`: keeps nothing."""

    def count(self, metric: Metric, *labels: str, amount: float = 1) -> None:
        return None

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        return None


class NoSpan:
    """Implements `Span`, and is its own context."""

    def note(self, attributes: Attributes) -> None:
        return None

    def __enter__(self) -> NoSpan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


NO_SPAN = NoSpan()


class NoTracer:
    """Implements `Tracer`: there is never a step under way."""

    def span(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: str | None = None,
        is_root: bool = True,
    ) -> AbstractContextManager[Span]:
        return NO_SPAN

    def traceparent(self) -> str | None:
        return None

    def ids(self) -> dict[str, str]:
        return {}


NO_METER, NO_TRACER = NoMeter(), NoTracer()


@dataclass(frozen=True)
class Telemetry:
    """Whom the service tells what happens."""

    meter: Meter = NO_METER
    tracer: Tracer = NO_TRACER

    @property
    def is_silent(self) -> bool:
        """Whether nobody listens: then nothing need be measured at all."""
        return self.meter is NO_METER and self.tracer is NO_TRACER


SILENT = Telemetry()
