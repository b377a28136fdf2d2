from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.memory_detail import MemoryDetail
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    memory_id: UUID,
    *,
    if_none_match: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(if_none_match, Unset):
        headers["if-none-match"] = if_none_match

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/banks/{bank}/memories/{memory_id}".format(
            bank=quote(str(bank), safe=""),
            memory_id=quote(str(memory_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> MemoryDetail:
    if response.status_code == 200:
        response_200 = MemoryDetail.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[MemoryDetail]:
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
    if_none_match: str | Unset = UNSET,
) -> Response[MemoryDetail]:
    """Get Memory

     A memory, also a deleted one, with its versions and the turns that it came from. A live one has an
    `ETag`.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        memory_id (UUID):
        if_none_match (str | Unset): Answer 304 where what would be shown has one of these entity
            tags.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[MemoryDetail]
    """

    kwargs = _get_kwargs(
        bank=bank,
        memory_id=memory_id,
        if_none_match=if_none_match,
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
    if_none_match: str | Unset = UNSET,
) -> MemoryDetail:
    """Get Memory

     A memory, also a deleted one, with its versions and the turns that it came from. A live one has an
    `ETag`.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        memory_id (UUID):
        if_none_match (str | Unset): Answer 304 where what would be shown has one of these entity
            tags.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        MemoryDetail
    """

    return sync_detailed(
        bank=bank,
        memory_id=memory_id,
        client=client,
        if_none_match=if_none_match,
    ).parsed


async def asyncio_detailed(
    bank: str,
    memory_id: UUID,
    *,
    client: AuthenticatedClient,
    if_none_match: str | Unset = UNSET,
) -> Response[MemoryDetail]:
    """Get Memory

     A memory, also a deleted one, with its versions and the turns that it came from. A live one has an
    `ETag`.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        memory_id (UUID):
        if_none_match (str | Unset): Answer 304 where what would be shown has one of these entity
            tags.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[MemoryDetail]
    """

    kwargs = _get_kwargs(
        bank=bank,
        memory_id=memory_id,
        if_none_match=if_none_match,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    memory_id: UUID,
    *,
    client: AuthenticatedClient,
    if_none_match: str | Unset = UNSET,
) -> MemoryDetail:
    """Get Memory

     A memory, also a deleted one, with its versions and the turns that it came from. A live one has an
    `ETag`.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        memory_id (UUID):
        if_none_match (str | Unset): Answer 304 where what would be shown has one of these entity
            tags.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        MemoryDetail
    """

    return (
        await asyncio_detailed(
            bank=bank,
            memory_id=memory_id,
            client=client,
            if_none_match=if_none_match,
        )
    ).parsed
