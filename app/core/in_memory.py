"""The bank of training, evaluation and tests: the same contract as Postgres, in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from app.core import ranking
from app.core.changes import AddMemory, Changes, RemoveMemory, RestoreMemory, ReviseMemory, required
from app.core.errors import InvalidInput, StaleMemory, UnknownMemory
from app.core.values import Candidate, Embedded, Memory, Query, SparseVector, Turn

_TICK = timedelta(microseconds=1)


def _now() -> datetime:
    return datetime.now(UTC)


class _Version(NamedTuple):
    """A memory as it was from `memory.updated_at` until `valid_to`."""

    memory: Memory
    forms: Embedded
    valid_to: datetime | None = None

    def at(self, moment: datetime) -> _Version:
        """The version as it looked at a moment."""
        ended = self.valid_to is not None and self.valid_to <= moment
        return self if ended else self._replace(valid_to=None)


class InMemoryBank:
    """Implements `app.core.ports.Bank`."""

    def __init__(self, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._turns: dict[UUID, Turn] = {}
        self._received: dict[UUID, datetime] = {}
        self._versions: dict[UUID, list[_Version]] = {}
        """By memory, in order of creation; oldest first."""
        self._settled = datetime.min.replace(tzinfo=UTC)
        """Nothing is written at or before this time any more: it was written at, or read as of."""
        self._is_past = False

    def add_turns(self, turns: Iterable[Turn]) -> None:
        """Store turns in order of arrival."""
        at = self._stamp()
        for turn in turns:
            self._turns[turn.id] = turn
            self._received.setdefault(turn.id, at)

    def as_of(self, moment: datetime) -> InMemoryBank:
        if moment > max(self._now(), self._settled):
            raise InvalidInput("as_of lies in the future.")
        self._settled = max(self._settled, moment)
        past = InMemoryBank(self._now)
        past._is_past = True
        past._received = {i: at for i, at in self._received.items() if at <= moment}
        past._turns = {i: turn for i, turn in self._turns.items() if i in past._received}
        for memory_id, versions in self._versions.items():
            then = [version.at(moment) for version in versions if version.memory.updated_at <= moment]
            if then:
                past._versions[memory_id] = then
        return past

    async def recall(self, queries: Sequence[Query], limit: int, speaker: str | None = None) -> list[list[Candidate]]:
        return [self._recall(query, limit, speaker) for query in queries]

    async def memories(self) -> list[Memory]:
        return [self._head(memory_id) for memory_id in self._creation_order()]

    async def get(self, memory_id: UUID) -> Memory:
        if not self._is_live(memory_id):
            raise UnknownMemory(memory_id)
        return self._head(memory_id)

    async def history(self, memory_id: UUID) -> list[Memory]:
        if memory_id not in self._versions:
            raise UnknownMemory(memory_id)
        return [version.memory for version in self._versions[memory_id]]

    async def speakers(self) -> list[str]:
        return list(dict.fromkeys(turn.speaker for turn in self._turns.values()))

    async def turns(self, turn_ids: Sequence[UUID]) -> list[Turn]:
        wanted = set(turn_ids)
        return [turn for turn in self._turns.values() if turn.id in wanted]

    async def apply(self, changes: Changes) -> list[Memory]:
        if self._is_past:
            raise ValueError("The past cannot be changed.")
        self._check(changes)
        at = self._stamp()
        for removal in changes.removals:
            self._close(removal.memory_id, at)
        revised = [self._revise(revision, at) for revision in changes.revisions]
        restored = [self._restore(restoration, at) for restoration in changes.restorations]
        return [*(self._add(add, at) for add in changes.adds), *revised, *restored]

    def _check(self, changes: Changes) -> None:
        """All or none: what can be wrong with a change is found before the first one is applied."""
        texts: tuple[AddMemory | ReviseMemory, ...] = (*changes.adds, *changes.revisions)
        for text in texts:
            required(text.embedded)
        if changes.changed_twice is not None:
            raise StaleMemory(changes.changed_twice)
        planned: tuple[RemoveMemory | ReviseMemory, ...] = (*changes.removals, *changes.revisions)
        for change in planned:
            if not self._stands(change.memory_id, change.version, live=True):
                raise StaleMemory(change.memory_id)
        for restoration in changes.restorations:
            if not self._stands(restoration.memory_id, restoration.version, live=not restoration.removed):
                raise StaleMemory(restoration.memory_id)
            if not 1 <= restoration.restores <= restoration.version:
                raise StaleMemory(restoration.memory_id)

    def _stands(self, memory_id: UUID, version: int, *, live: bool) -> bool:
        known = memory_id in self._versions
        return known and self._head(memory_id).version == version and self._is_live(memory_id) is live

    def _stamp(self) -> datetime:
        """The time of a write: later than every other, and than every moment that the bank was read as of."""
        self._settled = max(self._now(), self._settled + _TICK)
        return self._settled

    def _recall(self, query: Query, limit: int, speaker: str | None) -> list[Candidate]:
        ids = [i for i in self._creation_order() if speaker is None or self._head(i).speaker == speaker]
        depth = ranking.arm_depth(limit)
        dense = ranking.in_steps(query.dense)
        arms = [_best(ids, [float(dense @ self._forms(i).dense) for i in ids], depth)]
        if query.terms:
            scores = [_overlap(query.terms, self._forms(i).terms) for i in ids]
            matching = [(i, score) for i, score in zip(ids, scores, strict=True) if score > 0]
            arms.append(_best([i for i, _ in matching], [score for _, score in matching], depth))
        fused = ranking.fuse(arms)
        order = {memory_id: number for number, memory_id in enumerate(ids)}
        best = sorted(fused, key=lambda i: (-fused[i], order[i]))[:limit]
        return [Candidate(memory=self._head(i), score=fused[i]) for i in best]

    def _creation_order(self) -> list[UUID]:
        return [memory_id for memory_id in self._versions if self._is_live(memory_id)]

    def _is_live(self, memory_id: UUID) -> bool:
        return memory_id in self._versions and self._versions[memory_id][-1].valid_to is None

    def _head(self, memory_id: UUID) -> Memory:
        return self._versions[memory_id][-1].memory

    def _forms(self, memory_id: UUID) -> Embedded:
        return self._versions[memory_id][-1].forms

    def _add(self, add: AddMemory, now: datetime) -> Memory:
        memory = Memory(
            id=add.memory_id,
            version=1,
            text=add.text,
            speaker=add.speaker,
            said_at=add.said_at,
            sources=add.sources,
            created_at=now,
            updated_at=now,
        )
        self._versions[memory.id] = [_Version(memory, _in_steps(required(add.embedded)))]
        return memory

    def _revise(self, revision: ReviseMemory, now: datetime) -> Memory:
        said = {"text": revision.text, "said_at": revision.said_at, "sources": revision.sources}
        return self._open(revision.memory_id, said, _in_steps(required(revision.embedded)), now)

    def _restore(self, restoration: RestoreMemory, now: datetime) -> Memory:
        earlier = self._versions[restoration.memory_id][restoration.restores - 1]
        said = {name: getattr(earlier.memory, name) for name in ("text", "said_at", "sources")}
        return self._open(restoration.memory_id, said, earlier.forms, now)

    def _open(self, memory_id: UUID, said: dict[str, Any], forms: Embedded, now: datetime) -> Memory:
        """A new version, upon which the one before is valid no more."""
        head = self._head(memory_id)
        memory = head.model_copy(update={**said, "version": head.version + 1, "updated_at": now})
        if self._is_live(memory_id):
            self._close(memory_id, now)
        self._versions[memory_id].append(_Version(memory, forms))
        return memory

    def _close(self, memory_id: UUID, now: datetime) -> None:
        versions = self._versions[memory_id]
        versions[-1] = versions[-1]._replace(valid_to=now)


def _in_steps(embedded: Embedded) -> Embedded:
    return embedded.model_copy(update={"dense": ranking.in_steps(embedded.dense)})


def _overlap(query: SparseVector, document: SparseVector) -> float:
    return sum(weight * document.get(term, 0.0) for term, weight in query.items())


def _best(ids: Sequence[UUID], scores: Sequence[float], depth: int) -> list[UUID]:
    """The keys by descending score; `ids` come in order of creation, which breaks ties (sorting is stable)."""
    ranked = sorted(zip(scores, ids, strict=True), key=lambda pair: -pair[0])
    return [memory_id for _, memory_id in ranked[:depth]]
