"""Bounds on a request that hold before anything of it is parsed."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem_response


class _TooLarge(Exception):
    pass


class BodyLimit:
    """ASGI middleware: a body of more than so many bytes answers 413, whether its length was declared or not."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            self._check_declared(scope)
            await self._app(scope, self._counted(receive), send_noting)
        except _TooLarge:
            if started:
                raise
            detail = f"The body is larger than {self._most} bytes."
            response = problem_response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", detail)
            await response(scope, receive, send)

    def _check_declared(self, scope: Scope) -> None:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._most:
            raise _TooLarge

    def _counted(self, receive: Receive) -> Receive:
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                raise _TooLarge
            return message

        return counted
