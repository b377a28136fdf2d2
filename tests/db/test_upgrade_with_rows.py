"""Databases of earlier revisions, with rows in them: brought to this version, worked with, taken down and up again."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest
from alembic.script import ScriptDirectory
from psycopg.rows import dict_row
from pydantic import SecretStr

from app.core.values import Role
from app.db import migrate
from app.db.engine import Sessions, make_engine
from app.services import answer, banks, keys
from app.services.ingest import State
from app.services.service import Service
from app.settings import Settings
from tests.fixtures.banks import EMBEDDER
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.ingesting import bought, ended, memory_texts, numbered, post, working

FIRST = "0001"
TURNS = 4
NAMES = ("alice", "bob")
ROWS = """
WITH bank AS (
    INSERT INTO banks (tenant_id, name, turn_count, embedding_model, embedding_dimension)
    VALUES (%(tenant)s, %(name)s, 4, %(model)s, %(dimension)s) RETURNING tenant_id, id
), turn AS (
    INSERT INTO turns (tenant_id, bank_id, id, ingestion_id, position, speaker, text, said_at)
    SELECT tenant_id, bank.id, gen_random_uuid(), %(ingestion)s, n, %(name)s, 'Turn ' || n, '2024-03-01T12:00Z'
    FROM bank, generate_series(1, 4) AS n RETURNING *
), ingestion AS (
    INSERT INTO ingestions (tenant_id, bank_id, id, turn_count) SELECT tenant_id, id, %(ingestion)s, 4 FROM bank
), speaker AS (
    INSERT INTO speakers (tenant_id, bank_id, speaker, first_position) SELECT tenant_id, id, %(name)s, 1 FROM bank
), item AS (
    INSERT INTO inbox (tenant_id, bank_id, position, turn_id, ingestion_id, state)
    SELECT tenant_id, bank_id, position, id, ingestion_id, 'done' FROM turn
), memory AS (
    INSERT INTO memories (tenant_id, bank_id, id, version, text, speaker, said_at, sources, embedding, terms)
    SELECT tenant_id, bank_id, gen_random_uuid(), 1, speaker || ' bought item number ' || position - 1 || '.', speaker,
        said_at, ARRAY[id], %(embedding)s::halfvec, '{}/1048576'::sparsevec
    FROM turn ORDER BY position RETURNING *
), version AS (
    INSERT INTO memory_versions
        (tenant_id, bank_id, memory_id, version, text, speaker, said_at, sources, embedding, terms)
    SELECT tenant_id, bank_id, id, version, text, speaker, said_at, sources, embedding, terms FROM memory
), answered AS (
    INSERT INTO answers (tenant_id, bank_id, id, body) SELECT tenant_id, bank_id, %(answer)s, jsonb_build_object(
        'id', %(answer)s::text, 'question', 'What?', 'answer', 'That.', 'abstained', false, 'policy', 'p',
        'prompt_version', 'v', 'usage', '{"prompt_tokens": 1, "completion_tokens": 1}'::jsonb,
        'timings', '{"embedding": 0, "recall": 0, "model": 0, "total": 0}'::jsonb,
        'created_at', '2024-03-01T12:00:00Z',
        'candidates', jsonb_build_array(jsonb_build_object('id', id, 'version', 1, 'text', text, 'score', 1,
            'distilled', true, 'sources', to_jsonb(sources), 'external_ids', '[]'::jsonb)),
        'memories', jsonb_build_array(jsonb_build_object('id', id, 'version', 1, 'text', text, 'speaker', speaker,
            'said_at', said_at, 'sources', '[]'::jsonb)))
    FROM memory LIMIT 1
)
INSERT INTO traces (tenant_id, bank_id, id, role, turn_id, body)
SELECT tenant_id, bank_id, gen_random_uuid(), 'extractor', id, '{}' FROM turn
"""
LOGGED = """
INSERT INTO operations (tenant_id, bank_id, ingestion_id, turn_id, kind, fact, verdict, memory_id, version_after,
    text_after, policy, prompt_version)
SELECT turns.tenant_id, turns.bank_id, ingestion_id, turns.id, 'ADD', memories.text, 'applied', memories.id, 1,
    memories.text, 'p', 'v'
FROM turns JOIN memories ON memories.bank_id = turns.bank_id AND turns.id = ANY(memories.sources)
ORDER BY position, turns.bank_id
"""
"""In order of position: the numbers of the two banks are mixed."""


def seed(url: str) -> dict[str, UUID]:
    """Rows of the first revision: two banks of one tenant, worked off; the answers by bank."""
    tenant, given = uuid4(), {name: uuid4() for name in NAMES}
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("INSERT INTO tenants (id, name) VALUES (%s, 'default')", (tenant,))
        for name in NAMES:
            embedding = "[" + ",".join(["1"] + ["0"] * (EMBEDDER.dimension - 1)) + "]"
            values = {"tenant": tenant, "name": name, "model": EMBEDDER.model, "dimension": EMBEDDER.dimension}
            values |= {"ingestion": uuid4(), "answer": given[name], "embedding": embedding}
            connection.execute(ROWS.encode(), values)
        connection.execute(LOGGED.encode())
    return given


def counts(url: str) -> dict[str, int]:
    tables = "tenants banks turns inbox memories memory_versions operations answers traces speakers".split()
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        found = {t: connection.execute(f"SELECT count(*) FROM {t}".encode()).fetchone() for t in tables}
    return {table: row[0] for table, row in found.items() if row}


def revisions() -> list[str]:
    scripts = ScriptDirectory.from_config(migrate.alembic_config("postgresql://"))
    return sorted(script.revision for script in scripts.walk_revisions())


@pytest.mark.parametrize("revision", revisions())
async def test_rows_of_every_revision_come_along_and_can_be_worked_with(
    empty_database_url: str, settings: Settings, revision: str
) -> None:
    migrate.upgrade(empty_database_url, FIRST)
    answers = seed(empty_database_url)
    before = counts(empty_database_url)
    migrate.upgrade(empty_database_url, revision)
    migrate.upgrade(empty_database_url)
    assert counts(empty_database_url) == before
    assert_numbered(empty_database_url)
    engine = make_engine(settings.database.model_copy(update={"url": SecretStr(empty_database_url)}))
    try:
        service = Service(settings, Sessions(engine), dict.fromkeys(Role, ScriptedCompleter()), HashEmbedder())
        await assert_works(service, answers)
    finally:
        await engine.dispose()


async def assert_works(service: Service, answers: dict[str, UUID]) -> None:
    tenant = await keys.default_tenant(service.sessions)
    for name, answer_id in answers.items():
        key = await banks.find_bank(service.sessions, tenant, name)
        assert await memory_texts(service, key) == bought(TURNS, name)
        assert (await answer.read(service.sessions, key, answer_id)).answer == "That."
        async with working(service):
            key, accepted = await post(service, tenant, name, numbered(2, name, first=TURNS))
            read = await ended(service, key, accepted.ingestion_id)
        assert read.state is State.DONE
        assert await memory_texts(service, key) == bought(TURNS + 2, name)
        assert (await answer.ask(service, key, "What was bought?")).memories


def assert_numbered(url: str) -> None:
    statement = """
        SELECT array_agg(number ORDER BY number) AS numbers, array_agg(position ORDER BY number) AS positions,
            min(lanes.last_operation) AS last
        FROM operations JOIN turns ON turns.bank_id = operations.bank_id AND turns.id = operations.turn_id
            JOIN lanes ON lanes.bank_id = operations.bank_id
        GROUP BY operations.bank_id
    """
    answered = "SELECT memory_ids, distilled_ids, turn_ids FROM answers"
    with psycopg.connect(url.replace("+psycopg", ""), row_factory=dict_row) as connection:
        logs = connection.execute(statement.encode()).fetchall()
        held = connection.execute(answered.encode()).fetchall()
    in_order = list(range(1, TURNS + 1))
    assert [(log["numbers"], log["positions"], log["last"]) for log in logs] == [(in_order, in_order, TURNS)] * 2
    assert len(held) == 2
    assert all(len(row["memory_ids"]) == len(row["turn_ids"]) == 1 for row in held)
    assert all(row["memory_ids"] == row["distilled_ids"] for row in held)


def test_rows_survive_the_way_down_and_up_again(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, FIRST)
    seed(empty_database_url)
    before = counts(empty_database_url)
    for revision in revisions():
        migrate.upgrade(empty_database_url)
        migrate.downgrade(empty_database_url, revision)
        assert counts(empty_database_url) == before
    migrate.downgrade(empty_database_url, FIRST)
    migrate.upgrade(empty_database_url)
    assert counts(empty_database_url) == before
    assert_numbered(empty_database_url)
