"""Running the service in the foreground: parts, migrations, API and worker, until a signal."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import uvicorn

from app.core.ports import Completer
from app.core.values import Role
from app.db import migrate
from app.local.running import local_completers, local_postgres
from app.main import create_app, open_service
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
        completers: dict[Role, Completer] | None = None
        if local:
            settings = await stack.enter_async_context(local_postgres(settings, progress))
            progress("bringing the database to this version's schema")
            await asyncio.to_thread(migrate.upgrade, settings.database.url.get_secret_value())
            if settings.llm.base_url is None:
                completers = await stack.enter_async_context(local_completers(settings.local, progress))
            progress("loading the embedding model")
        app = create_app(settings, lambda: open_service(settings, completers), with_worker=with_worker)
        listening = _listen(settings.server.host, settings.server.port)
        server = _Server(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=GRACE_SECONDS))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        await server.ready(task)
        host, port = listening.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        progress(f"ready at {url}")
        try:
            yield url, lambda: _joined(task)
        finally:
            server.should_exit = True
            await task


async def _joined(task: asyncio.Task[None]) -> None:
    await asyncio.shield(task)


class _Server(uvicorn.Server):
    async def ready(self, task: asyncio.Task[None]) -> None:
        """Wait until requests are answered; raises what starting raised."""
        while not self.started:
            if task.done():
                await task
                raise RuntimeError("The service could not start; the log says why.")
            await asyncio.sleep(0.02)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, opened before the start is announced. Raises OSError where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening
