from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.edited import Edited
from ...models.new_memory import NewMemory
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    *,
    body: NewMemory,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["idempotency-key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/banks/{bank}/memories".format(
            bank=quote(str(bank), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Edited:
    if response.status_code == 201:
        response_201 = Edited.from_dict(response.json())

        return response_201

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
    *,
    client: AuthenticatedClient,
    body: NewMemory,
    idempotency_key: str | Unset = UNSET,
) -> Response[Edited]:
    """Add Memory

     Remember something that no turn said; it can be undone like what the Memory Manager does.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (NewMemory): A memory to add; it comes from no turn.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Edited]
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
    body: NewMemory,
    idempotency_key: str | Unset = UNSET,
) -> Edited:
    """Add Memory

     Remember something that no turn said; it can be undone like what the Memory Manager does.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (NewMemory): A memory to add; it comes from no turn.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Edited
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
    body: NewMemory,
    idempotency_key: str | Unset = UNSET,
) -> Response[Edited]:
    """Add Memory

     Remember something that no turn said; it can be undone like what the Memory Manager does.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (NewMemory): A memory to add; it comes from no turn.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Edited]
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
    body: NewMemory,
    idempotency_key: str | Unset = UNSET,
) -> Edited:
    """Add Memory

     Remember something that no turn said; it can be undone like what the Memory Manager does.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (NewMemory): A memory to add; it comes from no turn.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Edited
    """

    return (
        await asyncio_detailed(
            bank=bank,
            client=client,
            body=body,
            idempotency_key=idempotency_key,
        )
    ).parsed
