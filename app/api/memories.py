"""Reading and searching a bank's memories."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.api.dependencies import BankOf, ServiceOf, cursor_of, number_of
from app.api.openapi import OF_BANK, OF_MODEL, WITH_BODY, problems
from app.api.schemas import Found, MemoryDetail, MemoryList, Search
from app.services import memories
from app.services.answer import source_turns

router = APIRouter(prefix="/v1/banks/{bank}/memories", tags=["memories"], responses=problems(401, 503, *OF_BANK))


@router.get("", operation_id="list_memories")
async def list_memories(
    key: BankOf,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> MemoryList:
    """What the bank remembers, oldest first."""
    page = await memories.page(service.sessions, key, limit, number_of(cursor))
    return MemoryList(memories=page.memories, next_cursor=cursor_of(page.next) if page.next is not None else None)


@router.get("/{memory_id}", operation_id="get_memory")
async def get_memory(memory_id: UUID, key: BankOf, service: ServiceOf) -> MemoryDetail:
    """A memory, also a deleted one, with its versions and the turns that it came from."""
    read = await memories.with_sources(service, key, memory_id)
    sources = source_turns(read.memory, {turn.id: turn for turn in read.turns})
    return MemoryDetail(memory=read.memory, deleted=read.deleted, versions=read.versions, sources=sources)


@router.post("/search", operation_id="search_memories", responses=problems(*WITH_BODY, *OF_MODEL))
async def search_memories(body: Search, key: BankOf, service: ServiceOf) -> Found:
    """The memories that fit a text best."""
    candidates = await memories.search(
        service, key, body.query, body.limit, use_lexical=body.lexical, per_speaker=body.per_speaker
    )
    return Found(candidates=tuple(candidates))
