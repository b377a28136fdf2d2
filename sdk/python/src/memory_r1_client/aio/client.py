"""The client of a service, and the HTTP client under it that tries again and raises errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

from memory_r1_client.aio.bank import AsyncBank
from memory_r1_client.aio.paging import pages
from memory_r1_client.errors import error_of
from memory_r1_client.generated.api.banks import list_banks
from memory_r1_client.generated.client import AuthenticatedClient
from memory_r1_client.generated.models.bank_summary import BankSummary
from memory_r1_client.sending import Retries, headers_of, name_once, unreachable


class AsyncSender(httpx.AsyncClient):
    """Sends a request until it is answered or trying again does not help; an answer of 400 or more is raised."""

    def __init__(self, retries: Retries, **options: Any) -> None:
        super().__init__(**options)
        self._retries = retries

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Raises `ProblemError`, `ServiceUnreachable`."""
        name_once(request)
        # Files are read into memory, so that they can be sent twice.
        await request.aread()
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(self._retries.help),
            wait=self._retries.wait_after,
            stop=stop_after_attempt(self._retries.attempts),
            reraise=True,
        ):
            with attempt:
                return await self._send_once(request, **options)
        raise AssertionError("the last attempt returns or raises")

    async def _send_once(self, request: httpx.Request, **options: Any) -> httpx.Response:
        try:
            response = await super().send(request, **options)
            if response.is_error:
                await response.aread()
                await response.aclose()
        except httpx.TransportError as error:
            raise unreachable(request, error) from error
        if response.is_error:
            raise error_of(response)
        return response


class AsyncMemoryR1(AuthenticatedClient):
    """A service, by its URL and an API key; it is the `client` that every function of `memory_r1_client.api` takes.

    `timeout` is in seconds, of every step of a request. Raises `ValueError` for what cannot be a URL or a key.
    """

    def __init__(
        self, url: str, key: str | None = None, *, timeout: float = 300, retries: Retries | None = None
    ) -> None:
        # The key is in the headers of the sender alone: the generated class would show it to whoever prints it.
        super().__init__(base_url=url, token="", raise_on_unexpected_status=True)
        sender = AsyncSender(retries or Retries(), base_url=url, headers=headers_of(key), timeout=timeout)
        if sender.base_url.scheme not in ("http", "https") or not sender.base_url.host:
            raise ValueError(f"{url!r} is not the URL of a service.")
        self.set_async_httpx_client(sender)

    def bank(self, name: str) -> AsyncBank:
        """A bank, whether it exists or not: its first turn makes it."""
        return AsyncBank(self, name)

    async def banks(self) -> AsyncIterator[BankSummary]:
        """All banks that the key may see, by name."""
        async for page in pages(list_banks.asyncio, client=self):
            for bank in page.banks:
                yield bank

    async def aclose(self) -> None:
        """Close its connections; `async with` does it too."""
        await self.get_async_httpx_client().aclose()
