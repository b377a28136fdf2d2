"""A small HTTP client on one kept connection: a full one would take as much of the machine as what is measured."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Response:
    status: int
    body: Any
    seconds: float


class BenchError(RuntimeError):
    """Something that is measured did not work."""


class Connection:
    """One connection to the service."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: Any = None, prefer: str = "") -> Response:
        """Send a request and read its answer. Raises `BenchError` for one that is no success."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        head += f"Prefer: {prefer}\r\n" if prefer else ""
        started = time.perf_counter()
        writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        text = await reader.readexactly(int(fields.get("content-length", 0)))
        seconds = time.perf_counter() - started
        status = int(lines[0].split()[1])
        if status >= 300:
            raise BenchError(f"{method} {path} answered {status}: {text[:300]!r}")
        return Response(status, json.loads(text) if text else None, seconds)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
