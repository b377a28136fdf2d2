"""Every metric of the service: the one list that the exposition, the documentation and the dashboards are held to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from app.core.rejections import CLASSES

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of what takes as long as a statement or a request."""
MODEL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of what takes as long as a model's reply."""


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One metric. A label takes few values, which no client chooses: never a tenant, a bank or a text."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = SECONDS
    known: tuple[tuple[str, ...], ...] = ()
    """Labels that are shown from the start: what jumps from nothing to one is no increase to Prometheus."""


def _counter(name: str, help: str, *labels: str, known: Iterable[str] = ()) -> Metric:
    return Metric(f"memory_r1_{name}_total", Kind.COUNTER, help, labels, known=tuple((one,) for one in known))


def _gauge(name: str, help: str, *labels: str) -> Metric:
    return Metric(f"memory_r1_{name}", Kind.GAUGE, help, labels)


def _seconds(name: str, help: str, *labels: str, buckets: tuple[float, ...] = SECONDS) -> Metric:
    return Metric(f"memory_r1_{name}_seconds", Kind.HISTOGRAM, help, labels, buckets)


TURNS_RECEIVED = _counter("turns_received", "Turns that were stored for the worker.")
TURNS_FINISHED = _counter(
    "turns_finished", "Turns that were worked off, by outcome.", "outcome", known=("done", "failed")
)
TURN_TRIES_FAILED = _counter("turn_tries_failed", "Tries at a turn that failed, by the type of the error.", "error")
OPERATIONS = _counter(
    "operations",
    "Lines of the operation log, by kind, by what became of them, and by who decided.",
    *("kind", "verdict", "origin"),
)
OPERATIONS_REJECTED = _counter(
    "operations_rejected", "Rejected operations, by class of the reason.", "reason", known=CLASSES
)
QUEUE_TURNS = _gauge("queue_turns", "Turns that wait, of all banks, as Postgres says: queued or retrying.", "state")
QUEUE_OLDEST = _gauge("queue_oldest_age_seconds", "Seconds since the oldest waiting turn was received; 0 if none is.")
MODEL_CALL = _seconds(
    "model_call",
    "Seconds of a model call, by role and outcome: ok, or the type of the error.",
    *("role", "outcome"),
    buckets=MODEL_SECONDS,
)
MODEL_TOKENS = _counter(
    "model_tokens", "Tokens as the model server counted them, by role: input or output.", *("role", "direction")
)
EMBEDDING = _seconds("embedding", "Seconds of embedding a batch of texts, by outcome.", "outcome")
RETRIEVAL = _seconds("retrieval", "Seconds of one search of a bank, embedding not counted.")
POOL_CONNECTIONS = _gauge("pool_connections", "Connections of this process to Postgres: in_use or idle.", "state")
POOL_LIMIT = _gauge("pool_limit", "Connections that this process may open at most.")
HTTP_REQUESTS = _counter(
    "http_requests", "Requests answered, by method, template of the route, and status.", *("method", "route", "status")
)
HTTP_REQUEST = _seconds("http_request", "Seconds from a request to the end of its response.", *("method", "route"))
DELIVERIES = _counter(
    "webhook_deliveries", "Attempts at a webhook, by outcome.", "outcome", known=("delivered", "retried", "failed")
)
DELIVERIES_WAITING = _gauge(
    "webhook_deliveries_waiting", "Webhook deliveries that wait, of all tenants, as Postgres says."
)
SCRAPE_FAILURES = _counter("scrape_failures", "Scrapes that could not ask Postgres; they lack the queue's metrics.")

CATALOGUE = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
