"""A small OpenAI-compatible server for tests: answers from the schema, or as it is told, however badly."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from app.core.values import Role

CHARACTERS_PER_TOKEN = 4
Messages = Sequence[dict[str, str]]


@dataclass(frozen=True)
class Reply:
    """What the server does with one call."""

    text: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    body: bytes | None = None
    """Sent instead of a chat completion."""
    hangs: bool = False
    closes: bool = False
    pieces: int | None = None
    """Of a streamed reply: after so many pieces of it, it hangs, closes or fails."""
    drips: float = 0.0
    """Seconds before each piece of a streamed reply."""
    streams: Call | None = None
    """The call that it is streamed to."""


def says(reply: object) -> Reply:
    """A reply with this text, or with this value as JSON."""
    return Reply(reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False))


def fails(status: int, message: str = "scripted", *, retry_after: float | None = None) -> Reply:
    """An error in the form of OpenAI's."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    body = json.dumps({"error": {"message": message, "type": "scripted", "code": status}})
    return Reply(status=status, headers=headers, body=body.encode())


def cut_off(text: str = '{"facts":["I wa') -> Reply:
    """A reply that reached the length limit."""
    return Reply(text, finish_reason="length")


def garbage() -> Reply:
    """A body that is not JSON, with the status of success."""
    return Reply(body=b"<html>not what you asked for</html>")


def hangs() -> Reply:
    """No answer, while the connection stays open."""
    return Reply(hangs=True)


def closes() -> Reply:
    """The connection ends without an answer."""
    return Reply(closes=True)


def breaks_off(reply: object, pieces: int) -> Reply:
    """A streamed reply whose connection ends in the middle."""
    return replace(says(reply), pieces=pieces, closes=True)


@dataclass(frozen=True)
class Call:
    """One chat completion that was asked for."""

    body: dict[str, Any]
    authorization: str | None
    at: float
    """Seconds of the server's clock."""

    @property
    def messages(self) -> Messages:
        messages: Messages = self.body["messages"]
        return messages

    @property
    def role(self) -> str | None:
        return self._form().get("name")

    @property
    def schema(self) -> dict[str, Any]:
        return self._form().get("schema") or {"type": "object"}

    def _form(self) -> dict[str, Any]:
        return (self.body.get("response_format") or {}).get("json_schema") or {}


@dataclass
class _Rule:
    reply: Reply | Callable[[Messages], Reply]
    role: Role | None
    matching: str | None
    times: int | None

    def fits(self, call: Call) -> bool:
        if self.times == 0 or (self.role and self.role != call.role):
            return False
        text = "\n".join(message["content"] for message in call.messages)
        return self.matching is None or re.search(self.matching, text, re.MULTILINE) is not None


class ScriptedServer:
    """Runs in a thread of its own between `start` and `stop`; rules given later are tried first."""

    def __init__(self, *, model: str = "scripted", max_context: int = 4096, port: int = 0) -> None:
        self.model, self.max_context = model, max_context
        self.calls: list[Call] = []
        self.open_calls = 0
        """Calls that were read and not answered yet."""
        self.port = port
        self.adapters: dict[str, str] | None = None
        """Folders of the adapters that were loaded, as vLLM has them at run time; None: it loads none."""
        self._rules: list[_Rule] = []
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scripted-server", daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def on(
        self,
        reply: Reply | Callable[[Messages], Reply],
        *,
        role: Role | None = None,
        matching: str | None = None,
        times: int | None = None,
    ) -> None:
        """Answer so, where role and pattern fit, so many times (always if not given)."""
        self._rules.insert(0, _Rule(reply, role, matching, times))

    def reset(self) -> None:
        """Forget rules and calls."""
        self._rules.clear()
        self.calls.clear()
        self.adapters = None

    def start(self) -> None:
        self._thread.start()
        self._started.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stopped = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stopped.wait()
        server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection carries one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"(?i)^content-length: *(\d+)", head, re.MULTILINE)
            body = await reader.readexactly(int(length[1]) if length else 0)
            reply = await self._respond(head, body, reader)
            if reply.streams is not None:
                await self._stream(reply.streams, reply, reader, writer)
            elif not reply.closes:
                writer.write(_http(reply))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _respond(self, head: str, body: bytes, reader: asyncio.StreamReader) -> Reply:
        if head.startswith("GET /v1/models "):
            served = [{"id": name, "object": "model"} for name in (self.model, *(self.adapters or ()))]
            return Reply(body=json.dumps({"object": "list", "data": served}).encode())
        if head.startswith("POST /v1/load_lora_adapter ") and self.adapters is not None:
            return self._load(json.loads(body), self.adapters)
        if not head.startswith("POST /v1/chat/completions "):
            return Reply(status=404, body=b'{"detail": "Not Found"}')
        key = re.search(r"(?i)^authorization: *(.+)\r$", head, re.MULTILINE)
        call = Call(json.loads(body), key[1] if key else None, self._loop.time())
        self.calls.append(call)
        self.open_calls += 1
        try:
            reply = self._reply_to(call)
            if call.body.get("stream") and reply.body is None and not (reply.closes and reply.pieces is None):
                return replace(reply, streams=call)
            if reply.hangs:
                await reader.read()
            return reply if reply.body is not None else self._completion(call, reply)
        finally:
            self.open_calls -= 1

    async def _stream(
        self, call: Call, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.open_calls += 1
        try:
            await self._send(call, reply, writer)
            if reply.hangs:
                await reader.read()
        finally:
            self.open_calls -= 1

    async def _send(self, call: Call, reply: Reply, writer: asyncio.StreamWriter) -> None:
        """Send a reply as server-sent events, a token at a time."""
        texts = [reply.text[n : n + CHARACTERS_PER_TOKEN] for n in range(0, len(reply.text), CHARACTERS_PER_TOKEN)]
        usage = self._usage(call, reply) if call.body.get("stream_options", {}).get("include_usage") else None
        chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}]
        chunks += [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
        chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": reply.finish_reason}]}]
        chunks += [{"choices": [], "usage": usage}] if usage else []
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in chunks if reply.pieces is None else chunks[: reply.pieces + 1]:
            await asyncio.sleep(reply.drips)
            head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": self.model}
            # Not in ASCII: characters of several bytes are cut, as they may be anywhere.
            _write_chunked(writer, f"data: {json.dumps(head | chunk, ensure_ascii=False)}\n\n".encode())
            await writer.drain()
        if not (reply.hangs or reply.closes):
            error = b'data: {"error": {"message": "scripted SECRET", "code": 500}}\n\n'
            _write_chunked(writer, b"data: [DONE]\n\n" if reply.pieces is None else error)
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    def _usage(self, call: Call, reply: Reply) -> dict[str, int]:
        prompt, completion = tokens_of_prompt(call), tokens_of(reply.text)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def _load(self, wanted: dict[str, str], adapters: dict[str, str]) -> Reply:
        name = wanted["lora_name"]
        if name in adapters:
            return fails(400, f"The lora adapter '{name}' has already been loaded.")
        if not wanted["lora_path"].startswith("/"):
            return fails(404, f"No adapter found for {name}.")
        adapters[name] = wanted["lora_path"]
        return Reply(body=b"Success")

    def _reply_to(self, call: Call) -> Reply:
        if self.adapters is not None and call.body["model"] not in (self.model, *self.adapters):
            return fails(404, "The model does not exist.")
        rule = next((rule for rule in self._rules if rule.fits(call)), None)
        if rule is None:
            return self._by_schema(call)
        if rule.times is not None:
            rule.times -= 1
        return rule.reply if isinstance(rule.reply, Reply) else rule.reply(call.messages)

    def _by_schema(self, call: Call) -> Reply:
        """A valid reply within the limits that a real server has."""
        most = int(call.body["max_tokens"])
        if tokens_of_prompt(call) + most > self.max_context:
            return fails(400, f"This model's maximum context length is {self.max_context} tokens.")
        text = json.dumps(instance(call.schema), ensure_ascii=False, separators=(",", ":"))
        if tokens_of(text) > most:
            return cut_off(text[: most * CHARACTERS_PER_TOKEN])
        return Reply(text)

    def _completion(self, call: Call, reply: Reply) -> Reply:
        choice = {
            "index": 0,
            "finish_reason": reply.finish_reason,
            "message": {"role": "assistant", "content": reply.text},
        }
        body = {
            "id": f"chatcmpl-{len(self.calls)}",
            "object": "chat.completion",
            "created": 0,
            "model": self.model,
            "choices": [choice],
            "usage": self._usage(call, reply),
        }
        return Reply(status=reply.status, headers=reply.headers, body=json.dumps(body).encode(), closes=reply.closes)


def tokens_of(text: str) -> int:
    """A stand-in for a tokenizer's count."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def tokens_of_prompt(call: Call) -> int:
    return sum(tokens_of(message["content"]) + CHARACTERS_PER_TOKEN for message in call.messages)


def instance(schema: dict[str, Any]) -> Any:
    """A smallest value that the schema allows."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return instance(schema["anyOf"][0])
    match schema.get("type"):
        case "object":
            required = schema.get("required", ())
            return {name: instance(schema["properties"][name]) for name in required}
        case "array":
            return [instance(schema["items"]) for _ in range(schema.get("minItems", 0))]
        case "string":
            return "x" * schema.get("minLength", 1 if "pattern" in schema else 0)
        case "integer" | "number":
            return schema.get("minimum", 0)
        case kind:
            return {"boolean": False, "null": None}[str(kind)]


def _write_chunked(writer: asyncio.StreamWriter, data: bytes) -> None:
    """In two pieces, which end anywhere."""
    for part in (data[: len(data) * 2 // 3], data[len(data) * 2 // 3 :]):
        writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")


def _http(reply: Reply) -> bytes:
    body = reply.body or b""
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in (headers | reply.headers).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
