from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.derived import Derived
from ...models.receipt import Receipt
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    turn_id: UUID,
    *,
    derived: Derived | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["idempotency-key"] = idempotency_key

    params: dict[str, Any] = {}

    json_derived: str | Unset = UNSET
    if not isinstance(derived, Unset):
        json_derived = derived.value

    params["derived"] = json_derived

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "delete",
        "url": "/v1/banks/{bank}/turns/{turn_id}".format(
            bank=quote(str(bank), safe=""),
            turn_id=quote(str(turn_id), safe=""),
        ),
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Receipt:
    if response.status_code == 200:
        response_200 = Receipt.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Receipt]:
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
    derived: Derived | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Response[Receipt]:
    """Erase Turn

     Erase a turn with what stands on it, and every answer and trace that quotes it; the log keeps its
    lines, without
    text. A memory whose newest version goes comes back as it was before.

    Takes a key of the scope `admin`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        turn_id (UUID):
        derived (Derived | Unset): Which versions of memories go with a turn.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Receipt]
    """

    kwargs = _get_kwargs(
        bank=bank,
        turn_id=turn_id,
        derived=derived,
        idempotency_key=idempotency_key,
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
    derived: Derived | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Receipt:
    """Erase Turn

     Erase a turn with what stands on it, and every answer and trace that quotes it; the log keeps its
    lines, without
    text. A memory whose newest version goes comes back as it was before.

    Takes a key of the scope `admin`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        turn_id (UUID):
        derived (Derived | Unset): Which versions of memories go with a turn.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Receipt
    """

    return sync_detailed(
        bank=bank,
        turn_id=turn_id,
        client=client,
        derived=derived,
        idempotency_key=idempotency_key,
    ).parsed


async def asyncio_detailed(
    bank: str,
    turn_id: UUID,
    *,
    client: AuthenticatedClient,
    derived: Derived | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Response[Receipt]:
    """Erase Turn

     Erase a turn with what stands on it, and every answer and trace that quotes it; the log keeps its
    lines, without
    text. A memory whose newest version goes comes back as it was before.

    Takes a key of the scope `admin`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        turn_id (UUID):
        derived (Derived | Unset): Which versions of memories go with a turn.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Receipt]
    """

    kwargs = _get_kwargs(
        bank=bank,
        turn_id=turn_id,
        derived=derived,
        idempotency_key=idempotency_key,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    turn_id: UUID,
    *,
    client: AuthenticatedClient,
    derived: Derived | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
) -> Receipt:
    """Erase Turn

     Erase a turn with what stands on it, and every answer and trace that quotes it; the log keeps its
    lines, without
    text. A memory whose newest version goes comes back as it was before.

    Takes a key of the scope `admin`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        turn_id (UUID):
        derived (Derived | Unset): Which versions of memories go with a turn.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Receipt
    """

    return (
        await asyncio_detailed(
            bank=bank,
            turn_id=turn_id,
            client=client,
            derived=derived,
            idempotency_key=idempotency_key,
        )
    ).parsed
