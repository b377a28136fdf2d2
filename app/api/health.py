"""Live and ready."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import text

from app.api.dependencies import ServiceOf
from app.api.guarded import GuardedRoute
from app.api.openapi import problems
from app.api.schemas import Health

router = APIRouter(prefix="/v1/health", tags=["health"], route_class=GuardedRoute)


@router.get("/live", operation_id="live")
async def live() -> Health:
    """The process answers."""
    return Health(status="live")


@router.get("/ready", operation_id="ready", responses=problems(503))
async def ready(service: ServiceOf) -> Health:
    """The database answers; 503 where it does not."""
    async with service.sessions.dispatch() as session:
        await session.execute(text("SELECT 1"))
    return Health(status="ready")
