"""Errors to problem+json (RFC 9457): one table for the domain's errors, and forms for everything else.

No problem repeats what the client sent: it may be secret, huge, or not even encodable.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from app.core import errors
from app.db.engine import DATABASE_AWAY
from app.services.keys import UnknownKey

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
    UnknownKey: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.TurnConflict: HTTPStatus.CONFLICT,
    errors.StaleMemory: HTTPStatus.CONFLICT,
    errors.NothingToRetry: HTTPStatus.CONFLICT,
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.EmbeddingMismatch: HTTPStatus.CONFLICT,
    errors.Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.ModelError: HTTPStatus.BAD_GATEWAY,
    errors.ModelUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ModelTimedOut: HTTPStatus.GATEWAY_TIMEOUT,
    errors.ModelOverloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ModelRefused: HTTPStatus.BAD_GATEWAY,
    errors.ReplyCutOff: HTTPStatus.BAD_GATEWAY,
    errors.BrokenReply: HTTPStatus.BAD_GATEWAY,
}
_RETRYABLE = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    at: str
    """Where: `body.turns.0.text`, `query.limit` ..."""
    detail: str


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] = []
    """Of a request that does not validate: what is wrong where."""


def problem_response(status: HTTPStatus, slug: str, detail: str, faults: list[Fault] | None = None) -> JSONResponse:
    """A problem as a response; where a retry can help it says when."""
    body = Problem(type=TYPE_BASE + slug, title=status.phrase, status=status.value, detail=detail, errors=faults or [])
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status in _RETRYABLE else {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body.model_dump(exclude_defaults=True), status, headers, media_type="application/problem+json")


def slug_of(error: type[Exception]) -> str:
    """`UnknownBank` -> `unknown-bank`: stable, so that clients can tell errors apart."""
    name = error.__name__
    return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def add_handlers(app: FastAPI) -> None:
    """Answer every error as a problem."""
    app.add_exception_handler(errors.MemoryServiceError, _domain)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for away in DATABASE_AWAY:
        app.add_exception_handler(away, _database_away)
    app.add_exception_handler(Exception, _unexpected)


async def _domain(request: Request, error: Exception) -> JSONResponse:
    status = next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)  # type: ignore[index]
    return problem_response(status, slug_of(type(error)), str(error))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    found: list[Any] = error.errors() if isinstance(error, RequestValidationError) else []
    faults = [Fault(at=_encodable(".".join(map(str, e["loc"])))[:200], detail=_encodable(e["msg"])) for e in found]
    return problem_response(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-input", "The request is out of bounds.", faults[:MAX_REPORTED]
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.BAD_REQUEST
    slug = status.phrase.lower().replace(" ", "-")
    return problem_response(status, slug, getattr(error, "detail", None) or status.phrase)


async def _database_away(request: Request, error: Exception) -> JSONResponse:
    log.warning("the database is away: %s", type(error).__name__)
    return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, "database-away", "The database cannot be reached.")


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # The log has the trace; the client gets nothing that could be another's.
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "The service failed.")


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
