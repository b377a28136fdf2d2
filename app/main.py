"""Putting the service together: models by setting, sessions, the app, and the worker beside it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI

from app.api import (
    answers,
    audit,
    banks,
    chat_completions,
    erasure,
    health,
    keys,
    mcp,
    memories,
    operations,
    problems,
    transfer,
    turns,
    webhooks,
)
from app.api.dependencies import guard
from app.api.guarded import GuardedRoute
from app.api.hosts import KnownHost
from app.api.limits import BodyLimit, HeadAsGet, RequestLimit
from app.api.observed import Observed, http_tracing
from app.api.openapi import Api
from app.api.rate_limit import RateLimitHeaders
from app.core.errors import InvalidInput
from app.core.ports import PolicyServer
from app.core.values import Role
from app.courier import Courier
from app.db import migrate
from app.db.engine import Sessions, check_role, make_engine
from app.llm.chat import open_chat
from app.llm.completer import HttpCompleter
from app.llm.embedder import HttpEmbedder, ThreadEmbedder, sentence_transformer
from app.local.model import ensure_packaged_embedder, hide_progress_bars
from app.outgoing.sender import WebhookSender
from app.services.banks import check_embedder
from app.services.policies import Promoted, PromotedCompleter
from app.services.service import Service
from app.settings import DatabaseSettings, EmbeddingSettings, LlmSettings, Settings
from app.telemetry.observed import observed_completers, observed_embedder
from app.telemetry.opening import exposed, open_telemetry
from app.worker import Worker

PACKAGED_EMBEDDER = "packaged:all-MiniLM-L6-v2"
OpenService = Callable[[], AbstractAsyncContextManager[Service]]


def create_app(settings: Settings, opened: OpenService | None = None, *, with_worker: bool = False) -> FastAPI:
    """The API on a service that is opened when the app starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (opened or (lambda: open_service(settings)))() as service:
            app.state.service = service
            async with (
                open_chat(service.settings.chat, service.settings.llm) as app.state.chat,
                mcp.running_mcp(app),
                running_worker(service) if with_worker else contextlib.nullcontext(),
            ):
                yield

    app = Api(
        title="Memory-R1",
        version=version("memory-r1"),
        summary="A memory service that learns what to remember",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry=http_tracing(settings, lambda: app.state.service),
        # For every route there is or will be: one that does not ask who calls is closed all the same.
        dependencies=[Depends(guard)],
    )
    app.router.route_class = GuardedRoute
    app.state.require_key = requires_key(settings)
    app.add_middleware(RateLimitHeaders)
    app.add_middleware(
        BodyLimit,
        most=settings.server.max_body_bytes,
        most_of_file=settings.server.max_import_bytes,
        seconds=settings.server.body_seconds,
    )
    app.add_middleware(RequestLimit, most=settings.server.max_requests)
    app.add_middleware(KnownHost, allowed=settings.server.allowed_hosts, require_key=app.state.require_key)
    app.add_middleware(Observed)
    app.add_middleware(HeadAsGet)
    problems.add_handlers(app)
    for module in (turns, memories, operations, answers, banks, erasure, transfer, health, keys, audit, webhooks):
        app.include_router(module.router)
    for module in (chat_completions, mcp):
        app.include_router(module.router)
    return app


@asynccontextmanager
async def open_service(
    settings: Settings, completers: Mapping[Role, PolicyServer] | None = None
) -> AsyncIterator[Service]:
    """The service on a migrated database.

    Raises `EmbeddingMismatch`, `UnfitPolicy`, `InvalidInput` for a setting that is missing.
    """
    async with contextlib.AsyncExitStack() as stack:
        engine = make_engine(settings.database)
        stack.push_async_callback(engine.dispose)
        if completers is None:
            made = http_completers(settings.llm)
            for completer in made.values():
                stack.push_async_callback(completer.aclose)
            completers = made
        await check_schema(settings.database)
        telemetry = await stack.enter_async_context(open_telemetry(settings.telemetry))
        sessions = Sessions(engine, telemetry)
        await stack.enter_async_context(exposed(settings, sessions, telemetry.meter))
        await check_role(sessions)
        promoted = Promoted(sessions, settings)
        await promoted.check()
        embedder = await open_embedder(settings.embedding)
        stack.push_async_callback(embedder.aclose)
        servers = observed_completers(completers, settings, telemetry)
        service = Service(
            settings=settings,
            sessions=sessions,
            completers={role: PromotedCompleter(server, promoted) for role, server in servers.items()},
            embedder=observed_embedder(embedder, telemetry),
            telemetry=telemetry,
            answering=asyncio.Semaphore(settings.server.max_answers),
            transferring=asyncio.Semaphore(settings.server.max_transfers),
        )
        await check_embedder(service.sessions, embedder)
        yield service


async def check_schema(settings: DatabaseSettings) -> None:
    """At start: raises `InvalidInput` where the database has to be migrated first."""
    if await asyncio.to_thread(migrate.pending, settings.url.get_secret_value()):
        raise InvalidInput("The database is not at this version's schema; run `memory-r1 migrate`.")


@asynccontextmanager
async def running_worker(service: Service) -> AsyncIterator[Worker]:
    """A worker, and a courier beside it, for as long as the block runs; one that ends by itself is an error."""
    worker = Worker(service)
    async with _running_courier(service):
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await task


@asynccontextmanager
async def _running_courier(service: Service) -> AsyncIterator[None]:
    chosen = service.settings.webhooks
    sender = WebhookSender(
        allow_private=chosen.allow_private_addresses, timeout=chosen.timeout, concurrency=chosen.concurrency
    )
    async with sender:
        courier = Courier(service, sender)
        task = asyncio.create_task(courier.run())
        try:
            yield
        finally:
            courier.stop()
            await task


def http_completers(llm: LlmSettings) -> dict[Role, HttpCompleter]:
    """One completer for each role; what a role leaves unset is taken from `llm`. Raises `InvalidInput`."""
    return {role: _http_completer(llm, role) for role in Role}


def _http_completer(llm: LlmSettings, role: Role) -> HttpCompleter:
    names = ("base_url", "model", "api_key", "timeout", "max_retries", "concurrency", "temperature", "top_p")
    own = getattr(llm, role.value)
    chosen = {
        name: getattr(llm, name) if getattr(own, name) is None else getattr(own, name)
        for name in (*names, "max_tokens")
    }
    if chosen["base_url"] is None:
        raise InvalidInput(
            "No model server is set: point MEMORY_R1_LLM__BASE_URL at an OpenAI-compatible one "
            "(for example http://127.0.0.1:8000/v1), or use `memory-r1 serve --local`."
        )
    return HttpCompleter(**chosen)


async def open_embedder(settings: EmbeddingSettings) -> ThreadEmbedder | HttpEmbedder:
    """The embedder that the settings name. Raises `InvalidInput` where they are incomplete."""
    if settings.kind == "http":
        if settings.base_url is None or settings.dimension is None:
            raise InvalidInput("Embedding over HTTP needs MEMORY_R1_EMBEDDING__BASE_URL and ...__DIMENSION.")
        return HttpEmbedder(
            settings.base_url,
            settings.model,
            settings.dimension,
            api_key=settings.api_key,
            timeout=settings.timeout,
            batch=settings.batch,
        )
    return _checked(await asyncio.to_thread(_load_embedder, settings), settings)


def _load_embedder(settings: EmbeddingSettings) -> ThreadEmbedder:
    hide_progress_bars()
    packaged = settings.model == PACKAGED_EMBEDDER
    path = str(ensure_packaged_embedder()) if packaged else settings.model
    name = settings.model.removeprefix("packaged:")
    return sentence_transformer(name, path, batch=settings.batch, gather_ms=settings.gather_ms, offline=packaged)


def _checked(embedder: ThreadEmbedder, settings: EmbeddingSettings) -> ThreadEmbedder:
    if settings.dimension not in (None, embedder.dimension):
        raise InvalidInput(
            f"MEMORY_R1_EMBEDDING__DIMENSION is {settings.dimension}, but {embedder.model} gives {embedder.dimension}."
        )
    return embedder


def requires_key(settings: Settings) -> bool:
    """Whether callers need a key: anything but loopback does, unless a setting says otherwise."""
    if settings.server.require_key is not None:
        return settings.server.require_key
    try:
        return not ipaddress.ip_address(settings.server.host).is_loopback
    except ValueError:
        return settings.server.host != "localhost"
