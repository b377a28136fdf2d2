"""A model server of its own process that fails in every way that one can, drawn by seed, prompt and how often asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import zlib
from collections import Counter
from typing import Any

from app.core.values import Prompt, Role
from tests.bench.model_server import prompt_of
from tests.chaos.replies import MARKER, off_schema, said_well, told_lies
from tests.chaos.steps import Notes
from tests.fixtures.doubles import question_of

FAULTS = {
    "hang": 1.0,
    "status 500": 2.0,
    "status 429": 1.5,
    "status 503": 1.5,
    "status 400": 1.5,
    "cut off": 2.0,
    "garbage": 1.5,
    "not JSON": 1.0,
    "off schema": 2.5,
    "empty": 0.5,
    "too long": 0.5,
    "lies": 12.0,
}
"""Percent of the calls."""
STUBBORN_PERCENT = 4
"""Percent of the turns on which the manager never replies in the right form while faults are on."""
HANG_SECONDS = 60.0
SLOWEST = 0.06


class ModelServer:
    """Answers chat completions; `/faults/on` and `/faults/off` switch between the storm and good behaviour."""

    def __init__(self, seed: int, *, faulty: bool, notes: Notes) -> None:
        self._seed, self._faulty, self._notes = seed, faulty, notes
        self._asked: Counter[int] = Counter()

    async def serve(self, port: int) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", port)
        self._notes.write("ready", "model")
        async with server:
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False where the connection is to be closed."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next((int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        path = lines[0].split()[1]
        if path.startswith("/faults/"):
            self._faulty = path.endswith("/on")
            writer.write(_response(200, b"{}"))
            return True
        return await self._complete(json.loads(body), writer)

    async def _complete(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        prompt = prompt_of(body)
        draw = self._draw(prompt)
        fault = self._fault(prompt, draw) if self._faulty else None
        if fault:
            self._notes.write("fault", fault.replace(" ", "_"))
        await asyncio.sleep(draw.uniform(0.002, SLOWEST if self._faulty else 0.01))
        match (fault or "none").split():
            case ["hang"]:
                await asyncio.sleep(HANG_SECONDS)
                return False
            case ["status", status]:
                writer.write(_response(int(status), b'{"error": {"message": "scripted"}}'))
            case ["cut", _]:
                writer.write(_response(200, _completion(body, said_well(prompt, draw)))[: draw.randint(1, 200)])
                await writer.drain()
                return False
            case ["garbage"]:
                writer.write(_response(200, draw.randbytes(300)))
            case _:
                writer.write(_response(200, _reply(fault, body, prompt, draw)))
        return True

    def _draw(self, prompt: Prompt) -> random.Random:
        text = zlib.crc32(f"{prompt.role} {question_of(prompt)}".encode())
        self._asked[text] += 1
        return random.Random(f"{self._seed} {text} {self._asked[text]}")

    def _fault(self, prompt: Prompt, draw: random.Random) -> str | None:
        if prompt.role is Role.MANAGER and is_stubborn(question_of(prompt), self._seed):
            return "off schema"
        kinds = list(FAULTS)
        none = 100 - sum(FAULTS.values())
        (drawn,) = draw.choices([*kinds, ""], [*FAULTS.values(), none])
        return drawn or None


def is_stubborn(question: str, seed: int) -> bool:
    """Whether the last turn that a manager's prompt is about is one of the unlucky ones."""
    markers = MARKER.findall(question.partition("New facts")[2])
    return bool(markers) and zlib.crc32(f"{seed} {markers[-1]}".encode()) % 100 < STUBBORN_PERCENT


def _reply(fault: str | None, body: dict[str, Any], prompt: Prompt, draw: random.Random) -> bytes:
    match fault:
        case "not JSON":
            return _completion(body, "Certainly! Here is what I noted:")
        case "off schema":
            return _completion(body, off_schema(prompt, draw))
        case "empty":
            return _completion(body, "")
        case "too long":
            return _completion(body, said_well(prompt, draw)[:20], finish_reason="length")
        case "lies":
            return _completion(body, told_lies(prompt, draw))
        case _:
            return _completion(body, said_well(prompt, draw))


def _completion(body: dict[str, Any], text: str, finish_reason: str = "stop") -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    head = {"id": "scripted", "object": "chat.completion", "created": 0, "model": body["model"]}
    return json.dumps({**head, "choices": [choice], "usage": usage}).encode()


def _response(status: int, content: bytes) -> bytes:
    head = f"HTTP/1.1 {status} Scripted\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content
