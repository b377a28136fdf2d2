import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.memory_list import MemoryList
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    *,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
    as_of: datetime.datetime | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["cursor"] = cursor

    json_as_of: str | Unset = UNSET
    if not isinstance(as_of, Unset):
        json_as_of = as_of.isoformat()
    params["as_of"] = json_as_of

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/banks/{bank}/memories".format(
            bank=quote(str(bank), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> MemoryList:
    if response.status_code == 200:
        response_200 = MemoryList.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[MemoryList]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    bank: str,
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
    as_of: datetime.datetime | Unset = UNSET,
) -> Response[MemoryList]:
    """List Memories

     What the bank remembers, or remembered at a moment, oldest first.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
        as_of (datetime.datetime | Unset): As the bank was at this date and time, with its offset;
            it must not lie in the future.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[MemoryList]
    """

    kwargs = _get_kwargs(
        bank=bank,
        limit=limit,
        cursor=cursor,
        as_of=as_of,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    bank: str,
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
    as_of: datetime.datetime | Unset = UNSET,
) -> MemoryList:
    """List Memories

     What the bank remembers, or remembered at a moment, oldest first.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
        as_of (datetime.datetime | Unset): As the bank was at this date and time, with its offset;
            it must not lie in the future.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        MemoryList
    """

    return sync_detailed(
        bank=bank,
        client=client,
        limit=limit,
        cursor=cursor,
        as_of=as_of,
    ).parsed


async def asyncio_detailed(
    bank: str,
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
    as_of: datetime.datetime | Unset = UNSET,
) -> Response[MemoryList]:
    """List Memories

     What the bank remembers, or remembered at a moment, oldest first.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
        as_of (datetime.datetime | Unset): As the bank was at this date and time, with its offset;
            it must not lie in the future.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[MemoryList]
    """

    kwargs = _get_kwargs(
        bank=bank,
        limit=limit,
        cursor=cursor,
        as_of=as_of,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
    as_of: datetime.datetime | Unset = UNSET,
) -> MemoryList:
    """List Memories

     What the bank remembers, or remembered at a moment, oldest first.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
        as_of (datetime.datetime | Unset): As the bank was at this date and time, with its offset;
            it must not lie in the future.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        MemoryList
    """

    return (
        await asyncio_detailed(
            bank=bank,
            client=client,
            limit=limit,
            cursor=cursor,
            as_of=as_of,
        )
    ).parsed
