"""Which memories a turn or a question is held against; the same for service, training and evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.core import lexical
from app.core.ports import Bank
from app.core.values import Candidate, Query


async def related(bank: Bank, queries: Sequence[Query], limit: int, speaker: str) -> list[list[Candidate]]:
    """For each fact of a speaker's turn, the memories that it may have to do with."""
    return await bank.recall([without_names(query, [speaker]) for query in queries], limit)


def without_names(query: Query, speakers: Iterable[str]) -> Query:
    """The query without names of speakers in its lexical arm: they are in nearly every memory, and tell none apart."""
    names = lexical.query_terms(" ".join(speakers))
    return query.model_copy(update={"terms": {t: w for t, w in query.terms.items() if t not in names}})


async def candidates(bank: Bank, query: Query, limit: int) -> list[Candidate]:
    """Up to `limit` memories, best first: half for each speaker where the bank has two (Memory-R1, Algorithm 2).

    What one speaker leaves free goes to the best of the rest.
    """
    speakers = await bank.speakers()
    query = without_names(query, speakers)
    if len(speakers) != 2:
        return (await bank.recall([query], limit))[0]
    found: dict[object, Candidate] = {}
    for speaker in speakers:
        for candidate in (await bank.recall([query], limit // 2, speaker))[0]:
            found[candidate.memory.id] = candidate
    if len(found) < limit:
        for candidate in (await bank.recall([query], limit))[0]:
            if len(found) < limit:
                found.setdefault(candidate.memory.id, candidate)
    return sorted(found.values(), key=lambda candidate: (-candidate.score, candidate.memory.created_at))
