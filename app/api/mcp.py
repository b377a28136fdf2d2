"""The Model Context Protocol over streamable HTTP: one bank behind each address.

A key that is for one bank needs no more than `/mcp`; others name theirs, as in `/mcp/alice`.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from app.api.dependencies import BankName, CallerOf, get_service
from app.api.guarded import GuardedRoute
from app.api.hosts import name_of
from app.api.mcp_tools import BANK
from app.core.errors import Forbidden, InvalidInput

router = APIRouter(prefix="/mcp", route_class=GuardedRoute, include_in_schema=False)

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


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
    """Refuse web pages that nobody let in. Raises `Forbidden`.

    The SDK has such a check too, which cannot let any host in where a key protects the service.
    """
    origin = request.headers.get("origin")
    if origin is None or origin in get_service(request).settings.mcp.allowed_origins:
        return
    if request.app.state.require_key or name_of(origin) not in _THIS_MACHINE:
        raise Forbidden("Web pages of this `Origin` may not call here.")
