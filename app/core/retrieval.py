"""Which memories a turn or a question is held against; the same for service, training and evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.core import lexical
from app.core.ports import Bank
from app.core.values import Candidate, Query

NAMED_SHARE = 0.75
"""Of the candidates, for the one of two speakers that a question names: facts are told of who says them. It finds more
of the evidence than halves do (docs/measurements.md)."""


async def related(bank: Bank, queries: Sequence[Query], limit: int, speaker: str) -> list[list[Candidate]]:
    """For each fact of a speaker's turn, the memories that it may have to do with."""
    return await bank.recall([without_names(query, [speaker]) for query in queries], limit)


def without_names(query: Query, speakers: Iterable[str]) -> Query:
    """The query without names of speakers in its lexical arm: they are in nearly every memory, and tell none apart."""
    names = lexical.query_terms(" ".join(speakers))
    return query.model_copy(update={"terms": {t: w for t, w in query.terms.items() if t not in names}})


async def candidates(bank: Bank, query: Query, limit: int) -> list[Candidate]:
    """Up to `limit` memories, best first; where the bank has two speakers, each has places of its own.

    Half for each (Memory-R1, Algorithm 2), or `NAMED_SHARE` for the one whose name alone the question has; names are
    seen in the lexical arm. What stays free goes to the best of the rest.
    """
    speakers = await bank.speakers()
    places = _places(query, speakers, limit) if len(speakers) == 2 else {}
    query = without_names(query, speakers)
    found: dict[object, Candidate] = {}
    for speaker, count in places.items():
        for candidate in (await bank.recall([query], count, speaker))[0]:
            found[candidate.memory.id] = candidate
    if len(found) < limit:
        for candidate in (await bank.recall([query], limit))[0]:
            if len(found) < limit:
                found.setdefault(candidate.memory.id, candidate)
    return sorted(found.values(), key=lambda candidate: (-candidate.score, candidate.memory.created_at))


def _places(query: Query, speakers: Iterable[str], limit: int) -> dict[str, int]:
    """How many candidates a speaker has for itself."""
    named = [speaker for speaker in speakers if lexical.query_terms(speaker).keys() & query.terms.keys()]
    return {named[0]: round(limit * NAMED_SHARE)} if len(named) == 1 else dict.fromkeys(speakers, limit // 2)
