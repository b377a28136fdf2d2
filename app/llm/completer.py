"""Completing over HTTP: any OpenAI-compatible server, vLLM first."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import openai
from openai import AsyncOpenAI
from pydantic import SecretStr

from app.core import errors, rendering
from app.core.policies import Served
from app.core.ports import Listener
from app.core.values import Completion, Prompt, Usage

if TYPE_CHECKING:
    from openai import AsyncStream
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

_ENABLE_LOADING = (
    "start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, or have it serve the adapter"
)
MAX_REASON_CHARACTERS = 300


class HttpCompleter:
    """Implements `app.core.ports.PolicyServer`. Retries are the client's: backoff with jitter, `Retry-After`."""

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: SecretStr | None = None,
        timeout: float = 60,
        max_retries: int = 2,
        concurrency: int = 8,
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_tokens: int = 512,
    ) -> None:
        self._client = AsyncOpenAI(
            base_url=base_url,
            api_key=api_key.get_secret_value() if api_key else "none",
            timeout=timeout,
            max_retries=max_retries,
        )
        self._base_url, self._model = base_url, model
        self._where = f"the model server {base_url}"
        self._timeout, self._retries = timeout, max_retries
        self._sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
        self._slots = asyncio.Semaphore(concurrency)

    async def complete(self, prompt: Prompt, policy: Served | None = None) -> Completion:
        async with self._slots:
            started = time.perf_counter()
            response = await self._ask(prompt, policy)
            seconds = time.perf_counter() - started
        name = policy.label if policy else self._model
        return Completion(text=_text_of(response), policy=name, usage=_usage_of(response), seconds=seconds)

    async def stream(self, prompt: Prompt, listener: Listener, policy: Served | None = None) -> Completion:
        """A reply that breaks off, where a retry can help, is asked for anew and as a whole, with all retries."""
        async with self._slots:
            started = time.perf_counter()
            response = await self._hear(prompt, listener, policy)
            seconds = time.perf_counter() - started
        name = policy.label if policy else self._model
        return Completion(text=_text_of(response), policy=name, usage=_usage_of(response), seconds=seconds)

    async def prepare(self, policy: Served) -> None:
        """Make sure that the server serves a policy; a vLLM loads its adapter. Raises a `ModelError`."""
        if not await self._serves(policy.model):
            await self._load(policy)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _hear(self, prompt: Prompt, listener: Listener, policy: Served | None) -> ChatCompletion:
        opened = await self._ask(prompt, policy, stream=True)
        try:
            return await self._read(opened, listener)
        except errors.ModelError as error:
            if not (error.retryable and self._retries):
                raise
        listener.restart()
        whole: ChatCompletion = await self._ask(prompt, policy)
        return whole

    async def _read(self, opened: AsyncStream[ChatCompletionChunk], listener: Listener) -> ChatCompletion:
        """Raises `ModelUnreachable` for a reply that breaks off, and `ModelTimedOut` for one that takes longer than one
        call may, however steadily it comes.
        """
        parts = _Parts()
        try:
            async with opened, asyncio.timeout(self._timeout):
                async for chunk in opened:
                    if piece := parts.take(chunk):
                        listener.text(piece)
        except TimeoutError as error:
            raise errors.ModelTimedOut(f"The reply was not whole in time from {self._where}.") from error
        except openai.OpenAIError as error:
            raise self._translated(error) from error
        except ValueError as error:
            raise errors.BrokenReply(f"{self._base_url} answered what is not JSON.") from error
        whole = parts.whole()
        if whole is None:
            raise errors.ModelUnreachable(f"The reply broke off, from {self._where}.")
        return whole

    async def _ask(self, prompt: Prompt, policy: Served | None, *, stream: bool = False) -> Any:
        """A `ChatCompletion`, or the open stream of one."""
        try:
            if policy:
                return await self._create_by(prompt, policy, stream=stream)
            return await self._create(prompt, self._model, stream=stream)
        except openai.OpenAIError as error:
            raise self._translated(error) from error
        except (json.JSONDecodeError, ValueError) as error:
            raise errors.BrokenReply(f"{self._base_url} answered what is not JSON.") from error

    async def _create_by(self, prompt: Prompt, policy: Served, *, stream: bool) -> Any:
        """A server that was started anew has forgotten the adapters that it had loaded, and is told once."""
        try:
            return await self._create(prompt, policy.model, stream=stream)
        except openai.NotFoundError:
            pass
        try:
            await self._load(policy)
            return await self._create(prompt, policy.model, stream=stream)
        except (errors.ModelRefused, openai.NotFoundError) as error:
            # Not for ever: it replies again when the server, or the promotion, has been put right.
            raise errors.ModelUnreachable(
                f"{self._base_url} does not serve the policy {policy.label}, and could not be made to."
            ) from error

    async def _create(self, prompt: Prompt, model: str, *, stream: bool) -> Any:
        form: Any = {"name": prompt.role.value, "schema": prompt.reply_schema, "strict": True}
        messages: Any = [message.model_dump() for message in prompt.messages]
        streaming: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        return await self._client.chat.completions.create(
            model=model,
            messages=messages,
            # Not as `response_format`: the client would copy the schema, value by value, in every call.
            extra_body={"response_format": {"type": "json_schema", "json_schema": form}},
            **self._sampling,
            **streaming,
        )

    async def _serves(self, model: str) -> bool:
        try:
            return model in {one.id async for one in self._client.models.list()}
        except openai.NotFoundError:
            # A server that does not list its models: the first call will tell.
            return True
        except openai.OpenAIError as error:
            raise self._translated(error) from error

    async def _load(self, policy: Served) -> None:
        """By vLLM's `POST /v1/load_lora_adapter`."""
        if policy.folder is None:
            raise errors.ModelRefused(f"{self._base_url} does not serve {policy.model!r}, the policy {policy.label}.")
        body = {"lora_name": policy.model, "lora_path": policy.folder}
        try:
            await self._client.post("/load_lora_adapter", body=body, cast_to=httpx.Response)
        except openai.APIStatusError as error:
            # Another process may have loaded it meanwhile.
            if error.status_code == 400 and await self._serves(policy.model):
                return
            reason = _reason(error) or f"{_ENABLE_LOADING} from its start"
            raise errors.ModelRefused(f"{self._base_url} does not load the policy {policy.label}: {reason}.") from error
        except openai.OpenAIError as error:
            raise self._translated(error) from error

    def _translated(self, error: openai.OpenAIError) -> errors.ModelError:
        """Without the server's own words: they may quote the prompt, and what is said here is stored."""
        where = self._where
        match error:
            case openai.APITimeoutError():
                return errors.ModelTimedOut(f"There was no answer in time from {where}.")
            case openai.APIConnectionError():
                return errors.ModelUnreachable(f"Cannot reach {where}.")
            case openai.APIStatusError(status_code=status) if status in (408, 409, 429) or status >= 500:
                return errors.ModelOverloaded(f"Status {status} from {where}.")
            case openai.APIStatusError(status_code=status):
                return errors.ModelRefused(f"Status {status} from {where}.")
            case openai.APIError(body=body) if body is not None:
                # What a server says that fails after it has begun its reply.
                return errors.ModelOverloaded(f"An error in the middle of the reply from {where}.")
            case _:
                return errors.BrokenReply(f"{where.capitalize()} answered in an unknown form.")


def _reason(error: openai.APIStatusError) -> str | None:
    """Why vLLM does not load an adapter, in its own words, which are about the adapter alone."""
    said = error.body if isinstance(error.body, dict) else {}
    message = said.get("message") or (said.get("error") or {}).get("message")
    return rendering.one_line(str(message).rstrip("."), MAX_REASON_CHARACTERS) if message else None


class _Parts:
    """A reply as its parts come in."""

    def __init__(self) -> None:
        self._message: dict[str, str | None] | None = None
        self._usage: CompletionUsage | None = None
        self._finish_reason: str | None = None

    def take(self, chunk: ChatCompletionChunk) -> str:
        """The text of one part."""
        self._usage = getattr(chunk, "usage", None) or self._usage
        choices = getattr(chunk, "choices", None)
        if not choices or getattr(choices[0], "delta", None) is None:
            return ""
        self._finish_reason = choices[0].finish_reason or self._finish_reason
        self._message = self._message or {"content": "", "refusal": None}
        self._message["refusal"] = choices[0].delta.refusal or self._message["refusal"]
        piece = choices[0].delta.content or ""
        if not isinstance(piece, str):
            raise errors.BrokenReply("A part of the model's reply is no text.")
        self._message["content"] = f"{self._message['content']}{piece}"
        return piece

    def whole(self) -> ChatCompletion | None:
        """What the server would have answered at once; None where it broke off."""
        from openai.types.chat import ChatCompletion

        if self._message and self._message["content"] and self._finish_reason is None:
            return None
        choice = {"index": 0, "finish_reason": self._finish_reason, "message": self._message}
        choices = [choice] if self._message else []
        return ChatCompletion.construct(choices=choices, usage=self._usage)


def _text_of(response: ChatCompletion) -> str:
    """The reply's text. Raises `ReplyCutOff` or `BrokenReply`."""
    choices = getattr(response, "choices", None)
    if not choices or getattr(choices[0], "message", None) is None:
        raise errors.BrokenReply("The model server answered without a message.")
    text: str | None = choices[0].message.content
    if choices[0].finish_reason == "length":
        raise errors.ReplyCutOff()
    if choices[0].message.refusal or choices[0].finish_reason == "content_filter":
        raise errors.ModelRefused("The model declined to reply.")
    if not text:
        raise errors.BrokenReply("The model's reply is empty.")
    try:
        json.loads(text)
    except ValueError as error:
        raise errors.BrokenReply("The model's reply is not JSON; does the server support json_schema?") from error
    return text


def _usage_of(response: ChatCompletion) -> Usage:
    if response.usage is None:
        return Usage()
    return Usage(
        prompt_tokens=response.usage.prompt_tokens or 0, completion_tokens=response.usage.completion_tokens or 0
    )
