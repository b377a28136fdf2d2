"""The three engines behind the Completer port, and the scripted server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.core.ports import Completer
from app.core.values import Completion, Prompt, Role
from app.llm.completer import HttpCompleter
from app.local.engine import LocalCompleter
from tests.fixtures.model_servers import ModelServer
from tests.llm.scripted import ScriptedServer

MAX_TOKENS = {Role.EXTRACTOR: 300, Role.MANAGER: 300, Role.ANSWERER: 48}
"""The answerer's replies are short here, so that one engine shows both limits."""
MAX_CONTEXT = 4096
SECONDS = 240
"""Patience with a model on shared cores."""


@dataclass(frozen=True)
class Engine:
    """One implementation of the port, with the limits of `MAX_TOKENS`."""

    by_role: dict[Role, Completer]

    async def complete(self, prompt: Prompt) -> Completion:
        return await self.by_role[prompt.role].complete(prompt)


@pytest.fixture(scope="session")
def running_scripted_server() -> Iterator[ScriptedServer]:
    server = ScriptedServer(max_context=MAX_CONTEXT)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def scripted_server(running_scripted_server: ScriptedServer) -> ScriptedServer:
    """The scripted server, with no rules and no calls yet."""
    running_scripted_server.reset()
    return running_scripted_server


@pytest.fixture(scope="session")
async def local_completer(small_model_dir: Path) -> AsyncIterator[LocalCompleter]:
    completer = LocalCompleter(small_model_dir, max_tokens=MAX_TOKENS, max_context=MAX_CONTEXT)
    await completer.start()
    yield completer
    await completer.aclose()


@pytest.fixture
async def scripted_engine(scripted_server: ScriptedServer) -> AsyncIterator[Engine]:
    async with _over_http(scripted_server.base_url, scripted_server.model) as by_role:
        yield Engine(by_role)


@pytest.fixture
def local_engine(local_completer: LocalCompleter) -> Engine:
    return Engine(dict.fromkeys(Role, local_completer))


@pytest.fixture
async def vllm_engine(vllm_server: ModelServer) -> AsyncIterator[Engine]:
    async with _over_http(vllm_server.base_url, vllm_server.model) as by_role:
        yield Engine(by_role)


@pytest.fixture(params=["scripted", "local", pytest.param("vllm", marks=pytest.mark.vllm)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Every engine in turn."""
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@asynccontextmanager
async def _over_http(base_url: str, model: str) -> AsyncIterator[dict[Role, Completer]]:
    async with AsyncExitStack() as stack:
        completers: dict[Role, Completer] = {}
        for role, most in MAX_TOKENS.items():
            completer = HttpCompleter(base_url, model, max_tokens=most, timeout=SECONDS, max_retries=0)
            stack.push_async_callback(completer.aclose)
            completers[role] = completer
        yield completers
