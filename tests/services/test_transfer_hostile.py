"""Files that were spoiled, or that somebody made up, are refused with the line that is wrong, and leave nothing."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from app.core import errors
from app.services.service import Service
from tests.fixtures.database import make_tenant
from tests.fixtures.rows import count_rows
from tests.services.test_transfer import Json, body_of, export, full, load


def sealed(file: list[Json]) -> list[bytes]:
    """A whole file of changed lines, as somebody who knows the format makes it."""
    file = [{**line, "line": number} for number, line in enumerate(file, start=1)]
    counts = file[0].get("counts")
    if isinstance(counts, dict):
        for kind in counts:
            counts[kind] = sum(line.get("kind") == kind for line in file)
    lines = [json.dumps(line).encode() + b"\n" for line in file]
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    end = {"line": len(lines) + 1, "kind": "end", "lines": len(lines), "sha256": digest}
    return [*lines, json.dumps(end).encode() + b"\n"]


@pytest.mark.parametrize("seed", range(3))
async def test_a_file_that_is_not_as_it_was_written_is_refused(service: Service, tenant: UUID, seed: int) -> None:
    """Each of a few hundred ways to spoil it, with the line where that shows."""
    await full(service, tenant)
    lines, other = await export(service, tenant), await make_tenant(service.sessions, "other")
    before, rng = await count_rows(service.sessions), random.Random(seed)
    for _ in range(60):
        spoiled, at = list(lines), rng.randrange(len(lines))
        match rng.randrange(5):
            case 0:
                spoiled = spoiled[:at]
            case 1:
                spoiled[at:at] = [spoiled[at]]
            case 2:
                del spoiled[at]
            case 3:
                other_one = rng.choice([n for n in range(len(lines)) if n != at])
                spoiled[at], spoiled[other_one] = spoiled[other_one], spoiled[at]
            case _:
                place = rng.randrange(len(spoiled[at]))
                spoiled[at] = spoiled[at][:place] + bytes([spoiled[at][place] ^ 1]) + spoiled[at][place + 1 :]
        with pytest.raises(errors.InvalidInput, match=r"^Line \d+: "):
            await load(service, other, spoiled)
    with pytest.raises(errors.InvalidInput, match="cut off"):
        await load(service, other, [*lines[:-1], lines[-1][:-5]])
    assert await count_rows(service.sessions) == before


Fullest = tuple[Service, list[bytes]]


@pytest_asyncio.fixture
async def fullest(service: Service, tenant: UUID) -> Fullest:
    """A service, and the file of a full bank."""
    await full(service, tenant)
    return service, await export(service, tenant)


Change = Callable[[dict[str, list[Json]]], Any]
HOSTILE: dict[str, Change] = {
    "another format": lambda f: f["bank"][0].update(format="x"),
    "a later version of the format": lambda f: f["bank"][0].update(format_version=2),
    "an unknown field": lambda f: f["turn"][0].update(tenant_id=str(uuid4())),
    "another tenant's bank": lambda f: f["bank"][0].update(bank_id=1),
    "a number as text": lambda f: f["turn"][0].update(position="1"),
    "a number that is no integer": lambda f: f["operation"][0].update(number=1.0),
    "a huge number": lambda f: f["memory"][0].update(version=2**40),
    "a number beyond any": lambda f: f["turn"][0].update(position=10**400),
    "a position beyond the last": lambda f: f["turn"][-1].update(position=10**14),
    "a last position that lies back": lambda f: f["bank"][0].update(last_position=1),
    "a negative count": lambda f: f["turn"][0]["inbox"].update(attempts=-1),
    "an infinite number in metadata": lambda f: f["turn"][0].update(metadata={"x": float("inf")}),
    "NaN in a vector": lambda f: f["version"][0]["embedding"].__setitem__(0, float("nan")),
    "a fraction in a vector": lambda f: f["version"][0]["embedding"].__setitem__(0, 0.5),
    "a step beyond one": lambda f: f["version"][0]["embedding"].__setitem__(0, 4096),
    "a vector of another dimension": lambda f: f["version"][0]["embedding"].append(0),
    "a dimension that none has": lambda f: f["bank"][0].update(embedding_dimension=0),
    "a text that is too long": lambda f: f["turn"][0].update(text="x" * 8001),
    "a memory that is too long": lambda f: f["version"][0].update(text="x" * 1001),
    "a name that is too long": lambda f: f["speaker"][0].update(speaker="x" * 101),
    "no text": lambda f: f["turn"][0].update(text=""),
    "the character NUL": lambda f: f["turn"][0].update(text="a\x00b"),
    "NUL as a key of metadata": lambda f: f["turn"][0].update(metadata={"a": [{"\x00": 1}]}),
    "a lone surrogate": lambda f: f["turn"][0].update(metadata={"x": "\ud800"}),
    "metadata that is no object": lambda f: f["turn"][0].update(metadata=[1]),
    "metadata nested too deep": lambda f: f["turn"][0].update(metadata=nested(100)),
    "metadata nested beyond any parser": lambda f: f["turn"][0].update(metadata={"x": "NESTED"}),
    "a time without offset": lambda f: f["turn"][0].update(said_at="2024-01-01T00:00:00"),
    "a time as number": lambda f: f["turn"][0].update(said_at=5),
    "a time out of range": lambda f: f["turn"][0].update(said_at="9999-01-01T00:00:00Z"),
    "a bank from the future": lambda f: f["bank"][0].update(written_at="2150-01-01T00:00:00Z"),
    "a version from the future": lambda f: f["version"][0].update(valid_from="2150-01-01T00:00:00Z"),
    "two turns of one id": lambda f: f["turn"][1].update(id=f["turn"][0]["id"]),
    "two turns of one position": lambda f: f["turn"][1].update(position=f["turn"][0]["position"]),
    "two turns of one external id": lambda f: f["turn"][1].update(external_id=f["turn"][0]["external_id"]),
    "two memories of one id": lambda f: f["memory"][1].update(id=f["memory"][0]["id"]),
    "two versions of one number": lambda f: f["version"][1].update(version=1),
    "a version before its memory": lambda f: f["version"][0].update(memory_id=str(uuid4())),
    "a version that never ends and is not the last": lambda f: f["version"][0].update(valid_to=None),
    "a version that ends before it begins": lambda f: f["version"][0].update(valid_to="2000-01-01T00:00:00Z"),
    "a version that restores itself": lambda f: f["version"][0].update(restores=1),
    "a live memory without a live version": lambda f: f["memory"][0].update(version=999),
    "a deleted memory with a live version": lambda f: f["memory"][0].update(live=not f["memory"][0]["live"]),
    "two answers of one id": lambda f: f["answer"].append(f["answer"][0]),
    "an answer under another id": lambda f: f["answer"][0].update(id=str(uuid4())),
    "an answer that is none": lambda f: f["answer"][0].update(body={"id": f["answer"][0]["id"]}),
    "a trace that is none": lambda f: f["trace"][0].update(body={}),
    "an extraction that is none": lambda f: f["turn"][0]["inbox"].update(extraction={"x": 1}),
    "a state that is none": lambda f: f["turn"][0]["inbox"].update(state="running"),
    "an ingestion that is not there": lambda f: f["turn"][0].update(ingestion_id=str(uuid4())),
    "a source that is not there": lambda f: f["version"][0].update(sources=[str(uuid4())]),
    "an answer of turns that are not there": lambda f: f["answer"][0].update(turn_ids=[str(uuid4())]),
    "an answer of memories that are not there": lambda f: f["answer"][0].update(memory_ids=[str(uuid4())]),
    "a trace of an answer that is not there": lambda f: f["trace"][0].update(answer_id=str(uuid4())),
    "an operation of a turn that is not there": lambda f: f["operation"][0].update(turn_id=str(uuid4())),
    "a gap in the log": lambda f: f["operation"].pop(0),
    "a log that ends before": lambda f: f["bank"][0].update(last_operation=10**6),
    "metadata of more than the API takes": lambda f: f["turn"][0].update(metadata={"x": "y" * 4090}),
    "metadata nested deeper than the API takes": lambda f: f["turn"][0].update(metadata=nested(16)),
    "an answer without the memories that it names": lambda f: f["answer"][0]["body"].update(memories=[]),
    "an answer of memories that it does not name": lambda f: f["answer"][0].update(distilled_ids=[]),
    "an answer that took no number of seconds": lambda f: f["answer"][0]["body"]["timings"].update(total="Infinity"),
    "an operation that undoes itself": lambda f: f["operation"][0].update(undoes=1),
    "an operation that undoes a later one": lambda f: f["operation"][0].update(undoes=2),
    "two operations that undo each other": lambda f: [
        f["operation"][0].update(undoes=2, undone_by=2),
        f["operation"][1].update(undoes=1, undone_by=1),
    ],
    "an operation that is undone by itself": lambda f: f["operation"][0].update(undone_by=1),
    "an operation that is undone by an earlier one": lambda f: f["operation"][1].update(undone_by=1),
    "an operation that is undone by one that does not say so": lambda f: f["operation"][0].update(undone_by=2),
    "an undoing of what does not say so": lambda f: f["operation"][1].update(undoes=1),
    "two operations that one undoes": lambda f: [
        f["operation"][0].update(undone_by=3),
        f["operation"][1].update(undone_by=3),
        f["operation"][2].update(undoes=2),
    ],
    "an undoing of nothing": lambda f: f["operation"][0].update(undoes=10**6),
    "a bank that waits for nothing": lambda f: f["bank"][0].update(blocked_by=1),
    "a setting that is none": lambda f: f["bank"][0].update(on_failure="never"),
    "an id that is none": lambda f: f["turn"][0].update(id="1"),
    "a line of no kind": lambda f: f["speaker"][0].update(kind="nothing"),
    "a kind that is no text": lambda f: f["speaker"][0].update(kind=["turn"]),
    "two headers": lambda f: f["bank"].append(f["bank"][0]),
    "no header": lambda f: f["bank"].clear(),
}


def nested(depth: int) -> Json:
    inner: Json = {}
    for _ in range(depth):
        inner = {"x": inner}
    return inner


async def test_a_file_that_somebody_made_up_is_refused(fullest: Fullest) -> None:
    service, lines = fullest
    tenant = await make_tenant(service.sessions, "other")
    before = await count_rows(service.sessions)
    for name in HOSTILE:
        with pytest.raises(errors.InvalidInput, match=r"^Line \d+: "):
            await load(service, tenant, hostile(name, body_of(lines)))
            pytest.fail(f"{name} came in")
    assert await count_rows(service.sessions) == before


def hostile(name: str, file: list[Json]) -> list[bytes]:
    """A file with one thing wrong, and its end made to fit."""
    file[0]["exported_at"] = "2024-01-01T00:00:00Z"
    groups: dict[str, list[Json]] = {}
    for line in file:
        groups.setdefault("memory" if line["kind"] == "version" else line["kind"], []).append(line)
    of_kind = {kind: [line for line in file if line["kind"] == kind] for kind in {line["kind"] for line in file}}
    sizes = {kind: len(found) for kind, found in of_kind.items()}
    HOSTILE[name](of_kind)
    made: list[Json] = []
    for kind, group in groups.items():
        made += group if len(of_kind[kind]) == sizes[kind] else of_kind[kind]
    return [line.replace(b'"NESTED"', b"[" * 100_000 + b"]" * 100_000) for line in sealed(made)]


async def test_a_made_up_file_that_is_right_comes_in(fullest: Fullest) -> None:
    service, lines = fullest
    file = body_of(lines)
    file[0]["exported_at"] = "2024-01-01T00:00:00Z"
    tenant = await make_tenant(service.sessions, "sealed")
    await load(service, tenant, sealed(file))
    assert body_of(await export(service, tenant))[1:] == body_of(lines)[1:]


@pytest.mark.parametrize(
    "file", [b"", b"\n", b"{}\n", b"[]\n", b"null\n", b"x", b"\xff\xfe\n", b"{" * 100_000, b"\x00"]
)
async def test_what_is_no_bank_at_all_is_refused(service: Service, tenant: UUID, file: bytes) -> None:
    with pytest.raises(errors.InvalidInput, match=r"^Line 1: "):
        await load(service, tenant, [file])
