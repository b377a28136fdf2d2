"""What calls raise. Problems of the service have a class each, in `memory_r1_client.problems`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar
from uuid import UUID

import httpx

from memory_r1_client.generated.models.fault import Fault


class MemoryR1Error(Exception):
    """Base of all."""


class ServiceUnreachable(MemoryR1Error):
    """No whole answer came, also after retries."""


class TimedOut(ServiceUnreachable):
    """The service was silent for longer than `timeout`. It may still be at work: not tried again."""


class ProblemError(MemoryR1Error):
    """The service answered with a problem (RFC 9457); of a type that this version does not know, this class itself."""

    slug: ClassVar[str] = ""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.type = str(problem.get("type", "about:blank"))
        """A URI that tells problems apart."""
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.errors = [Fault.from_dict(fault) for fault in problem.get("errors", [])]
        """Of a request out of bounds: what is wrong where."""
        self.conflicts: list[int] = list(problem.get("conflicts", []))
        """Of an undo: the numbers of the later operations that stand in its way."""
        self.retry_after = retry_after
        """Seconds after which the service asks to be tried again; None where it says nothing."""
        faults = "".join(f"\n  {fault.at}: {fault.detail}" for fault in self.errors)
        super().__init__(f"{status} {self.title}: {self.detail}{faults}")


class IngestionFailed(MemoryR1Error):
    """A turn that was waited for could not be worked on."""

    def __init__(self, ingestion_id: UUID, detail: str) -> None:
        self.ingestion_id = ingestion_id
        super().__init__(f"Ingestion {ingestion_id} failed: {detail}")


class StillWaiting(MemoryR1Error):
    """An ingestion had not ended when the time to wait for it was up; it goes on."""

    def __init__(self, ingestion_id: UUID, state: str) -> None:
        self.ingestion_id, self.state = ingestion_id, state
        super().__init__(f"Ingestion {ingestion_id} is still {state}.")


class StreamBroken(MemoryR1Error):
    """A stream ended before its last event."""


def error_of(response: httpx.Response) -> ProblemError:
    """The error that a response with a status of 400 or more stands for; its body is read."""
    return problem_error(
        response.status_code, _problem_in(response), seconds_of(response.headers.get("retry-after", ""))
    )


def problem_error(status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> ProblemError:
    """The error of the problem's own class."""
    # They are made from this module's.
    from memory_r1_client.problems import PROBLEMS

    return PROBLEMS.get(str(problem.get("type")), ProblemError)(status, problem, retry_after)


def _problem_in(response: httpx.Response) -> dict[str, Any]:
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            read = response.json()
        except ValueError:
            read = None
        if isinstance(read, dict):
            return read
    # From a proxy in between, or from another service.
    return {"title": response.reason_phrase, "detail": "The answer is not one of Memory-R1."}


def seconds_of(retry_after: str) -> float | None:
    """Seconds of a `Retry-After`, which names a number or a date."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except (TypeError, ValueError):
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
