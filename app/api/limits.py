"""Bounds on a request that hold before anything of it is parsed."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import BodyTooLarge, http_problem


class BodyLimit:
    """ASGI middleware: a body of more than so many bytes answers 413, whether its length was declared or not."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._declares_more(scope):
            await http_problem(BodyTooLarge(self._most))(scope, receive, send)
        else:
            await self._app(scope, self._counted(receive), send)

    def _declares_more(self, scope: Scope) -> bool:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        return len(declared) > 18 or (declared.isdigit() and int(declared) > self._most)

    def _counted(self, receive: Receive) -> Receive:
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                # The framework hands an HTTPException on to its handler, and nothing else.
                raise BodyTooLarge(self._most)
            return message

        return counted


class HeadAsGet:
    """ASGI middleware: HEAD is answered as GET is, and the server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            # A copy: the server still sees HEAD in its own.
            await self._app({**scope, "method": "GET"}, receive, _without_body(send))
        else:
            await self._app(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def bare(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return bare
