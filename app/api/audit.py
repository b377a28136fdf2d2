"""Reading the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.dependencies import ServiceOf, Tenant, cursor_of, number_of
from app.api.guarded import GuardedRoute
from app.api.keys_schemas import AuditList
from app.api.openapi import problems
from app.services import audit

router = APIRouter(prefix="/v1/audit", tags=["audit"], responses=problems(401, 403, 422, 503), route_class=GuardedRoute)


@router.get("", operation_id="list_audit_events")
async def list_audit_events(
    tenant: Tenant,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    action: Annotated[str | None, Query(pattern=r"^[a-z]+\.[a-z_]{1,40}$", examples=["key.created"])] = None,
) -> AuditList:
    """Who did what to keys, banks and webhooks, newest first; of one action if given."""
    page = await audit.page(service.sessions, tenant, limit, number_of(cursor), action)
    return AuditList(events=page.events, next_cursor=cursor_of(page.next) if page.next is not None else None)
