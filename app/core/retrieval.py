"""Which memories a question is answered from; the same for service, training and evaluation."""

from __future__ import annotations

from app.core.ports import Bank
from app.core.values import Candidate, Query


async def candidates(bank: Bank, query: Query, limit: int) -> list[Candidate]:
    """Up to `limit` memories, best first: half for each speaker where the bank has two (Memory-R1, Algorithm 2).

    What one speaker leaves free goes to the best of the rest.
    """
    speakers = await bank.speakers()
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
