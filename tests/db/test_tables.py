"""What the tables hold: banks apart from each other, the longest row there may be, and searches by the index alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, delete, event, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.changes import MAX_MEMORY_LENGTH, Changes
from app.core.errors import StaleMemory, UnknownMemory
from app.core.lexical import DIMENSION, MAX_TERMS, document_terms
from app.core.values import Embedded, Query
from app.db import queries, tables
from app.db.bank import PostgresBank
from app.db.engine import Sessions
from app.db.queries import BankKey
from app.settings import MAX_INDEXED_DIMENSION
from tests.fixtures.banks import (
    HearingPostgres,
    adding,
    asking,
    embedded,
    found_texts,
    make_bank,
    make_turn,
    remember,
    removing,
    revising,
)
from tests.fixtures.database import make_tenant
from tests.fixtures.everything import everything

BUDDY, SCOUT = "Alice adopted a dog named Buddy.", "Alice adopted a dog named Scout."
LONGEST_SPEAKER = "🙂" * 100


async def _two_banks(sessions: Sessions, *, same_tenant: bool) -> list[BankKey]:
    tenant = await make_tenant(sessions, "acme")
    if same_tenant:
        return [await make_bank(sessions, tenant, name) for name in ("first", "second")]
    return [await make_bank(sessions, each, "same") for each in (tenant, await make_tenant(sessions, "other"))]


@pytest.mark.parametrize("same_tenant", [True, False])
async def test_banks_never_see_each_other(sessions: Sessions, same_tenant: bool) -> None:
    mine, theirs = [HearingPostgres(sessions, key) for key in await _two_banks(sessions, same_tenant=same_tenant)]
    (buddy,), (scout,) = await remember(mine, BUDDY), await remember(theirs, SCOUT)
    await mine.hear([make_turn(speaker="Alice")])
    await theirs.hear([their_turn := make_turn(speaker="Eve")])
    assert await found_texts(mine, "Alice dog Scout") == [BUDDY]
    assert await found_texts(theirs, "Alice dog Buddy") == [SCOUT]
    assert (await mine.speakers(), await theirs.speakers()) == (["Alice"], ["Eve"])
    assert await mine.turns([their_turn.id]) == []
    for ask in (mine.get, mine.history):
        with pytest.raises(UnknownMemory):
            await ask(scout.id)
    for changes in (Changes(removals=(removing(scout),)), Changes(revisions=(revising(scout, BUDDY),))):
        with pytest.raises(StaleMemory):
            await mine.apply(changes)
    assert await theirs.memories() == [scout]
    assert await mine.memories() == [buddy]


@pytest.mark.parametrize("same_tenant", [True, False])
async def test_one_id_may_be_used_in_two_banks(sessions: Sessions, same_tenant: bool) -> None:
    mine, theirs = [PostgresBank(sessions, key) for key in await _two_banks(sessions, same_tenant=same_tenant)]
    add = adding(BUDDY)
    (here,) = await mine.apply(Changes(adds=(add,)))
    (there,) = await theirs.apply(Changes(adds=(add.model_copy(update={"text": SCOUT}),)))
    await mine.apply(Changes(removals=(removing(here),)))
    assert await theirs.memories() == [there]
    assert [memory.text for memory in await mine.history(here.id)] == [BUDDY]


async def test_deleting_a_bank_deletes_all_of_it_and_nothing_else(sessions: Sessions) -> None:
    gone, stays = await _two_banks(sessions, same_tenant=True)
    for key in (gone, stays):
        bank = HearingPostgres(sessions, key)
        await bank.hear([make_turn()])
        (memory,) = await remember(bank, BUDDY)
        await bank.apply(Changes(revisions=(revising(memory, SCOUT),)))
    async with everything(sessions) as session:
        await session.execute(delete(tables.banks).where(tables.banks.c.id == gone.bank_id))
        for table in (tables.memories, tables.memory_versions, tables.turns, tables.speakers):
            left = set(await session.scalars(select(table.c.bank_id)))
            assert left == {stays.bank_id}, table.name


@pytest.mark.parametrize(
    "words",
    [
        " ".join(f"{number:x}z" for number in range(300)),
        "".join(chr(0x4E00 + 3 * number) for number in range(MAX_MEMORY_LENGTH)),
        "🙂" * MAX_MEMORY_LENGTH,
    ],
    ids=["words", "chinese", "emoji"],
)
async def test_the_longest_memory_of_the_longest_name_can_be_stored(sessions: Sessions, words: str) -> None:
    bank = PostgresBank(sessions, await make_bank(sessions, await make_tenant(sessions)))
    said = words[:MAX_MEMORY_LENGTH]
    await remember(bank, said, speaker=LONGEST_SPEAKER)
    assert await found_texts(bank, said[:200], speaker=LONGEST_SPEAKER) == [said]


async def test_as_many_terms_as_there_may_be_can_be_stored(sessions: Sessions) -> None:
    bank = PostgresBank(sessions, await make_bank(sessions, await make_tenant(sessions)))
    rng = np.random.default_rng(3)
    terms = {int(term): float(rng.integers(1, 2200)) for term in rng.choice(DIMENSION, MAX_TERMS, replace=False)}
    forms = Embedded(dense=embedded("x").dense, terms=terms)
    await bank.apply(Changes(adds=(adding("x", speaker=LONGEST_SPEAKER, forms=forms),)))
    assert len(await found_texts(bank, "x")) == 1


async def test_the_widest_vector_of_the_longest_name_can_be_stored(sessions: Sessions) -> None:
    bank = PostgresBank(sessions, await make_bank(sessions, await make_tenant(sessions)))
    vector = np.random.default_rng(5).normal(size=MAX_INDEXED_DIMENSION)
    dense = np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)
    add = adding("x", speaker=LONGEST_SPEAKER, forms=Embedded(dense=dense, terms=document_terms("x")))
    await bank.apply(Changes(adds=(add,)))
    (found,) = await bank.recall([Query(dense=dense)], 1)
    assert found[0].memory.text == "x"


async def test_stored_index_forms_are_whole_numbers(sessions: Sessions) -> None:
    bank = PostgresBank(sessions, await make_bank(sessions, await make_tenant(sessions)))
    terms = {0: 1.0, 5: 1743.0, DIMENSION - 1: 2200.0}
    dense = np.asarray([0.6, -0.8, 0.0], dtype=np.float32)
    await bank.apply(Changes(adds=(adding("x", forms=Embedded(dense=dense, terms=terms)),)))
    async with everything(sessions) as session:
        row = (await session.execute(select(tables.memories.c.embedding, tables.memories.c.terms))).one()
    assert list(row.embedding) == [1229.0, -1638.0, 0.0]
    assert dict(zip(row.terms.indices(), row.terms.values(), strict=True)) == terms


MANY_BANKS, MANY_MEMORIES = 6, 1500


COPY_SEED = text(
    "INSERT INTO memories (tenant_id, bank_id, id, version, text, speaker, said_at, sources, embedding, terms) "
    "SELECT :tenant_id, :bank_id, gen_random_uuid(), 1, said, 'Alice', now(), '{}', embedding, terms "
    "FROM seed ORDER BY n"
)


async def _fill(sessions: Sessions, keys: list[BankKey]) -> None:
    """Memories in one statement, with two hundred different texts, spread over the banks as turns come in."""
    texts = [f"Alice walked dog {number} to the {number % 7} park." for number in range(200)]
    forms = [embedded(text) for text in texts]
    seed = text("CREATE TEMPORARY TABLE seed (n int, said text, embedding halfvec, terms sparsevec) ON COMMIT DROP")
    values = [
        {
            "n": number,
            "said": texts[number],
            "embedding": queries.index_forms(form)["embedding"].to_text(),
            "terms": queries.index_forms(form)["terms"].to_text(),
        }
        for number, form in enumerate(forms)
    ]
    async with everything(sessions) as session:
        await session.execute(seed)
        await session.execute(text("INSERT INTO seed VALUES (:n, :said, :embedding, :terms)"), values)
        for _ in range(MANY_MEMORIES // 200 + 1):
            for key in keys:
                await session.execute(COPY_SEED, key._asdict())
    engine: AsyncEngine = sessions.engine
    async with engine.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await outside.execute(text("SET ROLE NONE"))
        await outside.execute(text("VACUUM ANALYZE"))
        await outside.execute(text("RESET ROLE"))


async def _plans_of_recall(sessions: Sessions, key: BankKey, speaker: str | None) -> list[dict[str, Any]]:
    """The plans of the statements that a recall runs, as the service's own connections plan them."""
    ran: list[tuple[str, Any]] = []

    def note(connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        ran.append((statement, parameters))

    engine: AsyncEngine = sessions.engine
    async with sessions.begin(key.tenant_id) as session:
        event.listen(engine.sync_engine, "before_cursor_execute", note)
        await queries.recall_ids(session, key, asking("Which dog 3?"), 60, speaker)
        event.remove(engine.sync_engine, "before_cursor_execute", note)
        raw: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        plans = []
        for statement, parameters in ran:
            cursor = await raw.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            plans.append((await cursor.fetchone())[0][0]["Plan"])
    return plans


def _scan(plan: dict[str, Any]) -> dict[str, Any]:
    while "Plans" in plan:
        (plan,) = plan["Plans"]
    return plan


async def test_both_arms_are_searched_by_their_index_alone(sessions: Sessions) -> None:
    tenant = await make_tenant(sessions)
    keys = [await make_bank(sessions, tenant, f"bank {number}") for number in range(MANY_BANKS)]
    await _fill(sessions, keys)
    async with everything(sessions) as session:
        held = await session.scalar(select(func.count()).where(queries.live(keys[2])))
    assert held is not None and held >= MANY_MEMORIES
    for speaker in (None, "Alice"):
        scans = [_scan(plan) for plan in await _plans_of_recall(sessions, keys[2], speaker)]
        assert [(scan["Node Type"], scan.get("Index Name")) for scan in scans] == [
            ("Index Only Scan", "memories_dense_idx"),
            ("Index Only Scan", "memories_terms_idx"),
        ]


async def test_an_external_id_is_taken_once_a_bank(sessions: Sessions) -> None:
    mine, theirs = [HearingPostgres(sessions, key) for key in await _two_banks(sessions, same_tenant=True)]
    turn = make_turn().model_copy(update={"external_id": "turn-1", "metadata": {"a": [1, None, "é"]}})
    await mine.hear([turn])
    await theirs.hear([turn])
    assert await mine.turns([turn.id]) == await theirs.turns([turn.id]) == [turn]
