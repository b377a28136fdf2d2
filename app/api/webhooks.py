"""Making, changing, testing and removing webhooks, and the log of what was sent to them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.api.dependencies import REPLAYED, CallerOf, OnceOf, ServiceOf, Tenant, cursor_of, note_replay, uuid_of
from app.api.guarded import GuardedRoute
from app.api.openapi import WITH_BODY, Responses, problems
from app.api.webhooks_schemas import ChangeWebhook, CreateWebhook, DeliveryList, RotateSecret, WebhookList
from app.services import webhooks
from app.services.webhooks import Delivery, DeliveryState, NewWebhook, Tested, WebhookSummary

router = APIRouter(
    prefix="/v1/webhooks", tags=["webhooks"], responses=problems(401, 403, 422, 503), route_class=GuardedRoute
)


def _done(status: int, *refusals: int) -> Responses:
    return {status: {"headers": REPLAYED}, **problems(409, *refusals)}


@router.post("", status_code=201, operation_id="create_webhook", responses=_done(201, *WITH_BODY))
async def create_webhook(
    body: CreateWebhook, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> NewWebhook:
    """Make a webhook. Its secret, by which its receiver knows the service, is in this response alone.

    Events are signed as Standard Webhooks has it, and come at least once each, in no certain order.
    """
    made = await webhooks.create(
        service.sessions, caller, service.settings.webhooks, body.url, body.chosen(), body.banks, once
    )
    note_replay(response, once)
    return made


@router.get("", operation_id="list_webhooks")
async def list_webhooks(tenant: Tenant, service: ServiceOf) -> WebhookList:
    """All of the tenant's webhooks, without their secrets."""
    return WebhookList(webhooks=await webhooks.list_all(service.sessions, tenant))


@router.get("/{webhook_id}", operation_id="get_webhook", responses=problems(404))
async def get_webhook(webhook_id: UUID, tenant: Tenant, service: ServiceOf) -> WebhookSummary:
    """One webhook, without its secret."""
    return await webhooks.read(service.sessions, tenant, webhook_id)


@router.patch("/{webhook_id}", operation_id="change_webhook", responses=_done(200, 404, *WITH_BODY))
async def change_webhook(
    webhook_id: UUID, body: ChangeWebhook, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> WebhookSummary:
    """Change a webhook, disable it, or enable it again. What waits for a disabled one is given up when it is due."""
    settings = service.settings.webhooks
    changed = await webhooks.change(service.sessions, caller, settings, webhook_id, body.given(), once)
    note_replay(response, once)
    return changed


@router.delete("/{webhook_id}", status_code=204, operation_id="delete_webhook", responses=_done(204, 404))
async def delete_webhook(webhook_id: UUID, caller: CallerOf, service: ServiceOf, once: OnceOf) -> Response:
    """Remove a webhook with the log of its deliveries; nothing more is sent to it."""
    await webhooks.remove(service.sessions, caller, webhook_id, once)
    response = Response(status_code=204)
    note_replay(response, once)
    return response


@router.post("/{webhook_id}/rotate-secret", operation_id="rotate_webhook_secret", responses=_done(200, 404, *WITH_BODY))
async def rotate_webhook_secret(
    webhook_id: UUID, body: RotateSecret, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> NewWebhook:
    """Give a webhook a new secret, shown in this response alone; the old one signs as well for the overlap."""
    made = await webhooks.rotate(service.sessions, caller, webhook_id, body.overlap_seconds, once)
    note_replay(response, once)
    return made


@router.post("/{webhook_id}/test", status_code=202, operation_id="test_webhook", responses=_done(202, 404))
async def test_webhook(
    webhook_id: UUID, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> Tested:
    """Send a `webhook.test` event; what came of it is in the log of deliveries."""
    tested = await webhooks.test(service.sessions, caller, webhook_id, once)
    note_replay(response, once)
    return tested


@router.get("/{webhook_id}/deliveries", operation_id="list_deliveries", responses=problems(404))
async def list_deliveries(
    webhook_id: UUID,
    tenant: Tenant,
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    state: Annotated[DeliveryState | None, Query(description="Only deliveries in this state.")] = None,
) -> DeliveryList:
    """What was sent, or waits to be, with every attempt; the newest events first."""
    page = await webhooks.deliveries(service.sessions, tenant, webhook_id, limit, uuid_of(cursor), state)
    return DeliveryList(
        deliveries=page.deliveries, next_cursor=cursor_of(str(page.next)) if page.next is not None else None
    )


@router.post(
    "/{webhook_id}/deliveries/{event_id}/retry",
    status_code=202,
    operation_id="retry_delivery",
    responses=_done(202, 404),
)
async def retry_delivery(
    webhook_id: UUID, event_id: UUID, caller: CallerOf, service: ServiceOf, once: OnceOf, response: Response
) -> Delivery:
    """Send an event again now, whatever came of it before."""
    delivery = await webhooks.retry(service.sessions, caller, webhook_id, event_id, once)
    note_replay(response, once)
    return delivery
