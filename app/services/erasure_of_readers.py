"""What later turns took from an erased one: the extractor reads a turn with those just before it.

A text is judged by its words: it took from the erased turn what that turn says and its own turns do not.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import dates, grounding, rendering
from app.core.values import Turn
from app.db.queries import BankKey, turn_of

MAX_CONTEXT_TURNS = 20
"""A turn may have been read with so many later ones; bounds `ExtractorOptions.context_turns`."""

_BANK = "tenant_id = :tenant_id AND bank_id = :bank_id"
_HERE = "t.tenant_id = :tenant_id AND t.bank_id = :bank_id"
_READ_WITH = "traces.tenant_id = t.tenant_id AND traces.bank_id = t.bank_id AND traces.turn_id = t.id"
# Where no trace tells which turns were read, all that are near enough may have been.
_READERS = f"""
    SELECT t.*, inbox.extraction FROM turns AS t JOIN inbox
        ON inbox.tenant_id = t.tenant_id AND inbox.bank_id = t.bank_id AND inbox.position = t.position
    WHERE {_HERE} AND t.position > :position AND t.position <= :position + :context AND coalesce((
        SELECT bool_or(traces.turn_ids IS NULL OR :turn_id = ANY(traces.turn_ids)) FROM traces
        WHERE {_READ_WITH} AND traces.role = 'extractor'
    ), true) ORDER BY t.position
"""
_SAID_MORE = f"SELECT FROM turns WHERE {_BANK} AND speaker = :speaker AND id <> :turn_id LIMIT 1"
_VERSIONS = f"""
    SELECT memory_id, version, text, sources FROM memory_versions
    WHERE {_BANK} AND sources && CAST(:readers AS uuid[]) ORDER BY memory_id, version
"""
_TURNS = f"SELECT * FROM turns WHERE {_BANK} AND id = ANY(CAST(:ids AS uuid[]))"
_LINES = f"""
    SELECT number, turn_id, fact, reason, reasoning, verdict, text_after FROM operations
    WHERE {_BANK} AND turn_id = ANY(CAST(:readers AS uuid[])) ORDER BY number
"""


class Taken(NamedTuple):
    """Where words of an erased turn stand in what was made of later ones."""

    versions: list[tuple[UUID, int]]
    """Versions of memories: their memory and number."""
    readers: list[int]
    """Positions of the turns that were, or may have been, read with it."""
    facts: list[tuple[int, str]]
    """Facts, by the position of their turn."""
    lines: list[int]
    """Lines of the log whose fact it is."""
    quoting: list[int]
    """Lines of the log that may quote it in what was said for them, or in a text that was refused."""


async def find_taken(session: AsyncSession, key: BankKey, erased: Row[Any]) -> Taken:
    """What later turns took from a turn, under its lock and that of the bank's lane; `erased` is its row."""
    named: dict[str, Any] = {**key._asdict(), "turn_id": erased.id, "position": erased.position}
    named |= {"context": MAX_CONTEXT_TURNS, "speaker": erased.speaker}
    readers = (await session.execute(text(_READERS), named)).all()
    if not readers:
        return Taken([], [], [], [], [])
    named["readers"] = [row.id for row in readers]
    others = (await session.execute(text(_SAID_MORE), named)).one_or_none() is not None
    # Who also said other turns is known from these.
    heard = _Words(_told(turn_of(erased), with_speaker=not others))
    by_turn = {row.id: _told(turn_of(row)) for row in readers}
    facts = {row.id: heard.among(_texts(row.extraction, "facts"), by_turn[row.id]) for row in readers}
    lines = (await session.execute(text(_LINES), named)).all()
    own = {line.number for line in lines if heard.are_in(line.fact, by_turn[line.turn_id])}
    touched = {turn_id for turn_id, taken in facts.items() if taken}
    touched |= {line.turn_id for line in lines if line.number in own}
    return Taken(
        versions=await _versions(session, named, heard),
        readers=[row.position for row in readers],
        facts=[(row.position, fact) for row in readers for fact in facts[row.id]],
        lines=sorted(own),
        quoting=[line.number for line in lines if line.turn_id in touched or _quotes(line, heard, by_turn)],
    )


async def _versions(session: AsyncSession, named: dict[str, Any], heard: _Words) -> list[tuple[UUID, int]]:
    found = (await session.execute(text(_VERSIONS), named)).all()
    ids = {source for row in found for source in row.sources} - {named["turn_id"]}
    turns = (await session.execute(text(_TURNS), {**named, "ids": list(ids)})).all()
    told = {row.id: _told(turn_of(row)) for row in turns}
    return [
        (row.memory_id, row.version)
        for row in found
        if heard.are_in(row.text, " ".join(told[source] for source in row.sources if source in told))
    ]


class _Words:
    """The words of an erased turn."""

    def __init__(self, told: str) -> None:
        self._told = told

    def are_in(self, content: str | None, own: str) -> bool:
        return content is not None and bool(grounding.taken_from(content, self._told, own))

    def among(self, contents: Collection[str], own: str) -> list[str]:
        return [content for content in contents if self.are_in(content, own)]


def _told(turn: Turn, *, with_speaker: bool = True) -> str:
    """A turn as the extractor was shown it: with its speaker and day, and dates also in absolute form."""
    words = [turn.text, dates.make_dates_absolute(turn.text, turn.said_at)]
    return " ".join([turn.speaker, rendering.day(turn.said_at), *words] if with_speaker else words)


def _texts(extraction: dict[str, Any] | None, which: str) -> list[str]:
    return [one["text"] for one in (extraction or {}).get(which, [])]


def _quotes(line: Row[Any], heard: _Words, by_turn: dict[UUID, str]) -> bool:
    refused = None if line.verdict == "applied" else line.text_after
    said = (line.reason, line.reasoning, refused)
    return any(heard.are_in(content, by_turn[line.turn_id]) for content in said)
