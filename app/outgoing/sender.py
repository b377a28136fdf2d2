"""Sending one webhook: one POST, whose outcome is a value whatever the receiver does."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from types import TracebackType
from typing import Literal, Self

import httpcore
import httpx
from pydantic import SecretStr

from app.core.errors import InvalidInput
from app.core.values import Value
from app.outgoing.addresses import check_url
from app.outgoing.network import GuardedBackend, RefusedAddress, Resolve, SystemResolver, TlsFailed
from app.outgoing.signing import signed_headers

Failure = Literal["timed-out", "unreachable", "refused-address", "tls", "broken-reply", "redirect", "status"]
"""Why a webhook was not delivered.

timed-out        no status within the time
unreachable      no such name, or no connection
refused-address  the URL, or an address that it leads to, must not be called
tls              the certificate or the handshake is wrong
broken-reply     the connection broke, or what came is not HTTP
redirect         a 3xx status, which is not followed
status           another status than 2xx
"""

MAX_RETRY_AFTER = 86_400.0
"""Seconds; what a receiver asks beyond is cut to it."""

_MAX_BODY = 16_384
_BODY_SECONDS = 1.0
_SECONDS = re.compile(r"[0-9]{1,20}")
_LONGEST_DATE = 64
_NETWORK_ERRORS = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError)


class Sent(Value):
    """What came of one attempt."""

    status: int | None = None
    """The receiver's HTTP status, if one came."""
    error: Failure | None = None
    """None once it is delivered."""
    seconds: float
    """How long it took, the wait for a free place not counted."""
    retry_after: float | None = None
    """Seconds that the receiver asked to wait, from 0 to a day; only with a failure."""

    @property
    def ok(self) -> bool:
        """Delivered: a 2xx status."""
        return self.error is None

    @property
    def gone(self) -> bool:
        """The receiver wants no webhook ever again (410)."""
        return self.status == 410


class WebhookSender:
    """Sends signed webhooks; neither proxies nor `.netrc` of the environment are used.

    `timeout` is in seconds, for one attempt from looking the name up to the status; reading and dropping the body takes
    a second more at the most. `concurrency` attempts run at once, and others wait. Each attempt has a connection of its
    own, so that its address is checked anew. Certificates are checked against certifi's, unless `tls` says otherwise.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        timeout: float = 15.0,
        concurrency: int = 32,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private, self._timeout = allow_private, timeout
        self._slots = asyncio.Semaphore(concurrency)
        self._names = SystemResolver(concurrency)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(trust_env=False),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=GuardedBackend(resolve or self._names, allow_private=allow_private),
        )
        self._user_agent = f"memory-r1/{version('memory-r1')}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; no attempt may be under way."""
        await self._pool.aclose()
        self._names.close()

    async def send(
        self, url: str, secrets: Sequence[SecretStr], message_id: str, timestamp: datetime, body: bytes
    ) -> Sent:
        """Post `body` (JSON) once, signed with every secret; `timestamp` is this attempt's.

        Raises `InvalidInput` only for what `signed_headers` does not take. A URL that `check_url` refuses is a failed
        attempt, since what is permitted may have changed after the webhook was made.
        """
        headers = {
            "user-agent": self._user_agent,
            "content-type": "application/json",
            "connection": "close",
            **signed_headers(secrets, message_id, timestamp, body),
        }
        async with self._slots:
            started = time.perf_counter()
            try:
                status, retry_after = await self._post(url, headers, body)
            except (InvalidInput, *_NETWORK_ERRORS) as error:
                return Sent(error=_failure(error), seconds=time.perf_counter() - started)
        seconds = time.perf_counter() - started
        if 200 <= status < 300:
            return Sent(status=status, seconds=seconds)
        failure: Failure = "redirect" if 300 <= status < 400 else "status"
        return Sent(status=status, error=failure, seconds=seconds, retry_after=retry_after)

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, float | None]:
        """The status, and what the receiver asks to wait."""
        check_url(url, self._allow_private)
        parsed = httpx.URL(url)
        target = httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)
        # The pool's own `Host` would lack the brackets of an IPv6 address.
        named = [("host", parsed.netloc.decode("ascii")), *headers.items()]
        bounds = {"timeout": {"connect": self._timeout}}
        async with (
            asyncio.timeout(self._timeout) as limit,
            self._pool.stream("POST", target, headers=named, content=body, extensions=bounds) as response,
        ):
            # The status decides: a body that drips or breaks off must not make a delivered webhook go out again.
            limit.reschedule(None)
            await _discard(response)
            return response.status, _asked_to_wait(response)


async def _discard(response: httpcore.Response) -> None:
    """Read a little of the body, so that a well-behaved receiver does not see its reply cut off."""
    taken = 0
    with suppress(*_NETWORK_ERRORS):
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in response.aiter_stream():
                taken += len(chunk)
                if taken >= _MAX_BODY:
                    return


def _asked_to_wait(response: httpcore.Response) -> float | None:
    values = [value for name, value in response.headers if name.lower() == b"retry-after"]
    return read_retry_after(values[0].decode("latin-1"), datetime.now(UTC)) if values else None


def read_retry_after(text: str, now: datetime) -> float | None:
    """Seconds from 0 to a day, of a `Retry-After` header in either form; None for what is neither."""
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER)
    if len(text) > _LONGEST_DATE:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), MAX_RETRY_AFTER)


def _failure(error: BaseException) -> Failure:
    match error:
        case InvalidInput() | RefusedAddress():
            return "refused-address"
        case TlsFailed() | ssl.SSLError():
            return "tls"
        case TimeoutError() | httpcore.TimeoutException():
            return "timed-out"
        case httpcore.ConnectError():
            return "unreachable"
        case _:
            return "broken-reply"
