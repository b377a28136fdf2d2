from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.post_turns import PostTurns
from ...models.posted_receipt import PostedReceipt
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    *,
    body: PostTurns,
    idempotency_key: str | Unset = UNSET,
    prefer: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["idempotency-key"] = idempotency_key

    if not isinstance(prefer, Unset):
        headers["prefer"] = prefer

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/banks/{bank}/turns".format(
            bank=quote(str(bank), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> PostedReceipt:
    if response.status_code == 202:
        response_202 = PostedReceipt.from_dict(response.json())

        return response_202

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[PostedReceipt]:
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
    body: PostTurns,
    idempotency_key: str | Unset = UNSET,
    prefer: str | Unset = UNSET,
) -> Response[PostedReceipt]:
    """Post Turns

     Store turns; the bank is made by its first. Once this answers 202 they are durable.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        prefer (str | Unset):
        body (PostTurns): One or many turns, in the order in which they were said.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[PostedReceipt]
    """

    kwargs = _get_kwargs(
        bank=bank,
        body=body,
        idempotency_key=idempotency_key,
        prefer=prefer,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    bank: str,
    *,
    client: AuthenticatedClient,
    body: PostTurns,
    idempotency_key: str | Unset = UNSET,
    prefer: str | Unset = UNSET,
) -> PostedReceipt:
    """Post Turns

     Store turns; the bank is made by its first. Once this answers 202 they are durable.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        prefer (str | Unset):
        body (PostTurns): One or many turns, in the order in which they were said.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        PostedReceipt
    """

    return sync_detailed(
        bank=bank,
        client=client,
        body=body,
        idempotency_key=idempotency_key,
        prefer=prefer,
    ).parsed


async def asyncio_detailed(
    bank: str,
    *,
    client: AuthenticatedClient,
    body: PostTurns,
    idempotency_key: str | Unset = UNSET,
    prefer: str | Unset = UNSET,
) -> Response[PostedReceipt]:
    """Post Turns

     Store turns; the bank is made by its first. Once this answers 202 they are durable.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        prefer (str | Unset):
        body (PostTurns): One or many turns, in the order in which they were said.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[PostedReceipt]
    """

    kwargs = _get_kwargs(
        bank=bank,
        body=body,
        idempotency_key=idempotency_key,
        prefer=prefer,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    bank: str,
    *,
    client: AuthenticatedClient,
    body: PostTurns,
    idempotency_key: str | Unset = UNSET,
    prefer: str | Unset = UNSET,
) -> PostedReceipt:
    """Post Turns

     Store turns; the bank is made by its first. Once this answers 202 they are durable.

    Takes a key of the scope `write`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        prefer (str | Unset):
        body (PostTurns): One or many turns, in the order in which they were said.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        PostedReceipt
    """

    return (
        await asyncio_detailed(
            bank=bank,
            client=client,
            body=body,
            idempotency_key=idempotency_key,
            prefer=prefer,
        )
    ).parsed
