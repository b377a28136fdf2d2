"""Both banks rank alike: the same life in both, the same questions, the same places."""

from __future__ import annotations

import random

import pytest

from app.core import retrieval
from app.core.changes import Changes
from app.core.values import Candidate, Memory
from app.db.engine import Sessions
from tests.fixtures.banks import (
    HearingInMemory,
    HearingPostgres,
    StoredBank,
    adding,
    asking,
    make_bank,
    make_turn,
    removing,
    revising,
)
from tests.fixtures.database import make_tenant

WORDS = """Alice Bob Buddy Scout dog cat Paris Berlin cello canoe school bakery adopted lives works plays sails bought
    loves red old new two 2019 March garden tea milk music teacher sister brother 名 前 Straße the a in and"""


def _sentence(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS.split(), k=rng.randint(2, 14))) + "."


async def _live_a_little(bank: StoredBank, seed: int) -> None:
    """Turns of two speakers that add, revise and remove: the same for the same seed, whatever the ids."""
    rng, number = random.Random(seed), 0
    live: dict[int, Memory] = {}
    for _ in range(30):
        speaker = rng.choice(["Alice", "Bob"])
        texts = [_sentence(rng) for _ in range(rng.randint(0, 5))]
        touched = rng.sample(sorted(live), k=min(len(live), rng.randint(0, 3)))
        removals, revisions = touched[:1] if rng.random() < 0.4 else [], touched[1:]
        changes = Changes(
            adds=tuple(adding(text, speaker=speaker) for text in texts),
            revisions=tuple(revising(live[n], _sentence(rng)) for n in revisions),
            removals=tuple(removing(live[n]) for n in removals),
        )
        await bank.hear([make_turn(f"{number}", speaker=speaker)])
        after = await bank.apply(changes)
        live = {n: memory for n, memory in live.items() if n not in removals}
        live.update(zip([*range(number, number + len(texts)), *revisions], after, strict=True))
        number += len(texts)


async def _places(bank: StoredBank, found: list[Candidate]) -> list[tuple[int, float]]:
    """Each candidate as its place in the order of creation, with its score: ids differ between banks."""
    order = {memory.id: place for place, memory in enumerate(await bank.memories())}
    return [(order[candidate.memory.id], round(candidate.score, 9)) for candidate in found]


@pytest.mark.parametrize("seed", range(3))
async def test_both_banks_rank_alike(sessions: Sessions, seed: int) -> None:
    in_memory = HearingInMemory()
    postgres = HearingPostgres(sessions, await make_bank(sessions, await make_tenant(sessions)))
    for bank in (in_memory, postgres):
        await _live_a_little(bank, seed)
    texts = [memory.text for memory in await in_memory.memories()]
    assert texts == [memory.text for memory in await postgres.memories()]
    assert len(texts) > 40
    rng = random.Random(seed)
    for _ in range(25):
        query = asking(_sentence(rng), use_lexical=rng.random() < 0.8)
        limit, speaker = rng.randint(1, 70), rng.choice([None, "Alice", "Bob"])
        (expected,), (found,) = [await bank.recall([query], limit, speaker) for bank in (in_memory, postgres)]
        assert await _places(postgres, found) == await _places(in_memory, expected)
        for_answer = [
            await _places(bank, await retrieval.candidates(bank, query, limit)) for bank in (in_memory, postgres)
        ]
        assert for_answer[0] == for_answer[1]
