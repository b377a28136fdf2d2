from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.bank_settings import BankSettings
from ...models.bank_summary import BankSummary
from ...types import UNSET, Response, Unset


def _get_kwargs(
    bank: str,
    *,
    body: BankSettings,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["idempotency-key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "patch",
        "url": "/v1/banks/{bank}".format(
            bank=quote(str(bank), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> BankSummary:
    if response.status_code == 200:
        response_200 = BankSummary.from_dict(response.json())

        return response_200

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[BankSummary]:
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
    body: BankSettings,
    idempotency_key: str | Unset = UNSET,
) -> Response[BankSummary]:
    """Change Bank

     Change what a bank does about a turn that failed for good; `set_aside` lets a bank that waits go on
    at once.

    Takes a key of the scope `admin`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (BankSettings): What a bank does.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[BankSummary]
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
    body: BankSettings,
    idempotency_key: str | Unset = UNSET,
) -> BankSummary:
    """Change Bank

     Change what a bank does about a turn that failed for good; `set_aside` lets a bank that waits go on
    at once.

    Takes a key of the scope `admin`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (BankSettings): What a bank does.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        BankSummary
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
    body: BankSettings,
    idempotency_key: str | Unset = UNSET,
) -> Response[BankSummary]:
    """Change Bank

     Change what a bank does about a turn that failed for good; `set_aside` lets a bank that waits go on
    at once.

    Takes a key of the scope `admin`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (BankSettings): What a bank does.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[BankSummary]
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
    body: BankSettings,
    idempotency_key: str | Unset = UNSET,
) -> BankSummary:
    """Change Bank

     Change what a bank does about a turn that failed for good; `set_aside` lets a bank that waits go on
    at once.

    Takes a key of the scope `admin`.

    Args:
        bank (str): Your name of the bank: one for each end user or conversation.
        idempotency_key (str | Unset): A unique name of this request: sent again with it, it does
            nothing twice.
        body (BankSettings): What a bank does.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        BankSummary
    """

    return (
        await asyncio_detailed(
            bank=bank,
            client=client,
            body=body,
            idempotency_key=idempotency_key,
        )
    ).parsed
