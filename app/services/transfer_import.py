"""Importing a bank: the file is received and checked whole, embedded anew where need be, and stored in one transaction.

It lies in a file without a name meanwhile, which goes with the process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from pgvector import HalfVector
from sqlalchemy import Table, insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import lexical, ranking
from app.core.errors import BankExists, InvalidInput, Overloaded
from app.core.values import Value
from app.db import lanes, tables
from app.db.queries import BankKey, sparse
from app.services import audit, banks, limits
from app.services.banks import OnFailure
from app.services.callers import Caller
from app.services.once import Once
from app.services.service import Service
from app.services.transfer_check import check, lines_of
from app.services.transfer_lines import (
    AnswerLine,
    BankLine,
    IngestionLine,
    Line,
    MemoryLine,
    OperationLine,
    SpeakerLine,
    TraceLine,
    TurnLine,
    VersionLine,
)

ROWS_AT_ONCE = 200
TEXTS_AT_ONCE = 128
_STEP = np.dtype("<i2")
BYTES_AT_ONCE = 1_000_000
"""Of lines that are written together; each batch is made into SQL in one go, in the event loop."""


class Row(NamedTuple):
    """A row to insert."""

    table: Table
    values: dict[str, Any]
    size: int
    """Bytes of its line."""


class Imported(Value):
    """A bank that was made from a file."""

    bank: str
    on_failure: OnFailure
    counts: dict[str, int]
    """Lines of the file by kind."""
    embedded_anew: bool
    """Whether the vectors are of another model than the file's."""


class _Received(NamedTuple):
    file: BinaryIO
    digest: bytes


async def import_bank(
    service: Service, caller: Caller, name: str, body: AsyncIterator[bytes], once_of: Callable[[bytes], Once]
) -> tuple[Imported, Once]:
    """Make a bank from an exported file, all or nothing; `once_of` gives the request by the digest of its body.

    Raises `BankExists`, `InvalidInput` with the line that is wrong or where more turns wait than may, `QuotaExceeded`,
    `IdempotencyConflict`, a `ModelError`, or `Overloaded` where too many exports and imports are under way.
    """
    if service.transferring.locked():
        raise Overloaded("The service exports and imports as many banks as it can; try again later.")
    async with service.transferring:
        with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as vectors:
            received = await _receive(service, body, file)
            once = once_of(received.digest)
            if (earlier := await once.look(service.sessions, caller.tenant_id)) is not None:
                return Imported.model_validate_json(json.dumps(earlier)), once
            header, waiting = await asyncio.to_thread(check, received.file)
            if waiting > (most := service.settings.server.max_waiting_turns):
                raise InvalidInput(f"{waiting} turns of the file wait to be worked on; in a bank {most} may.")
            anew = (header.embedding_model, header.embedding_dimension) != _embedder_of(service)
            if anew:
                await _embed(service, file, vectors)
            rows = _rows(file, vectors if anew else None, service.embedder.dimension)
            return await _store(service, caller, name, once, header, rows, anew=anew), once


def _embedder_of(service: Service) -> tuple[str, int]:
    return service.embedder.model, service.embedder.dimension


async def _receive(service: Service, body: AsyncIterator[bytes], file: BinaryIO) -> _Received:
    seconds, digest = service.settings.server.transfer_seconds, hashlib.sha256()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in body:
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
    except TimeoutError:
        raise InvalidInput(f"The file did not arrive within {seconds:g} seconds.") from None
    return _Received(file, digest.digest())


async def _embed(service: Service, file: BinaryIO, vectors: BinaryIO) -> None:
    """Write the vectors of all versions, in order, for this service's embedder."""
    texts = (line.text for line, _ in lines_of(file) if isinstance(line, VersionLine))
    while batch := await asyncio.to_thread(lambda: list(islice(texts, TEXTS_AT_ONCE))):
        embedded = await service.embedder.embed(batch)
        steps = np.stack([ranking.in_steps(vector) for vector in embedded]).astype(_STEP)
        await asyncio.to_thread(vectors.write, steps.tobytes())
    vectors.seek(0)


async def _store(
    service: Service, caller: Caller, name: str, once: Once, header: BankLine, rows: Iterator[Row], *, anew: bool
) -> Imported:
    tenant_id = caller.tenant_id
    async with service.sessions.begin(tenant_id) as session:
        if (earlier := await once.claim(session, tenant_id)) is not None:
            return Imported.model_validate_json(json.dumps(earlier))
        key = await _make_bank(session, service, tenant_id, name, header)
        while batch := await asyncio.to_thread(_batch, rows):
            for table, together in _by_table(batch).items():
                await session.execute(insert(table), [{**key._asdict(), **row} for row in together])
        await lanes.make_due(session, key)
        # Late, so that the key's other requests do not wait for the whole import.
        await limits.count_turns(session, caller, header.counts["turn"])
        imported = Imported(bank=name, on_failure=header.on_failure, counts=header.counts, embedded_anew=anew)
        await audit.note(session, caller, "bank.imported", banks.name_digest(tenant_id, name))
        await once.keep(session, tenant_id, imported, key, holds_text=False)
    return imported


async def _make_bank(session: AsyncSession, service: Service, tenant_id: Any, name: str, header: BankLine) -> BankKey:
    """Raises `BankExists`."""
    model, dimension = _embedder_of(service)
    row = {
        "tenant_id": tenant_id,
        "name": name,
        "turn_count": header.counts["turn"],
        "last_position": header.last_position,
        "on_failure": header.on_failure.value,
        "embedding_model": model,
        "embedding_dimension": dimension,
        "created_at": header.created_at,
    }
    make = upsert(tables.banks).values(row).on_conflict_do_nothing(index_elements=["tenant_id", "name"])
    made = (await session.execute(make.returning(tables.banks.c.id))).one_or_none()
    if made is None:
        raise BankExists()
    key = BankKey(tenant_id, made.id)
    lane = {
        "blocked_by": header.blocked_by if header.on_failure is OnFailure.WAIT else None,
        "written_at": header.written_at,
        "last_operation": header.last_operation,
    }
    await session.execute(insert(tables.lanes).values(**key._asdict(), **lane))
    return key


def _batch(rows: Iterator[Row]) -> list[Row]:
    batch: list[Row] = []
    size = 0
    for row in islice(rows, ROWS_AT_ONCE):
        batch.append(row)
        size += row.size
        if size >= BYTES_AT_ONCE:
            break
    return batch


def _by_table(batch: list[Row]) -> dict[Table, list[dict[str, Any]]]:
    found: dict[Table, list[dict[str, Any]]] = {}
    for row in batch:
        found.setdefault(row.table, []).append(row.values)
    return found


def _rows(file: BinaryIO, vectors: BinaryIO | None, dimension: int) -> Iterator[Row]:
    """The rows of a file that was checked; a memory comes after its versions, of which it repeats the last."""
    memory: MemoryLine | None = None
    last: dict[str, Any] = {}
    for line, size in lines_of(file):
        if memory is not None and not isinstance(line, VersionLine):
            yield Row(tables.memories, _head(memory, last), size)
            memory = None
        match line:
            case MemoryLine():
                memory = line
            case VersionLine():
                last = _version(line, vectors, dimension)
                yield Row(tables.memory_versions, last, size)
            case TurnLine():
                yield from _turn(line, size)
            case OperationLine():
                fields = line.model_dump(exclude={"line", "kind", "operation", "shown"})
                shown = [one.model_dump(mode="json") for one in line.shown]
                yield Row(tables.operations, {**fields, "kind": line.operation.value, "shown": shown}, size)
            case IngestionLine() | SpeakerLine() | AnswerLine() | TraceLine():
                yield Row(_PLAIN[type(line)], line.model_dump(exclude={"line", "kind"}), size)
            case _:
                continue


_PLAIN: dict[type[Line], Table] = {
    IngestionLine: tables.ingestions,
    SpeakerLine: tables.speakers,
    AnswerLine: tables.answers,
    TraceLine: tables.traces,
}


def _turn(line: TurnLine, size: int) -> Iterator[Row]:
    yield Row(tables.turns, line.model_dump(exclude={"line", "kind", "inbox"}), size)
    place = {"position": line.position, "turn_id": line.id, "ingestion_id": line.ingestion_id}
    inbox = line.inbox.model_dump()
    if line.inbox.state in lanes.WAITING:
        # No turn that comes after it is worked on before it.
        inbox["run_at"] = min(line.inbox.run_at, datetime.now(UTC))
    yield Row(tables.inbox, {**place, **inbox}, 0)


def _version(line: VersionLine, vectors: BinaryIO | None, dimension: int) -> dict[str, Any]:
    steps: Any = line.embedding
    if vectors is not None:
        steps = np.frombuffer(vectors.read(dimension * _STEP.itemsize), dtype=_STEP)
    return {
        **line.model_dump(exclude={"line", "kind", "embedding", "sources"}),
        "sources": list(line.sources),
        "embedding": HalfVector(np.asarray(steps, dtype=np.float32)),
        "terms": sparse(lexical.document_terms(line.text)),
    }


def _head(memory: MemoryLine, last: dict[str, Any]) -> dict[str, Any]:
    said = {name: last[name] for name in ("text", "speaker", "said_at", "sources", "embedding", "terms")}
    return {**memory.model_dump(exclude={"line", "kind"}), **said}
