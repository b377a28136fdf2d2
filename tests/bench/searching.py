"""Search in banks of growing size: filled by COPY, asked at the database call and over HTTP."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import HalfVector, SparseVector
from pgvector.psycopg import register_vector
from pydantic import SecretStr
from sqlalchemy import select, update

from app.core import lexical
from app.core.values import Query, Vector
from app.db import tables
from app.db.bank import PostgresBank
from app.db.engine import Sessions, make_engine
from app.db.queries import BankKey
from app.services import banks, keys
from app.settings import DatabaseSettings
from tests.bench.http_client import Connection
from tests.bench.processes import Measured
from tests.fixtures.doubles import HashEmbedder
from tests.fixtures.everything import everything

DIMENSION, CLUSTERS, WORDS, SPREAD = 384, 200, 20_000, 0.7
LIMIT = 60
SAID_AT = datetime(2024, 3, 1, 12, tzinfo=UTC)
COLUMNS = ("tenant_id", "bank_id", "id", "version", "text", "speaker", "said_at", "sources", "embedding", "terms")
TYPES = ["uuid", "int8", "uuid", "int4", "text", "text", "timestamptz", "uuid[]", "halfvec", "sparsevec"]


@dataclass(frozen=True)
class Found:
    """Milliseconds of each search."""

    size: int
    arms: str
    where: str
    ms: tuple[float, ...]


class Texts:
    """Texts of Zipf-distributed words, and unit vectors around cluster centres."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        share = 1.0 / np.arange(1, WORDS + 1)
        self._cumulative = np.cumsum(share / share.sum())
        self._centres = unit(self._random.standard_normal((CLUSTERS, DIMENSION)))

    def text(self) -> str:
        """Eight to fourteen words; the commonest is in a tenth of all places."""
        drawn = np.searchsorted(self._cumulative, self._random.random(self._random.integers(8, 15)))
        return "Alice " + " ".join(f"w{word}" for word in drawn)

    def vectors(self, count: int) -> NDArray[np.float32]:
        noise = unit(self._random.standard_normal((count, DIMENSION)))
        return unit(self._centres[self._random.integers(0, CLUSTERS, count)] + SPREAD * noise)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


VERSIONS = """
    INSERT INTO memory_versions
        (tenant_id, bank_id, memory_id, version, text, speaker, said_at, sources, embedding, terms, valid_from)
    SELECT tenant_id, bank_id, id, version, text, speaker, said_at, sources, embedding, terms, created_at FROM memories
    WHERE tenant_id = %(tenant_id)s AND bank_id = %(bank_id)s
"""


async def searches(measured: Measured, size: int, times: int, model: str) -> list[Found]:
    """Fill a bank of that size and search it: dense alone and hybrid, at the database call and over HTTP."""
    engine = make_engine(DatabaseSettings(url=SecretStr(measured.url)))
    connection = Connection(measured.port)
    name = f"search-{size}"
    try:
        sessions = Sessions(engine)
        tenant = await keys.default_tenant(sessions)
        async with everything(sessions) as session:
            key = await banks.open_bank(session, tenant, name, HashEmbedder(model))
        texts = Texts(size)
        fill(measured.url, key, size, texts)
        async with everything(sessions) as session:
            await session.execute(update(tables.banks).where(tables.banks.c.name == name).values(turn_count=size))
            assert await session.scalar(select(tables.banks.c.turn_count).where(tables.banks.c.name == name)) == size
        bank = PostgresBank(sessions, key)
        asked = list(zip(texts.vectors(times + 2), [texts.text() for _ in range(times + 2)], strict=True))
        return [
            Found(size, "dense", "database call", await at_database(bank, asked, lexical_too=False)),
            Found(size, "hybrid", "database call", await at_database(bank, asked, lexical_too=True)),
            Found(size, "dense", "HTTP", await over_http(connection, name, asked, lexical_too=False)),
            Found(size, "hybrid", "HTTP", await over_http(connection, name, asked, lexical_too=True)),
        ]
    finally:
        connection.close()
        await engine.dispose()


async def at_database(
    bank: PostgresBank, asked: Sequence[tuple[Vector, str]], *, lexical_too: bool
) -> tuple[float, ...]:
    """Milliseconds of each recall; the first two warm up."""
    took = []
    for vector, text in asked:
        query = Query(dense=vector, terms=lexical.query_terms(text) if lexical_too else {})
        started = time.perf_counter()
        (found,) = await bank.recall([query], LIMIT)
        took.append((time.perf_counter() - started) * 1000)
        assert len(found) == LIMIT
    return tuple(took[2:])


async def over_http(
    connection: Connection, name: str, asked: Sequence[tuple[Vector, str]], *, lexical_too: bool
) -> tuple[float, ...]:
    """Milliseconds of each search as a client sees it, with the query's embedding."""
    took = []
    for _, text in asked:
        body = {"query": text, "limit": LIMIT, "lexical": lexical_too}
        response = await connection.call("POST", f"/v1/banks/{name}/memories/search", body)
        took.append(response.seconds * 1000)
        assert len(response.body["candidates"]) == LIMIT
    return tuple(took[2:])


def fill(url: str, key: BankKey, size: int, texts: Texts) -> None:
    """Put memories into the bank by COPY, then VACUUM ANALYZE as autovacuum would sooner or later."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        register_vector(connection)
        with connection.transaction(), connection.cursor() as cursor:
            statement = f"COPY memories ({', '.join(COLUMNS)}) FROM STDIN WITH (FORMAT BINARY)"
            with cursor.copy(statement.encode()) as copy:
                copy.set_types(TYPES)
                for start in range(0, size, 1000):
                    for vector in texts.vectors(min(1000, size - start)):
                        copy.write_row(row(key, texts.text(), vector))
        # What is found is what an answer stands on, and that has its versions.
        connection.execute(VERSIONS.encode(), {"tenant_id": key.tenant_id, "bank_id": key.bank_id})
        connection.execute("VACUUM ANALYZE memories, memory_versions")


def row(key: BankKey, text: str, vector: Vector) -> tuple[object, ...]:
    sources: list[UUID] = [uuid4()]
    terms = SparseVector(lexical.document_terms(text), lexical.DIMENSION)
    return (*key, uuid4(), 1, text, "Alice", SAID_AT, sources, HalfVector(vector), terms)
