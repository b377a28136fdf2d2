"""The operation log of a bank: what was done to its memories, why, by whom, and undoing it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from app.api.dependencies import REPLAYED, BankOf, CallerOf, OnceOf, ServiceOf, cursor_of, note_replay, number_of
from app.api.guarded import GuardedRoute
from app.api.openapi import OF_BANK, Responses, problems
from app.api.operations_schemas import OperationList
from app.core.changes import Verdict
from app.db.oplog import OperationRecord, Origin
from app.services import operations
from app.services.operations import Order, Undone, Which

router = APIRouter(
    prefix="/v1/banks/{bank}", tags=["operations"], responses=problems(401, 503, *OF_BANK), route_class=GuardedRoute
)

Number = Annotated[int, Path(ge=1, le=10**15, description="The operation's number in the bank's log.")]
_UNDONE: Responses = {200: {"headers": REPLAYED}}


@router.get("/operations", operation_id="list_operations")
async def list_operations(
    key: BankOf,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    order: Annotated[Order, Query(description="Which come first.")] = Order.NEWEST,
    memory_id: Annotated[UUID | None, Query(description="Only what was done to this memory.")] = None,
    ingestion_id: Annotated[UUID | None, Query(description="Only what was done for this post of turns.")] = None,
    turn_id: Annotated[UUID | None, Query(description="Only what was done for this turn.")] = None,
    verdict: Annotated[Verdict | None, Query(description="Only operations that this became of.")] = None,
    origin: Annotated[Origin | None, Query(description="Only what was decided by this.")] = None,
) -> OperationList:
    """The bank's log by number, with the verdict on each operation and all that led to it."""
    which = Which(memory_id=memory_id, ingestion_id=ingestion_id, turn_id=turn_id, verdict=verdict, origin=origin)
    page = await operations.page(service.sessions, key, which, limit, number_of(cursor), order)
    next_cursor = cursor_of(page.next) if page.next is not None else None
    return OperationList(operations=page.operations, next_cursor=next_cursor)


@router.get("/operations/{number}", operation_id="get_operation")
async def get_operation(number: Number, key: BankOf, service: ServiceOf) -> OperationRecord:
    """One operation of the bank's log."""
    return await operations.read(service.sessions, key, number)


@router.post("/operations/{number}/undo", operation_id="undo_operation", responses=_UNDONE)
async def undo_operation(
    number: Number, key: BankOf, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> Undone:
    """Take the memory back to where it was before, as a new version. Nothing is overwritten, and this can be undone.

    409 `undo-conflict` names the later operations that stand in the way, in `conflicts`.
    """
    undone = await operations.undo_one(service.sessions, key, number, once, caller.key_id)
    note_replay(response, once)
    return undone


@router.post("/ingestions/{ingestion_id}/undo", operation_id="undo_ingestion", responses=_UNDONE)
async def undo_ingestion(
    ingestion_id: UUID, key: BankOf, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> Undone:
    """Undo all that a post of turns did to the bank, newest first, or nothing; its turns stay.

    `skipped` names operations that nobody can undo any more, since what their undoing needs has been erased.
    """
    undone = await operations.undo_ingestion(service.sessions, key, ingestion_id, once, caller.key_id)
    note_replay(response, once)
    return undone
