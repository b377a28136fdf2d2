from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.retried import Retried
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    ingestion_id: UUID,
    *,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["idempotency-key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/banks/{bank}/ingestions/{ingestion_id}/retry".format(
            bank=quote(str(bank), safe=""),
            ingestion_id=quote(str(ingestion_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Retried:
    if response.status_code == 202:
        response_202 = Retried.from_dict(response.json())

        return response_202

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Retried]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    bank: str,
    ingestion_id: UUID,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
) -> Response[Retried]:
    """Retry Ingestion

     Work on the failed turns of a post again.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        ingestion_id (UUID):
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Retried]
    """

    kwargs = _get_kwargs(
        bank=bank,
        ingestion_id=ingestion_id,
        idempotency_key=idempotency_key,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    bank: str,
    ingestion_id: UUID,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
) -> Retried:
    """Retry Ingestion

     Work on the failed turns of a post again.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        ingestion_id (UUID):
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Retried
    """

    return sync_detailed(
        bank=bank,
        ingestion_id=ingestion_id,
        client=client,
        idempotency_key=idempotency_key,
    ).parsed


async def asyncio_detailed(
    bank: str,
    ingestion_id: UUID,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
) -> Response[Retried]:
    """Retry Ingestion

     Work on the failed turns of a post again.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        ingestion_id (UUID):
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Retried]
    """

    kwargs = _get_kwargs(
        bank=bank,
        ingestion_id=ingestion_id,
        idempotency_key=idempotency_key,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    ingestion_id: UUID,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
) -> Retried:
    """Retry Ingestion

     Work on the failed turns of a post again.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        ingestion_id (UUID):
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Retried
    """

    return (
        await asyncio_detailed(
            bank=bank,
            ingestion_id=ingestion_id,
            client=client,
            idempotency_key=idempotency_key,
        )
    ).parsed
