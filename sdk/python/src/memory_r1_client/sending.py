"""How requests are sent: named once, tried again where that helps, and refused as errors."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

import httpx
from tenacity import RetryCallState, wait_exponential_jitter

from memory_r1_client.errors import ProblemError, ServiceUnreachable, TimedOut

READING = {"GET", "HEAD", "OPTIONS"}
TRY_AGAIN = {429, 503}


@dataclass(frozen=True)
class Retries:
    """When and how often a request is sent again."""

    attempts: int = 5
    """All of them, the first included; 1: never again."""
    first_wait: float = 0.25
    """Seconds, doubled each time, with jitter as long as that."""
    longest_wait: float = 30.0
    """Seconds; a `Retry-After` beyond them is raised at once, with `retry_after` set."""

    def help(self, error: BaseException) -> bool:
        """Whether sending the request again may."""
        if isinstance(error, ProblemError):
            return error.status in TRY_AGAIN and (error.retry_after or 0) <= self.longest_wait
        return isinstance(error, ServiceUnreachable) and not isinstance(error, TimedOut)

    def wait_after(self, state: RetryCallState) -> float:
        """Seconds to wait after an attempt."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ProblemError) and error.retry_after is not None:
            return error.retry_after
        return wait_exponential_jitter(self.first_wait, self.longest_wait, jitter=self.first_wait)(state)


def name_once(request: httpx.Request) -> None:
    """Give a write an Idempotency-Key, the same for every time that it is sent."""
    if request.method not in READING:
        request.headers.setdefault("idempotency-key", str(uuid4()))


def unreachable(request: httpx.Request, error: httpx.TransportError) -> ServiceUnreachable:
    """The error for a request to which no whole answer came."""
    kind = TimedOut if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout) else ServiceUnreachable
    return kind(f"No answer from {request.url.host}: {type(error).__name__}.")


def headers_of(key: str | None) -> dict[str, str]:
    """The headers of every request. Raises `ValueError` for what cannot be a key."""
    if key is None:
        return {}
    if not (key.isascii() and key.isprintable() and key.strip() == key and key):
        raise ValueError("The API key holds characters that no key has.")
    return {"authorization": f"Bearer {key}"}
