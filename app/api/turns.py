"""Posting turns, and following what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response

from app.api.dependencies import (
    REPLAYED,
    BankName,
    BankOf,
    CallerOf,
    OnceOf,
    ServiceOf,
    Wait,
    cursor_of,
    foreign_cursor,
    note_replay,
    number_of,
    place_of,
)
from app.api.guarded import GuardedRoute
from app.api.openapi import OF_BANK, WITH_BODY, Responses, problems
from app.api.schemas import PostedReceipt, PostTurns, StoredState, TurnList
from app.api.streaming import EVENT_STREAM, EventStream, Tell
from app.api.streaming_schemas import EndEvent, TurnEvent
from app.core.errors import InvalidInput
from app.db.queries import BankKey
from app.services import banks, following, ingest, provenance
from app.services.following import EndedTurn, Place
from app.services.ingest import Ingestion, NewTurn, Retried, State
from app.services.provenance import TurnOrigin
from app.services.service import Service

router = APIRouter(
    prefix="/v1/banks/{bank}", tags=["turns"], responses=problems(401, 503, *OF_BANK), route_class=GuardedRoute
)

SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_ENDED = {State.DONE, State.FAILED}
_WAITED = {"Preference-Applied": {"description": "`wait=N`, where that was asked for.", "schema": {"type": "string"}}}
_POSTED: Responses = {
    202: {
        "headers": {
            "Location": {
                "description": "Path of the ingestion, to follow it.",
                "schema": {"type": "string"},
                "required": True,
            },
            **_WAITED,
            **REPLAYED,
        }
    }
}


@router.post(
    "/turns",
    status_code=202,
    operation_id="post_turns",
    responses=_POSTED | problems(409, 429, *WITH_BODY),
)
async def post_turns(
    bank: BankName,
    body: PostTurns,
    caller: CallerOf,
    service: ServiceOf,
    once: OnceOf,
    wait: Wait,
    response: Response,
) -> PostedReceipt:
    """Store turns; the bank is made by its first. Once this answers 202 they are durable."""
    most = service.settings.server.max_turns
    if len(body.turns) > most:
        raise InvalidInput(f"A post holds at most {most} turns.")
    posted = [NewTurn.model_validate(turn.model_dump()) for turn in body.turns]
    accepted = await ingest.accept(service, caller.tenant_id, bank, posted, once, caller)
    state = State.QUEUED if accepted.duplicates < len(posted) else State.DONE
    if wait:
        key = await banks.find_bank(service.sessions, caller.tenant_id, bank)
        state = await wait_for(service, key, accepted.ingestion_id, wait)
    response.headers["Location"] = f"/v1/banks/{bank}/ingestions/{accepted.ingestion_id}"
    _note_wait(response, wait)
    note_replay(response, once)
    return PostedReceipt(state=state, **accepted.model_dump())


@router.get("/turns", operation_id="list_turns")
async def list_turns(
    key: BankOf,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    state: Annotated[StoredState | None, Query(description="Only turns in this state.")] = None,
) -> TurnList:
    """A bank's turns in order of arrival, with the facts, operations and errors of each."""
    page = await ingest.page(service.sessions, key, limit, number_of(cursor), State(state) if state else None)
    return TurnList(turns=page.turns, next_cursor=cursor_of(page.next) if page.next is not None else None)


@router.get("/turns/{turn_id}", operation_id="get_turn")
async def get_turn(turn_id: UUID, key: BankOf, service: ServiceOf) -> TurnOrigin:
    """A turn with its state and operations, and the versions of memories that came from it."""
    return await provenance.read_turn(service.sessions, key, turn_id)


@router.get("/ingestions/{ingestion_id}", operation_id="get_ingestion", responses={200: {"headers": _WAITED}})
async def get_ingestion(
    ingestion_id: UUID, key: BankOf, service: ServiceOf, wait: Wait, response: Response
) -> Ingestion:
    """State, facts, operations and errors of each turn of a post; `Prefer: wait=N` waits until it has ended."""
    await wait_for(service, key, ingestion_id, wait)
    _note_wait(response, wait)
    return await ingest.read(service.sessions, key, ingestion_id)


@router.get(
    "/ingestions/{ingestion_id}/events",
    operation_id="follow_ingestion",
    response_class=Response,
    responses={200: {"content": {EVENT_STREAM: {"schema": {"$ref": "#/components/schemas/IngestionEvent"}}}}},
)
async def follow_ingestion(
    ingestion_id: UUID,
    key: BankOf,
    service: ServiceOf,
    request: Request,
    last_event_id: Annotated[
        str | None, Header(max_length=200, description="Go on after the event of this id.")
    ] = None,
) -> EventStream:
    """A post as server-sent events: a `turn` for each that is done or has failed, in the order in which they end, and
    `end` when none waits any more. Without `end` it goes on: ask again with the `Last-Event-ID`.
    """
    after = _place_of(last_event_id) if last_event_id else None
    await ingest.state(service.sessions, key, ingestion_id)

    async def tell_all(told: Tell) -> EndEvent | None:
        async def tell(one: EndedTurn) -> None:
            await told.put(TurnEvent(id=_id_of(one.place), data=one.turn))

        end = await following.follow(service, key, ingestion_id, after, tell)
        return EndEvent(data=end) if end else None

    return EventStream(request, tell_all, most_waiting=following.PAGE)


@router.post(
    "/ingestions/{ingestion_id}/retry",
    status_code=202,
    operation_id="retry_ingestion",
    responses={202: {"headers": REPLAYED}},
)
async def retry_ingestion(
    ingestion_id: UUID, key: BankOf, service: ServiceOf, once: OnceOf, response: Response
) -> Retried:
    """Work on the failed turns of a post again."""
    retried = await ingest.retry(service.sessions, key, ingestion_id, once)
    note_replay(response, once)
    return retried


async def wait_for(service: Service, key: BankKey, ingestion_id: UUID, seconds: float) -> State:
    """The state once it has ended, the time is up or the process ends; no transaction is open meanwhile."""
    deadline, pause = time.monotonic() + seconds, SHORTEST_PAUSE
    while (state := await ingest.state(service.sessions, key, ingestion_id)) not in _ENDED:
        left = deadline - time.monotonic()
        if left <= 0 or service.ending.is_set():
            break
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(service.ending.wait(), min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)
    return state


def _note_wait(response: Response, wait: float) -> None:
    if wait:
        response.headers["Preference-Applied"] = f"wait={int(wait)}"


def _id_of(place: Place) -> str:
    return cursor_of(f"{(place.at - _EPOCH) // _MICROSECOND}.{place.position}")


def _place_of(event_id: str) -> Place:
    """Raises `InvalidInput`."""
    moment, _, position = place_of(event_id).partition(".")
    if not (moment.isdecimal() and position.isdecimal() and max(len(moment), len(position)) <= 18):
        raise foreign_cursor()
    try:
        return Place(_EPOCH + int(moment) * _MICROSECOND, int(position))
    except OverflowError:
        raise foreign_cursor() from None
