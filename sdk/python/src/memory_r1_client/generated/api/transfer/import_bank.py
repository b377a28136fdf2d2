from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.imported import Imported
from ...types import UNSET, File, Response, Unset


def _get_kwargs(
    bank: str,
    *,
    body: File,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["idempotency-key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/banks/{bank}/import".format(
            bank=quote(str(bank), safe=""),
        ),
    }

    _kwargs["content"] = body.payload
    headers["Content-Type"] = "application/x-ndjson"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Imported:
    if response.status_code == 201:
        response_201 = Imported.from_dict(response.json())

        return response_201

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Imported]:
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
    body: File,
    idempotency_key: str | Unset = UNSET,
) -> Response[Imported]:
    """Import Bank

     Make a bank of that name, which must not exist, from an exported file: all of it or nothing. Waiting
    turns are
    worked on, and texts embedded anew where the service's model is another.

    Takes a key of the scope `admin`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (File):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Imported]
    """

    kwargs = _get_kwargs(
        bank=bank,
        body=body,
        idempotency_key=idempotency_key,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    bank: str,
    *,
    client: AuthenticatedClient,
    body: File,
    idempotency_key: str | Unset = UNSET,
) -> Imported:
    """Import Bank

     Make a bank of that name, which must not exist, from an exported file: all of it or nothing. Waiting
    turns are
    worked on, and texts embedded anew where the service's model is another.

    Takes a key of the scope `admin`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (File):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Imported
    """

    return sync_detailed(
        bank=bank,
        client=client,
        body=body,
        idempotency_key=idempotency_key,
    ).parsed


async def asyncio_detailed(
    bank: str,
    *,
    client: AuthenticatedClient,
    body: File,
    idempotency_key: str | Unset = UNSET,
) -> Response[Imported]:
    """Import Bank

     Make a bank of that name, which must not exist, from an exported file: all of it or nothing. Waiting
    turns are
    worked on, and texts embedded anew where the service's model is another.

    Takes a key of the scope `admin`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (File):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Imported]
    """

    kwargs = _get_kwargs(
        bank=bank,
        body=body,
        idempotency_key=idempotency_key,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    *,
    client: AuthenticatedClient,
    body: File,
    idempotency_key: str | Unset = UNSET,
) -> Imported:
    """Import Bank

     Make a bank of that name, which must not exist, from an exported file: all of it or nothing. Waiting
    turns are
    worked on, and texts embedded anew where the service's model is another.

    Takes a key of the scope `admin`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (File):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Imported
    """

    return (
        await asyncio_detailed(
            bank=bank,
            client=client,
            body=body,
            idempotency_key=idempotency_key,
        )
    ).parsed
