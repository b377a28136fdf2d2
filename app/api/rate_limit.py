"""`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11) on what a limited key is answered."""

from __future__ import annotations

import math

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.services.limits import MINUTE, Rate

STATE = "rate"
"""Where the request's state holds the `Rate`."""


def rate_headers(rate: Rate) -> dict[str, str]:
    """`"minute";q=60;w=60` and `"minute";r=12;t=5`: 12 requests may be made at once, and one more in 5 seconds."""
    return {
        "RateLimit-Policy": f'"minute";q={rate.quota};w={MINUTE:.0f}',
        "RateLimit": f'"minute";r={rate.remaining};t={math.ceil(rate.next_in)}',
    }


class RateLimitHeaders:
    """ASGI middleware: tells a limited key where it stands, whatever the status."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def telling(message: Message) -> None:
            rate = state.get(STATE)
            if message["type"] == "http.response.start" and rate is not None:
                MutableHeaders(scope=message).update(rate_headers(rate))
            await send(message)

        await self._app(scope, receive, telling)
