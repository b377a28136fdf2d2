"""What comes in by a file is held to what comes in by the API: counted, bounded, due, and never without an end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from app.core import errors
from app.db import tables
from app.services import banks, keys, operations, provenance, transfer_import
from app.services.callers import Limits, Rights
from app.services.ingest import State
from app.services.once import Once
from app.services.service import Service
from app.services.transfer_lines import MAX_LINE_BYTES, MAX_OPENED
from tests.fixtures.database import make_tenant
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import ended, memory_texts, numbered, post, reached, said, working
from tests.fixtures.logbook import log_of
from tests.fixtures.rows import count_rows
from tests.services.test_transfer import Json, agree, body_of, export, full, in_pieces, load


def edited(lines: list[bytes], change: Callable[[Json], Any]) -> list[bytes]:
    """The file with each line changed, and its end made to fit."""
    *told, end = [json.loads(line) for line in lines]
    for line in told:
        change(line)
    changed = [json.dumps(line).encode() + b"\n" for line in told]
    end["sha256"] = hashlib.sha256(b"".join(changed)).hexdigest()
    return [*changed, json.dumps(end).encode() + b"\n"]


async def test_what_was_undone_and_undone_again_comes_in_and_goes_on(service: Service, tenant: UUID) -> None:
    key = await full(service, tenant)
    before = len(await log_of(service.sessions, key))
    for number in (2, before + 1, before + 2):
        await operations.undo_one(service.sessions, key, number, Once())
    lines, other = await export(service, tenant), await make_tenant(service.sessions, "other")
    told = [line for line in body_of(lines) if line["kind"] == "operation"]
    assert any(line["undone_by"] and line["undoes"] for line in told)
    await load(service, other, lines)
    there = await banks.find_bank(service.sessions, other, "one")
    for one in (key, there):
        await operations.undo_one(service.sessions, one, before + 3, Once())
    assert await memory_texts(service, there) == await memory_texts(service, key)
    marks = [[line.undone_by for line in await log_of(service.sessions, one)] for one in (key, there)]
    assert marks[0] == marks[1]


async def test_an_undo_ends_whatever_the_log_says(service: Service, tenant: UUID) -> None:
    """Rows of a log that points in circles, as no file may any more."""
    key, accepted = await post(service, tenant, "one", [said("I like tea. I like chess.")])
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    async with everything(service.sessions) as session:
        await session.execute(update(tables.operations).values(undoes=3 - tables.operations.c.number))
    async with asyncio.timeout(60):
        await operations.undo_one(service.sessions, key, 2, Once())


async def test_a_waiting_turn_of_the_far_future_is_due_at_once(service: Service, tenant: UUID) -> None:
    await post(service, tenant, "one", numbered(1))
    other = await make_tenant(service.sessions, "other")
    late = {"run_at": "2199-01-01T00:00:00Z"}
    lines = edited(await export(service, tenant), lambda line: line.get("inbox", {}).update(late))
    await load(service, other, lines)
    key, accepted = await post(service, other, "one", numbered(1, first=1))
    async with working(service):
        await reached(service, key, accepted.ingestion_id, State.DONE)
    assert len(await memory_texts(service, key)) == 2


async def test_a_bank_that_goes_on_waits_for_no_failed_turn(service: Service, tenant: UUID) -> None:
    key = await full(service, tenant)
    lines = await export(service, tenant)
    (failed,) = [line["position"] for line in body_of(lines) if line.get("inbox", {}).get("state") == "failed"]
    other = await make_tenant(service.sessions, "other")
    blocking = {"blocked_by": failed}
    await load(service, other, edited(lines, lambda line: line["kind"] == "bank" and line.update(blocking)))
    await agree(service, key, await banks.find_bank(service.sessions, other, "one"))


async def test_an_answer_is_found_by_its_memories_however_their_ids_are_written(service: Service, tenant: UUID) -> None:
    key = await full(service, tenant)
    lines, other = await export(service, tenant), await make_tenant(service.sessions, "other")
    used = {one for line in body_of(lines) if line["kind"] == "answer" for one in line["distilled_ids"]}
    assert used

    def shout(line: Json) -> None:
        for memory in line["body"]["memories"] if line["kind"] == "answer" else ():
            memory["id"] = memory["id"].upper()

    await load(service, other, edited(lines, shout))
    there = await banks.find_bank(service.sessions, other, "one")
    for memory_id in map(UUID, used):
        here, found = [await provenance.answers_of(service.sessions, one, memory_id, 10, None) for one in (key, there)]
        assert found == here and found.answers


async def test_an_answer_that_does_not_hold_what_its_row_names_is_left_out(service: Service, tenant: UUID) -> None:
    key = await full(service, tenant)
    memory = (await service.bank(key).memories())[0]
    async with everything(service.sessions) as session:
        await session.execute(update(tables.answers).values(distilled_ids=[memory.id]))
        empty = tables.answers.c.body.op("||")({"memories": []})
        await session.execute(update(tables.answers).values(body=empty))
    assert (await provenance.answers_of(service.sessions, key, memory.id, 1, None)).answers == ()


async def test_turns_of_a_file_count_against_the_day_of_the_key(service: Service, tenant: UUID) -> None:
    await post(service, tenant, "one", numbered(5))
    lines = await export(service, tenant)
    made = await keys.create(service.sessions, "other", "few turns", Rights(limits=Limits(turns_per_day=9)))
    caller = await keys.authenticate(service.sessions, str(made.secret))

    async def load_as(name: str) -> None:
        file = in_pieces(b"".join(lines))
        await transfer_import.import_bank(service, caller, name, file, lambda digest: Once(name, digest))

    await load_as("two")
    before = await count_rows(service.sessions)
    with pytest.raises(errors.QuotaExceeded):
        await load_as("three")
    # The same request again is the earlier one, and costs nothing.
    await load_as("two")
    assert await count_rows(service.sessions) == before


async def test_more_waiting_turns_than_a_bank_may_have_do_not_come_in(service: Service, tenant: UUID) -> None:
    await post(service, tenant, "one", numbered(3))
    lines, other = await export(service, tenant), await make_tenant(service.sessions, "other")
    for most, fits in ((2, False), (3, True)):
        server = service.settings.server.model_copy(update={"max_waiting_turns": most})
        settings = service.settings.model_copy(update={"server": server})
        small = Service(settings, service.sessions, service.completers, service.embedder)
        with contextlib.nullcontext() if fits else pytest.raises(errors.InvalidInput, match="3 turns of the file wait"):
            await load(small, other, lines)
    assert await banks.find_bank(service.sessions, other, "one")


async def test_numbers_that_postgres_writes_out_come_in_again(service: Service, tenant: UUID) -> None:
    """What was posted in five bytes has 300 in the file."""
    numbers = [1e300, 1e23, -1.5e307, 10**30, 123456789012345678901, 0.1, 1e-300]
    await post(service, tenant, "one", [said("I like tea.", metadata={"n": [1e300] * 500, "others": numbers})])
    lines = await export(service, tenant)
    assert max(map(len, lines)) > 100_000
    other = await make_tenant(service.sessions, "other")
    await load(service, other, lines)
    assert body_of(await export(service, other)) == body_of(lines)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b" " * (MAX_LINE_BYTES + 1), f"is longer than {MAX_LINE_BYTES} bytes"),
        (b"[" * (MAX_OPENED + 1) + b"\n", "holds too many lists and objects"),
    ],
)
async def test_a_line_that_takes_long_to_read_is_not_read(
    service: Service, tenant: UUID, line: bytes, why: str
) -> None:
    with pytest.raises(errors.InvalidInput, match=f"^Line 1: {why}"):
        await load(service, tenant, [line])
