"""What is erased is nowhere: not in any row of any table, nor in what service, workers and Postgres logged.

Every text that belongs to an erased bank or turn holds a word that stands nowhere else. It is ingested, answered about,
edited, undone, exported, imported and erased under load, with workers of other processes; then everything is searched.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from app.core.values import Prompt
from app.db import migrate
from app.local.postgres import LocalPostgres
from app.settings import Settings
from tests.e2e.processes import Workplace
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter, decisions
from tests.fixtures.service import api

CANARY = "zQcanaryQz"
ROOT = Path(__file__).parents[2]
WORKERS, ROUNDS = 2, 14
ERASED_WHOLE = (f"whole-{CANARY}-1", f"whole-{CANARY}-2", f"whole-{CANARY}-3")
ERASED_IN_PART = ("part-1", "part-2", "part-3")
TABLES = """
    SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 'p')
"""
EXPECTED = {200, 201, 202, 404, 409, 412, 422, 429}
"""Whatever a request runs into, it is never the service that fails."""


def mixed(prompt: Prompt) -> str:
    """Adds, merges and deletes, some of which are refused; what it says quotes what it was shown."""

    def decide(fact: str) -> list[dict[str, Any]]:
        match sum(map(ord, fact)) % 4:
            case 0:
                return [{"op": "UPDATE", "memory": "m1", "text": f"{fact} {CANARY if CANARY in str(prompt) else ''}"}]
            case 1:
                return [{"op": "DELETE", "memory": "m1"}]
            case _:
                return [{"op": "ADD"}]

    reply = json.loads(decisions(prompt, decide))
    return json.dumps(reply | ({"reasoning": prompt.messages[-1].content[-900:]} if "reasoning" in reply else {}))


@pytest.fixture
def postgres(workplace: Workplace) -> Iterator[LocalPostgres]:
    with LocalPostgres(workplace.folder / "postgres") as postgres:
        migrate.upgrade(postgres.url)
        yield postgres


@contextlib.contextmanager
def worker_processes(url: str, folder: Path) -> Iterator[list[Path]]:
    """Workers whose every output goes to files."""
    outputs = [folder / f"worker-{n}.txt" for n in range(WORKERS)]
    command = [sys.executable, "-m", "tests.fixtures.worker_process", url, "0.02", "5"]
    processes = []
    try:
        for output in outputs:
            with output.open("wb") as file:
                env = {**os.environ, "PYTHONPATH": str(ROOT)}
                processes.append(subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=env))
        yield outputs
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


@contextlib.contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """What this process logs, at the finest level of our own and with all traces."""
    written, root, own = io.StringIO(), logging.getLogger(), logging.getLogger("app")
    handler = logging.StreamHandler(written)
    # The client of this test names the paths that it asks for; it is no part of the service.
    handler.addFilter(lambda record: record.name != "httpx")
    levels = root.level, own.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    own.setLevel(logging.DEBUG)
    try:
        yield written
    finally:
        root.removeHandler(handler)
        root.setLevel(levels[0])
        own.setLevel(levels[1])


class Load:
    """Random requests to one bank after the other; notes which turns hold the canary."""

    def __init__(self, client: httpx.AsyncClient, seed: int) -> None:
        self._client, self._seed = client, seed
        self.turns: dict[str, list[str]] = {bank: [] for bank in ERASED_IN_PART}
        self.files: list[bytes] = []
        self.statuses: set[int] = set()

    async def run(self, bank: str) -> None:
        rng = random.Random(f"{self._seed} {bank}")
        for number in range(ROUNDS):
            await self._post(bank, number, rng)
            for _ in range(3):
                await rng.choice([self._ask, self._edit, self._undo, self._export, self._retry, self._erase])(bank, rng)
                await asyncio.sleep(rng.uniform(0, 0.1))

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = await self._client.request(method, path, **options)
        self.statuses.add(response.status_code)
        assert response.status_code in EXPECTED, (method, path, response.text)
        return response

    async def _post(self, bank: str, number: int, rng: random.Random) -> None:
        secret = {
            "speaker": f"Carol {CANARY}" if rng.random() < 0.5 else "Carol",
            "text": f"I keep {number} {CANARY} cats. I no longer like {CANARY} tea.",
            "external_id": f"{CANARY}-{number}",
            "session": CANARY,
            "metadata": {CANARY: [CANARY]},
        }
        plain = {"speaker": "Bob", "text": f"I bought item number {number}.", "external_id": f"plain-{number}"}
        turns = [secret, plain] if rng.random() < 0.5 else [plain, secret]
        headers = {"idempotency-key": f"{bank}-{number}"}
        response = await self._send("POST", f"/v1/banks/{bank}/turns", json={"turns": turns}, headers=headers)
        if bank in self.turns and response.status_code == 202:
            self.turns[bank].append(response.json()["turn_ids"][turns.index(secret)])

    async def _ask(self, bank: str, rng: random.Random) -> None:
        headers = {"idempotency-key": str(UUID(int=rng.getrandbits(128)))}
        question = {"question": "Who keeps cats?"}
        if bank in ERASED_WHOLE:
            question = {"question": f"What of {CANARY}?"}
        await self._send("POST", f"/v1/banks/{bank}/answer", json=question, headers=headers)

    async def _edit(self, bank: str, rng: random.Random) -> None:
        found = (await self._send("GET", f"/v1/banks/{bank}/memories")).json().get("memories", [])
        secret = [memory for memory in found if CANARY in memory["text"]]
        if not secret:
            return
        memory = rng.choice(secret)
        path = f"/v1/banks/{bank}/memories/{memory['id']}"
        headers = {"idempotency-key": str(UUID(int=rng.getrandbits(128))), "if-match": f'"{memory["version"]}"'}
        if rng.random() < 0.3:
            await self._send("DELETE", path, headers=headers)
        else:
            body = {"text": f"Carol keeps {rng.randrange(99)} {CANARY} dogs."}
            await self._send("PATCH", path, json=body, headers=headers)
        if bank in ERASED_WHOLE:
            body = {"text": f"A memory of no turn, {CANARY} {rng.random()}.", "speaker": CANARY}
            await self._send("POST", f"/v1/banks/{bank}/memories", json=body)

    async def _undo(self, bank: str, rng: random.Random) -> None:
        lines = (await self._send("GET", f"/v1/banks/{bank}/operations")).json().get("operations", [])
        if lines:
            number = rng.choice(lines)["number"]
            headers = {"idempotency-key": str(UUID(int=rng.getrandbits(128)))}
            await self._send("POST", f"/v1/banks/{bank}/operations/{number}/undo", headers=headers)

    async def _export(self, bank: str, rng: random.Random) -> None:
        response = await self._send("GET", f"/v1/banks/{bank}/export")
        if response.status_code == 200:
            copy = f"{ERASED_WHOLE[0]}-copy"
            await self._send("POST", f"/v1/banks/{copy}/import", content=response.content[: rng.choice([None, -100])])
            await self._send("DELETE", f"/v1/banks/{copy}")

    async def _retry(self, bank: str, rng: random.Random) -> None:
        await self._send("GET", f"/v1/banks/{bank}/turns")

    async def _erase(self, bank: str, rng: random.Random) -> None:
        if bank in ERASED_WHOLE:
            if rng.random() < 0.2:
                await self._send("DELETE", f"/v1/banks/{bank}")
        elif self.turns[bank]:
            await self.erase_turn(bank, self.turns[bank].pop(rng.randrange(len(self.turns[bank]))))

    async def erase_turn(self, bank: str, turn_id: str) -> None:
        receipt = (await self._send("DELETE", f"/v1/banks/{bank}/turns/{turn_id}?derived=all")).json()
        assert set(receipt["verified"].values()) == {0}, receipt


@contextlib.asynccontextmanager
async def analysed(url: str) -> AsyncIterator[None]:
    """Postgres gathers statistics again and again, as it does by itself now and then."""

    async def gather() -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            while True:
                await connection.execute("ANALYZE")
                await asyncio.sleep(1)

    task = asyncio.create_task(gather())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_an_erased_word_is_nowhere(workplace: Workplace, postgres: LocalPostgres) -> None:
    seed = int(os.environ.get("MEMORY_R1_TEST_SEED", "7"))
    base = Settings(_env_file=None)
    worker = base.worker.model_copy(update={"backoff_seconds": 0.02, "max_backoff_seconds": 0.1, "poll_seconds": 0.5})
    database = base.database.model_copy(update={"url": SecretStr(postgres.url)})
    settings = base.model_copy(update={"database": database, "worker": worker})
    completer = ScriptedCompleter(manager=mixed)
    completer.delay = 0.005
    url = postgres.url.replace("+psycopg", "")
    with everything_logged() as logged, worker_processes(postgres.url, workplace.folder) as outputs:
        async with api(settings, completer, HashEmbedder()) as client:
            load = Load(client, seed)
            # Not while the rest is erased: the samples that it takes must not have been there to outlast that.
            async with analysed(url):
                await asyncio.gather(*(load.run(bank) for bank in (*ERASED_WHOLE, *ERASED_IN_PART)))
            seen = places(url)
            await erase_the_rest(client, load)
    assert {"turns", "memories", "memory_versions", "operations", "traces", "answers", "banks"} <= seen
    assert {200, 201, 202} <= load.statuses
    assert places(url) == set()
    logs = [logged.getvalue(), *(output.read_text() for output in outputs), postgres.log.read_text()]
    assert [CANARY in log for log in logs] == [False] * len(logs)
    assert all("ready" in output.read_text() for output in outputs)


async def erase_the_rest(client: httpx.AsyncClient, load: Load) -> None:
    """While the workers still have much to do."""
    for bank, turn_ids in load.turns.items():
        await asyncio.gather(*(load.erase_turn(bank, turn_id) for turn_id in turn_ids))
        left = (await client.get(f"/v1/banks/{bank}/turns?limit=200")).json()["turns"]
        assert len(left) == ROUNDS and not any(CANARY in turn["text"] for turn in left)
        for turn in left:
            await client.get(f"/v1/banks/{bank}/turns/{turn['turn_id']}", headers={"prefer": "wait=30"})
    for name in (*ERASED_WHOLE, f"{ERASED_WHOLE[0]}-copy"):
        assert (await client.delete(f"/v1/banks/{name}")).status_code in {200, 404}
    # What was under way may still end; nothing of it may show.
    await asyncio.sleep(1)


def places(url: str) -> set[str]:
    """The tables of any schema that hold the word in any column, as text or as bytes."""
    found = set()
    with psycopg.connect(url) as connection:
        # The searches themselves must not be found.
        connection.execute("SET track_activities = off")
        for schema, table in connection.execute(TABLES).fetchall():
            where = sql.SQL("SELECT count(*) FROM {} AS row_ WHERE row_::text ILIKE ANY (%s)").format(
                sql.Identifier(schema, table)
            )
            patterns = [f"%{CANARY}%", f"%{CANARY.encode().hex()}%"]
            if connection.execute(where, [patterns]).fetchone() != (0,):
                found.add(table)
    return found
