from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.edited import Edited
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    memory_id: UUID,
    *,
    idempotency_key: str | Unset = UNSET,
    if_match: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["idempotency-key"] = idempotency_key

    if not isinstance(if_match, Unset):
        headers["if-match"] = if_match

    _kwargs: dict[str, Any] = {
        "method": "delete",
        "url": "/v1/banks/{bank}/memories/{memory_id}".format(
            bank=quote(str(bank), safe=""),
            memory_id=quote(str(memory_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Edited:
    if response.status_code == 200:
        response_200 = Edited.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Edited]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    bank: str,
    memory_id: UUID,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
    if_match: str | Unset = UNSET,
) -> Response[Edited]:
    """Remove Memory

     Forget a memory. Its versions stay, and undoing the operation brings it back; erasing its turns does
    not.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        memory_id (UUID):
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        if_match (str | Unset): Write only where the memory is at one of these versions, such as
            `"3"`; else 412. Of the `ETag` of a read, the version counts.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Edited]
    """

    kwargs = _get_kwargs(
        bank=bank,
        memory_id=memory_id,
        idempotency_key=idempotency_key,
        if_match=if_match,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    bank: str,
    memory_id: UUID,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
    if_match: str | Unset = UNSET,
) -> Edited:
    """Remove Memory

     Forget a memory. Its versions stay, and undoing the operation brings it back; erasing its turns does
    not.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        memory_id (UUID):
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        if_match (str | Unset): Write only where the memory is at one of these versions, such as
            `"3"`; else 412. Of the `ETag` of a read, the version counts.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Edited
    """

    return sync_detailed(
        bank=bank,
        memory_id=memory_id,
        client=client,
        idempotency_key=idempotency_key,
        if_match=if_match,
    ).parsed


async def asyncio_detailed(
    bank: str,
    memory_id: UUID,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
    if_match: str | Unset = UNSET,
) -> Response[Edited]:
    """Remove Memory

     Forget a memory. Its versions stay, and undoing the operation brings it back; erasing its turns does
    not.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        memory_id (UUID):
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        if_match (str | Unset): Write only where the memory is at one of these versions, such as
            `"3"`; else 412. Of the `ETag` of a read, the version counts.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Edited]
    """

    kwargs = _get_kwargs(
        bank=bank,
        memory_id=memory_id,
        idempotency_key=idempotency_key,
        if_match=if_match,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    memory_id: UUID,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
    if_match: str | Unset = UNSET,
) -> Edited:
    """Remove Memory

     Forget a memory. Its versions stay, and undoing the operation brings it back; erasing its turns does
    not.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        memory_id (UUID):
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        if_match (str | Unset): Write only where the memory is at one of these versions, such as
            `"3"`; else 412. Of the `ETag` of a read, the version counts.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Edited
    """

    return (
        await asyncio_detailed(
            bank=bank,
            memory_id=memory_id,
            client=client,
            idempotency_key=idempotency_key,
            if_match=if_match,
        )
    ).parsed
