"""Erasing one turn: its text, and what stands on it, wherever that is kept.

Memories keep what other turns told. The operation log keeps its lines, which are numbered without gaps, and loses
their text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.changes import Verdict
from app.core.errors import UnknownTurn
from app.core.operations import OperationKind
from app.db import lanes, tables
from app.db.engine import Sessions
from app.db.oplog import Origin
from app.db.queries import BankKey, in_bank
from app.services import audit, banks, events
from app.services.callers import Caller
from app.services.erasure import Derived, Erased, Receipt, receipt_of, write_receipt
from app.services.erasure_of_readers import MAX_CONTEXT_TURNS, find_taken
from app.services.once import Once

_BANK = "tenant_id = :tenant_id AND bank_id = :bank_id"
_ERASED = "(SELECT * FROM unnest(CAST(:memory_ids AS uuid[]), CAST(:versions AS integer[])))"
_AFFECTED = "CAST(:memory_ids AS uuid[])"

_STANDING = {
    Derived.ONLY: "sources <@ ARRAY[CAST(:turn_id AS uuid)] AND :turn_id = ANY(sources)",
    Derived.ALL: ":turn_id = ANY(sources)",
}
_TAKEN = """
    (SELECT * FROM unnest(CAST(:taken_memory_ids AS uuid[]), CAST(:taken_versions AS integer[])))
"""
_STANDING_OR_TAKEN = {
    Derived.ONLY: _STANDING[Derived.ONLY],
    Derived.ALL: f"({_STANDING[Derived.ALL]} OR (memory_id, version) IN {_TAKEN})",
}
_FIND = f"""
    SELECT memory_id, version, speaker FROM memory_versions WHERE {_BANK} AND {{standing}}
    ORDER BY memory_id, version FOR UPDATE
"""
_HEADS = f"""
    SELECT id, version, live, (
        SELECT max(stays.version) FROM memory_versions AS stays
        WHERE stays.tenant_id = memories.tenant_id AND stays.bank_id = memories.bank_id
            AND stays.memory_id = memories.id AND (stays.memory_id, stays.version) NOT IN {_ERASED}
    ), (id, version) IN {_ERASED} FROM memories WHERE {_BANK} AND id = ANY({_AFFECTED}) ORDER BY seq
"""
_RESTING = f"""
    SELECT DISTINCT memory_id AS id FROM memory_versions
    WHERE {_BANK} AND (:turn_id = ANY(sources) OR (memory_id, version) IN {_TAKEN})
        AND (memory_id, version) NOT IN {_ERASED} ORDER BY memory_id
"""
_ANSWERS = f":turn_id = ANY(turn_ids) OR memory_ids && {_AFFECTED}"

REMOVED = {
    "turns": "id = :turn_id",
    "inbox": "turn_id = :turn_id",
    "memory_versions": f"(memory_id, version) IN {_ERASED}",
    "memories": "id = ANY(CAST(:gone AS uuid[]))",
    "answers": _ANSWERS,
    # Of a trace of before it was noted, nobody knows whose text it holds.
    "traces": f"""turn_ids IS NULL OR memory_ids IS NULL OR :turn_id = ANY(turn_ids) OR turn_id = :turn_id
        OR memory_ids && {_AFFECTED} OR answer_id = ANY(CAST(:answers AS uuid[]))""",
    "speakers": """speaker = ANY(CAST(:speakers AS text[]))
        AND NOT EXISTS (SELECT FROM turns WHERE turns.tenant_id = speakers.tenant_id
            AND turns.bank_id = speakers.bank_id AND turns.speaker = speakers.speaker)
        AND NOT EXISTS (SELECT FROM memories WHERE memories.tenant_id = speakers.tenant_id
            AND memories.bank_id = speakers.bank_id AND memories.speaker = speakers.speaker)""",
}
"""Rows that go, by table; in the order in which they do."""
_OF_TURN = "turn_id = :turn_id"
_TOOK = "number = ANY(CAST(:taken_lines AS bigint[])) AND fact IS NOT NULL"
_QUOTING = "number = ANY(CAST(:quoting_lines AS bigint[]))"
_ON_ERASED = f"""(memory_id, version_before) IN {_ERASED} OR (memory_id, version_after) IN {_ERASED}
    OR memory_id = ANY(CAST(:gone AS uuid[]))"""
# Who was shown a memory may quote it in what is said for a decision, and in a text that was refused.
_SHOWN = f"""EXISTS (SELECT FROM jsonb_array_elements(shown) AS one
    WHERE (CAST(one->>'id' AS uuid), CAST(one->>'version' AS integer)) IN {_ERASED})"""
_TEXTS = "(fact, reason, reasoning, text_before, text_after) IS DISTINCT FROM (NULL, NULL, NULL, NULL, NULL)"
WIPED = {
    f"({_OF_TURN}) AND {_TEXTS}": "fact = NULL, reason = NULL, reasoning = NULL, text_before = NULL, text_after = NULL",
    f"({_ON_ERASED}) AND (reason, reasoning, text_before, text_after) IS DISTINCT FROM (NULL, NULL, NULL, NULL)": (
        "reason = NULL, reasoning = NULL, text_before = NULL, text_after = NULL"
    ),
    _TOOK: "fact = NULL",
    f"""({_SHOWN} OR {_QUOTING}) AND ((reason, reasoning) IS DISTINCT FROM (NULL, NULL)
        OR verdict <> 'applied' AND text_after IS NOT NULL)""": (
        "reason = NULL, reasoning = NULL, text_after = CASE WHEN verdict = 'applied' THEN text_after END"
    ),
}
"""What lines of the log lose, by which lines."""
CACHED = r"digest <> '\x' OR holds_text AND body IS NOT NULL"
"""Responses of the bank that may quote anything in it, and hashes of what was posted: short texts can be guessed."""
_FORGET_CACHED = rf"""
    UPDATE idempotency_keys SET digest = '\x', body = CASE WHEN NOT holds_text THEN body END
    WHERE {_BANK} AND ({CACHED})
"""
DETAIL_ERASED = "The detail was erased with an earlier turn."
_READ_WITH_IT = """position = ANY(CAST(:readers AS bigint[])) AND (extraction->'rejected' <> '[]'
    OR EXISTS (SELECT FROM jsonb_array_elements(extraction->'facts') AS one WHERE (position, one->>'text') IN (
        SELECT * FROM unnest(CAST(:fact_positions AS bigint[]), CAST(:facts AS text[])))))"""
# Earlier releases kept a model server's own words, which may quote the prompt.
_EXPLAINED = "position > :position AND error IS NOT NULL AND error <> :detail_erased"
QUOTED = f"{_READ_WITH_IT} OR {_EXPLAINED}"
"""Later turns with facts that took words from the erased one, with rejected facts, and with reasons of failures."""
_FORGET_QUOTED = f"""
    UPDATE inbox SET error = CASE WHEN {_EXPLAINED} THEN :detail_erased ELSE error END,
        extraction = CASE WHEN position = ANY(CAST(:readers AS bigint[])) THEN extraction || jsonb_build_object(
            'rejected', '[]'::jsonb, 'facts', (
                SELECT coalesce(jsonb_agg(one ORDER BY place), '[]'::jsonb)
                FROM jsonb_array_elements(extraction->'facts') WITH ORDINALITY AS facts(one, place)
                WHERE (position, one->>'text') NOT IN (
                    SELECT * FROM unnest(CAST(:fact_positions AS bigint[]), CAST(:facts AS text[]))))
        ) ELSE extraction END
    WHERE {_BANK} AND ({QUOTED})
"""
STILL_NAMED = {
    "memory_versions": f"(memory_id, version) IN {_ERASED} OR :turn_id = ANY(sources)",
    "memories": "id = ANY(CAST(:gone AS uuid[])) OR :turn_id = ANY(sources)",
    "operations": " OR ".join(f"({which})" for which in WIPED),
    "idempotency_keys": CACHED,
    "inbox": f"{REMOVED['inbox']} OR {QUOTED}",
}

_FORGET_SOURCE = f"""
    UPDATE {{table}} SET sources = array_remove(sources, :turn_id) WHERE {_BANK} AND :turn_id = ANY(sources)
"""
_COPY_VERSION = f"""
    INSERT INTO memory_versions (tenant_id, bank_id, memory_id, version, text, speaker, said_at, sources, embedding,
        terms, valid_from, restores)
    SELECT tenant_id, bank_id, memory_id, :version, text, speaker, said_at, sources, embedding, terms,
        :at, coalesce(restores, version)
    FROM memory_versions WHERE {_BANK} AND memory_id = :memory_id AND version = :left
"""
_SET_HEAD = """
    UPDATE memories SET version = :version, updated_at = CASE WHEN :renewed THEN :at ELSE memories.updated_at END,
        text = kept.text, said_at = kept.said_at, sources = kept.sources, embedding = kept.embedding, terms = kept.terms
    FROM memory_versions AS kept
    WHERE memories.tenant_id = :tenant_id AND memories.bank_id = :bank_id AND memories.id = :memory_id
        AND kept.tenant_id = memories.tenant_id AND kept.bank_id = memories.bank_id
        AND kept.memory_id = memories.id AND kept.version = :left
    RETURNING memories.text
"""
_NOT_AS_READ = f"""
    UPDATE inbox SET extraction = NULL
    WHERE {_BANK} AND position > :position AND position <= :position + :context AND state <> 'done'
        AND extraction IS NOT NULL
"""
_COUNT_OUT = "UPDATE banks SET turn_count = turn_count - 1 WHERE tenant_id = :tenant_id AND id = :bank_id"
COMES_BACK = "its newest version was erased"


class _Head(NamedTuple):
    """A memory of which a version goes."""

    id: UUID
    version: int
    live: bool
    left: int | None
    """Its newest version that stays."""
    lost: bool
    """Whether its newest version goes."""

    @property
    def comes_back(self) -> bool:
        return self.live and self.lost and self.left is not None


async def erase_turn(
    sessions: Sessions, caller: Caller, bank_name: str, turn_id: UUID, derived: Derived, once: Once | None = None
) -> Receipt:
    """Remove a turn with what stands on it. Raises `UnknownBank`, `UnknownTurn`, `IdempotencyConflict`."""
    once = once or Once()
    tenant_id = caller.tenant_id
    async with sessions.begin(tenant_id) as session:
        if (earlier := await once.claim(session, tenant_id)) is not None:
            return receipt_of(earlier)
        key = await banks.lock_bank(session, tenant_id, bank_name)
        await lanes.lock(session, key)
        unended = await events.unended(session, key, turn_id)
        counts = await _Erasing(session, caller, key, turn_id, derived).run()
        what = {"turn_id": turn_id, "derived": derived, **counts._asdict()}
        receipt = await write_receipt(session, caller, bank_name, Erased.TURN, **what)
        await events.turn_erased(session, key, receipt.digest)
        if unended is not None:
            await events.ingestion_ended(session, key, *unended)
        detail = {"turn_id": str(turn_id), "digest": receipt.digest}
        await audit.note(session, caller, "turn.erased", receipt.bank, **detail)
        await once.keep(session, tenant_id, receipt, None, holds_text=False)
    return receipt


class _Counts(NamedTuple):
    removed: dict[str, int]
    verified: dict[str, int]
    kept: tuple[UUID, ...]


class _Erasing:
    """One erasure, in a transaction that holds the bank and its lane.

    An answer, or an extraction, that is being written locks the turns that it read, then the versions in the order of
    their keys. Here they are locked in the same order, and what such a one wrote is looked for only after that.
    """

    def __init__(self, session: AsyncSession, caller: Caller, key: BankKey, turn_id: UUID, derived: Derived) -> None:
        self._session, self._caller, self._key, self._derived = session, caller, key, derived
        self._named: dict[str, Any] = {**key._asdict(), "turn_id": turn_id}

    async def run(self) -> _Counts:
        """Erase; what was removed, what is left of that, and which memories were kept."""
        turn = await self._lock_turn()
        await self._find_taken(turn)
        heads = await self._find(turn.speaker)
        returning = [head for head in heads if head.comes_back]
        stamp = await lanes.stamp(self._session, self._key, len(returning))
        lines = await self._wipe_log(stamp.at)
        removed = {
            table: await self._do(f"DELETE FROM {table} WHERE {_BANK} AND ({which})")
            for table, which in REMOVED.items()
        }
        await self._do(_COUNT_OUT)
        for table in ("memories", "memory_versions"):
            await self._do(_FORGET_SOURCE.format(table=table))
        renewals = await self._renew(heads, stamp)
        await self._let_go_on(turn)
        removed["inbox"] += await self._do(_FORGET_QUOTED)
        removed |= {"operations": lines, "idempotency_keys": await self._do(_FORGET_CACHED)}
        verified = await self._left()
        if renewals:
            await self._session.execute(insert(tables.operations), renewals)
        return _Counts(removed, verified, tuple(self._named["kept"]))

    async def _lock_turn(self) -> Any:
        turns = tables.turns
        own = select(turns).where(in_bank(turns, self._key), turns.c.id == self._named["turn_id"])
        turn = (await self._session.execute(own.with_for_update())).one_or_none()
        if turn is None:
            raise UnknownTurn(self._named["turn_id"])
        return turn

    async def _find_taken(self, turn: Any) -> None:
        """Note what later turns took from the turn."""
        taken = await find_taken(self._session, self._key, turn)
        self._named |= {
            "position": turn.position,
            "readers": taken.readers,
            "taken_memory_ids": [memory_id for memory_id, _ in taken.versions],
            "taken_versions": [version for _, version in taken.versions],
            "fact_positions": [position for position, _ in taken.facts],
            "facts": [fact for _, fact in taken.facts],
            "taken_lines": taken.lines,
            "quoting_lines": taken.quoting,
            "detail_erased": DETAIL_ERASED,
        }

    async def _find(self, speaker: str) -> list[_Head]:
        """Lock the versions that go, and note what goes with them."""
        versions = await self._rows(_FIND.format(standing=_STANDING_OR_TAKEN[self._derived]))
        self._named["memory_ids"] = [row.memory_id for row in versions]
        self._named["versions"] = [row.version for row in versions]
        heads = [_Head._make(row) for row in await self._rows(_HEADS)]
        self._named |= {
            "gone": [head.id for head in heads if head.left is None],
            "speakers": sorted({speaker, *(row.speaker for row in versions)}),
            "kept": [row.id for row in await self._rows(_RESTING)],
            "answers": [row.id for row in await self._rows(f"SELECT id FROM answers WHERE {_BANK} AND ({_ANSWERS})")],
        }
        return heads

    async def _wipe_log(self, at: datetime) -> int:
        """Take the text out of the log; how many lines lost theirs."""
        self._named["at"] = at
        wiped: set[int] = set()
        for which, lost in WIPED.items():
            statement = f"UPDATE operations SET {lost}, erased_at = :at WHERE {_BANK} AND ({which}) RETURNING number"
            wiped |= {row.number for row in await self._rows(statement)}
        return len(wiped)

    async def _renew(self, heads: Sequence[_Head], stamp: lanes.Stamp) -> list[dict[str, Any]]:
        """Live memories come back as they were before; deleted ones no longer keep the text that they ended with.

        The lines of the log that tell of it.
        """
        lines: list[dict[str, Any]] = []
        for head in heads:
            named = {"memory_id": head.id, "left": head.left, "version": head.version + head.comes_back}
            if head.comes_back:
                await self._do(_COPY_VERSION, **named)
            if head.comes_back or (head.left is not None and not head.live):
                (row,) = await self._rows(_SET_HEAD, **named, renewed=head.comes_back)
            if head.comes_back:
                lines.append(self._line(head, row.text, stamp, stamp.first + len(lines)))
        return lines

    def _line(self, head: _Head, content: str, stamp: lanes.Stamp, number: int) -> dict[str, Any]:
        return {
            **self._key._asdict(),
            "number": number,
            "origin": Origin.ERASURE.value,
            "key_id": self._caller.key_id,
            "kind": OperationKind.UPDATE.value,
            "verdict": Verdict.APPLIED.value,
            "reason": COMES_BACK,
            "memory_id": head.id,
            "version_before": head.version,
            "version_after": head.version + 1,
            "text_after": content,
            "created_at": stamp.at,
        }

    async def _let_go_on(self, turn: Any) -> None:
        """What was read with the turn is read again, and the bank does not wait for it any more."""
        await self._do(_NOT_AS_READ, context=MAX_CONTEXT_TURNS)
        await lanes.unblock(self._session, self._key, turn.position)
        await lanes.make_due(self._session, self._key)

    async def _left(self) -> dict[str, int]:
        """Whatever of it is still there, by table."""
        places = {**REMOVED, **STILL_NAMED}
        return {table: await self._count(table, which) for table, which in places.items()}

    async def _count(self, table: str, which: str) -> int:
        (row,) = await self._rows(f"SELECT count(*) AS found FROM {table} WHERE {_BANK} AND ({which})")
        return int(row.found)

    async def _rows(self, statement: str, **more: Any) -> Sequence[Row[Any]]:
        return (await self._session.execute(text(statement), {**self._named, **more})).all()

    async def _do(self, statement: str, **more: Any) -> int:
        result = await self._session.execute(text(statement), {**self._named, **more})
        return int(result.rowcount)  # type: ignore[attr-defined]
