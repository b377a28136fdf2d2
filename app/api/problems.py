"""Errors to problem+json (RFC 9457): one table for the domain's errors, and forms for everything else.

No problem repeats what the client sent: it may be secret, huge, or not even encodable.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from app.core import errors
from app.db.engine import DATABASE_AWAY, is_busy

log = logging.getLogger(__name__)

TYPE_BASE = "https://memory-r1.dev/problems/"
RETRY_AFTER_SECONDS = 2
MAX_REPORTED = 20
"""Faults of one request that are listed."""

STATUS_OF: dict[type[errors.MemoryServiceError], HTTPStatus] = {
    errors.MemoryServiceError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.UnknownBank: HTTPStatus.NOT_FOUND,
    errors.UnknownMemory: HTTPStatus.NOT_FOUND,
    errors.UnknownTurn: HTTPStatus.NOT_FOUND,
    errors.UnknownIngestion: HTTPStatus.NOT_FOUND,
    errors.UnknownAnswer: HTTPStatus.NOT_FOUND,
    errors.UnknownOperation: HTTPStatus.NOT_FOUND,
    errors.UnknownKey: HTTPStatus.NOT_FOUND,
    errors.UnknownWebhook: HTTPStatus.NOT_FOUND,
    errors.UnknownDelivery: HTTPStatus.NOT_FOUND,
    errors.UnknownErasure: HTTPStatus.NOT_FOUND,
    errors.UnknownPolicy: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.TurnConflict: HTTPStatus.CONFLICT,
    errors.StaleMemory: HTTPStatus.CONFLICT,
    errors.NothingToRetry: HTTPStatus.CONFLICT,
    errors.IdempotencyConflict: HTTPStatus.CONFLICT,
    errors.UndoConflict: HTTPStatus.CONFLICT,
    errors.NothingToUndo: HTTPStatus.CONFLICT,
    errors.IngestionUnderWay: HTTPStatus.CONFLICT,
    errors.ErasedMeanwhile: HTTPStatus.CONFLICT,
    errors.BankExists: HTTPStatus.CONFLICT,
    errors.PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnfitPolicy: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.EmbeddingMismatch: HTTPStatus.CONFLICT,
    errors.Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.QuotaExceeded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.ModelError: HTTPStatus.BAD_GATEWAY,
    errors.ModelUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ModelTimedOut: HTTPStatus.GATEWAY_TIMEOUT,
    errors.ModelOverloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ModelRefused: HTTPStatus.BAD_GATEWAY,
    errors.ReplyCutOff: HTTPStatus.BAD_GATEWAY,
    errors.BrokenReply: HTTPStatus.BAD_GATEWAY,
}
_RETRYABLE = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_OF_HTTP = {
    400: ("unreadable-body", "The body cannot be read as JSON."),
    404: ("no-such-path", "There is nothing at this path."),
    405: ("no-such-method", "This path does not know the method; `Allow` names one that it knows."),
    415: ("not-json", "Send the body as JSON, with `Content-Type: application/json`."),
}
"""Slug and detail of what the web framework itself refuses."""


class BodyTooLarge(HTTPException):
    """The body has more bytes than a setting allows."""

    def __init__(self, most: int) -> None:
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {most} bytes.")


class RequestTimeout(HTTPException):
    """The body did not arrive within the seconds that a setting allows."""

    def __init__(self, seconds: float) -> None:
        # Nothing more is read: what is still to come could not be told from a next request.
        headers = {"Connection": "close"}
        super().__init__(
            HTTPStatus.REQUEST_TIMEOUT, f"The body did not arrive within {seconds:g} seconds.", headers=headers
        )


class TooManyRequestsAtOnce(HTTPException):
    """The process has as many requests under way as a setting allows."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, "The service has too many requests under way; try again.")


class UnknownHost(HTTPException):
    """The name in `Host` does not lead to the service; MEMORY_R1_SERVER__ALLOWED_HOSTS says which do."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.MISDIRECTED_REQUEST, UnknownHost.__doc__)


_BOUNDS: dict[type[HTTPException], HTTPStatus] = {
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    RequestTimeout: HTTPStatus.REQUEST_TIMEOUT,
    TooManyRequestsAtOnce: HTTPStatus.SERVICE_UNAVAILABLE,
    UnknownHost: HTTPStatus.MISDIRECTED_REQUEST,
}
_OF_SERVICE = {
    "bank-busy": (HTTPStatus.SERVICE_UNAVAILABLE, "Another request is writing to the same bank; try again."),
    "database-away": (HTTPStatus.SERVICE_UNAVAILABLE, "The database cannot be reached."),
    "internal-error": (HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed."),
}
"""What no error of the domain stands for, by slug."""


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    at: str
    """Where: `body.turns.0.text`, `query.limit` ..."""
    detail: str


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """Tells errors apart; does not change."""
    title: str
    status: int
    detail: str
    errors: list[Fault] = []
    """Of a request that does not validate: what is wrong where."""
    conflicts: list[int] = []
    """Of an undo: the numbers of the later operations that stand in its way."""


def problem_response(
    status: HTTPStatus,
    slug: str,
    detail: str,
    faults: list[Fault] | None = None,
    headers: Mapping[str, str] | None = None,
    conflicts: Sequence[int] = (),
) -> JSONResponse:
    """A problem as a response; where a retry can help it says when."""
    body = Problem(
        type=TYPE_BASE + slug,
        title=status.phrase,
        status=status.value,
        detail=detail,
        errors=faults or [],
        conflicts=list(conflicts),
    )
    headers = dict(headers or {})
    if status in _RETRYABLE:
        headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body.model_dump(exclude_defaults=True), status, headers, media_type="application/problem+json")


def slug_of(error: type[Exception]) -> str:
    """`UnknownBank` -> `unknown-bank`: stable, so that clients can tell errors apart."""
    name = error.__name__
    return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def problem_types() -> dict[str, dict[str, Any]]:
    """Every type of problem by its slug: status, what it means, and the slug of the wider one where there is one."""
    found: dict[str, dict[str, Any]] = {}
    for kind, status in STATUS_OF.items():
        wider = kind.__mro__[1]
        parent = {"wider": slug_of(wider)} if wider in STATUS_OF and wider is not errors.MemoryServiceError else {}
        found[slug_of(kind)] = {"status": status.value, "description": kind.__doc__, **parent}
    del found[slug_of(errors.MemoryServiceError)]
    for bound, status in _BOUNDS.items():
        found[slug_of(bound)] = {"status": status.value, "description": bound.__doc__}
    for code, (slug, detail) in _OF_HTTP.items():
        found[slug] = {"status": code, "description": detail}
    for slug, (status, detail) in _OF_SERVICE.items():
        found[slug] = {"status": status.value, "description": detail}
    return found


def add_handlers(app: FastAPI) -> None:
    """Answer every error as a problem."""
    app.add_exception_handler(errors.MemoryServiceError, _domain)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for away in DATABASE_AWAY:
        app.add_exception_handler(away, _database_away)
    app.add_exception_handler(Exception, _unexpected)


async def response_to(request: Request, error: Exception) -> JSONResponse:
    """The problem of an error that came up when the response had begun, and no handler can answer it any more."""
    if isinstance(error, errors.MemoryServiceError):
        return await _domain(request, error)
    if isinstance(error, DATABASE_AWAY):
        return await _database_away(request, error)
    log.error("a stream failed unexpectedly", exc_info=error)
    return await _unexpected(request, error)


async def _domain(request: Request, error: Exception) -> JSONResponse:
    status = next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)
    detail = type(error).__doc__ if isinstance(error, errors.NotFound) else None
    wait = getattr(error, "retry_after", None)
    headers = {"Retry-After": str(max(1, math.ceil(wait)))} if wait is not None else None
    conflicts = error.operations if isinstance(error, errors.UndoConflict) else ()
    return problem_response(status, slug_of(type(error)), detail or str(error), headers=headers, conflicts=conflicts)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    found: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else []
    if any(fault["type"] == "json_invalid" for fault in found):
        return _refused(HTTPStatus.BAD_REQUEST)
    if any(fault["loc"] == ("body",) for fault in found) and not _says_json(request):
        return _refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    faults = [Fault(at=_place(fault["loc"]), detail=_encodable(fault["msg"])) for fault in found[:MAX_REPORTED]]
    return problem_response(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-input", "The request is out of bounds; `errors` says where.", faults
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    return http_problem(error) if isinstance(error, HTTPException) else _refused(HTTPStatus.BAD_REQUEST)


def http_problem(error: HTTPException) -> JSONResponse:
    """What the web framework or a bound refuses, as a problem."""
    status = HTTPStatus(error.status_code)
    if type(error) in _BOUNDS:
        return problem_response(status, slug_of(type(error)), error.detail, headers=error.headers)
    return _refused(status, error.headers)


def _refused(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> JSONResponse:
    slug, detail = _OF_HTTP.get(status, (status.phrase.lower().replace(" ", "-"), status.description or status.phrase))
    return problem_response(status, slug, detail, headers=headers)


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _place(steps: Sequence[int | str]) -> str:
    """`body.turns.0.text`; keys inside of metadata are the client's own and left out."""
    known = list(steps[: steps.index("metadata") + 1]) if "metadata" in steps else steps
    return ".".join(map(str, known))


async def _database_away(request: Request, error: Exception) -> JSONResponse:
    if is_busy(error):
        return _of_service("bank-busy")
    log.warning("the database is away: %s", type(error).__name__)
    return _of_service("database-away")


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # The log has the trace; the client gets nothing that could be another's. It is sent past every middleware.
    response = _of_service("internal-error")
    response.headers["X-Request-Id"] = getattr(request.state, "request_id", "")
    return response


def _of_service(slug: str) -> JSONResponse:
    status, detail = _OF_SERVICE[slug]
    return problem_response(status, slug, detail)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
