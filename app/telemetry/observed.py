"""Model calls that are told of, whatever answers them: by metrics, and by the GenAI conventions of OpenTelemetry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from app.core import metrics
from app.core.errors import MemoryServiceError
from app.core.policies import Served
from app.core.ports import Embedder, Listener, PolicyServer
from app.core.telemetry import AttributeValue, Span, SpanKind, Telemetry
from app.core.values import Completion, Message, Prompt, Role, Vector
from app.settings import RoleSettings, Settings


class ObservedCompleter:
    """Implements `app.core.ports.PolicyServer` around another; `model` is what that one is configured for."""

    def __init__(
        self,
        server: PolicyServer,
        model: str,
        telemetry: Telemetry,
        *,
        provider: str = "openai",
        with_text: bool = False,
    ) -> None:
        self._server, self._telemetry = server, telemetry
        self._model, self._provider, self._with_text = model, provider, with_text

    async def complete(self, prompt: Prompt, policy: Served | None = None) -> Completion:
        with self._told(prompt, policy) as span:
            completion = await (self._server.complete(prompt, policy) if policy else self._server.complete(prompt))
            self._tell_reply(prompt, completion, span)
        return completion

    async def stream(self, prompt: Prompt, listener: Listener, policy: Served | None = None) -> Completion:
        with self._told(prompt, policy) as span:
            given = (prompt, listener, policy) if policy else (prompt, listener)
            completion = await self._server.stream(*given)
            self._tell_reply(prompt, completion, span)
        return completion

    @contextmanager
    def _told(self, prompt: Prompt, policy: Served | None) -> Iterator[Span]:
        model = policy.model if policy else self._model
        attributes: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self._provider,
            "gen_ai.request.model": model,
            "gen_ai.output.type": "json",
            "memory_r1.role": prompt.role.value,
            "memory_r1.prompt_version": prompt.version,
        }
        if self._with_text:
            attributes["gen_ai.input.messages"] = _messages(prompt.messages)
        with (
            _timed(self._telemetry, metrics.MODEL_CALL, prompt.role.value),
            self._telemetry.tracer.span(f"chat {model}", attributes, kind=SpanKind.CLIENT) as span,
        ):
            yield span

    def _tell_reply(self, prompt: Prompt, completion: Completion, span: Span) -> None:
        usage, meter = completion.usage, self._telemetry.meter
        meter.count(metrics.MODEL_TOKENS, prompt.role.value, "input", amount=usage.prompt_tokens)
        meter.count(metrics.MODEL_TOKENS, prompt.role.value, "output", amount=usage.completion_tokens)
        span.note(
            {
                "gen_ai.response.model": completion.policy,
                "gen_ai.usage.input_tokens": usage.prompt_tokens,
                "gen_ai.usage.output_tokens": usage.completion_tokens,
            }
        )
        if self._with_text:
            span.note({"gen_ai.output.messages": _messages([Message(role="assistant", content=completion.text)])})


class ObservedEmbedder:
    """Implements `app.core.ports.Embedder` around another."""

    def __init__(self, embedder: Embedder, telemetry: Telemetry) -> None:
        self._embedder, self._telemetry = embedder, telemetry
        self.model, self.dimension = embedder.model, embedder.dimension

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        attributes: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.request.model": self.model,
            "gen_ai.embeddings.dimension.count": self.dimension,
            "memory_r1.texts": len(texts),
        }
        span = self._telemetry.tracer.span(f"embeddings {self.model}", attributes, kind=SpanKind.CLIENT)
        with _timed(self._telemetry, metrics.EMBEDDING), span:
            return await self._embedder.embed(texts)


def observed_completers(
    servers: Mapping[Role, PolicyServer], settings: Settings, telemetry: Telemetry
) -> dict[Role, PolicyServer]:
    """The same servers, told of; just as they are where nobody listens."""
    if telemetry.is_silent:
        return dict(servers)
    return {role: _observed(server, settings, role, telemetry) for role, server in servers.items()}


def observed_embedder(embedder: Embedder, telemetry: Telemetry) -> Embedder:
    """The same embedder, told of; just as it is where nobody listens."""
    return embedder if telemetry.is_silent else ObservedEmbedder(embedder, telemetry)


def _observed(server: PolicyServer, settings: Settings, role: Role, telemetry: Telemetry) -> ObservedCompleter:
    own: RoleSettings = getattr(settings.llm, role.value)
    is_local = own.base_url is None and settings.llm.base_url is None
    model = settings.local.model if is_local else own.model or settings.llm.model
    # Whoever serves it: the conventions name the interface where that is all that is known.
    provider = "memory_r1" if is_local else "openai"
    return ObservedCompleter(server, model, telemetry, provider=provider, with_text=settings.telemetry.record_text)


@contextmanager
def _timed(telemetry: Telemetry, metric: metrics.Metric, *labels: str) -> Iterator[None]:
    """The seconds of the block, with `ok` or the type of the error as the last label."""
    started, outcome = time.perf_counter(), "ok"
    try:
        yield
    except MemoryServiceError as error:
        outcome = type(error).__name__
        raise
    except Exception:
        outcome = "Unexpected"
        raise
    except BaseException:
        outcome = "cancelled"
        raise
    finally:
        telemetry.meter.observe(metric, time.perf_counter() - started, *labels, outcome)


def _messages(messages: Sequence[Message]) -> str:
    return json.dumps([{"role": m.role, "parts": [{"type": "text", "content": m.content}]} for m in messages])
