"""Listing and reading banks, and their settings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api.banks_schemas import BankSettings
from app.api.dependencies import (
    REPLAYED,
    BankName,
    CallerOf,
    OnceOf,
    ServiceOf,
    Tenant,
    cursor_of,
    note_replay,
    place_of,
)
from app.api.guarded import GuardedRoute
from app.api.openapi import WITH_BODY, Responses, problems
from app.api.schemas import BankList
from app.services import banks
from app.services.banks import BankSummary, OnFailure

router = APIRouter(prefix="/v1/banks", tags=["banks"], responses=problems(401, 422, 503), route_class=GuardedRoute)

_CHANGED: Responses = {200: {"headers": REPLAYED}}


@router.get("", operation_id="list_banks")
async def list_banks(
    caller: CallerOf,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> BankList:
    """The tenant's banks by name, as far as the key is for them."""
    after = place_of(cursor) if cursor is not None else None
    page = await banks.list_banks(service.sessions, caller.tenant_id, limit, after, caller.banks)
    return BankList(banks=page.banks, next_cursor=cursor_of(page.next) if page.next is not None else None)


@router.get("/{bank}", operation_id="get_bank", responses=problems(404))
async def get_bank(bank: BankName, tenant: Tenant, service: ServiceOf) -> BankSummary:
    """One bank."""
    return await banks.read_bank(service.sessions, tenant, bank)


@router.put("/{bank}", operation_id="create_bank", responses=_CHANGED | problems(409))
async def create_bank(
    bank: BankName, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> BankSummary:
    """Make a bank of that name, where there is none; a bank's first turn does so as well."""
    summary = await banks.create_bank(service.sessions, caller, bank, service.embedder, once)
    note_replay(response, once)
    return summary


@router.patch(
    "/{bank}",
    operation_id="change_bank",
    responses=_CHANGED | problems(404, 409, *WITH_BODY),
)
async def change_bank(
    bank: BankName, body: BankSettings, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> BankSummary:
    """Change what a bank does about a turn that failed for good; `set_aside` lets a bank that waits go on at once."""
    summary = await banks.change_settings(service.sessions, caller, bank, OnFailure(body.on_failure), once)
    note_replay(response, once)
    return summary
