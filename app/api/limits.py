"""Bounds on a request that hold before anything of it is parsed."""

from __future__ import annotations

import asyncio
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import BodyTooLarge, RequestTimeout, TooManyRequestsAtOnce, http_problem

HEALTH = "/v1/health/"
IS_HEAD = "memory_r1.head"
"""Where a request's scope says that nobody reads the body: one that would not end is left out."""
_IMPORT = re.compile(r"/v1/banks/[^/]+/import")


class BodyLimit:
    """ASGI middleware: who reads a body of more than so many bytes, declared or not, answers 413, and one that takes
    longer to arrive than so many seconds 408. Files that are imported have bounds of their own.
    """

    def __init__(self, app: ASGIApp, most: int, most_of_file: int, seconds: float) -> None:
        self._app, self._most, self._most_of_file, self._seconds = app, most, most_of_file, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_file = scope["method"] == "POST" and _IMPORT.fullmatch(scope["path"])
        most = self._most_of_file if is_file else self._most
        bounded = self._counted(receive, most, self._declares_more(scope, most))
        await self._app(scope, bounded if is_file else self._timed(bounded), send)

    def _declares_more(self, scope: Scope, most: int) -> bool:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        return len(declared) > 18 or (declared.isdigit() and int(declared) > most)

    def _counted(self, receive: Receive, most: int, declares_more: bool) -> Receive:
        read = 0

        async def counted() -> Message:
            nonlocal read
            if declares_more:
                raise BodyTooLarge(most)
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                # The framework hands an HTTPException on to its handler, and nothing else.
                raise BodyTooLarge(most)
            return message

        return counted

    def _timed(self, receive: Receive) -> Receive:
        until: float | None = None
        is_whole = False

        async def timed() -> Message:
            nonlocal until, is_whole
            if is_whole:
                return await receive()
            # From when it is first asked for: until then the client may rightly hold it back.
            until = until or asyncio.get_running_loop().time() + self._seconds
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise RequestTimeout(self._seconds) from None
            is_whole = not message.get("more_body", False)
            return message

        return timed


class RequestLimit:
    """ASGI middleware: of more requests than so many at once the later ones answer 503 before their body is read.

    Health is always answered, so that a service under load is not taken for a dead one.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(HEALTH):
            await self._app(scope, receive, send)
        elif self._under_way >= self._most:
            await http_problem(TooManyRequestsAtOnce())(scope, receive, send)
        else:
            self._under_way += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._under_way -= 1


class HeadAsGet:
    """ASGI middleware: HEAD is answered as GET is, and the server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            # A copy: the server still sees HEAD in its own.
            await self._app({**scope, "method": "GET", IS_HEAD: True}, receive, _without_body(send))
        else:
            await self._app(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def bare(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return bare
