"""What every bank does alike: bringing earlier versions back, and being read as it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from app.core import retrieval
from app.core.changes import Changes, RestoreMemory
from app.core.errors import InvalidInput, StaleMemory, UnknownMemory
from app.core.in_memory import InMemoryBank
from app.core.values import Memory
from app.db.engine import Sessions
from tests.fixtures.banks import (
    MONDAY,
    HearingInMemory,
    HearingPostgres,
    StoredBank,
    adding,
    asking,
    found_texts,
    make_bank,
    make_turn,
    remember,
    removing,
    revising,
)
from tests.fixtures.database import make_tenant

BUDDY, SCOUT, PARIS = "Alice adopted a dog named Buddy.", "Alice adopted a dog named Scout.", "Alice lives in Paris."
TICK = timedelta(microseconds=1)


@pytest_asyncio.fixture
async def postgres_bank(sessions: Sessions) -> StoredBank:
    return HearingPostgres(sessions, await make_bank(sessions, await make_tenant(sessions)))


@pytest.fixture(params=["memory", "postgres"])
def bank(request: pytest.FixtureRequest) -> StoredBank:
    """An empty bank."""
    if request.param == "memory":
        return HearingInMemory()
    found: StoredBank = request.getfixturevalue("postgres_bank")
    return found


def restoring(memory: Memory, restores: int, *, removed: bool = False) -> RestoreMemory:
    return RestoreMemory(memory_id=memory.id, version=memory.version, removed=removed, restores=restores)


async def test_an_earlier_version_comes_back_as_a_new_one(bank: StoredBank) -> None:
    (first, _) = await remember(bank, BUDDY, PARIS)
    (second,) = await bank.apply(Changes(revisions=(revising(first, "Alice sails a red canoe."),)))
    (third,) = await bank.apply(Changes(restorations=(restoring(second, 1),)))
    assert (third.version, third.text, third.said_at, third.sources) == (3, BUDDY, first.said_at, first.sources)
    assert (third.speaker, third.created_at) == (first.speaker, first.created_at)
    assert third.updated_at > second.updated_at
    assert await bank.history(first.id) == [first, second, third]
    assert await bank.get(first.id) == third
    (found,) = await bank.recall([asking("dog Buddy")], 10)
    assert found[0].memory == third
    assert found[0].score == pytest.approx(2 / 61)
    (found,) = await bank.recall([asking("red canoe")], 10)
    assert all(candidate.score < 2 / 61 for candidate in found)


async def test_a_removed_memory_comes_back_to_its_place(bank: StoredBank) -> None:
    first, second, third = await remember(bank, BUDDY, BUDDY, BUDDY)
    await bank.apply(Changes(removals=(removing(second),)))
    assert await bank.memories() == [first, third]
    (back,) = await bank.apply(Changes(restorations=(restoring(second, 1, removed=True),)))
    assert (back.version, back.text, back.created_at) == (2, BUDDY, second.created_at)
    assert await bank.memories() == [first, back, third]
    (found,) = await bank.recall([asking("Buddy")], 10)
    assert [candidate.memory.id for candidate in found] == [first.id, second.id, third.id]
    assert await bank.history(second.id) == [second, back]


async def test_restorations_apply_with_all_else(bank: StoredBank) -> None:
    buddy, paris, gone = await remember(bank, BUDDY, PARIS, "Alice likes tea.")
    (scout,) = await bank.apply(Changes(revisions=(revising(buddy, SCOUT),), removals=(removing(gone),)))
    after = await bank.apply(
        Changes(
            adds=(adding("Alice plays the cello."),),
            revisions=(revising(paris, "Alice lives in Rome."),),
            restorations=(restoring(gone, 1, removed=True), restoring(scout, 1)),
        )
    )
    texts = ["Alice plays the cello.", "Alice lives in Rome.", "Alice likes tea.", BUDDY]
    assert [memory.text for memory in after] == texts
    assert sorted(memory.text for memory in await bank.memories()) == sorted(texts)


def _old(buddy: Memory, head: Memory, gone: Memory) -> Changes:
    return Changes(restorations=(restoring(buddy, 1),))


def _live_as_removed(buddy: Memory, head: Memory, gone: Memory) -> Changes:
    return Changes(restorations=(restoring(head, 1, removed=True),))


def _removed_as_live(buddy: Memory, head: Memory, gone: Memory) -> Changes:
    return Changes(restorations=(restoring(head, 1), restoring(gone, 1)))


def _no_such_version(buddy: Memory, head: Memory, gone: Memory) -> Changes:
    return Changes(adds=(adding(SCOUT),), restorations=(restoring(head, 3),))


def _version_naught(buddy: Memory, head: Memory, gone: Memory) -> Changes:
    return Changes(restorations=(restoring(head, 0),))


def _nobody(buddy: Memory, head: Memory, gone: Memory) -> Changes:
    return Changes(restorations=(restoring(head.model_copy(update={"id": uuid4()}), 1),))


def _twice(buddy: Memory, head: Memory, gone: Memory) -> Changes:
    return Changes(restorations=(restoring(head, 1), restoring(head, 1)))


def _removed_and_restored(buddy: Memory, head: Memory, gone: Memory) -> Changes:
    return Changes(removals=(removing(head),), restorations=(restoring(head, 1, removed=True),))


def _revised_and_restored(buddy: Memory, head: Memory, gone: Memory) -> Changes:
    return Changes(revisions=(revising(head, "x"),), restorations=(restoring(head, 1),))


STALE = [
    _old,
    _live_as_removed,
    _removed_as_live,
    _no_such_version,
    _version_naught,
    _nobody,
    _twice,
    _removed_and_restored,
    _revised_and_restored,
]


@pytest.mark.parametrize("stale", STALE)
async def test_stale_restorations_are_refused_whole(
    bank: StoredBank, stale: Callable[[Memory, Memory, Memory], Changes]
) -> None:
    buddy, gone = await remember(bank, BUDDY, PARIS)
    (head,) = await bank.apply(Changes(revisions=(revising(buddy, "Alice has a dog."),), removals=(removing(gone),)))
    with pytest.raises(StaleMemory):
        await bank.apply(stale(buddy, head, gone))
    assert await bank.memories() == [head]
    assert [await bank.history(memory.id) for memory in (buddy, gone)] == [[buddy, head], [gone]]


async def test_a_bank_is_read_as_it_was(bank: StoredBank) -> None:
    (buddy,) = await remember(bank, BUDDY)
    (paris,) = await remember(bank, PARIS)
    (scout,) = await bank.apply(Changes(revisions=(revising(buddy, SCOUT),), removals=(removing(paris),)))
    (back,) = await bank.apply(Changes(restorations=(restoring(scout, 1),)))
    for moment, expected in [
        (buddy.updated_at - TICK, []),
        (buddy.updated_at, [buddy]),
        (paris.updated_at - TICK, [buddy]),
        (paris.updated_at, [buddy, paris]),
        (scout.updated_at - TICK, [buddy, paris]),
        (scout.updated_at, [scout]),
        (back.updated_at - TICK, [scout]),
        (back.updated_at, [back]),
    ]:
        past = bank.as_of(moment)
        assert await past.memories() == expected
        assert sorted(await found_texts(past, "Alice dog Paris")) == sorted(memory.text for memory in expected)
        for memory in (buddy, paris):
            now = [one for one in expected if one.id == memory.id]
            if now:
                assert await past.get(memory.id) == now[0]
            else:
                with pytest.raises(UnknownMemory):
                    await past.get(memory.id)
        versions = [one for one in (buddy, scout, back) if one.updated_at <= moment]
        if versions:
            assert await past.history(buddy.id) == versions


async def test_nothing_was_before_the_bank(bank: StoredBank) -> None:
    await bank.hear([make_turn()])
    await remember(bank, BUDDY)
    past = bank.as_of(MONDAY)
    assert (await past.memories(), await past.speakers(), await past.recall([asking("dog")], 5)) == ([], [], [[]])
    with pytest.raises(UnknownMemory):
        await past.history(uuid4())


async def test_turns_and_speakers_are_those_received_by_then(bank: StoredBank) -> None:
    first, second = make_turn(speaker="Zoe"), make_turn(speaker="Adam")
    await bank.hear([first])
    (marker,) = await remember(bank, BUDDY)
    await bank.hear([second])
    (later,) = await remember(bank, PARIS)
    before, after = bank.as_of(marker.updated_at), bank.as_of(later.updated_at)
    assert (await before.speakers(), await after.speakers()) == (["Zoe"], ["Zoe", "Adam"])
    assert await before.turns([first.id, second.id]) == [first]
    assert await after.turns([second.id, first.id]) == [first, second]


async def test_the_future_cannot_be_read_nor_the_past_changed(bank: StoredBank) -> None:
    (buddy,) = await remember(bank, BUDDY)
    with pytest.raises(InvalidInput):
        await bank.as_of(buddy.updated_at + timedelta(days=1)).memories()
    with pytest.raises(ValueError, match="past"):
        await bank.as_of(buddy.updated_at).apply(Changes(removals=(removing(buddy),)))
    assert await bank.memories() == [buddy]


async def test_what_was_read_stays_whatever_is_written(bank: StoredBank) -> None:
    memories = await remember(bank, BUDDY, SCOUT, PARIS)
    past = bank.as_of(memories[0].updated_at)
    first = await past.recall([asking("Alice dog")], 10)
    (head,) = await bank.apply(Changes(revisions=(revising(memories[0], "x y z"),), removals=(removing(memories[1]),)))
    await bank.apply(Changes(removals=(removing(head),), restorations=(restoring(memories[1], 1, removed=True),)))
    await remember(bank, *[BUDDY] * 30)
    assert await past.recall([asking("Alice dog")], 10) == first
    assert await bank.as_of(memories[0].updated_at).memories() == memories


async def test_a_clock_that_stands_still_or_goes_back_does_not_mix_times() -> None:
    times = iter([MONDAY, MONDAY, MONDAY, MONDAY - timedelta(hours=1), *[MONDAY] * 10])
    bank = InMemoryBank(now=lambda: next(times))
    (first,) = await remember(bank, BUDDY)
    assert await bank.as_of(MONDAY).memories() == [first]
    (second,) = await remember(bank, PARIS)
    (third,) = await remember(bank, SCOUT)
    assert first.updated_at == MONDAY < second.updated_at < third.updated_at
    assert await bank.as_of(MONDAY).memories() == [first]
    assert await bank.as_of(second.updated_at).memories() == [first, second]


@pytest.mark.parametrize("seed", range(2))
async def test_both_banks_rank_the_past_alike(sessions: Sessions, seed: int) -> None:
    """The same life in both; the moments of one are those of the other."""
    postgres = HearingPostgres(sessions, await make_bank(sessions, await make_tenant(sessions)))
    banks: list[StoredBank] = [HearingInMemory(), postgres]
    moments = [await _live(bank, seed) for bank in banks]
    rng, words = random.Random(seed), "Alice Bob dog cat Paris tea cello canoe red old".split()
    for then in zip(*moments, strict=True):
        pasts = [bank.as_of(moment) for bank, moment in zip(banks, then, strict=True)]
        texts = [[memory.text for memory in await past.memories()] for past in pasts]
        assert texts[0] == texts[1]
        for _ in range(4):
            query, limit = asking(" ".join(rng.choices(words, k=3))), rng.randint(1, 20)
            found = [await retrieval.candidates(past, query, limit) for past in pasts]
            places = [[(c.memory.text, c.memory.version, round(c.score, 9)) for c in one] for one in found]
            assert places[0] == places[1]


async def _live(bank: StoredBank, seed: int) -> list[datetime]:
    """Write a little; the moment of each write."""
    rng, words = random.Random(seed), "Alice Bob dog cat Paris tea cello canoe red old".split()
    live: list[Memory] = []
    gone: list[Memory] = []
    moments = []
    for number in range(25):
        speaker = rng.choice(["Alice", "Bob"])
        await bank.hear([make_turn(f"{number}", speaker=speaker)])
        texts = [f"{number} " + " ".join(rng.choices(words, k=6)) for _ in range(2)]
        revised = rng.choice(live) if live and rng.random() < 0.6 else None
        removed = rng.choice([m for m in live if m is not revised]) if len(live) > 2 and rng.random() < 0.3 else None
        back = gone.pop() if gone and rng.random() < 0.5 else None
        after = await bank.apply(
            Changes(
                adds=tuple(adding(text, speaker=speaker) for text in texts[:1]),
                revisions=(revising(revised, texts[1]),) if revised else (),
                removals=(removing(removed),) if removed else (),
                restorations=(restoring(back, 1, removed=True),) if back else (),
            )
        )
        live = [memory for memory in live if memory not in (revised, removed)] + after
        gone += [removed] if removed else []
        moments.append(after[0].updated_at)
    return moments
