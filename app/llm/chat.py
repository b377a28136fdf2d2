"""The chat model that completions are forwarded to, as they are: over HTTP, byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx

from app.core.errors import InvalidInput, ModelError, ModelTimedOut, ModelUnreachable, NotFound, Overloaded
from app.settings import ChatSettings, LlmSettings

CONNECT_SECONDS = 10
MAX_REPLY_BYTES = 32_000_000
MAX_ERROR_BYTES = 64_000
NO_CHAT_MODEL = (
    "No chat model is set: point MEMORY_R1_CHAT__BASE_URL at an OpenAI-compatible server. The model that is embedded "
    "in the service only fills in forms and cannot chat."
)


class NoChatModel(InvalidInput):
    """No chat model is set."""


class UnknownModel(NotFound):
    """There is no such model, or none that this service offers; `/v1/models` lists them."""

    noun = "model"


class UpstreamRefused(ModelError):
    """The chat model's server answered with an error, which is passed on."""

    def __init__(self, status: int, body: bytes, retry_after: str | None) -> None:
        self.status, self.body, self.retry_after = status, body, retry_after
        super().__init__(f"The chat model's server answered with status {status}.")


class ChatUpstream:
    """A connection pool to the chat model's server, with so many calls under way at most."""

    def __init__(self, chat: ChatSettings, llm: LlmSettings) -> None:
        base_url = chat.base_url or llm.base_url
        self.base_url = base_url.rstrip("/") if base_url else None
        # A key goes to the server that it was given for, and to no other.
        key = chat.api_key if chat.base_url else chat.api_key or llm.api_key
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        self._models = {name: name for name in chat.models or [llm.model]} | chat.aliases
        self._most = chat.concurrency
        self._under_way = 0
        self._endings: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(chat.timeout, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=chat.concurrency, max_keepalive_connections=chat.concurrency),
        )

    @property
    def models(self) -> tuple[str, ...]:
        """What clients may ask for."""
        return tuple(self._models) if self.base_url else ()

    def served(self, name: object) -> str:
        """What the server calls a model; without a name, the first. Raises `NoChatModel`, `UnknownModel`."""
        if self.base_url is None:
            raise NoChatModel(NO_CHAT_MODEL)
        if name is None:
            return next(iter(self._models.values()))
        if not isinstance(name, str) or name not in self._models:
            raise UnknownModel(name)
        return self._models[name]

    async def complete(self, content: str) -> httpx.Response:
        """The server's answer to a body, which is still to be read, and must be given to `close`.

        Raises `UpstreamRefused`, `ModelUnreachable`, `ModelTimedOut`, and `Overloaded` where too many are under way.
        """
        if self._under_way >= self._most:
            raise Overloaded("The service has as many chats under way as it can; try again later.")
        self._under_way += 1
        try:
            return await self._sent(content)
        except BaseException:
            self._under_way -= 1
            raise

    async def close(self, response: httpx.Response) -> None:
        """End an answer, read or not."""
        self._under_way -= 1
        await response.aclose()

    def ending(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """What is still to be done for a chat, whether or not its client waits for that."""
        task = asyncio.create_task(work)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task

    async def aclose(self) -> None:
        """Wait for what is still to be done, and close the connections."""
        while self._endings:
            await asyncio.gather(*self._endings, return_exceptions=True)
        await self._client.aclose()

    async def _sent(self, content: str) -> httpx.Response:
        try:
            request = self._client.build_request("POST", f"{self.base_url}/chat/completions", content=content)
            response = await self._client.send(request, stream=True)
            if not response.is_success:
                body = await _first(response, MAX_ERROR_BYTES)
                await response.aclose()
                raise UpstreamRefused(response.status_code, body, response.headers.get("retry-after"))
        except httpx.TimeoutException as error:
            raise ModelTimedOut("The chat model did not answer in time.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ModelUnreachable("The chat model cannot be reached.") from error
        return response


async def read_whole(response: httpx.Response) -> bytes:
    """The body of an answer that does not stream. Raises `ModelUnreachable` where it breaks off or is too long."""
    try:
        body = await _first(response, MAX_REPLY_BYTES + 1)
    except httpx.HTTPError as error:
        raise ModelUnreachable("The chat model's answer broke off.") from error
    if len(body) > MAX_REPLY_BYTES:
        raise ModelUnreachable(f"The chat model's answer is longer than {MAX_REPLY_BYTES} bytes.")
    return body


async def _first(response: httpx.Response, most: int) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= most:
            break
    return body[:most]


@asynccontextmanager
async def open_chat(chat: ChatSettings, llm: LlmSettings) -> AsyncIterator[ChatUpstream]:
    """The chat model for as long as the block runs."""
    upstream = ChatUpstream(chat, llm)
    try:
        yield upstream
    finally:
        await upstream.aclose()
