from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.create_webhook import CreateWebhook
from ...models.new_webhook import NewWebhook
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    body: CreateWebhook,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["idempotency-key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/webhooks",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> NewWebhook:
    if response.status_code == 201:
        response_201 = NewWebhook.from_dict(response.json())

        return response_201

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[NewWebhook]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    body: CreateWebhook,
    idempotency_key: str | Unset = UNSET,
) -> Response[NewWebhook]:
    """Create Webhook

     Make a webhook. Its secret, by which its receiver knows the service, is in this response alone.

    Events are signed as Standard Webhooks has it, and come at least once each, in no certain order.

    Takes a key of the scope `admin`.

    Args:
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (CreateWebhook): A webhook to make.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[NewWebhook]
    """

    kwargs = _get_kwargs(
        body=body,
        idempotency_key=idempotency_key,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    body: CreateWebhook,
    idempotency_key: str | Unset = UNSET,
) -> NewWebhook:
    """Create Webhook

     Make a webhook. Its secret, by which its receiver knows the service, is in this response alone.

    Events are signed as Standard Webhooks has it, and come at least once each, in no certain order.

    Takes a key of the scope `admin`.

    Args:
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (CreateWebhook): A webhook to make.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        NewWebhook
    """

    return sync_detailed(
        client=client,
        body=body,
        idempotency_key=idempotency_key,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    body: CreateWebhook,
    idempotency_key: str | Unset = UNSET,
) -> Response[NewWebhook]:
    """Create Webhook

     Make a webhook. Its secret, by which its receiver knows the service, is in this response alone.

    Events are signed as Standard Webhooks has it, and come at least once each, in no certain order.

    Takes a key of the scope `admin`.

    Args:
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (CreateWebhook): A webhook to make.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[NewWebhook]
    """

    kwargs = _get_kwargs(
        body=body,
        idempotency_key=idempotency_key,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    body: CreateWebhook,
    idempotency_key: str | Unset = UNSET,
) -> NewWebhook:
    """Create Webhook

     Make a webhook. Its secret, by which its receiver knows the service, is in this response alone.

    Events are signed as Standard Webhooks has it, and come at least once each, in no certain order.

    Takes a key of the scope `admin`.

    Args:
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (CreateWebhook): A webhook to make.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        NewWebhook
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
            idempotency_key=idempotency_key,
        )
    ).parsed
