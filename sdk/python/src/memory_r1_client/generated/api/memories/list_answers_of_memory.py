from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.answer_list import AnswerList
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    memory_id: UUID,
    *,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/banks/{bank}/memories/{memory_id}/answers".format(
            bank=quote(str(bank), safe=""),
            memory_id=quote(str(memory_id), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> AnswerList:
    if response.status_code == 200:
        response_200 = AnswerList.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[AnswerList]:
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
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> Response[AnswerList]:
    """List Answers Of Memory

     The answers that stand on a memory, each with the version that it used, newest first.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        memory_id (UUID):
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AnswerList]
    """

    kwargs = _get_kwargs(
        bank=bank,
        memory_id=memory_id,
        limit=limit,
        cursor=cursor,
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
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> AnswerList:
    """List Answers Of Memory

     The answers that stand on a memory, each with the version that it used, newest first.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        memory_id (UUID):
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AnswerList
    """

    return sync_detailed(
        bank=bank,
        memory_id=memory_id,
        client=client,
        limit=limit,
        cursor=cursor,
    ).parsed


async def asyncio_detailed(
    bank: str,
    memory_id: UUID,
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> Response[AnswerList]:
    """List Answers Of Memory

     The answers that stand on a memory, each with the version that it used, newest first.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        memory_id (UUID):
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AnswerList]
    """

    kwargs = _get_kwargs(
        bank=bank,
        memory_id=memory_id,
        limit=limit,
        cursor=cursor,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    memory_id: UUID,
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> AnswerList:
    """List Answers Of Memory

     The answers that stand on a memory, each with the version that it used, newest first.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        memory_id (UUID):
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AnswerList
    """

    return (
        await asyncio_detailed(
            bank=bank,
            memory_id=memory_id,
            client=client,
            limit=limit,
            cursor=cursor,
        )
    ).parsed
