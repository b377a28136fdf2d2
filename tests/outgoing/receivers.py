"""Receivers of webhooks on loopback that behave as they are told, however badly."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Call:
    """One request as it came in."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A running server; `talk` answers each request."""

    talk: Talk
    port: int = 0
    calls: list[Call] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    reads: bool = True
    """Whether it reads the request at all before it answers."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        try:
            if self.reads:
                self.calls.append(await _read(reader))
                await self._until_hung_up(reader, writer)
            else:
                await self.talk(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _until_hung_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk, end = asyncio.ensure_future(self.talk(writer)), asyncio.ensure_future(reader.read())
        try:
            await asyncio.wait({talk, end}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            talk.cancel()
            end.cancel()
            await asyncio.gather(talk, end, return_exceptions=True)

    async def left(self) -> None:
        """Wait until every connection is closed; raises `TimeoutError` where one stays open."""
        async with asyncio.timeout(10):
            while self.open_now:
                await asyncio.sleep(0.02)


async def _read(reader: asyncio.StreamReader) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (text.split(": ", 1) for text in rest)}
    return Call(line, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@contextlib.asynccontextmanager
async def receiving(talk: Talk, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port, closed at the end with every connection."""
    receiver = Receiver(talk)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(receiver.handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, host, 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        left = list(tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def head(status: int = 200, headers: Sequence[str] = ()) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", *headers, "", ""]).encode("latin-1")


def replies(status: int = 200, *headers: str, body: bytes = b"ok") -> Talk:
    return says(head(status, [f"Content-Length: {len(body)}", *headers]) + body)


def says(data: bytes) -> Talk:
    """Whatever bytes, then the end."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return talk


def drips(first: bytes, drop: bytes = b"x", every: float = 0.05) -> Talk:
    """The first bytes, and then a drop at a time for ever."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            await writer.drain()
            await asyncio.sleep(every)
            writer.write(drop)

    return talk


def hangs(first: bytes = b"") -> Talk:
    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await asyncio.Event().wait()

    return talk


def resets(first: bytes = b"") -> Talk:
    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    return talk
