"""Routes whose guard comes first: before their body is read, and so before any of it is parsed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.api.dependencies import guard


class GuardedRoute(APIRoute):
    """A route that asks who calls before it touches the body; a dependency would run once that was parsed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            await guard(request)
            return await handle(request)

        return guarded
