"""OpenAI's chat completions, with a memory: forwarded to the chat model that the settings name.

Requests and responses are OpenAI's, and errors as well; the routes are therefore no part of the service's own document.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any, Literal

import httpx
from fastapi import APIRouter, Body, Header, Request, Response
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.dependencies import CallerOf, ServiceOf
from app.api.guarded import GuardedRoute
from app.api.problems import TYPE_BASE
from app.api.schemas import Label
from app.core.errors import Forbidden, InvalidInput, ModelUnreachable
from app.core.event_stream import DONE, Events, Reply, data_of
from app.llm.chat import ChatUpstream, UnknownModel, UpstreamRefused, read_whole
from app.services import limits
from app.services.callers import BANK_NAME, Caller
from app.services.chat import FAILURES, Chat, served_body
from app.services.once import Once

log = logging.getLogger(__name__)

MAX_MESSAGES = 2000
_BANK_NAME = re.compile(BANK_NAME)
_UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_PASSED_ON = {
    "content-type": "Content-Type",
    "x-request-id": "X-Upstream-Request-Id",
    "openai-processing-ms": "OpenAI-Processing-Ms",
    "openai-version": "OpenAI-Version",
}
"""What the headers of the chat model's server become; the service has a request id of its own."""


class OpenAiRoute(GuardedRoute):
    """A route that answers errors as OpenAI does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answering(request: Request) -> Response:
            try:
                return await handle(request)
            except UpstreamRefused as error:
                return _refused_by_upstream(error)
            except Exception as error:
                handlers = request.app.exception_handlers
                known = next((kind for kind in type(error).__mro__[:-2] if kind in handlers), Exception)
                if known is Exception:
                    raise
                return _as_openai(await handlers[known](request, error))

        return answering


router = APIRouter(prefix="/v1", route_class=OpenAiRoute, include_in_schema=False)

BankHeader = Annotated[str | None, Header(alias="X-Memory-Bank", max_length=200)]
Conversation = Annotated[Label | None, Header(alias="X-Memory-Conversation")]
Mode = Annotated[Literal["read-write", "read"], Header(alias="X-Memory-Mode")]


@router.get("/models", operation_id="list_models")
async def list_models(request: Request, caller: CallerOf) -> dict[str, Any]:
    """The models that clients may ask for."""
    return {"object": "list", "data": [_model(name) for name in _upstream(request).models]}


@router.get("/models/{model:path}", operation_id="get_model")
async def get_model(model: str, request: Request, caller: CallerOf) -> dict[str, Any]:
    """One of them."""
    if model not in _upstream(request).models:
        raise UnknownModel(model)
    return _model(model)


@router.post("/chat/completions", operation_id="create_chat_completion")
async def create_chat_completion(
    body: Annotated[dict[str, Any], Body()],
    request: Request,
    caller: CallerOf,
    service: ServiceOf,
    bank: BankHeader = None,
    conversation: Conversation = None,
    mode: Mode = "read-write",
) -> Response:
    """A completion with what the bank knows in its prompt; the turn goes into the bank's inbox afterwards."""
    upstream = _upstream(request)
    upstream.served(body.get("model"))
    name = _bank_of(caller, bank, body.get("user"))
    messages = _messages_of(body)
    chat = Chat(service, caller, name, messages, conversation, stores=mode == "read-write")
    content = served_body(upstream, body, await chat.with_memories())
    if service.settings.chat.strict:
        await chat.store_asked()
    async with limits.counted_question(service.sessions, caller, Once()):
        response = await upstream.complete(content)
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        return Relayed(chat, upstream, response, _headers(name, chat, response))
    try:
        whole = await read_whole(response)
    except ModelUnreachable:
        await chat.store_asked()
        raise
    finally:
        await upstream.close(response)
    reply = Reply()
    reply.take(whole)
    await chat.store(reply.text)
    headers = _headers(name, chat, response) | {"X-Memory-Stored": str(chat.stored)}
    return Response(whole, response.status_code, headers)


class Relayed(StreamingResponse):
    """Events as the chat model sends them; the turn is stored before the last of them is passed on.

    Where the chat model breaks off, or the client goes away, what the user said is stored and the unfinished reply is
    not.
    """

    def __init__(self, chat: Chat, upstream: ChatUpstream, response: httpx.Response, headers: dict[str, str]) -> None:
        super().__init__(self._events(), response.status_code, headers | _UNBUFFERED)
        self._chat, self._upstream, self._response = chat, upstream, response
        self._reply = Reply()
        self._is_stored = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Nothing is awaited here: the client may be gone, and whoever waited for it with it.
            self._upstream.ending(self._end())

    async def _events(self) -> AsyncIterator[bytes]:
        events = Events()
        try:
            async for chunk in self._response.aiter_bytes():
                for event in events.cut(chunk):
                    data = data_of(event)
                    self._reply.take(data)
                    if data == DONE:
                        yield await self._stored()
                    yield event
        except httpx.HTTPError:
            if not self._reply.is_whole:
                yield await self._stored()
                yield _error_event("The chat model's answer broke off.", "model-unreachable")
                return
        yield events.rest()
        yield await self._stored()

    async def _stored(self) -> bytes:
        """Store the turn, once: a comment in the stream says where that failed, and an error where it is strict."""
        if self._is_stored:
            return b""
        self._is_stored = True
        before = len(self._chat.failures)
        try:
            # It goes on where the client goes away meanwhile.
            await asyncio.shield(self._upstream.ending(self._chat.store(self._reply.text)))
        except FAILURES:
            return _error_event("The turn could not be stored.", "memory-failed")
        return b"".join(f": X-Memory-Error: {failure}\n\n".encode() for failure in self._chat.failures[before:])

    async def _end(self) -> None:
        await self._upstream.close(self._response)
        await self._stored()


def error_of(message: str, kind: str, code: str, param: str | None = None) -> dict[str, Any]:
    """An error in OpenAI's form."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _error_event(message: str, code: str) -> bytes:
    return b"data: " + json.dumps(error_of(message, "server_error", code)).encode() + b"\n\n"


def _as_openai(problem: JSONResponse) -> JSONResponse:
    """A problem of this service in OpenAI's form."""
    told = json.loads(bytes(problem.body))
    status = 400 if problem.status_code == HTTPStatus.UNPROCESSABLE_ENTITY else problem.status_code
    faults = told.get("errors", [])
    message = told["detail"] + "".join(f" {fault['at']}: {fault['detail']}." for fault in faults)
    kind = "server_error" if status >= 500 else _KINDS.get(status, "invalid_request_error")
    param = faults[0]["at"].removeprefix("body.") if faults else None
    headers = {name: problem.headers[name] for name in ("retry-after", "www-authenticate") if name in problem.headers}
    return JSONResponse(error_of(message, kind, told["type"].removeprefix(TYPE_BASE), param), status, headers)


def _refused_by_upstream(error: UpstreamRefused) -> JSONResponse:
    """The error of the chat model's server as it is, unless it is about this service and not about its client."""
    if error.status < 400 or error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        log.warning("%s", error)
        return JSONResponse(error_of(f"{error} The service is set up wrongly.", "server_error", "model-refused"), 502)
    try:
        told = json.loads(error.body)
    except (ValueError, RecursionError):
        told = None
    headers = {"Retry-After": error.retry_after} if error.retry_after else {}
    if isinstance(told, dict) and isinstance(told.get("error"), dict):
        return JSONResponse(told, error.status, headers)
    said = told.get("message") or told.get("error") if isinstance(told, dict) else None
    kind = "server_error" if error.status >= 500 else _KINDS.get(error.status, "invalid_request_error")
    message = said if isinstance(said, str) else str(error)
    return JSONResponse(error_of(message, kind, "model-refused"), error.status, headers)


def _upstream(request: Request) -> ChatUpstream:
    upstream: ChatUpstream = request.app.state.chat
    return upstream


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "memory-r1"}


def _messages_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Raises `InvalidInput` for what is no list of messages."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not 1 <= len(messages) <= MAX_MESSAGES:
        raise InvalidInput(f"`messages` is a list of 1 to {MAX_MESSAGES} messages.")
    if not all(isinstance(message, dict) and isinstance(message.get("role"), str) for message in messages):
        raise InvalidInput("Each of `messages` is an object with a `role`.")
    return messages


def _bank_of(caller: Caller, header: str | None, user: object) -> str:
    """The bank that the header, or else the field `user`, names; the key's own where it is for one alone.

    Raises `InvalidInput`, and `Forbidden` for a bank that the key is not for.
    """
    own = caller.banks[0] if caller.banks is not None and len(caller.banks) == 1 else None
    name = header or (user if isinstance(user, str) and user else own)
    if name is None:
        raise InvalidInput(
            "Name the bank in the header `X-Memory-Bank` or the field `user`, or use a key that is for one bank."
        )
    if not _BANK_NAME.fullmatch(name):
        raise InvalidInput("A bank's name holds 1 to 128 letters, digits and ._:@- and begins with no sign.")
    if not caller.may_see(name):
        raise Forbidden("The key is not for this bank.")
    return name


def _headers(bank: str, chat: Chat, response: httpx.Response) -> dict[str, str]:
    told = {own: response.headers[name] for name, own in _PASSED_ON.items() if name in response.headers}
    errors = {"X-Memory-Error": ", ".join(map(str, chat.failures))} if chat.failures else {}
    return told | {"X-Memory-Bank": bank, "X-Memory-Recalled": str(chat.recalled)} | errors
