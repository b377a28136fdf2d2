"""Reading, searching and writing a bank's memories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.api.dependencies import (
    REPLAYED,
    BankName,
    BankOf,
    CallerOf,
    OnceOf,
    ServiceOf,
    cursor_of,
    foreign_cursor,
    note_replay,
    number_of,
    place_of,
)
from app.api.guarded import GuardedRoute
from app.api.memories_schemas import AnswerList, NewMemory, RevisedMemory
from app.api.openapi import OF_BANK, OF_MODEL, WITH_BODY, Responses, problems
from app.api.preconditions import ETAG, SHOWN_ETAG, Expected, Known, etag_of, shown_etag_of
from app.api.schemas import Found, MemoryDetail, MemoryList, SaidAt, Search
from app.services import memories, provenance
from app.services.answer import source_turns
from app.services.edits import Edit, Edited
from app.services.provenance import Place

router = APIRouter(
    prefix="/v1/banks/{bank}/memories",
    tags=["memories"],
    responses=problems(401, 503, *OF_BANK),
    route_class=GuardedRoute,
)

AsOf = Annotated[
    SaidAt | None,
    Query(
        description="As the bank was at this date and time, with its offset; it must not lie in the future.",
        examples=["2026-01-31T12:00:00Z"],
    ),
]
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_LOCATION = {"Location": {"description": "Path of the memory.", "schema": {"type": "string"}, "required": True}}
_READ: Responses = {
    200: {"headers": SHOWN_ETAG},
    304: {"description": "What is shown has an entity tag that `If-None-Match` names.", "headers": SHOWN_ETAG},
}
_ADDED: Responses = {201: {"headers": {**_LOCATION, **ETAG, **REPLAYED}}}
_REVISED: Responses = {200: {"headers": {**ETAG, **REPLAYED}}}
_REMOVED: Responses = {200: {"headers": REPLAYED}}


@router.get("", operation_id="list_memories")
async def list_memories(
    key: BankOf,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    as_of: AsOf = None,
) -> MemoryList:
    """What the bank remembers, or remembered at a moment, oldest first."""
    page = await memories.page(service.sessions, key, limit, number_of(cursor), as_of)
    next_cursor = cursor_of(page.next) if page.next is not None else None
    return MemoryList(memories=page.memories, as_of=as_of, next_cursor=next_cursor)


@router.post("", status_code=201, operation_id="add_memory", responses=_ADDED | problems(429, *WITH_BODY, *OF_MODEL))
async def add_memory(
    bank: BankName,
    body: NewMemory,
    key: BankOf,
    caller: CallerOf,
    service: ServiceOf,
    once: OnceOf,
    response: Response,
) -> Edited:
    """Remember something that no turn said; it can be undone like what the Memory Manager does."""
    edited = await Edit(service, key, once, caller.key_id).add(body.text, body.speaker, body.said_at)
    response.headers["Location"] = f"/v1/banks/{bank}/memories/{edited.memory.id}"
    response.headers["ETag"] = etag_of(edited.memory.version)
    note_replay(response, once)
    return edited


@router.get("/{memory_id}", operation_id="get_memory", response_model=MemoryDetail, responses=_READ)
async def get_memory(
    memory_id: UUID, key: BankOf, service: ServiceOf, known: Known, response: Response
) -> MemoryDetail | Response:
    """A memory, also a deleted one, with its versions and the turns that it came from. A live one has an `ETag`."""
    read = await memories.with_sources(service, key, memory_id)
    sources = source_turns(read.memory, {turn.id: turn for turn in read.turns})
    shown = MemoryDetail(memory=read.memory, deleted=read.deleted, versions=read.versions, sources=sources)
    if not read.deleted:
        etag = shown_etag_of(read.memory.version, shown.model_dump_json())
        if known & {etag, "*"}:
            return Response(status_code=304, headers={"ETag": etag})
        response.headers["ETag"] = etag
    return shown


@router.patch(
    "/{memory_id}",
    operation_id="revise_memory",
    responses=_REVISED | problems(412, 429, *WITH_BODY, *OF_MODEL),
)
async def revise_memory(
    memory_id: UUID,
    body: RevisedMemory,
    key: BankOf,
    caller: CallerOf,
    service: ServiceOf,
    once: OnceOf,
    expected: Expected,
    response: Response,
) -> Edited:
    """Change what a memory says, as a new version; without `If-Match`, whatever version is the newest."""
    edit = Edit(service, key, once, caller.key_id)
    edited = await edit.revise(memory_id, body.text, body.said_at, expected)
    response.headers["ETag"] = etag_of(edited.memory.version)
    note_replay(response, once)
    return edited


@router.delete("/{memory_id}", operation_id="remove_memory", responses=_REMOVED | problems(412))
async def remove_memory(
    memory_id: UUID,
    key: BankOf,
    caller: CallerOf,
    service: ServiceOf,
    once: OnceOf,
    expected: Expected,
    response: Response,
) -> Edited:
    """Forget a memory. Its versions stay, and undoing the operation brings it back; erasing its turns does not."""
    edited = await Edit(service, key, once, caller.key_id).remove(memory_id, expected)
    note_replay(response, once)
    return edited


@router.get("/{memory_id}/answers", operation_id="list_answers_of_memory")
async def list_answers_of_memory(
    memory_id: UUID,
    key: BankOf,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> AnswerList:
    """The answers that stand on a memory, each with the version that it used, newest first."""
    page = await provenance.answers_of(service.sessions, key, memory_id, limit, _answer_place(cursor))
    return AnswerList(answers=page.answers, next_cursor=_answer_cursor(page.next) if page.next else None)


@router.post("/search", operation_id="search_memories", responses=problems(*WITH_BODY, *OF_MODEL))
async def search_memories(body: Search, key: BankOf, service: ServiceOf) -> Found:
    """The memories that fit a text best, of those that the bank has or had at a moment."""
    candidates = await memories.search(
        service,
        key,
        body.query,
        body.limit,
        use_lexical=body.lexical,
        per_speaker=body.per_speaker,
        as_of=body.as_of,
    )
    return Found(candidates=tuple(candidates), as_of=body.as_of)


def _answer_cursor(place: Place) -> str:
    return cursor_of(f"{(place.created_at - _EPOCH) // _MICROSECOND}.{place.id}")


def _answer_place(cursor: str | None) -> Place | None:
    """Raises `InvalidInput`."""
    if cursor is None:
        return None
    passed, _, answer_id = place_of(cursor).partition(".")
    try:
        place = Place(_EPOCH + int(passed) * _MICROSECOND, UUID(answer_id))
    except (ValueError, OverflowError) as error:
        raise foreign_cursor() from error
    if _answer_cursor(place) != cursor:
        raise foreign_cursor()
    return place
