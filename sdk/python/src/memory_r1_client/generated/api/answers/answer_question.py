from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.answered import Answered
from ...models.question import Question
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    *,
    body: Question,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["idempotency-key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/banks/{bank}/answer".format(
            bank=quote(str(bank), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
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
    *,
    client: AuthenticatedClient,
    body: Question,
    idempotency_key: str | Unset = UNSET,
) -> Response[Answered]:
    """Answer Question

     Answer from the bank, with the memories and turns that the answer stands on; `abstained` where it
    cannot tell,
    unless a best guess is asked for.

    With `Accept: text/event-stream` it is told as it is made: `candidates`, `distilled`, a `token` for
    each piece of
    the text, and `done`, whose data is what is answered otherwise. After `reset`, memories and text
    come anew. Where
    something fails after the first event, the last is `error`, with a problem.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (Question): What to answer from a bank.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Answered]
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
    body: Question,
    idempotency_key: str | Unset = UNSET,
) -> Answered:
    """Answer Question

     Answer from the bank, with the memories and turns that the answer stands on; `abstained` where it
    cannot tell,
    unless a best guess is asked for.

    With `Accept: text/event-stream` it is told as it is made: `candidates`, `distilled`, a `token` for
    each piece of
    the text, and `done`, whose data is what is answered otherwise. After `reset`, memories and text
    come anew. Where
    something fails after the first event, the last is `error`, with a problem.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (Question): What to answer from a bank.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Answered
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
    body: Question,
    idempotency_key: str | Unset = UNSET,
) -> Response[Answered]:
    """Answer Question

     Answer from the bank, with the memories and turns that the answer stands on; `abstained` where it
    cannot tell,
    unless a best guess is asked for.

    With `Accept: text/event-stream` it is told as it is made: `candidates`, `distilled`, a `token` for
    each piece of
    the text, and `done`, whose data is what is answered otherwise. After `reset`, memories and text
    come anew. Where
    something fails after the first event, the last is `error`, with a problem.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (Question): What to answer from a bank.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Answered]
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
    body: Question,
    idempotency_key: str | Unset = UNSET,
) -> Answered:
    """Answer Question

     Answer from the bank, with the memories and turns that the answer stands on; `abstained` where it
    cannot tell,
    unless a best guess is asked for.

    With `Accept: text/event-stream` it is told as it is made: `candidates`, `distilled`, a `token` for
    each piece of
    the text, and `done`, whose data is what is answered otherwise. After `reset`, memories and text
    come anew. Where
    something fails after the first event, the last is `error`, with a problem.

    Takes a key of the scope `read`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (Question): What to answer from a bank.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Answered
    """

    return (
        await asyncio_detailed(
            bank=bank,
            client=client,
            body=body,
            idempotency_key=idempotency_key,
        )
    ).parsed
