"""A service that asks for a key behind a real port, a proxy before it that fails on demand, and the two clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
import pytest_asyncio
from memory_r1_client import AsyncMemoryR1, MemoryR1, Retries
from pydantic import SecretStr

from app.core.values import Completion, Prompt
from app.db.engine import Sessions
from app.services import keys
from app.settings import Settings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter, question_of
from tests.fixtures.live import live_in_thread
from tests.fixtures.one_database import one_database_url, sessions, sessions_of_one_database
from tests.sdk.flaky import FlakyProxy, flaky_proxy

__all__ = ["one_database_url", "sessions", "sessions_of_one_database"]

QUICK = Retries(first_wait=0.01)


class ToldCompleter(ScriptedCompleter):
    """Breaks, or takes its time, where a turn or a question says so."""

    async def complete(self, prompt: Prompt) -> Completion:
        # Not in the turns before it.
        asked = question_of(prompt).rpartition("Last turn, on ")[2]
        if "takes the model long" in asked:
            await asyncio.sleep(1)
        completion = await super().complete(prompt)
        is_broken = "breaks the model" in asked
        return completion.model_copy(update={"text": "{"}) if is_broken else completion


@pytest.fixture(scope="session")
def url(one_database_url: str) -> Iterator[str]:
    """A whole service of all these tests, with doubles for its models, in a thread; it asks for keys."""
    base = Settings(_env_file=None)
    settings = base.model_copy(
        update={
            "database": base.database.model_copy(update={"url": SecretStr(one_database_url)}),
            "server": base.server.model_copy(update={"require_key": True}),
            "worker": base.worker.model_copy(update={"backoff_seconds": 0.02, "max_backoff_seconds": 0.1}),
        }
    )
    with live_in_thread(settings, ToldCompleter(), HashEmbedder()) as url:
        yield url


@pytest_asyncio.fixture
async def key(sessions: Sessions) -> str:
    """A key of a tenant of this test alone, that may do everything there."""
    secret = (await keys.create(sessions, f"tenant-{uuid4()}", "key")).secret
    assert secret is not None
    return secret


@pytest.fixture
def proxy(url: str) -> Iterator[FlakyProxy]:
    """A proxy that passes everything on until it has a script."""
    with flaky_proxy(url) as proxy:
        yield proxy


@pytest.fixture
def memory(proxy: FlakyProxy, key: str) -> Iterator[MemoryR1]:
    """The client that waits, through the proxy."""
    with MemoryR1(proxy.url, key, retries=QUICK) as memory:
        yield memory


@pytest_asyncio.fixture
async def async_memory(proxy: FlakyProxy, key: str) -> AsyncIterator[AsyncMemoryR1]:
    """The client that does not, through the proxy."""
    async with AsyncMemoryR1(proxy.url, key, retries=QUICK) as memory:
        yield memory
