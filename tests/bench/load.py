"""Turns and questions from many clients, each on a bank of its own."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg

from tests.bench.http_client import BenchError, Connection, Response
from tests.bench.processes import Measured

FACTS = ("adopted a cat", "bought a bike", "visited Lisbon", "started to paint", "moved to Oslo", "met an old friend")
FILLED = "questions"
COPIED = {
    "speakers": "speaker, first_position",
    "turns": "id, ingestion_id, position, speaker, text, said_at, metadata",
    "memories": "id, version, text, speaker, said_at, sources, embedding, terms",
    "memory_versions": "memory_id, version, text, speaker, said_at, sources, embedding, terms",
    "lanes": "written_at, last_operation",
}
Work = Callable[[Connection, str, int], Awaitable[None]]


@dataclass(frozen=True)
class Cell:
    """One run: what each thing took, and what it used."""

    kind: str
    latency_ms: float
    clients: int
    own_ms: tuple[float, ...]
    """The service's own time: wall time less what the model took."""
    ack_ms: tuple[float, ...]
    per_second: float
    service_cpu_ms: float
    postgres_cpu_ms: float
    calls: float
    tokens: dict[str, tuple[float, float]]
    """Prompt and completion tokens of a call, by role."""


class Load:
    """Makes load on what runs."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured
        self._filled = False

    async def set_latency(self, milliseconds: float) -> None:
        await self._tell_model(f"/latency/{milliseconds}")

    async def _tell_model(self, path: str) -> Any:
        """On a new connection: the server closes one that was idle for seconds."""
        connection = Connection(self._measured.model_port)
        body = (await connection.call("POST", path)).body
        connection.close()
        return body

    async def turns(self, latency_ms: float, clients: int, count: int) -> Cell:
        """Each client posts a turn, waits until it is applied, and posts the next."""
        acks: list[float] = []
        names = [f"turns-{uuid4().hex[:12]}" for _ in range(clients)]

        async def turn(connection: Connection, bank: str, number: int) -> None:
            body = {"turns": [a_turn(number)]}
            response = await connection.call("POST", f"/v1/banks/{bank}/turns", body)
            acks.append(response.seconds * 1000)
            await until_done(connection, bank, response)

        used = await self._all(names, count, turn)
        walls = await asyncio.to_thread(applied_after_ms, self._measured.url, names)
        model_ms = used.model_ms / count
        return used.cell("turn", latency_ms, clients, [wall - model_ms for wall in walls], acks)

    async def backlog(self, latency_ms: float, clients: int, count: int) -> float:
        """Turns a second where each client posts all of its turns at once."""
        names = [f"backlog-{uuid4().hex[:12]}" for _ in range(clients)]
        each = -(-count // clients)

        async def post(connection: Connection, bank: str, number: int) -> None:
            body = {"turns": [a_turn(n) for n in range(each)]}
            posted = await connection.call("POST", f"/v1/banks/{bank}/turns", body)
            await until_done(connection, bank, posted)

        await self._all(names, clients, post)
        return await asyncio.to_thread(turns_per_second, self._measured.url, names)

    async def questions(self, latency_ms: float, clients: int, count: int, memories: int) -> Cell:
        """Each client asks its bank, which holds the memories of so many turns, one question after the other."""
        names = [f"questions-{uuid4().hex[:12]}" for _ in range(clients)]
        await self._fill_once(memories)
        await asyncio.to_thread(copy_bank, self._measured.url, FILLED, names)
        await self.set_latency(latency_ms)
        walls: list[float] = []

        async def ask(connection: Connection, bank: str, number: int) -> None:
            question = {"question": f"What did Alice do on day {number % memories}?"}
            walls.append((await connection.call("POST", f"/v1/banks/{bank}/answer", question)).seconds * 1000)

        used = await self._all(names, count, ask)
        model_ms = used.model_ms / count
        return used.cell("question", latency_ms, clients, [wall - model_ms for wall in walls], [])

    async def _fill_once(self, turns: int) -> None:
        """The bank that those which are asked are copies of."""
        if self._filled:
            return
        await self.set_latency(0)
        connection = Connection(self._measured.port)
        body = {"turns": [a_turn(n) for n in range(turns)]}
        posted = await connection.call("POST", f"/v1/banks/{FILLED}/turns", body)
        await until_done(connection, FILLED, posted)
        connection.close()
        self._filled = True

    async def _all(self, banks: Sequence[str], count: int, work: Work) -> _Used:
        """Do `count` pieces of work, spread over one client a bank."""
        connections = [Connection(self._measured.port) for _ in banks]
        await asyncio.gather(*(connection.call("GET", "/v1/health/live") for connection in connections))
        numbers = iter(range(count))

        async def client(connection: Connection, bank: str) -> None:
            for number in numbers:
                await work(connection, bank, number)

        await self._tell_model("/counts")
        cpu, started = self._measured.cpu(), time.perf_counter()
        await asyncio.gather(*map(client, connections, banks))
        seconds, cpu_after = time.perf_counter() - started, self._measured.cpu()
        counts = await self._tell_model("/counts")
        for connection in connections:
            connection.close()
        return _Used(count, seconds, cpu_after[0] - cpu[0], cpu_after[1] - cpu[1], counts)


@dataclass(frozen=True)
class _Used:
    count: int
    seconds: float
    service_cpu: float
    postgres_cpu: float
    counts: dict[str, dict[str, float]]

    @property
    def model_ms(self) -> float:
        return 1000 * sum(role["seconds"] for role in self.counts.values())

    def cell(self, kind: str, latency: float, clients: int, own: Sequence[float], acks: Sequence[float]) -> Cell:
        tokens = {
            role: (used["prompt_tokens"] / used["calls"], used["completion_tokens"] / used["calls"])
            for role, used in self.counts.items()
        }
        return Cell(
            kind=kind,
            latency_ms=latency,
            clients=clients,
            own_ms=tuple(own),
            ack_ms=tuple(acks),
            per_second=self.count / self.seconds,
            service_cpu_ms=1000 * self.service_cpu / self.count,
            postgres_cpu_ms=1000 * self.postgres_cpu / self.count,
            calls=sum(role["calls"] for role in self.counts.values()) / self.count,
            tokens=tokens,
        )


async def until_done(connection: Connection, bank: str, posted: Response) -> None:
    """Wait for the turns of a post."""
    path = f"/v1/banks/{bank}/ingestions/{posted.body['ingestion_id']}"
    while (state := (await connection.call("GET", path, prefer="wait=30")).body["state"]) != "done":
        if state == "failed":
            raise BenchError(f"turns of {bank} failed")


def copy_bank(url: str, name: str, copies: Sequence[str]) -> None:
    """Make banks with the same turns and memories as one that is there."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        made = "INSERT INTO banks (tenant_id, name, turn_count, embedding_model, embedding_dimension) "
        made += "SELECT tenant_id, copy, turn_count, embedding_model, embedding_dimension "
        connection.execute(
            (made + "FROM banks, unnest(%s::text[]) AS copy WHERE name = %s").encode(), (list(copies), name)
        )
        for table, columns in COPIED.items():
            kept = ", ".join(f"kept.{column}" for column in columns.split(", "))
            rows = f"INSERT INTO {table} (tenant_id, bank_id, {columns}) SELECT kept.tenant_id, new.id, {kept} "
            rows += f"FROM {table} AS kept, banks AS new WHERE new.name = ANY(%s) "
            rows += "AND kept.bank_id = (SELECT id FROM banks WHERE name = %s)"
            connection.execute(rows.encode(), (list(copies), name))


def a_turn(number: int) -> dict[str, Any]:
    """A turn with two facts."""
    text = f"I {FACTS[number % len(FACTS)]} on day {number}. I told my sister {number} about it."
    return {"speaker": "Alice", "text": text, "said_at": "2024-03-01T12:00:00Z"}


def applied_after_ms(url: str, names: Sequence[str]) -> list[float]:
    """Milliseconds from the post of each turn to the moment at which it was applied, by the database's clock."""
    return [
        float(row[0])
        for row in _rows(
            url,
            "SELECT extract(epoch FROM inbox.updated_at - turns.received_at) * 1000 FROM inbox "
            "JOIN turns ON turns.id = inbox.turn_id JOIN banks ON banks.id = inbox.bank_id WHERE banks.name = ANY(%s)",
            names,
        )
    ]


def turns_per_second(url: str, names: Sequence[str]) -> float:
    """Turns applied a second from the first post to the last turn."""
    ((count, seconds),) = _rows(
        url,
        "SELECT count(*), extract(epoch FROM max(inbox.updated_at) - min(turns.received_at)) FROM inbox "
        "JOIN turns ON turns.id = inbox.turn_id JOIN banks ON banks.id = inbox.bank_id WHERE banks.name = ANY(%s)",
        names,
    )
    return float(count) / float(seconds)


def _rows(url: str, statement: str, names: Sequence[str]) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return connection.execute(statement.encode(), (list(names),)).fetchall()


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    if len(ordered) == 1:
        return ordered[0]
    return statistics.quantiles(ordered, n=100, method="inclusive")[round(share * 100) - 1]
