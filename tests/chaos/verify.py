"""What the database must hold in the end, read by SQL as the superuser and checked against what was acknowledged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from tests.chaos.ledger import Acknowledged, tenant_of
from tests.chaos.replies import MARKER

Row = Any
KINDS = ("lost", "doubled", "out of order", "stuck", "leaked", "log mismatch", "version fault")
STATEMENTS = {
    "turns": """
        SELECT o.name || '/' || b.name AS bank, t.bank_id, t.id::text, t.position, t.external_id, i.state, i.error_type
        FROM turns t JOIN banks b USING (tenant_id) JOIN tenants o ON o.id = t.tenant_id LEFT JOIN inbox i
            ON i.tenant_id = t.tenant_id AND i.bank_id = t.bank_id AND i.turn_id = t.id
        WHERE b.id = t.bank_id ORDER BY t.bank_id, t.position
    """,
    "operations": """
        SELECT bank_id, number, turn_id::text, kind, fact, verdict, memory_id::text, version_before, version_after,
            text_after, created_at
        FROM operations ORDER BY bank_id, number
    """,
    "memories": "SELECT bank_id, id::text, version, live, text FROM memories ORDER BY bank_id, seq",
    "versions": """
        SELECT bank_id, memory_id::text, version, text, valid_from, valid_to
        FROM memory_versions ORDER BY bank_id, memory_id, version
    """,
    "lanes": """
        SELECT o.name || '/' || b.name AS bank, l.run_at, l.lease_owner, l.lease_until, l.blocked_by
        FROM lanes l JOIN tenants o ON o.id = l.tenant_id JOIN banks b ON b.tenant_id = l.tenant_id AND b.id = l.bank_id
    """,
    "decisions": "SELECT turn_id::text, count(*) FROM traces WHERE role = 'manager' GROUP BY turn_id",
}


HOLD_TEXT = "turns inbox memories memory_versions operations answers traces idempotency_keys events".split()
TEXTS = "SELECT o.name AS tenant, to_jsonb(t)::text AS text FROM {} t JOIN tenants o ON o.id = t.tenant_id"


@dataclass(frozen=True)
class Stored:
    """The tables as they are."""

    turns: Sequence[Row]
    operations: Sequence[Row]
    memories: Sequence[Row]
    versions: Sequence[Row]
    lanes: Sequence[Row]
    decisions: Sequence[Row]
    texts: Sequence[tuple[str, Row]]
    """Every row of each table that can hold a user's text, with its tenant."""


@dataclass(frozen=True)
class Claims:
    """What has to hold."""

    acknowledged: Sequence[Acknowledged]
    retried: frozenset[str] = frozenset()
    """Turns that failed and were put back: those alone may be applied after later ones."""


@dataclass(frozen=True)
class Violation:
    kind: str
    """One of `KINDS`."""
    text: str


def read(url: str) -> Stored:
    """The tables of a database, in one snapshot."""
    with psycopg.connect(url.replace("+psycopg", ""), row_factory=namedtuple_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        read = {name: connection.execute(sql).fetchall() for name, sql in STATEMENTS.items()}
        texts = [(table, row) for table in HOLD_TEXT for row in connection.execute(TEXTS.format(table).encode())]
        return Stored(**read, texts=texts)


def violations(stored: Stored, claims: Claims) -> list[Violation]:
    """Everything that is not as it must be."""
    checks: dict[str, Callable[[Stored, Claims], Iterator[str]]] = {
        "lost": lost,
        "doubled": doubled,
        "out of order": out_of_order,
        "stuck": stuck,
        "leaked": leaked,
        "log mismatch": log_mismatches,
        "version fault": version_faults,
    }
    return [Violation(kind, text) for kind in KINDS for text in checks[kind](stored, claims)]


def lost(stored: Stored, claims: Claims) -> Iterator[str]:
    """Acknowledged turns that are not stored, not done, or done without a memory that took them up."""
    turns = {(turn.bank, turn.external_id): turn for turn in stored.turns}
    of_turn = grouped(stored.operations, lambda line: line.turn_id)
    for one in claims.acknowledged:
        turn = turns.get((one.bank, one.external_id))
        if turn is None or turn.id != one.turn_id:
            yield f"{one.external_id} of {one.bank} was acknowledged and is not stored"
        elif turn.state != "done":
            yield f"{one.external_id} of {one.bank} is {turn.state} ({turn.error_type})"
        elif not any(takes_up(line, one.marker) for line in of_turn.get(turn.id, [])):
            yield f"{one.external_id} of {one.bank} is done, but nothing was applied"


def takes_up(line: Row, marker: str) -> bool:
    """Whether an applied operation wrote the fact with the marker into a memory."""
    is_written = line.verdict == "applied" and line.kind in ("ADD", "UPDATE")
    return is_written and marker in line.fact and marker in (line.text_after or "")


def doubled(stored: Stored, claims: Claims) -> Iterator[str]:
    """Turns stored twice, decided or applied in two transactions, or added twice."""
    for (bank, external_id), same in grouped(stored.turns, lambda turn: (turn.bank, turn.external_id)).items():
        if external_id is not None and len(same) > 1:
            yield f"{external_id} of {bank} is stored {len(same)} times"
    for turn_id, lines in grouped(stored.operations, lambda line: line.turn_id).items():
        # All lines of one write have one time, and no two writes of a bank have the same.
        if len({line.created_at for line in lines}) > 1:
            yield f"the turn {turn_id} was applied in several transactions"
        added = [line.fact for line in lines if (line.verdict, line.kind) == ("applied", "ADD")]
        if len(added) != len(set(added)):
            yield f"the turn {turn_id} added a fact twice"
    for row in stored.decisions:
        if row.count > 1:
            yield f"the turn {row.turn_id} has {row.count} decisions on it"
    yield from _doubled_memories(stored, claims)


def _doubled_memories(stored: Stored, claims: Claims) -> Iterator[str]:
    """Turns whose fact began more than one memory."""
    began: dict[tuple[int, str], int] = defaultdict(int)
    banks = {turn.bank: turn.bank_id for turn in stored.turns}
    for version in stored.versions:
        if version.version == 1:
            # A fact that names an older marker as well is about the newest.
            began[version.bank_id, max(MARKER.findall(version.text), default="")] += 1
    for one in claims.acknowledged:
        if began[banks.get(one.bank, -1), one.marker] > 1:
            yield f"{one.external_id} of {one.bank} began several memories"


def out_of_order(stored: Stored, claims: Claims) -> Iterator[str]:
    """Operations after those of a later turn, and turns of a client stored in another order than posted."""
    position = {turn.id: turn.position for turn in stored.turns}
    for bank, lines in grouped(stored.operations, lambda line: line.bank_id).items():
        latest = 0
        for line in lines:
            place = position.get(line.turn_id, 0)
            if place < latest and line.turn_id not in claims.retried:
                yield f"bank {bank}: operation {line.number} on the turn at {place} comes after one on {latest}"
            latest = max(latest, place)
    for (client, name), own in grouped(claims.acknowledged, lambda one: (one.client, one.bank)).items():
        places = [position.get(one.turn_id, 0) for one in sorted(own, key=lambda one: one.number)]
        if any(later <= earlier for earlier, later in pairwise(places)):
            yield f"the turns of client {client} are not stored in {name} as they were posted"


def stuck(stored: Stored, claims: Claims) -> Iterator[str]:
    """Turns that wait still, and lanes that are due or leased when there should be nothing to do."""
    for bank, waiting in grouped(stored.turns, lambda turn: turn.bank).items():
        count = sum(turn.state in ("queued", "retrying", None) for turn in waiting)
        if count:
            yield f"{count} turns of {bank} wait"
    for lane in stored.lanes:
        if lane.run_at is not None:
            yield f"{lane.bank} is due since {lane.run_at}, and nobody takes it"
        if lane.lease_owner is not None or lane.lease_until is not None:
            yield f"{lane.bank} is leased until {lane.lease_until}"
        if lane.blocked_by is not None:
            yield f"{lane.bank} waits for its turn at {lane.blocked_by}"


def leaked(stored: Stored, claims: Claims) -> Iterator[str]:
    """Text of one tenant's client in rows of another."""
    for table, found in stored.texts:
        for marker in sorted(set(MARKER.findall(found.text))):
            if str(tenant_of(int(marker[1:3]))) != found.tenant:
                yield f"{table} of tenant {found.tenant} hold {marker}"


def log_mismatches(stored: Stored, claims: Claims) -> Iterator[str]:
    """Differences between what the operation log makes when it is replayed, and the bank with its versions."""
    heads: dict[tuple[int, str], tuple[int, str]] = {}
    history: dict[tuple[int, str], list[tuple[int, str]]] = defaultdict(list)
    for line in stored.operations:
        if line.verdict != "applied":
            continue
        key = (line.bank_id, line.memory_id)
        before = heads.get(key, (None, ""))[0]
        if before != line.version_before or (line.kind == "ADD" and key in history):
            what = f"version {line.version_before} of {line.memory_id}"
            yield f"operation {line.number} is on {what}, which is at {before}"
        if line.kind == "DELETE":
            heads.pop(key, None)
        else:
            heads[key] = (line.version_after, line.text_after)
            history[key].append(heads[key])
    for bank, lines in grouped(stored.operations, lambda line: line.bank_id).items():
        if [line.number for line in lines] != list(range(1, len(lines) + 1)):
            yield f"the numbers of bank {bank}'s operations have gaps"
    live = {(row.bank_id, row.id): (row.version, row.text) for row in stored.memories if row.live}
    yield from _differences("the memory", heads, live)
    versions = grouped(stored.versions, lambda row: (row.bank_id, row.memory_id))
    written = {key: [(row.version, row.text) for row in rows] for key, rows in versions.items()}
    yield from _differences("the history of", dict(history), written)


def _differences(what: str, replayed: dict[Any, Any], found: dict[Any, Any]) -> Iterator[str]:
    for key in replayed.keys() | found.keys():
        if replayed.get(key) != found.get(key):
            yield f"{what} {key[1]} is {found.get(key)}, but the log makes it {replayed.get(key)}"[:400]


def version_faults(stored: Stored, claims: Claims) -> Iterator[str]:
    """Gaps and overlaps in the versions of a memory; open ones of deleted memories, and closed ones of live ones."""
    versions = grouped(stored.versions, lambda row: (row.bank_id, row.memory_id))
    for memory in stored.memories:
        rows = versions.pop((memory.bank_id, memory.id), [])
        if [row.version for row in rows] != list(range(1, len(rows) + 1)) or len(rows) != memory.version:
            yield f"the memory {memory.id} is at {memory.version} and has versions {[row.version for row in rows]}"
        for earlier, later in pairwise(rows):
            if earlier.valid_to != later.valid_from:
                yield f"version {earlier.version} of {memory.id} ends {earlier.valid_to}, not {later.valid_from}"
        if any(row.valid_to is not None and row.valid_to < row.valid_from for row in rows):
            yield f"a version of {memory.id} ends before it begins"
        still = [row.version for row in rows if row.valid_to is None]
        if still != ([memory.version] if memory.live else []):
            yield f"the memory {memory.id} is {'live' if memory.live else 'deleted'} and has open versions {still}"
    for _, memory_id in versions:
        yield f"there are versions of {memory_id}, which is no memory"


def grouped(rows: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    """Rows by key, in their order."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return dict(groups)
