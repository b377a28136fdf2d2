from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.ingestion import Ingestion
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    ingestion_id: UUID,
    *,
    prefer: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(prefer, Unset):
        headers["prefer"] = prefer

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/banks/{bank}/ingestions/{ingestion_id}".format(
            bank=quote(str(bank), safe=""),
            ingestion_id=quote(str(ingestion_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Ingestion:
    if response.status_code == 200:
        response_200 = Ingestion.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Ingestion]:
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
    prefer: str | Unset = UNSET,
) -> Response[Ingestion]:
    """Get Ingestion

     State, facts, operations and errors of each turn of a post; `Prefer: wait=N` waits until it has
    ended.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        ingestion_id (UUID):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Ingestion]
    """

    kwargs = _get_kwargs(
        bank=bank,
        ingestion_id=ingestion_id,
        prefer=prefer,
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
    prefer: str | Unset = UNSET,
) -> Ingestion:
    """Get Ingestion

     State, facts, operations and errors of each turn of a post; `Prefer: wait=N` waits until it has
    ended.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        ingestion_id (UUID):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Ingestion
    """

    return sync_detailed(
        bank=bank,
        ingestion_id=ingestion_id,
        client=client,
        prefer=prefer,
    ).parsed


async def asyncio_detailed(
    bank: str,
    ingestion_id: UUID,
    *,
    client: AuthenticatedClient,
    prefer: str | Unset = UNSET,
) -> Response[Ingestion]:
    """Get Ingestion

     State, facts, operations and errors of each turn of a post; `Prefer: wait=N` waits until it has
    ended.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        ingestion_id (UUID):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Ingestion]
    """

    kwargs = _get_kwargs(
        bank=bank,
        ingestion_id=ingestion_id,
        prefer=prefer,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    ingestion_id: UUID,
    *,
    client: AuthenticatedClient,
    prefer: str | Unset = UNSET,
) -> Ingestion:
    """Get Ingestion

     State, facts, operations and errors of each turn of a post; `Prefer: wait=N` waits until it has
    ended.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        ingestion_id (UUID):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Ingestion
    """

    return (
        await asyncio_detailed(
            bank=bank,
            ingestion_id=ingestion_id,
            client=client,
            prefer=prefer,
        )
    ).parsed
