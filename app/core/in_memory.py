"""The bank of training, evaluation and tests: the same contract as Postgres, in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from app.core import ranking
from app.core.changes import AddMemory, Changes, RemoveMemory, ReviseMemory, required
from app.core.errors import StaleMemory, UnknownMemory
from app.core.values import Candidate, Embedded, Memory, Query, SparseVector, Turn


def _now() -> datetime:
    return datetime.now(UTC)


class InMemoryBank:
    """Implements `app.core.ports.Bank`."""

    def __init__(self, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._turns: dict[UUID, Turn] = {}
        self._versions: dict[UUID, list[Memory]] = {}
        """By memory, in order of creation; the last version is the live one."""
        self._live: dict[UUID, Embedded] = {}

    def add_turns(self, turns: Iterable[Turn]) -> None:
        """Store turns in order of arrival."""
        self._turns.update({turn.id: turn for turn in turns})

    async def recall(self, queries: Sequence[Query], limit: int, speaker: str | None = None) -> list[list[Candidate]]:
        return [self._recall(query, limit, speaker) for query in queries]

    async def memories(self) -> list[Memory]:
        return [self._head(memory_id) for memory_id in self._creation_order()]

    async def get(self, memory_id: UUID) -> Memory:
        if memory_id not in self._live:
            raise UnknownMemory(memory_id)
        return self._head(memory_id)

    async def history(self, memory_id: UUID) -> list[Memory]:
        if memory_id not in self._versions:
            raise UnknownMemory(memory_id)
        return list(self._versions[memory_id])

    async def speakers(self) -> list[str]:
        return list(dict.fromkeys(turn.speaker for turn in self._turns.values()))

    async def turns(self, turn_ids: Sequence[UUID]) -> list[Turn]:
        wanted = set(turn_ids)
        return [turn for turn in self._turns.values() if turn.id in wanted]

    async def apply(self, changes: Changes) -> list[Memory]:
        self._check(changes)
        now = self._now()
        for removal in changes.removals:
            self._remove(removal)
        revised = [self._revise(revision, now) for revision in changes.revisions]
        return [*(self._add(add, now) for add in changes.adds), *revised]

    def _check(self, changes: Changes) -> None:
        """All or none: what can be wrong with a change is found before the first one is applied."""
        texts: tuple[AddMemory | ReviseMemory, ...] = (*changes.adds, *changes.revisions)
        for text in texts:
            required(text.embedded)
        touched: set[UUID] = set()
        changed: tuple[RemoveMemory | ReviseMemory, ...] = (*changes.removals, *changes.revisions)
        for change in changed:
            is_live = change.memory_id in self._live and change.memory_id not in touched
            if not is_live or self._head(change.memory_id).version != change.version:
                raise StaleMemory(change.memory_id)
            touched.add(change.memory_id)

    def _recall(self, query: Query, limit: int, speaker: str | None) -> list[Candidate]:
        ids = [i for i in self._creation_order() if speaker is None or self._head(i).speaker == speaker]
        depth = ranking.arm_depth(limit)
        dense = ranking.in_steps(query.dense)
        arms = [_best(ids, [float(dense @ self._live[i].dense) for i in ids], depth)]
        if query.terms:
            scores = [_overlap(query.terms, self._live[i].terms) for i in ids]
            matching = [(i, score) for i, score in zip(ids, scores, strict=True) if score > 0]
            arms.append(_best([i for i, _ in matching], [score for _, score in matching], depth))
        fused = ranking.fuse(arms)
        order = {memory_id: number for number, memory_id in enumerate(ids)}
        best = sorted(fused, key=lambda i: (-fused[i], order[i]))[:limit]
        return [Candidate(memory=self._head(i), score=fused[i]) for i in best]

    def _creation_order(self) -> list[UUID]:
        return [memory_id for memory_id in self._versions if memory_id in self._live]

    def _head(self, memory_id: UUID) -> Memory:
        return self._versions[memory_id][-1]

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
        self._versions[memory.id] = [memory]
        self._live[memory.id] = _in_steps(required(add.embedded))
        return memory

    def _revise(self, revision: ReviseMemory, now: datetime) -> Memory:
        memory = self._head(revision.memory_id).model_copy(
            update={
                "version": revision.version + 1,
                "text": revision.text,
                "said_at": revision.said_at,
                "sources": revision.sources,
                "updated_at": now,
            }
        )
        self._versions[memory.id].append(memory)
        self._live[memory.id] = _in_steps(required(revision.embedded))
        return memory

    def _remove(self, removal: RemoveMemory) -> None:
        del self._live[removal.memory_id]


def _in_steps(embedded: Embedded) -> Embedded:
    return embedded.model_copy(update={"dense": ranking.in_steps(embedded.dense)})


def _overlap(query: SparseVector, document: SparseVector) -> float:
    return sum(weight * document.get(term, 0.0) for term, weight in query.items())


def _best(ids: Sequence[UUID], scores: Sequence[float], depth: int) -> list[UUID]:
    """The keys by descending score; `ids` come in order of creation, which breaks ties (sorting is stable)."""
    ranked = sorted(zip(scores, ids, strict=True), key=lambda pair: -pair[0])
    return [memory_id for _, memory_id in ranked[:depth]]
