"""Making, listing, rotating and revoking the keys of a tenant."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.api.dependencies import REPLAYED, CallerOf, OnceOf, ServiceOf, cursor_of, note_replay, uuid_of
from app.api.guarded import GuardedRoute
from app.api.keys_schemas import CreateKey, KeyList, RotateKey
from app.api.openapi import WITH_BODY, Responses, problems
from app.services import keys
from app.services.keys import KeySummary, NewKey

router = APIRouter(prefix="/v1/keys", tags=["keys"], responses=problems(401, 403, 422, 503), route_class=GuardedRoute)

_MADE: Responses = {201: {"headers": REPLAYED}, **problems(409, *WITH_BODY)}
_REVOKED: Responses = {200: {"headers": REPLAYED}, **problems(404, 409)}


@router.post("", status_code=201, operation_id="create_key", responses=_MADE)
async def create_key(body: CreateKey, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response) -> NewKey:
    """Make a key. Its secret is in this response alone: it is stored nowhere, and null where a request is repeated."""
    made = await keys.create_for(service.sessions, caller, body.name, body.rights(), once)
    note_replay(response, once)
    return made


@router.get("", operation_id="list_keys")
async def list_keys(
    caller: CallerOf,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> KeyList:
    """The tenant's keys, oldest first, without their secrets."""
    page = await keys.page(service.sessions, caller, limit, uuid_of(cursor))
    return KeyList(keys=page.keys, next_cursor=cursor_of(str(page.next)) if page.next is not None else None)


@router.get("/{key_id}", operation_id="get_key", responses=problems(404))
async def get_key(key_id: UUID, caller: CallerOf, service: ServiceOf) -> KeySummary:
    """One key, without its secret."""
    return await keys.read(service.sessions, caller, key_id)


@router.delete("/{key_id}", operation_id="revoke_key", responses=_REVOKED)
async def revoke_key(
    key_id: UUID, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> KeySummary:
    """Make a key worthless at once; it stays in the list."""
    revoked = await keys.revoke(service.sessions, caller, key_id, once)
    note_replay(response, once)
    return revoked


@router.post("/{key_id}/rotate", status_code=201, operation_id="rotate_key", responses=_MADE | problems(404))
async def rotate_key(
    key_id: UUID, body: RotateKey, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> NewKey:
    """Make a key with the rights of another, which stays valid for the overlap and is then worthless."""
    made = await keys.rotate(service.sessions, caller, key_id, body.overlap_seconds, once)
    note_replay(response, once)
    return made
