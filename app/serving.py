"""Running the service in the foreground: parts, migrations, API and worker, until a signal."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from app.core.ports import PolicyServer
from app.core.values import Role
from app.db import lanes, migrate
from app.local.running import for_small_model, local_completers, local_postgres
from app.main import create_app, open_service
from app.services.service import Service
from app.settings import Settings

Progress = Callable[[str], None]
GRACE_SECONDS = 10
"""What requests under way get to end."""


async def serve(settings: Settings, *, local: bool, with_worker: bool, progress: Progress) -> None:
    """Serve until SIGINT or SIGTERM."""
    async with running(settings, local=local, with_worker=with_worker, progress=progress) as (_, ended):
        await ended()


@asynccontextmanager
async def running(
    settings: Settings, *, local: bool, with_worker: bool, progress: Progress
) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """A running service: its URL, and what to await to wait for its end."""
    async with AsyncExitStack() as stack:
        # Before anything is loaded: a port that is taken is known at once.
        listening = stack.enter_context(bound(settings.server.host, settings.server.port))
        completers: dict[Role, PolicyServer] | None = None
        if local:
            settings = await stack.enter_async_context(local_postgres(settings, progress))
            progress("bringing the database to this version's schema")
            await asyncio.to_thread(migrate.upgrade, settings.database.url.get_secret_value())
            if settings.llm.base_url is None:
                settings = for_small_model(settings)
                completers = await stack.enter_async_context(local_completers(settings, progress))
            progress("loading the embedding model")
        service = await stack.enter_async_context(open_service(settings, completers))
        if local:
            # The folder is ours alone, so whoever holds a bank is a service that was killed.
            async with service.sessions.dispatch() as session:
                await lanes.free_all(session)
        app = create_app(settings, lambda: nullcontext(service), with_worker=with_worker)
        url, ended = await stack.enter_async_context(served(app, listening))
        progress(f"ready at {url}")
        yield url, ended


@asynccontextmanager
async def served(app: FastAPI, listening: socket.socket) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """An app behind a socket: its URL, and what to await to wait for its end."""
    # Requests have lines of our own, without their paths: those hold names of banks, which may be people's.
    options: dict[str, Any] = {"log_config": None, "access_log": False, "timeout_graceful_shutdown": GRACE_SECONDS}
    server = _Server(app, uvicorn.Config(app, lifespan="on", **options))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    try:
        # A start that is broken off has to be ended as well.
        await server.ready(task)
        yield url, lambda: _joined(task)
    finally:
        server.end()
        await task


async def _joined(task: asyncio.Task[None]) -> None:
    await asyncio.shield(task)


class _Server(uvicorn.Server):
    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # First, because uvicorn takes a SIGINT during an ending for the second one and skips the lifespan's end.
        super().handle_exit(sig, frame)
        self.end()

    def end(self) -> None:
        """Take no more requests; those that wait for something are answered at once, the others get their time."""
        service: Service | None = getattr(self._app.state, "service", None)
        if service is not None:
            service.ending.set()
        self.should_exit = True

    async def ready(self, task: asyncio.Task[None]) -> None:
        """Wait until requests are answered; raises what starting raised."""
        while not self.started:
            if task.done():
                await task
                raise RuntimeError("The service could not start; the log says why.")
            await asyncio.sleep(0.02)


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket with an address; it listens once it is served. Raises OSError where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise OSError(
                f"Cannot listen on {host} port {port}: {error.strerror}. Choose another with --host and --port."
            ) from error
        yield listening
