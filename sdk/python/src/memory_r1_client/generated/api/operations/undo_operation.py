from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.undone import Undone
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    number: int,
    *,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["idempotency-key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/banks/{bank}/operations/{number}/undo".format(
            bank=quote(str(bank), safe=""),
            number=quote(str(number), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Undone:
    if response.status_code == 200:
        response_200 = Undone.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Undone]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    bank: str,
    number: int,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
) -> Response[Undone]:
    """Undo Operation

     Take the memory back to where it was before, as a new version. Nothing is overwritten, and this can
    be undone.

    409 `undo-conflict` names the later operations that stand in the way, in `conflicts`.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        number (int): The operation's number in the bank's log.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Undone]
    """

    kwargs = _get_kwargs(
        bank=bank,
        number=number,
        idempotency_key=idempotency_key,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    bank: str,
    number: int,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
) -> Undone:
    """Undo Operation

     Take the memory back to where it was before, as a new version. Nothing is overwritten, and this can
    be undone.

    409 `undo-conflict` names the later operations that stand in the way, in `conflicts`.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        number (int): The operation's number in the bank's log.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Undone
    """

    return sync_detailed(
        bank=bank,
        number=number,
        client=client,
        idempotency_key=idempotency_key,
    ).parsed


async def asyncio_detailed(
    bank: str,
    number: int,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
) -> Response[Undone]:
    """Undo Operation

     Take the memory back to where it was before, as a new version. Nothing is overwritten, and this can
    be undone.

    409 `undo-conflict` names the later operations that stand in the way, in `conflicts`.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        number (int): The operation's number in the bank's log.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Undone]
    """

    kwargs = _get_kwargs(
        bank=bank,
        number=number,
        idempotency_key=idempotency_key,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    number: int,
    *,
    client: AuthenticatedClient,
    idempotency_key: str | Unset = UNSET,
) -> Undone:
    """Undo Operation

     Take the memory back to where it was before, as a new version. Nothing is overwritten, and this can
    be undone.

    409 `undo-conflict` names the later operations that stand in the way, in `conflicts`.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        number (int): The operation's number in the bank's log.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Undone
    """

    return (
        await asyncio_detailed(
            bank=bank,
            number=number,
            client=client,
            idempotency_key=idempotency_key,
        )
    ).parsed
