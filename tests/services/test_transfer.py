"""A bank goes out as a file and comes in elsewhere as what it was; a file that is not whole does not come in at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from app.core import errors
from app.core.changes import Changes
from app.core.values import Prompt, Role
from app.db.queries import BankKey
from app.services import answer, banks, erasure, erasure_of_turns, ingest, transfer_export, transfer_import
from app.services.callers import Caller
from app.services.erasure import Derived
from app.services.ingest import State
from app.services.once import Once
from app.services.service import Service
from app.services.transfer_import import Imported
from tests.fixtures.banks import adding, asking
from tests.fixtures.database import make_tenant
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter, decisions
from tests.fixtures.ingesting import (
    FailingCompleter,
    checked_out,
    ended,
    memory_texts,
    numbered,
    post,
    reached,
    rows_of,
    said,
    until,
    working,
)
from tests.fixtures.rows import count_rows
from tests.services.conftest import Remake

Json = dict[str, Any]


async def export(service: Service, tenant: UUID, name: str = "one") -> list[bytes]:
    """The lines of a bank's file."""
    async with transfer_export.exported(service, Caller(tenant_id=tenant), name) as chunks:
        file = b"".join([chunk async for chunk in chunks])
    return file.splitlines(keepends=True)


async def load(
    service: Service, tenant: UUID, lines: list[bytes], name: str = "one", key: str | None = None
) -> Imported:
    imported, _ = await transfer_import.import_bank(
        service, Caller(tenant_id=tenant), name, in_pieces(b"".join(lines)), lambda digest: Once(key, digest)
    )
    return imported


async def in_pieces(file: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(file), 10_000):
        yield file[start : start + 10_000]


def body_of(lines: list[bytes]) -> list[Json]:
    """What the lines say, without what is said of the file itself."""
    said = [json.loads(line) for line in lines[:-1]]
    del said[0]["exported_at"]
    return said


def reviser(prompt: Prompt) -> str:
    """Sometimes an UPDATE, sometimes a DELETE, else an ADD."""

    def decide(fact: str) -> list[Json]:
        if "no longer" in fact:
            return [{"op": "DELETE", "memory": "m1"}]
        if "also" in fact:
            return [{"op": "UPDATE", "memory": "m1", "text": f"{fact} Alice like green tea."}]
        return [{"op": "ADD"}]

    return decisions(prompt, decide)


async def full(service: Service, tenant: UUID) -> BankKey:
    """A bank with revised, deleted and erased memories, answers and traces; with a failed and waiting turns."""
    failing = FailingCompleter(errors.ModelRefused("no"), Role.EXTRACTOR)
    working_one = Service(
        service.settings, service.sessions, dict.fromkeys(Role, ScriptedCompleter(manager=reviser)), service.embedder
    )
    broken = Service(service.settings, service.sessions, dict.fromkeys(Role, failing), service.embedder)
    posted = [
        said("I like green tea.", metadata={"n": [1, 2.5, "ü🙂", None, 10**30]}, external_id="a", session="s"),
        said("I also like green tea with lemon."),
        said("I keep two cats.", "Bob"),
        said("I no longer keep two cats.", "Bob"),
        said("I like chess."),
        said("I like go."),
    ]
    key, accepted = await post(service, tenant, "one", posted)
    async with working(working_one):
        assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE
    await answer.ask(working_one, key, "What does Alice like?")
    caller = Caller(tenant_id=tenant)
    await erasure_of_turns.erase_turn(service.sessions, caller, "one", accepted.turn_ids[4], Derived.ALL)
    await answer.ask(working_one, key, "What does Bob keep?")
    _, failed = await post(service, tenant, "one", numbered(1))
    async with working(broken):
        assert (await ended(service, key, failed.ingestion_id)).state is State.FAILED
    await ingest.accept(service, tenant, "one", numbered(2, first=1))
    return key


async def test_a_bank_is_the_same_elsewhere(service: Service, tenant: UUID) -> None:
    key, other = await full(service, tenant), await make_tenant(service.sessions, "other")
    lines = await export(service, tenant)
    kinds = {line["kind"] for line in body_of(lines)}
    assert kinds == {"bank", "ingestion", "turn", "speaker", "memory", "version", "operation", "answer", "trace"}
    imported = await load(service, other, lines, "theirs")
    assert body_of(await export(service, other, "theirs")) == body_of(lines)
    assert not imported.embedded_anew
    there = await banks.find_bank(service.sessions, other, "theirs")
    here_rows, there_rows = await rows_of(service.sessions, key), await rows_of(service.sessions, there)
    assert {**here_rows, "idempotency_keys": 0} == {**there_rows, "idempotency_keys": 0}
    for text in ("green tea", "cats", "item number 1", "lemon go"):
        found = [await service.bank(k).recall([asking(text)], 10) for k in (key, there)]
        assert found[0] == found[1]
    # The waiting turns were worked on in both, after what was there.
    await agree(service, key, there)


async def agree(service: Service, *keys: BankKey) -> None:
    async with working(service):
        for key in keys:

            async def idle(key: BankKey = key) -> bool:
                return not (await ingest.page(service.sessions, key, 50, None, State.QUEUED)).turns

            await until(idle)
    texts = [await memory_texts(service, key) for key in keys]
    assert texts[0] == texts[1] and "Alice bought item number 2." in texts[0]


async def test_later_operations_go_on_where_the_log_ended(service: Service, tenant: UUID) -> None:
    await full(service, tenant)
    lines, other = await export(service, tenant), await make_tenant(service.sessions, "other")
    await load(service, other, lines)
    key, accepted = await post(service, other, "one", [said("I like rowing.")])
    async with working(service):
        await reached(service, key, accepted.ingestion_id, State.DONE)
    numbers = [line["number"] for line in body_of(await export(service, other)) if line["kind"] == "operation"]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_an_export_is_one_snapshot(service: Service, tenant: UUID) -> None:
    await full(service, tenant)
    before = await export(service, tenant)
    async with transfer_export.exported(service, Caller(tenant_id=tenant), "one") as chunks:
        await ingest.accept(service, tenant, "one", numbered(5, first=9))
        file = b"".join([chunk async for chunk in chunks])
    assert body_of(file.splitlines(keepends=True)) == body_of(before)


@pytest.mark.parametrize("what", ["bank", "turn", "another bank", "remade"])
async def test_an_export_ends_where_something_of_it_is_erased(service: Service, tenant: UUID, what: str) -> None:
    """The snapshot goes on showing what the receipt says is gone."""
    caller = Caller(tenant_id=tenant)
    key, accepted = await post(service, tenant, "one", numbered(2))
    await service.bank(key).apply(Changes(adds=tuple(adding(f"Alice has SECRET number {n}.") for n in range(300))))
    await post(service, tenant, "two", numbered(1))
    chunks_left: list[bytes] = []
    async with transfer_export.exported(service, caller, "one") as chunks:
        await anext(chunks)
        match what:
            case "turn":
                turn_id = accepted.turn_ids[0]
                await erasure_of_turns.erase_turn(service.sessions, caller, "one", turn_id, Derived.ONLY)
            case "another bank":
                await erasure.erase_bank(service.sessions, caller, "two")
            case _:
                await erasure.erase_bank(service.sessions, caller, "one")
        if what == "remade":
            await post(service, tenant, "one", numbered(2))
        with contextlib.suppress(errors.ErasedMeanwhile):
            async for chunk in chunks:
                chunks_left.append(chunk)
    rest = b"".join(chunks_left)
    assert (b"SECRET" in rest, b'"sha256"' in rest) == ((True, True) if what == "another bank" else (False, False))
    assert checked_out(service) == 0


async def test_a_blocked_bank_stays_blocked(service: Service, tenant: UUID, remade: Remake) -> None:
    broken = remade(FailingCompleter(errors.ModelRefused("no"), Role.EXTRACTOR))
    key, failed = await post(service, tenant, "one", numbered(1))
    await banks.change_settings(service.sessions, Caller(tenant_id=tenant), "one", banks.OnFailure.WAIT)
    async with working(broken):
        await ended(service, key, failed.ingestion_id)
    await ingest.accept(service, tenant, "one", numbered(1, first=1))
    other = await make_tenant(service.sessions, "other")
    await load(service, other, await export(service, tenant))
    summary = await banks.read_bank(service.sessions, other, "one")
    assert (summary.on_failure, summary.blocked_by) == (banks.OnFailure.WAIT, failed.turn_ids[0])
    there = await banks.find_bank(service.sessions, other, "one")
    async with working(service):
        await asyncio.sleep(0.3)
        assert await memory_texts(service, there) == []
        await ingest.retry(service.sessions, there, failed.ingestion_id)
        await reached(service, there, failed.ingestion_id, State.DONE)


async def test_another_model_embeds_anew_and_no_session_waits_for_it(service: Service, tenant: UUID) -> None:
    key = await full(service, tenant)
    held: list[int] = []

    class Watching(HashEmbedder):
        async def embed(self, texts: Any) -> Any:
            held.append(checked_out(service))
            return await super().embed(texts)

    elsewhere = Service(service.settings, service.sessions, service.completers, Watching("other", 100))
    other = await make_tenant(service.sessions, "other")
    imported = await load(elsewhere, other, await export(service, tenant))
    assert imported.embedded_anew and held and set(held) == {0}
    there = await banks.find_bank(service.sessions, other, "one", elsewhere.embedder)
    assert await memory_texts(service, there) == await memory_texts(service, key)
    lines = body_of(await export(elsewhere, other))
    assert (lines[0]["embedding_model"], lines[0]["embedding_dimension"]) == ("other", 100)
    for line in lines:
        if line["kind"] == "version":
            vector = elsewhere.embedder.vector(line["text"])  # type: ignore[attr-defined]
            assert line["embedding"] == [round(float(x) * 2048) for x in vector]


async def test_a_name_that_is_taken_is_refused_and_nothing_changes(service: Service, tenant: UUID) -> None:
    await full(service, tenant)
    lines, before = await export(service, tenant), await count_rows(service.sessions)
    with pytest.raises(errors.BankExists):
        await load(service, tenant, lines)
    assert await count_rows(service.sessions) == before


async def test_a_second_request_with_one_key_imports_once(service: Service, tenant: UUID) -> None:
    await full(service, tenant)
    lines, other = await export(service, tenant), await make_tenant(service.sessions, "other")
    both = await asyncio.gather(*(load(service, other, lines, key="k") for _ in range(2)))
    assert both[0] == both[1]
    assert await load(service, other, lines, key="k") == both[0]
    with pytest.raises(errors.IdempotencyConflict):
        await load(service, other, lines[:-1], key="k")


async def test_of_two_imports_at_once_one_makes_the_bank(service: Service, tenant: UUID) -> None:
    await full(service, tenant)
    lines, other = await export(service, tenant), await make_tenant(service.sessions, "other")
    results = await asyncio.gather(*(load(service, other, lines) for _ in range(2)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["BankExists", "Imported"]


async def test_more_transfers_than_there_may_be_are_turned_away(service: Service, tenant: UUID) -> None:
    await post(service, tenant, "one", numbered(1))
    caller = Caller(tenant_id=tenant)
    async with transfer_export.exported(service, caller, "one"), transfer_export.exported(service, caller, "one"):
        with pytest.raises(errors.Overloaded):
            await export(service, tenant)
        with pytest.raises(errors.Overloaded):
            await load(service, tenant, [], "two")
    assert len(await export(service, tenant)) == 5
    assert checked_out(service) == 0


async def test_a_file_that_arrives_too_slowly_is_given_up(service: Service, tenant: UUID) -> None:
    server = service.settings.server.model_copy(update={"transfer_seconds": 0.05})
    hurried = Service(
        service.settings.model_copy(update={"server": server}), service.sessions, service.completers, service.embedder
    )

    async def forever() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    with pytest.raises(errors.InvalidInput, match="did not arrive"):
        await transfer_import.import_bank(hurried, Caller(tenant_id=tenant), "one", forever(), lambda _: Once())
    assert not hurried.transferring.locked()
