from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.answered import Answered
from ...types import Response


def _get_kwargs(
    bank: str,
    answer_id: UUID,
) -> dict[str, Any]:

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/banks/{bank}/answers/{answer_id}".format(
            bank=quote(str(bank), safe=""),
            answer_id=quote(str(answer_id), safe=""),
        ),
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Answered:
    if response.status_code == 200:
        response_200 = Answered.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Answered]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    bank: str,
    answer_id: UUID,
    *,
    client: AuthenticatedClient,
) -> Response[Answered]:
    """Get Answer

     An earlier answer, as it was given.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        answer_id (UUID):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Answered]
    """

    kwargs = _get_kwargs(
        bank=bank,
        answer_id=answer_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    bank: str,
    answer_id: UUID,
    *,
    client: AuthenticatedClient,
) -> Answered:
    """Get Answer

     An earlier answer, as it was given.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        answer_id (UUID):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Answered
    """

    return sync_detailed(
        bank=bank,
        answer_id=answer_id,
        client=client,
    ).parsed


async def asyncio_detailed(
    bank: str,
    answer_id: UUID,
    *,
    client: AuthenticatedClient,
) -> Response[Answered]:
    """Get Answer

     An earlier answer, as it was given.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        answer_id (UUID):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Answered]
    """

    kwargs = _get_kwargs(
        bank=bank,
        answer_id=answer_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    answer_id: UUID,
    *,
    client: AuthenticatedClient,
) -> Answered:
    """Get Answer

     An earlier answer, as it was given.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        answer_id (UUID):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Answered
    """

    return (
        await asyncio_detailed(
            bank=bank,
            answer_id=answer_id,
            client=client,
        )
    ).parsed
