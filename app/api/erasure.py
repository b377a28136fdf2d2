"""Erasing banks and turns, and the receipts of it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from app.api.dependencies import REPLAYED, BankName, CallerOf, OnceOf, ServiceOf, cursor_of, note_replay, place_of
from app.api.guarded import GuardedRoute
from app.api.openapi import Responses, problems
from app.core.values import Value
from app.services import erasure, erasure_of_turns
from app.services.erasure import Derived, Receipt

router = APIRouter(prefix="/v1", tags=["erasure"], responses=problems(401, 422, 503), route_class=GuardedRoute)

_ONCE: Responses = {200: {"headers": REPLAYED}}


class ReceiptList(Value):
    """A page of receipts, oldest first."""

    receipts: tuple[Receipt, ...]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last."""


@router.delete("/banks/{bank}", operation_id="delete_bank", responses=_ONCE | problems(404, 409))
async def delete_bank(
    bank: BankName, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> Receipt:
    """Erase a bank with everything in it, whatever is under way; the receipt says what was removed."""
    receipt = await erasure.erase_bank(service.sessions, caller, bank, once)
    note_replay(response, once)
    return receipt


@router.delete("/banks/{bank}/turns/{turn_id}", operation_id="erase_turn", responses=_ONCE | problems(404, 409))
async def erase_turn(
    bank: BankName,
    turn_id: UUID,
    caller: CallerOf,
    service: ServiceOf,
    once: OnceOf,
    response: Response,
    derived: Annotated[
        Derived,
        Query(
            description="Which versions of memories go along: `only` those that stand on this turn alone, or `all` "
            "that have it among their sources."
        ),
    ] = Derived.ONLY,
) -> Receipt:
    """Erase a turn with what stands on it, and every answer and trace that quotes it; the log keeps its lines, without
    text. A memory whose newest version goes comes back as it was before.
    """
    receipt = await erasure_of_turns.erase_turn(service.sessions, caller, bank, turn_id, derived, once)
    note_replay(response, once)
    return receipt


@router.get("/erasures", operation_id="list_erasures")
async def list_erasures(
    caller: CallerOf,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> ReceiptList:
    """The receipts of all erasures, oldest first."""
    after = place_of(cursor) if cursor is not None else None
    page = await erasure.list_receipts(service.sessions, caller.tenant_id, limit, after)
    return ReceiptList(receipts=page.receipts, next_cursor=cursor_of(page.next) if page.next is not None else None)


@router.get("/erasures/{digest}", operation_id="get_erasure", responses=problems(404))
async def get_erasure(
    digest: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The receipt's `digest`.")],
    caller: CallerOf,
    service: ServiceOf,
) -> Receipt:
    """A receipt by its digest."""
    return await erasure.read_receipt(service.sessions, caller.tenant_id, digest)
