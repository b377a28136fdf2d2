from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import func, select, text

from app.core.values import Prompt, Role
from app.db import migrate, tables
from app.db.engine import DATABASE_AWAY
from app.db.queries import BankKey
from app.local.postgres import LocalPostgres
from app.services.ingest import Accepted, State
from app.services.service import Service
from app.settings import Settings
from tests.fixtures.database import make_tenant
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import (
    WatchingCompleter,
    bought,
    ended,
    lane_of,
    memory_texts,
    numbered,
    operations_per_turn,
    post,
    until,
    working,
)
from tests.fixtures.service import opened
from tests.fixtures.worker_process import worker_process

NAMES = ("Ann", "Ben", "Cleo")
TURNS = 15
Posted = list[tuple[BankKey, Accepted]]


async def post_everything(service: Service, tenant: UUID) -> Posted:
    return [await post(service, tenant, name, numbered(TURNS, name)) for name in NAMES]


async def done_count(service: Service) -> int:
    statement = select(func.count()).select_from(tables.inbox).where(tables.inbox.c.state == "done")
    async with everything(service.sessions) as session:
        return await session.scalar(statement) or 0


async def assert_each_applied_once_in_order(service: Service, posted: Posted) -> None:
    for name, (key, accepted) in zip(NAMES, posted, strict=True):
        assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE
        assert await memory_texts(service, key) == bought(TURNS, name)
        assert await operations_per_turn(service.sessions, key) == [1] * TURNS


async def assert_no_lane_is_stuck(service: Service, posted: Posted) -> None:
    for key, _ in posted:

        async def free(key: BankKey = key) -> bool:
            lane = await lane_of(service.sessions, key)
            return (lane.run_at, lane.lease_owner, lane.lease_until) == (None, None, None)

        await until(free)


async def test_killed_workers_leave_every_turn_to_be_applied_exactly_once(service: Service, tenant: UUID) -> None:
    posted = await post_everything(service, tenant)
    url = service.settings.database.url.get_secret_value()
    for _ in range(4):
        with worker_process(url, delay=0.05) as process:
            before = await done_count(service)
            await until(lambda seen=before: more_done(service, seen))  # type: ignore[misc]
            await asyncio.sleep(random.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
    assert await done_count(service) < TURNS * len(NAMES)
    with worker_process(url, delay=0):
        await assert_each_applied_once_in_order(service, posted)
        await assert_no_lane_is_stuck(service, posted)


async def more_done(service: Service, before: int) -> bool:
    return await done_count(service) > before


async def test_several_worker_processes_keep_the_order_of_each_bank(service: Service, tenant: UUID) -> None:
    url = service.settings.database.url.get_secret_value()
    with worker_process(url, delay=0.01), worker_process(url, delay=0.01):
        posted = await post_everything(service, tenant)
        await assert_each_applied_once_in_order(service, posted)
        await assert_no_lane_is_stuck(service, posted)


async def test_a_worker_that_is_asked_to_end_gives_its_banks_back_at_once(service: Service, tenant: UUID) -> None:
    posted = await post_everything(service, tenant)
    url = service.settings.database.url.get_secret_value()
    with worker_process(url, delay=0.05, lease=3600) as process:
        await until(lambda: more_done(service, 0))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    for key, _ in posted:
        assert (await lane_of(service.sessions, key)).lease_until is None
    async with working(service):
        await assert_each_applied_once_in_order(service, posted)


async def test_a_silent_worker_loses_its_bank_and_its_late_writes_are_dropped(service: Service, tenant: UUID) -> None:
    posted = await post_everything(service, tenant)
    url = service.settings.database.url.get_secret_value()
    with worker_process(url, delay=0.05) as process:
        await until(lambda: more_done(service, 0))
        await until(lambda: stopped_between_transactions(service, process))
        async with working(service):
            await until(lambda: more_done(service, TURNS))
            process.send_signal(signal.SIGCONT)
            await assert_each_applied_once_in_order(service, posted)


async def stopped_between_transactions(service: Service, process: subprocess.Popen[bytes]) -> bool:
    """Freeze the process; in a transaction it would keep its locks until the server ends the connection."""
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(0.05)
    statement = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
    )
    async with everything(service.sessions) as session:
        if not await session.scalar(statement):
            return True
    process.send_signal(signal.SIGCONT)
    await asyncio.sleep(random.uniform(0.01, 0.05))
    return False


@pytest.fixture
def own_postgres() -> Iterator[LocalPostgres]:
    """A server of this test alone, which it may restart; its folder must be open to the account of Postgres."""
    with tempfile.TemporaryDirectory(prefix="memory-r1-restart-") as folder:
        Path(folder).chmod(0o755)
        with LocalPostgres(Path(folder) / "data") as postgres:
            migrate.upgrade(postgres.url)
            yield postgres


@pytest_asyncio.fixture
async def on_own_postgres(own_postgres: LocalPostgres, settings: Settings) -> AsyncIterator[Service]:
    database = settings.database.model_copy(update={"url": SecretStr(own_postgres.url)})
    worker = settings.worker.model_copy(update={"lease_seconds": 2, "poll_seconds": 30})
    changed = settings.model_copy(update={"database": database, "worker": worker})
    async with opened(changed, ScriptedCompleter(), HashEmbedder()) as service:
        yield service


async def test_a_crash_of_postgres_in_the_middle_is_survived(on_own_postgres: Service) -> None:
    deciding, go_on = asyncio.Event(), asyncio.Event()

    async def hold(prompt: Prompt) -> None:
        if prompt.role is Role.MANAGER and "number 3." in prompt.messages[-1].content.partition("New facts")[2]:
            deciding.set()
            await go_on.wait()

    base = on_own_postgres
    completers = dict.fromkeys(Role, WatchingCompleter(hold))
    service = Service(base.settings, base.sessions, completers, base.embedder)
    tenant = await make_tenant(service.sessions)
    async with working(service):
        posted = await post_everything(service, tenant)
        await deciding.wait()
        for _ in range(2):
            await crash(service)
            await until(lambda: reachable(service))
        go_on.set()
        await assert_each_applied_once_in_order(service, posted)
        await assert_no_lane_is_stuck(service, posted)
        await asyncio.sleep(1.5)
        # Polling comes every 30 seconds: only a listener that came back as well sees this turn before.
        key, accepted = await post(service, tenant, "Dora", numbered(1, "Dora"))
        async with asyncio.timeout(20):
            assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE


async def crash(service: Service) -> None:
    """Kill one backend, upon which Postgres ends every connection and recovers as after a power cut."""
    with contextlib.suppress(*DATABASE_AWAY):
        async with everything(service.sessions) as session:
            backend = await session.scalar(select(func.pg_backend_pid()))
            assert backend
            os.kill(backend, signal.SIGKILL)
            await session.scalar(select(func.pg_sleep(5)))


async def reachable(service: Service) -> bool:
    try:
        await done_count(service)
    except DATABASE_AWAY:
        return False
    return True
