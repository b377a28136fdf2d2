"""Which names lead to the service.

A page of a stranger whose name was pointed at the reader's machine (DNS rebinding) sends that name as `Host`: to its
browser, the service is then the page's own server.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import UnknownHost, http_problem


class KnownHost:
    """ASGI middleware: a request for a name that does not lead here answers 421.

    Where hosts are allowed by name, only those lead here. Else any does where a key is required, which no page has;
    where none is, addresses and names without a dot, which nobody outside can point anywhere.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str], require_key: bool) -> None:
        self._app, self._require_key = app, require_key
        self._allowed = {host.lower() for host in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._leads_here(Headers(scope=scope).get("host", "").lower()):
            await self._app(scope, receive, send)
        else:
            await http_problem(UnknownHost())(scope, receive, send)

    def _leads_here(self, host: str) -> bool:
        name = name_of(f"//{host}")
        if self._allowed:
            return host in self._allowed or name in self._allowed
        return self._require_key or (name is not None and _is_nobodys(name))


def name_of(url: str) -> str | None:
    """The host of a URL in lower case, without its port; None where there is none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_nobodys(name: str) -> bool:
    """Whether the name is an address, or one that no public name server knows."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name.removesuffix(".localhost")
    return True
