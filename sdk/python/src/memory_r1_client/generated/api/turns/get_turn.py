from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.turn_origin import TurnOrigin
from ...types import Response


def _get_kwargs(
    bank: str,
    turn_id: UUID,
) -> dict[str, Any]:

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/banks/{bank}/turns/{turn_id}".format(
            bank=quote(str(bank), safe=""),
            turn_id=quote(str(turn_id), safe=""),
        ),
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> TurnOrigin:
    if response.status_code == 200:
        response_200 = TurnOrigin.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[TurnOrigin]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    bank: str,
    turn_id: UUID,
    *,
    client: AuthenticatedClient,
) -> Response[TurnOrigin]:
    """Get Turn

     A turn with its state and operations, and the versions of memories that came from it.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        turn_id (UUID):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[TurnOrigin]
    """

    kwargs = _get_kwargs(
        bank=bank,
        turn_id=turn_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    bank: str,
    turn_id: UUID,
    *,
    client: AuthenticatedClient,
) -> TurnOrigin:
    """Get Turn

     A turn with its state and operations, and the versions of memories that came from it.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        turn_id (UUID):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        TurnOrigin
    """

    return sync_detailed(
        bank=bank,
        turn_id=turn_id,
        client=client,
    ).parsed


async def asyncio_detailed(
    bank: str,
    turn_id: UUID,
    *,
    client: AuthenticatedClient,
) -> Response[TurnOrigin]:
    """Get Turn

     A turn with its state and operations, and the versions of memories that came from it.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        turn_id (UUID):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[TurnOrigin]
    """

    kwargs = _get_kwargs(
        bank=bank,
        turn_id=turn_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    turn_id: UUID,
    *,
    client: AuthenticatedClient,
) -> TurnOrigin:
    """Get Turn

     A turn with its state and operations, and the versions of memories that came from it.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        turn_id (UUID):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        TurnOrigin
    """

    return (
        await asyncio_detailed(
            bank=bank,
            turn_id=turn_id,
            client=client,
        )
    ).parsed
