"""What routes ask for: the service, who calls, a bank's key, how long to wait; and the guard before all of them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Path, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.api.rate_limit import STATE
from app.api.scopes import Need, need_of
from app.core.errors import InvalidInput, Unauthenticated
from app.db.queries import BankKey
from app.services import banks, keys, limits
from app.services.callers import BANK_NAME, Caller
from app.services.once import Once
from app.services.service import Service

MAX_WAIT_SECONDS = 60
_WAIT = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?(\d+)"?(?:$|[,;\s])', re.ASCII | re.IGNORECASE)
_PLACE = re.compile(BANK_NAME)
"""What a page can end on: a bank's name or a number."""
_GUARDED = "memory_r1.caller"
"""Where a request's scope, which no other request shares, holds what the guard found."""
_bearer = HTTPBearer(auto_error=False, description="An API key, made by `memory-r1 keys create`.")

BankName = Annotated[
    str,
    Path(
        pattern=BANK_NAME,
        description="Your name of the bank: one for each end user or conversation.",
        examples=["alice"],
    ),
]


def get_service(request: Request) -> Service:
    """The service that the app was started with."""
    service: Service = request.app.state.service
    return service


ServiceOf = Annotated[Service, Depends(get_service)]


async def guard(request: Request) -> Caller | None:
    """Runs before every route, once: who calls, within the key's limits and with what the route asks for; None where
    that is open to all. Raises `Unauthenticated`, `RateLimited`, `Forbidden`, and `UnknownBank` for a bank of other
    keys.
    """
    if _GUARDED in request.scope:
        passed: Caller | None = request.scope[_GUARDED]
        return passed
    caller = request.scope[_GUARDED] = await _passed(request)
    return caller


async def _passed(request: Request) -> Caller | None:
    need = need_of(getattr(request.scope.get("route"), "operation_id", None))
    if need is None:
        return None
    service = get_service(request)
    caller = await _authenticated(request, service, need)
    rate = await limits.take(service.sessions, caller)
    setattr(request.state, STATE, rate)
    limits.refuse(rate)
    need.check(caller, request.path_params.get("bank"))
    return caller


async def _authenticated(request: Request, service: Service, need: Need) -> Caller:
    credentials = await _bearer(request)
    passes = need.passes_foreign_keys and not request.app.state.require_key
    if credentials is not None and not (passes and not credentials.credentials.startswith(keys.PREFIX)):
        return await keys.authenticate(service.sessions, credentials.credentials)
    if request.app.state.require_key:
        raise Unauthenticated()
    return await keys.default_caller(service.sessions)


async def get_caller(
    caller: Annotated[Caller | None, Depends(guard)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Caller:
    """Who calls. Raises `Unauthenticated`."""
    # The guard has looked at the credentials; naming them here documents that the route wants a key.
    if caller is None:
        raise Unauthenticated()
    return caller


CallerOf = Annotated[Caller, Depends(get_caller)]


async def get_tenant(caller: CallerOf) -> UUID:
    """The caller's tenant. Raises `Unauthenticated`."""
    return caller.tenant_id


Tenant = Annotated[UUID, Depends(get_tenant)]


async def get_bank(bank: BankName, tenant: Tenant, service: ServiceOf) -> BankKey:
    """The key of an existing bank. Raises `UnknownBank`, `EmbeddingMismatch`."""
    return await banks.find_bank(service.sessions, tenant, bank, service.embedder)


BankOf = Annotated[BankKey, Depends(get_bank)]


def get_wait(prefer: Annotated[str | None, Header(max_length=200, examples=["wait=10"])] = None) -> float:
    """Seconds of `Prefer: wait=N` (RFC 7240), at most `MAX_WAIT_SECONDS`; 0 without it."""
    found = _WAIT.search(prefer or "")
    return min(float(found.group(1)), MAX_WAIT_SECONDS) if found else 0.0


Wait = Annotated[float, Depends(get_wait)]


IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A unique name of this request: sent again with it, it does nothing twice.",
    ),
]


async def get_once(
    request: Request,
    caller: Annotated[Caller | None, Depends(guard)],
    idempotency_key: IdempotencyKey = None,
) -> Once:
    """The request under its Idempotency-Key."""
    if idempotency_key is None or caller is None:
        return Once()
    # Where a route takes no body, nobody reads one.
    takes_body = getattr(request.scope.get("route"), "body_field", None) is not None
    return once_of(request, caller, idempotency_key, _canonical(await request.body()) if takes_body else "")


def once_of(request: Request, caller: Caller, key: str, content: str) -> Once:
    """A request under its Idempotency-Key, by what stands for its body."""
    asked = [request.method, request.url.path, sorted(request.query_params.multi_items())]
    asked += [request.headers.getlist("if-match"), content]
    bank = request.path_params.get("bank")
    scope = "" if bank is None else banks.name_digest(caller.tenant_id, bank)
    return Once(key, hashlib.sha256(json.dumps(asked).encode()).digest(), scope)


def _canonical(body: bytes) -> str:
    """The body without what JSON leaves open: spaces and the order of keys."""
    try:
        return json.dumps(json.loads(body), sort_keys=True)
    except (ValueError, RecursionError):
        return hashlib.sha256(body).hexdigest()


OnceOf = Annotated[Once, Depends(get_once)]
_REPLAYED = "`true` where an earlier request with this Idempotency-Key did it."
REPLAYED = {"Idempotency-Replayed": {"description": _REPLAYED, "schema": {"type": "string"}}}


def replayed(once: Once) -> dict[str, str]:
    """The header that says where the response is that of an earlier request."""
    return {"Idempotency-Replayed": "true"} if once.replayed else {}


def note_replay(response: Response, once: Once) -> None:
    """Say where the response is that of an earlier request."""
    response.headers.update(replayed(once))


def cursor_of(place: int | str) -> str:
    """An opaque cursor for a place."""
    return base64.urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def place_of(cursor: str) -> str:
    """The place of a cursor. Raises `InvalidInput`."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        place = raw.decode()
    except (binascii.Error, UnicodeError) as error:
        raise foreign_cursor() from error
    # Decoding forgives what encoding never writes.
    if cursor_of(place) != cursor or not _PLACE.fullmatch(place):
        raise foreign_cursor()
    return place


def number_of(cursor: str | None) -> int | None:
    """The number in a cursor. Raises `InvalidInput`."""
    if cursor is None:
        return None
    place = place_of(cursor)
    if not place.isdigit() or len(place) > 18:
        raise foreign_cursor()
    return int(place)


def uuid_of(cursor: str | None) -> UUID | None:
    """The id in a cursor. Raises `InvalidInput`."""
    if cursor is None:
        return None
    place = place_of(cursor)
    try:
        found = UUID(place)
    except ValueError as error:
        raise foreign_cursor() from error
    if str(found) != place:
        raise foreign_cursor()
    return found


def foreign_cursor() -> InvalidInput:
    """A cursor that leads nowhere."""
    return InvalidInput("The cursor is not one that this service gave out.")
