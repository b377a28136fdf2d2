from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.list_turns_state import ListTurnsState
from ...models.turn_list import TurnList
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    *,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
    state: ListTurnsState | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["cursor"] = cursor

    json_state: str | Unset = UNSET
    if not isinstance(state, Unset):
        json_state = state.value

    params["state"] = json_state

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/banks/{bank}/turns".format(
            bank=quote(str(bank), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> TurnList:
    if response.status_code == 200:
        response_200 = TurnList.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[TurnList]:
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
    state: ListTurnsState | Unset = UNSET,
) -> Response[TurnList]:
    """List Turns

     A bank's turns in order of arrival, with the facts, operations and errors of each.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
        state (ListTurnsState | Unset): Only turns in this state.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[TurnList]
    """

    kwargs = _get_kwargs(
        bank=bank,
        limit=limit,
        cursor=cursor,
        state=state,
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
    state: ListTurnsState | Unset = UNSET,
) -> TurnList:
    """List Turns

     A bank's turns in order of arrival, with the facts, operations and errors of each.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
        state (ListTurnsState | Unset): Only turns in this state.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        TurnList
    """

    return sync_detailed(
        bank=bank,
        client=client,
        limit=limit,
        cursor=cursor,
        state=state,
    ).parsed


async def asyncio_detailed(
    bank: str,
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
    state: ListTurnsState | Unset = UNSET,
) -> Response[TurnList]:
    """List Turns

     A bank's turns in order of arrival, with the facts, operations and errors of each.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
        state (ListTurnsState | Unset): Only turns in this state.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[TurnList]
    """

    kwargs = _get_kwargs(
        bank=bank,
        limit=limit,
        cursor=cursor,
        state=state,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
    state: ListTurnsState | Unset = UNSET,
) -> TurnList:
    """List Turns

     A bank's turns in order of arrival, with the facts, operations and errors of each.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
        state (ListTurnsState | Unset): Only turns in this state.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        TurnList
    """

    return (
        await asyncio_detailed(
            bank=bank,
            client=client,
            limit=limit,
            cursor=cursor,
            state=state,
        )
    ).parsed
