"""The Model Context Protocol over streamable HTTP: one bank behind each address.

A key that is for one bank needs no more than `/mcp`; others name theirs, as in `/mcp/alice`.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from app.api.dependencies import BankName, CallerOf, get_service
from app.api.guarded import GuardedRoute
from app.api.mcp_tools import BANK
from app.core.errors import Forbidden, InvalidInput

router = APIRouter(prefix="/mcp", route_class=GuardedRoute, include_in_schema=False)

_OWN_NAMES = ("localhost", "127.0.0.1", "::1")


@asynccontextmanager
async def running_mcp(app: FastAPI) -> AsyncIterator[None]:
    """The protocol's server for as long as the block runs."""
    server: Any = await asyncio.to_thread(importlib.import_module, "app.api.mcp_server")
    app.state.mcp = server.make_manager(app.state.service.settings.server.max_body_bytes)
    async with app.state.mcp.run():
        yield


@router.post("", operation_id="call_mcp")
async def call_mcp(request: Request, caller: CallerOf) -> Response:
    """A message to the server of the key's own bank."""
    if caller.banks is None or len(caller.banks) != 1:
        raise InvalidInput("The key is not for one bank alone: name the bank, as in `/mcp/alice`.")
    return _Spoken(request, caller.banks[0])


@router.post("/{bank}", operation_id="call_mcp_of_bank")
async def call_mcp_of_bank(bank: BankName, request: Request, caller: CallerOf) -> Response:
    """A message to the server of a bank, which need not exist yet."""
    return _Spoken(request, bank)


class _Spoken(Response):
    """What the SDK answers; it reads the body itself."""

    def __init__(self, request: Request, bank: str) -> None:
        _check_whence(request)
        super().__init__()
        self._manager = request.app.state.mcp
        request.scope[BANK] = bank

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manager.handle_request(scope, receive, send)


def _check_whence(request: Request) -> None:
    """Refuse web pages that nobody let in, and names that lead here without being this machine's: a page of a stranger
    could else talk to a service on the reader's own machine (DNS rebinding). Raises `Forbidden`.

    The SDK has such a check too, which cannot let any host in where a key protects the service.
    """
    allowed = get_service(request).settings.mcp
    is_open = not request.app.state.require_key
    host = request.headers.get("host", "")
    if host not in allowed.allowed_hosts and (
        allowed.allowed_hosts or (is_open and _name_of(f"//{host}") not in _OWN_NAMES)
    ):
        raise Forbidden("The service does not answer to this `Host` here.")
    origin = request.headers.get("origin")
    if (
        origin is not None
        and origin not in allowed.allowed_origins
        and not (is_open and _name_of(origin) in _OWN_NAMES)
    ):
        raise Forbidden("Web pages of this `Origin` may not call here.")


def _name_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
