from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.operation_list import OperationList
from ...models.order import Order
from ...models.origin import Origin
from ...models.verdict import Verdict
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    *,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
    order: Order | Unset = UNSET,
    memory_id: UUID | Unset = UNSET,
    ingestion_id: UUID | Unset = UNSET,
    turn_id: UUID | Unset = UNSET,
    verdict: Verdict | Unset = UNSET,
    origin: Origin | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["cursor"] = cursor

    json_order: str | Unset = UNSET
    if not isinstance(order, Unset):
        json_order = order.value

    params["order"] = json_order

    json_memory_id: str | Unset = UNSET
    if not isinstance(memory_id, Unset):
        json_memory_id = str(memory_id)
    params["memory_id"] = json_memory_id

    json_ingestion_id: str | Unset = UNSET
    if not isinstance(ingestion_id, Unset):
        json_ingestion_id = str(ingestion_id)
    params["ingestion_id"] = json_ingestion_id

    json_turn_id: str | Unset = UNSET
    if not isinstance(turn_id, Unset):
        json_turn_id = str(turn_id)
    params["turn_id"] = json_turn_id

    json_verdict: str | Unset = UNSET
    if not isinstance(verdict, Unset):
        json_verdict = verdict.value

    params["verdict"] = json_verdict

    json_origin: str | Unset = UNSET
    if not isinstance(origin, Unset):
        json_origin = origin.value

    params["origin"] = json_origin

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/banks/{bank}/operations".format(
            bank=quote(str(bank), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> OperationList:
    if response.status_code == 200:
        response_200 = OperationList.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[OperationList]:
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
    order: Order | Unset = UNSET,
    memory_id: UUID | Unset = UNSET,
    ingestion_id: UUID | Unset = UNSET,
    turn_id: UUID | Unset = UNSET,
    verdict: Verdict | Unset = UNSET,
    origin: Origin | Unset = UNSET,
) -> Response[OperationList]:
    """List Operations

     The bank's log by number, with the verdict on each operation and all that led to it.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
        order (Order | Unset): Which lines of the log come first.
        memory_id (UUID | Unset): Only what was done to this memory.
        ingestion_id (UUID | Unset): Only what was done for this post of turns.
        turn_id (UUID | Unset): Only what was done for this turn.
        verdict (Verdict | Unset): What became of an operation.
        origin (Origin | Unset): Who decided on an operation.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[OperationList]
    """

    kwargs = _get_kwargs(
        bank=bank,
        limit=limit,
        cursor=cursor,
        order=order,
        memory_id=memory_id,
        ingestion_id=ingestion_id,
        turn_id=turn_id,
        verdict=verdict,
        origin=origin,
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
    order: Order | Unset = UNSET,
    memory_id: UUID | Unset = UNSET,
    ingestion_id: UUID | Unset = UNSET,
    turn_id: UUID | Unset = UNSET,
    verdict: Verdict | Unset = UNSET,
    origin: Origin | Unset = UNSET,
) -> OperationList:
    """List Operations

     The bank's log by number, with the verdict on each operation and all that led to it.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
        order (Order | Unset): Which lines of the log come first.
        memory_id (UUID | Unset): Only what was done to this memory.
        ingestion_id (UUID | Unset): Only what was done for this post of turns.
        turn_id (UUID | Unset): Only what was done for this turn.
        verdict (Verdict | Unset): What became of an operation.
        origin (Origin | Unset): Who decided on an operation.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        OperationList
    """

    return sync_detailed(
        bank=bank,
        client=client,
        limit=limit,
        cursor=cursor,
        order=order,
        memory_id=memory_id,
        ingestion_id=ingestion_id,
        turn_id=turn_id,
        verdict=verdict,
        origin=origin,
    ).parsed


async def asyncio_detailed(
    bank: str,
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
    order: Order | Unset = UNSET,
    memory_id: UUID | Unset = UNSET,
    ingestion_id: UUID | Unset = UNSET,
    turn_id: UUID | Unset = UNSET,
    verdict: Verdict | Unset = UNSET,
    origin: Origin | Unset = UNSET,
) -> Response[OperationList]:
    """List Operations

     The bank's log by number, with the verdict on each operation and all that led to it.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
        order (Order | Unset): Which lines of the log come first.
        memory_id (UUID | Unset): Only what was done to this memory.
        ingestion_id (UUID | Unset): Only what was done for this post of turns.
        turn_id (UUID | Unset): Only what was done for this turn.
        verdict (Verdict | Unset): What became of an operation.
        origin (Origin | Unset): Who decided on an operation.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[OperationList]
    """

    kwargs = _get_kwargs(
        bank=bank,
        limit=limit,
        cursor=cursor,
        order=order,
        memory_id=memory_id,
        ingestion_id=ingestion_id,
        turn_id=turn_id,
        verdict=verdict,
        origin=origin,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    *,
    client: AuthenticatedClient,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
    order: Order | Unset = UNSET,
    memory_id: UUID | Unset = UNSET,
    ingestion_id: UUID | Unset = UNSET,
    turn_id: UUID | Unset = UNSET,
    verdict: Verdict | Unset = UNSET,
    origin: Origin | Unset = UNSET,
) -> OperationList:
    """List Operations

     The bank's log by number, with the verdict on each operation and all that led to it.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        limit (int | Unset):  Default: 50.
        cursor (str | Unset):
        order (Order | Unset): Which lines of the log come first.
        memory_id (UUID | Unset): Only what was done to this memory.
        ingestion_id (UUID | Unset): Only what was done for this post of turns.
        turn_id (UUID | Unset): Only what was done for this turn.
        verdict (Verdict | Unset): What became of an operation.
        origin (Origin | Unset): Who decided on an operation.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        OperationList
    """

    return (
        await asyncio_detailed(
            bank=bank,
            client=client,
            limit=limit,
            cursor=cursor,
            order=order,
            memory_id=memory_id,
            ingestion_id=ingestion_id,
            turn_id=turn_id,
            verdict=verdict,
            origin=origin,
        )
    ).parsed
