"""The verification itself is checked: it says nothing of a good database, and names each thing that was falsified."""

from __future__ import annotations

import random
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from psycopg.rows import dict_row

from app.services.ingest import State
from app.services.service import Service
from tests.chaos.ledger import Acknowledged
from tests.chaos.replies import said_well
from tests.chaos.verify import Claims, read, violations
from tests.fixtures.database import make_tenant
from tests.fixtures.doubles import ScriptedCompleter
from tests.fixtures.ingesting import ended, post, said, working

TURNS = 12


def marker(number: int) -> str:
    return f"K00T{number:05d}"


@pytest.fixture
def completer() -> ScriptedCompleter:
    """Decides as the storm's model does when it behaves, so that memories are updated and deleted too."""
    draw = random.Random(3)
    return ScriptedCompleter(manager=lambda prompt: said_well(prompt, draw))


@pytest_asyncio.fixture
async def claims(service: Service) -> Claims:
    """A bank whose turns were all worked off, each of every third selling what the one before it bought."""
    texts = [f"I bought the lamp {marker(n)} in Oslo." for n in range(TURNS)]
    for n in range(2, TURNS, 3):
        texts[n] = f"I sold the lamp {marker(n - 1)} for the chair {marker(n)}."
    turns = [said(text, external_id=marker(n)) for n, text in enumerate(texts)]
    tenant = await make_tenant(service.sessions, "0")
    async with working(service):
        key, accepted = await post(service, tenant, "bank", turns)
        assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE
    ids = enumerate(accepted.turn_ids)
    return Claims([Acknowledged("0/bank", marker(n), str(turn_id), marker(n), 0, n) for n, turn_id in ids])


def kinds(url: str, claims: Claims) -> set[str]:
    return {violation.kind for violation in violations(read(url), claims)}


def connected(url: str) -> psycopg.Connection[dict[str, object]]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True, row_factory=dict_row)


def falsify(url: str, statement: str) -> None:
    with connected(url) as connection:
        assert connection.execute(statement.encode()).rowcount > 0, "nothing was falsified"


def copy(url: str, table: str, where: str, **changed: object) -> None:
    """Another row like the first one found, but for what is changed."""
    with connected(url) as connection:
        row = connection.execute(f"SELECT * FROM {table} WHERE {where} LIMIT 1".encode()).fetchone()
        assert row is not None
        row |= changed
        values = [psycopg.types.json.Jsonb(value) if isinstance(value, dict) else value for value in row.values()]
        statement = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        )
        connection.execute(statement, values)


def test_a_good_database_has_no_violations(claims: Claims, database_url: str) -> None:
    stored = read(database_url)
    assert violations(stored, claims) == []
    applied = {line.kind for line in stored.operations if line.verdict == "applied"}
    assert applied == {"ADD", "UPDATE", "DELETE"}
    assert max(row.version for row in stored.versions) > 1


OF_FIRST = f"fact LIKE '%{marker(0)}%'"
HAS_TWO = "(bank_id, memory_id) IN (SELECT bank_id, memory_id FROM memory_versions WHERE version = 2)"
FALSIFIED = {
    "turn gone": ("lost", f"DELETE FROM turns WHERE external_id = '{marker(4)}'"),
    "turn failed": ("lost", "UPDATE inbox SET state = 'failed' WHERE position = 5"),
    "nothing applied": ("lost", f"DELETE FROM operations WHERE {OF_FIRST}"),
    "turn of another transaction": ("lost", f"UPDATE operations SET turn_id = gen_random_uuid() WHERE {OF_FIRST}"),
    "turn waits": ("stuck", "UPDATE inbox SET state = 'queued' WHERE position = 5"),
    "lane due": ("stuck", "UPDATE lanes SET run_at = now()"),
    "lane blocked": ("stuck", "UPDATE lanes SET blocked_by = 5"),
    "lane leased": ("stuck", "UPDATE lanes SET lease_owner = gen_random_uuid(), lease_until = now()"),
    "turn of another tenant": ("leaked", "UPDATE turns SET text = 'I bought the lamp K01T00001.' WHERE position = 2"),
    "trace of another tenant": ("leaked", 'UPDATE traces SET body = \'{"reply": "the lamp K03T00001"}\''),
    "memory rewritten": ("log mismatch", "UPDATE memories SET text = text || '!' WHERE live"),
    "memory gone": ("log mismatch", "DELETE FROM memories WHERE live"),
    "memory back": ("log mismatch", "UPDATE memories SET live = true WHERE NOT live"),
    "log line gone": ("log mismatch", "DELETE FROM operations WHERE kind = 'UPDATE' AND verdict = 'applied'"),
    "log says another version": ("log mismatch", "UPDATE operations SET version_before = 7 WHERE kind = 'UPDATE'"),
    "numbers with a gap": ("log mismatch", "UPDATE operations SET number = number + 100 WHERE number > 3"),
    "version rewritten": ("log mismatch", "UPDATE memory_versions SET text = '' WHERE version = 1"),
    "version gap": ("version fault", f"DELETE FROM memory_versions WHERE version = 1 AND {HAS_TWO}"),
    "versions overlap": (
        "version fault",
        "UPDATE memory_versions SET valid_to = valid_to + interval '1 hour' WHERE valid_to IS NOT NULL",
    ),
    "two open versions": ("version fault", f"UPDATE memory_versions SET valid_to = NULL WHERE {HAS_TWO}"),
    "no open version": ("version fault", "UPDATE memory_versions SET valid_to = valid_from WHERE valid_to IS NULL"),
    "versions of nothing": ("version fault", "DELETE FROM memories WHERE NOT live"),
}


@pytest.mark.parametrize("name", FALSIFIED)
def test_what_is_falsified_is_reported(name: str, claims: Claims, database_url: str) -> None:
    kind, statement = FALSIFIED[name]
    falsify(database_url, statement)
    assert kind in kinds(database_url, claims)


def test_an_operation_that_is_logged_twice_is_reported(claims: Claims, database_url: str) -> None:
    copy(database_url, "operations", f"kind = 'ADD' AND {OF_FIRST}", number=10_000)
    assert kinds(database_url, claims) >= {"doubled", "log mismatch"}


def test_a_turn_that_is_applied_in_two_transactions_is_reported(claims: Claims, database_url: str) -> None:
    falsify(database_url, f"UPDATE operations SET created_at = now() - interval '1 hour' WHERE {OF_FIRST}")
    assert kinds(database_url, claims) == set()
    copy(database_url, "operations", OF_FIRST, number=10_000, kind="NOOP", verdict="unchanged", created_at="2024-01-01")
    assert "doubled" in kinds(database_url, claims)


def test_a_second_decision_on_a_turn_is_reported(claims: Claims, database_url: str) -> None:
    copy(database_url, "traces", "role = 'manager'", id=uuid4())
    assert kinds(database_url, claims) == {"doubled"}


def test_a_memory_that_was_added_twice_is_reported(claims: Claims, database_url: str) -> None:
    copy(database_url, "memory_versions", f"version = 1 AND text LIKE '%{marker(0)}%'", memory_id=uuid4())
    assert kinds(database_url, claims) >= {"doubled", "version fault"}


def test_turns_applied_in_another_order_are_reported(claims: Claims, database_url: str) -> None:
    first, second = (claims.acknowledged[n].turn_id for n in (3, 6))
    swapped = f"CASE turn_id WHEN '{first}' THEN '{second}'::uuid WHEN '{second}' THEN '{first}'::uuid ELSE turn_id END"
    falsify(database_url, f"UPDATE operations SET turn_id = {swapped}")
    assert "out of order" in kinds(database_url, claims)


def test_turns_stored_in_another_order_are_reported_unless_they_failed(claims: Claims, database_url: str) -> None:
    for before, after in ((4, -4), (7, 4), (-4, 7)):
        falsify(database_url, f"UPDATE turns SET position = {after} WHERE position = {before}")
    found = [one.text for one in violations(read(database_url), claims) if one.kind == "out of order"]
    assert any("comes after one on" in text for text in found)
    assert any("as they were posted" in text for text in found)
    late = frozenset(one.turn_id for one in claims.acknowledged)
    excused = violations(read(database_url), Claims(claims.acknowledged, late))
    assert not any("comes after one on" in one.text for one in excused)
