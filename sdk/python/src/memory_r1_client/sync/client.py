"""The client of a service, and the HTTP client under it that tries again and raises errors.

Made by sdk/generate.py from openapi/openapi.json; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
from memory_r1_client.errors import error_of
from memory_r1_client.generated.api.banks import list_banks
from memory_r1_client.generated.client import AuthenticatedClient
from memory_r1_client.generated.models.bank_summary import BankSummary
from memory_r1_client.sending import Retries, headers_of, name_once, unreachable
from memory_r1_client.sync.bank import Bank
from memory_r1_client.sync.paging import pages
from tenacity import Retrying, retry_if_exception, stop_after_attempt


class Sender(httpx.Client):
    """Sends a request until it is answered or trying again does not help; an answer of 400 or more is raised."""

    def __init__(self, retries: Retries, **options: Any) -> None:
        super().__init__(**options)
        self._retries = retries

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Raises `ProblemError`, `ServiceUnreachable`."""
        name_once(request)
        # Files are read into memory, so that they can be sent twice.
        request.read()
        for attempt in Retrying(
            retry=retry_if_exception(self._retries.help),
            wait=self._retries.wait_after,
            stop=stop_after_attempt(self._retries.attempts),
            reraise=True,
        ):
            with attempt:
                return self._send_once(request, **options)
        raise AssertionError("the last attempt returns or raises")

    def _send_once(self, request: httpx.Request, **options: Any) -> httpx.Response:
        try:
            response = super().send(request, **options)
            if response.is_error:
                response.read()
                response.close()
        except httpx.TransportError as error:
            raise unreachable(request, error) from error
        if response.is_error:
            raise error_of(response)
        return response


class MemoryR1(AuthenticatedClient):
    """A service, by its URL and an API key; it is the `client` that every function of `memory_r1_client.api` takes.

    `timeout` is in seconds, of every step of a request. Raises `ValueError` for what cannot be a URL or a key.
    """

    def __init__(
        self, url: str, key: str | None = None, *, timeout: float = 300, retries: Retries | None = None
    ) -> None:
        # The key is in the headers of the sender alone: the generated class would show it to whoever prints it.
        super().__init__(base_url=url, token="", raise_on_unexpected_status=True)
        sender = Sender(retries or Retries(), base_url=url, headers=headers_of(key), timeout=timeout)
        if sender.base_url.scheme not in ("http", "https") or not sender.base_url.host:
            raise ValueError(f"{url!r} is not the URL of a service.")
        self.set_httpx_client(sender)

    def bank(self, name: str) -> Bank:
        """A bank, whether it exists or not: its first turn makes it."""
        return Bank(self, name)

    def banks(self) -> Iterator[BankSummary]:
        """All banks that the key may see, by name."""
        for page in pages(list_banks.sync, client=self):
            for bank in page.banks:
                yield bank

    def close(self) -> None:
        """Close its connections; `with` does it too."""
        self.get_httpx_client().close()
