"""Listing, reading and deleting banks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api.dependencies import BankName, ServiceOf, Tenant, cursor_of, place_of
from app.api.openapi import problems
from app.api.schemas import BankList
from app.services import banks
from app.services.banks import BankSummary

router = APIRouter(prefix="/v1/banks", tags=["banks"], responses=problems(401, 422, 503))


@router.get("", operation_id="list_banks")
async def list_banks(
    tenant: Tenant,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> BankList:
    """The tenant's banks by name."""
    page = await banks.list_banks(service.sessions, tenant, limit, place_of(cursor) if cursor is not None else None)
    return BankList(banks=page.banks, next_cursor=cursor_of(page.next) if page.next is not None else None)


@router.get("/{bank}", operation_id="get_bank", responses=problems(404))
async def get_bank(bank: BankName, tenant: Tenant, service: ServiceOf) -> BankSummary:
    """One bank."""
    return await banks.read_bank(service.sessions, tenant, bank)


@router.delete("/{bank}", status_code=204, operation_id="delete_bank", responses=problems(404))
async def delete_bank(bank: BankName, tenant: Tenant, service: ServiceOf) -> Response:
    """Remove a bank with all its turns, memories, versions, operations, answers and traces."""
    await banks.delete_bank(service.sessions, tenant, bank)
    return Response(status_code=204)
