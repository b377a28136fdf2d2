from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.create_key import CreateKey
from ...models.new_key import NewKey
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    body: CreateKey,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["idempotency-key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/keys",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> NewKey:
    if response.status_code == 201:
        response_201 = NewKey.from_dict(response.json())

        return response_201

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[NewKey]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    body: CreateKey,
    idempotency_key: str | Unset = UNSET,
) -> Response[NewKey]:
    """Create Key

     Make a key. Its secret is in this response alone: it is stored nowhere, and null where a request is
    repeated.

    Takes a key of the scope `admin`.

    Args:
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (CreateKey): A key to make; it may do no more than the one that makes it, and has its
            end and limits where it names none.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[NewKey]
    """

    kwargs = _get_kwargs(
        body=body,
        idempotency_key=idempotency_key,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    body: CreateKey,
    idempotency_key: str | Unset = UNSET,
) -> NewKey:
    """Create Key

     Make a key. Its secret is in this response alone: it is stored nowhere, and null where a request is
    repeated.

    Takes a key of the scope `admin`.

    Args:
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (CreateKey): A key to make; it may do no more than the one that makes it, and has its
            end and limits where it names none.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        NewKey
    """

    return sync_detailed(
        client=client,
        body=body,
        idempotency_key=idempotency_key,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    body: CreateKey,
    idempotency_key: str | Unset = UNSET,
) -> Response[NewKey]:
    """Create Key

     Make a key. Its secret is in this response alone: it is stored nowhere, and null where a request is
    repeated.

    Takes a key of the scope `admin`.

    Args:
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (CreateKey): A key to make; it may do no more than the one that makes it, and has its
            end and limits where it names none.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[NewKey]
    """

    kwargs = _get_kwargs(
        body=body,
        idempotency_key=idempotency_key,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    body: CreateKey,
    idempotency_key: str | Unset = UNSET,
) -> NewKey:
    """Create Key

     Make a key. Its secret is in this response alone: it is stored nowhere, and null where a request is
    repeated.

    Takes a key of the scope `admin`.

    Args:
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (CreateKey): A key to make; it may do no more than the one that makes it, and has its
            end and limits where it names none.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        NewKey
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
            idempotency_key=idempotency_key,
        )
    ).parsed
