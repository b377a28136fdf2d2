"""Banks of training: in memory, cheap to copy, and with embeddings that are computed once for a text."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self

from app.core.changes import AddMemory, Changes
from app.core.in_memory import InMemoryBank
from app.core.lexical import document_terms, query_terms
from app.core.ports import Embedder
from app.core.values import Embedded, Memory, Query, Vector

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def _epoch() -> datetime:
    return _EPOCH


class TrainingBank(InMemoryBank):
    """A bank whose clock only counts its writes, so that the same changes give the same bank."""

    def __init__(self) -> None:
        super().__init__(_epoch)

    def copy(self) -> Self:
        """The same bank, to be changed on its own; what the two hold is shared, since no value of it ever changes."""
        other = copy.copy(self)
        vars(other).update({name: _own(value) for name, value in vars(self).items()})
        return other


def _own(value: Any) -> Any:
    """The containers that a bank changes in place, one level deep; all else as it is."""
    if isinstance(value, dict):
        return {key: list(held) if isinstance(held, list) else held for key, held in value.items()}
    return list(value) if isinstance(value, list) else value


class CachedEmbedder:
    """An embedder that embeds each text once; `limit` texts are kept, the oldest go first."""

    def __init__(self, embedder: Embedder, limit: int = 200_000) -> None:
        self.model, self.dimension = embedder.model, embedder.dimension
        self._embedder, self._limit = embedder, limit
        self._known: dict[str, Vector] = {}

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One vector for each text, in order. Raises a `ModelError`."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        found = dict(zip(missing, await self._embedder.embed(missing), strict=True)) if missing else {}
        vectors = [found[text] if text in found else self._known[text] for text in texts]
        self._known.update(found)
        while len(self._known) > self._limit:
            del self._known[next(iter(self._known))]
        return vectors


async def queries(embedder: Embedder, texts: Sequence[str]) -> list[Query]:
    """What to ask a bank for each text, with both arms."""
    vectors = await embedder.embed(texts)
    return [Query(dense=vector, terms=query_terms(text)) for text, vector in zip(texts, vectors, strict=True)]


async def with_embeddings(embedder: Embedder, changes: Changes) -> Changes:
    """The changes, ready to be applied."""
    vectors = await embedder.embed(changes.texts)
    forms = [Embedded(dense=v, terms=document_terms(text)) for text, v in zip(changes.texts, vectors, strict=True)]
    return changes.with_embedded(forms)


async def filled(embedder: Embedder, memories: Sequence[Memory]) -> TrainingBank:
    """A bank that holds these memories, in their order and with their ids; each in its first version."""
    bank = TrainingBank()
    for memory in memories:
        fields = {name: getattr(memory, name) for name in ("text", "speaker", "said_at", "sources")}
        add = AddMemory(memory_id=memory.id, **fields)
        await bank.apply(await with_embeddings(embedder, Changes(adds=(add,))))
    return bank
