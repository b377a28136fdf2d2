"""The service as it is served, in a process of its own; with `hashed` its embedder costs nothing."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from app.cli import run, start_logging
from app.core.ports import Completer
from app.core.values import Role
from app.db.engine import Sessions, make_engine
from app.main import create_app, http_completers
from app.services.service import Service
from app.serving import serve
from app.settings import Settings
from tests.fixtures.doubles import HashEmbedder


@asynccontextmanager
async def with_hashed_embedder(settings: Settings) -> AsyncIterator[Service]:
    """The service with a real model server, and vectors that cost nothing."""
    async with contextlib.AsyncExitStack() as stack:
        engine = make_engine(settings.database)
        stack.push_async_callback(engine.dispose)
        completers: dict[Role, Completer] = {}
        for role, completer in http_completers(settings.llm).items():
            stack.push_async_callback(completer.aclose)
            completers[role] = completer
        yield Service(settings, Sessions(engine), completers, HashEmbedder())


async def serve_hashed(settings: Settings) -> None:
    app = create_app(settings, lambda: with_hashed_embedder(settings), with_worker=True)
    config = uvicorn.Config(app, host="127.0.0.1", port=settings.server.port, log_config=None, lifespan="on")
    await uvicorn.Server(config).serve()


def main() -> None:
    settings = Settings(_env_file=None)
    start_logging(settings)
    if sys.argv[1] == "hashed":
        asyncio.run(serve_hashed(settings))
    else:
        run(serve(settings, local=False, with_worker=True, progress=print))


if __name__ == "__main__":
    main()
