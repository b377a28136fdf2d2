"""Server-sent events: work that tells as it goes, behind a response that begins with its first event.

The form of the events and the comment that keeps a connection alive are FastAPI's; its own streaming of generators has
sent the status before the work begins, and so could answer no problem.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Self

from fastapi import Request
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from app.api.limits import IS_HEAD
from app.api.problems import response_to
from app.api.streaming_schemas import Event

log = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"
HEARTBEAT_SECONDS = 15.0
"""Silence after which a comment is sent."""
SEND_SECONDS = 30.0
"""Seconds for handing on one event; a slower client is cut off."""
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_NOT_WANTED = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*", re.IGNORECASE)

Tell = asyncio.Queue[Any]
"""Takes events; where it is bounded, putting one waits for the client."""


def wants_events(request: Request) -> bool:
    """Whether `Accept` names `text/event-stream`; a wildcard does not ask for it."""
    for one in ",".join(request.headers.getlist("accept")).split(","):
        name, *parameters = one.split(";")
        if name.strip().lower() == EVENT_STREAM:
            return not any(_NOT_WANTED.fullmatch(parameter) for parameter in parameters)
    return False


class EventStream(StreamingResponse):
    """The events of a piece of work, which ends when the client goes away; where it fails, the last is an `error`."""

    media_type = EVENT_STREAM

    def __init__(
        self, request: Request, work: Callable[[Tell], Awaitable[Event | None]], *, most_waiting: int = 0
    ) -> None:
        super().__init__(self._lines(), headers=_HEADERS)
        self._request = request
        self._told: Tell = asyncio.Queue(most_waiting)
        self._first: Event | None = None
        self._work = asyncio.create_task(self._do(work))

    async def begun(self, headers: Callable[[], Mapping[str, str]] = dict) -> Self:
        """Once there is a first event, with headers that are known then. Raises what fails before."""
        try:
            first = await self._told.get()
        except asyncio.CancelledError:
            self._work.cancel()
            raise
        if isinstance(first, Exception):
            raise first
        self._first = first
        self.headers.update(headers())
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def timed(message: Message) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)

        try:
            if scope.get(IS_HEAD):
                self.body_iterator = iterate_in_threadpool(())
            await super().__call__(scope, receive, timed)
        except TimeoutError:
            log.warning("a stream was cut off: its client does not read it")
        finally:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def _do(self, work: Callable[[Tell], Awaitable[Event | None]]) -> None:
        try:
            last = await work(self._told)
        except Exception as error:
            await self._told.put(error)
            return
        if last is not None:
            await self._told.put(last)
        await self._told.put(None)

    async def _lines(self) -> AsyncIterator[bytes]:
        if self._first is not None:
            yield _written(self._first)
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    told = await self._told.get()
            except TimeoutError:
                yield KEEPALIVE_COMMENT
                continue
            if told is None:
                return
            if isinstance(told, Exception):
                problem = await response_to(self._request, told)
                yield format_sse_event(event="error", data_str=bytes(problem.body).decode())
                return
            yield _written(told)


def _written(event: Event) -> bytes:
    # In ASCII: clients that split lines as Python does would do so inside of other characters.
    data = event.data.model_dump_json(ensure_ascii=True)
    return format_sse_event(event=event.event, data_str=data, id=getattr(event, "id", None))
