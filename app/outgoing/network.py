"""Connections of webhooks: a name is looked up once, and the address that was checked is the one connected to."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import Any

import httpcore

from app.outgoing.addresses import IPAddress, permitted

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host and port to its addresses, the preferred first. Raises `OSError` where there are none."""

MAX_TRIED = 4
"""Addresses of one name that are tried in one attempt."""


class RefusedAddress(httpcore.ConnectError):
    """The host is, or has among its addresses, one that must not be called."""


class TlsFailed(httpcore.ConnectError):
    """The certificate is not one of the host's, or there is no agreement on TLS."""


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that tells a failure of TLS from others, and is closed where the handshake is left."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except BaseException as error:
            # The pool forgets a connection whose handshake is cancelled, as at the end of an attempt's time.
            await self._inner.aclose()
            if isinstance(error.__cause__ or error, (ssl.SSLError, ValueError)):
                raise TlsFailed("TLS failed.") from error
            raise

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to permitted addresses only; the pool still checks the certificate against the name of the URL."""

    def __init__(
        self, resolve: Resolve, *, allow_private: bool = False, inner: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._resolve, self._allow_private = resolve, allow_private
        self._inner = inner or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises `RefusedAddress`, `httpcore.ConnectError` or `httpcore.ConnectTimeout`. `timeout` is for all tries."""
        addresses = await self._addresses(host, port)
        share = None if timeout is None else timeout / len(addresses)
        failure: Exception | None = None
        for address in addresses:
            try:
                return _Stream(await self._inner.connect_tcp(str(address), port, share, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise RefusedAddress("Webhooks go over TCP.")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[IPAddress]:
        found = _read([host]) or _read(await self._looked_up(host, port))
        if not found:
            raise httpcore.ConnectError("The host has no address.")
        # One refused address refuses the host: which one is listed first must not decide, and a public name that also
        # leads inside is an attack or a mistake.
        if not all(permitted(address, self._allow_private) for address in found):
            raise RefusedAddress("The host has an address that must not be called.")
        return _both_families(found)[:MAX_TRIED]

    async def _looked_up(self, host: str, port: int) -> Sequence[str]:
        try:
            return await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("The host cannot be looked up.") from error


class SystemResolver:
    """The system's look-up, in threads of its own: a slow name server must not hold up other work of the process."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="webhook-names")

    async def __call__(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(address[0]) for *_, address in found]

    def close(self) -> None:
        """Take no more look-ups; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _read(texts: Sequence[str]) -> list[IPAddress]:
    """The addresses, each once; none if a text is no address."""
    try:
        return list(dict.fromkeys(ip_address(text) for text in texts))
    except ValueError:
        return []


def _both_families(addresses: Sequence[IPAddress]) -> list[IPAddress]:
    """In turn of either family, the preferred first: one family may be unreachable from here."""
    preferred = [address for address in addresses if address.version == addresses[0].version]
    others = [address for address in addresses if address.version != addresses[0].version]
    return [address for address in chain.from_iterable(zip_longest(preferred, others)) if address is not None]
