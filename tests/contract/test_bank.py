"""What every bank does alike: the service's on Postgres, and the one in memory that training and evaluation use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import pytest
import pytest_asyncio

from app.core.changes import Changes
from app.core.errors import StaleMemory, UnknownMemory
from app.core.lexical import DIMENSION
from app.core.values import Embedded, Memory, Query, Vector
from app.db.engine import Sessions
from tests.fixtures.banks import (
    EMBEDDER,
    HearingInMemory,
    HearingPostgres,
    StoredBank,
    adding,
    asking,
    embedded,
    found_texts,
    make_bank,
    make_turn,
    remember,
    removing,
    revising,
)
from tests.fixtures.database import make_tenant

BUDDY, SCOUT, PARIS = "Alice adopted a dog named Buddy.", "Alice adopted a dog named Scout.", "Alice lives in Paris."


@pytest_asyncio.fixture
async def postgres_bank(sessions: Sessions) -> StoredBank:
    return HearingPostgres(sessions, await make_bank(sessions, await make_tenant(sessions)))


@pytest.fixture(params=["memory", "postgres"])
def bank(request: pytest.FixtureRequest) -> StoredBank:
    """An empty bank; the database is made only where it is needed."""
    if request.param == "memory":
        return HearingInMemory()
    found: StoredBank = request.getfixturevalue("postgres_bank")
    return found


def _vector(*numbers: float) -> Vector:
    return np.asarray(numbers, dtype=np.float32)


async def test_an_empty_bank_finds_nothing(bank: StoredBank) -> None:
    assert await bank.recall([asking("dog"), asking("cat")], 5) == [[], []]
    assert await bank.recall([], 5) == []
    assert await bank.memories() == []
    assert await bank.speakers() == []
    assert await bank.turns([uuid4()]) == []
    assert await bank.turns([]) == []


async def test_nothing_to_apply_changes_nothing(bank: StoredBank) -> None:
    assert await bank.apply(Changes()) == []


async def test_an_added_memory_comes_back_as_it_was_said(bank: StoredBank) -> None:
    add = adding(BUDDY, sources=[uuid4(), uuid4()])
    (memory,) = await bank.apply(Changes(adds=(add,)))
    assert (memory.id, memory.version, memory.text) == (add.memory_id, 1, BUDDY)
    assert (memory.speaker, memory.said_at, memory.sources) == (add.speaker, add.said_at, add.sources)
    assert memory.created_at == memory.updated_at
    assert await bank.get(memory.id) == memory
    assert await bank.memories() == [memory]
    assert await bank.history(memory.id) == [memory]


async def test_the_better_match_comes_first(bank: StoredBank) -> None:
    await remember(bank, PARIS, BUDDY, "Alice plays the cello.")
    assert (await found_texts(bank, "Which dog did Alice adopt?"))[0] == BUDDY
    assert (await found_texts(bank, "Who plays the cello?"))[0] == "Alice plays the cello."


async def test_each_query_has_its_own_result(bank: StoredBank) -> None:
    await remember(bank, PARIS, BUDDY)
    first, second = await bank.recall([asking("dog Buddy"), asking("lives in Paris")], 1)
    assert [first[0].memory.text, second[0].memory.text] == [BUDDY, PARIS]


async def test_scores_fall_and_are_reciprocal_ranks_of_both_arms(bank: StoredBank) -> None:
    await remember(bank, PARIS, BUDDY)
    (found,) = await bank.recall([asking("Buddy dog")], 10)
    assert [candidate.score for candidate in found] == [pytest.approx(2 / 61), pytest.approx(1 / 62)]


async def test_ties_go_to_the_memory_that_was_created_first(bank: StoredBank) -> None:
    memories = await remember(bank, *[BUDDY] * 7)
    (found,) = await bank.recall([asking("Buddy")], 10)
    assert [candidate.memory.id for candidate in found] == [memory.id for memory in memories]


async def test_a_tie_at_the_limit_goes_to_the_memory_that_was_created_first(bank: StoredBank) -> None:
    memories = await remember(bank, *[BUDDY] * 50)
    (found,) = await bank.recall([asking("Buddy")], 3)
    assert [candidate.memory.id for candidate in found] == [memory.id for memory in memories[:3]]


async def test_similarities_that_differ_by_less_than_a_step_are_a_tie(bank: StoredBank) -> None:
    """The last digit of a sum differs between machines; it must not decide, and least of all who is cut off."""
    near = [Embedded(dense=_vector(0.6, 0.8, 0.0), terms={}), Embedded(dense=_vector(0.6, 0.0, 0.8), terms={})]
    adds = tuple(adding(str(number), forms=near[number % 2]) for number in range(60))
    memories = await bank.apply(Changes(adds=adds))
    for leaning in (_vector(1.0, 0.0001, 0.0), _vector(1.0, 0.0, 0.0001)):
        (found,) = await bank.recall([Query(dense=leaning)], 25)
        assert [candidate.memory.id for candidate in found] == [memory.id for memory in memories[:25]]


@pytest.mark.parametrize("limit", [1, 2, 5, 60])
async def test_no_more_than_the_limit_is_found(bank: StoredBank, limit: int) -> None:
    await remember(bank, *[f"Alice owns dog number {number}." for number in range(8)])
    assert len(await found_texts(bank, "dog", limit)) == min(limit, 8)


async def test_only_memories_of_the_speaker_are_found(bank: StoredBank) -> None:
    await remember(bank, BUDDY)
    await remember(bank, "Bob adopted a dog named Rex.", speaker="Bob")
    assert await found_texts(bank, "dog", speaker="Bob") == ["Bob adopted a dog named Rex."]
    assert await found_texts(bank, "dog", speaker="Alice") == [BUDDY]
    assert await found_texts(bank, "dog", speaker="Nobody") == []
    assert len(await found_texts(bank, "dog")) == 2


async def test_the_speaker_filter_comes_before_the_limit(bank: StoredBank) -> None:
    await remember(bank, *[f"Alice owns dog number {number}." for number in range(130)])
    await remember(bank, "Bob is fond of tea.", speaker="Bob")
    assert await found_texts(bank, "Alice dog number", 2, speaker="Bob") == ["Bob is fond of tea."]


async def test_without_query_terms_the_vectors_decide_alone(bank: StoredBank) -> None:
    await remember(bank, PARIS, BUDDY)
    (found,) = await bank.recall([asking("Buddy dog", use_lexical=False)], 10)
    assert [candidate.memory.text for candidate in found] == [BUDDY, PARIS]
    assert [candidate.score for candidate in found] == [pytest.approx(1 / 61), pytest.approx(1 / 62)]


async def test_words_that_no_memory_has_leave_the_vectors_alone(bank: StoredBank) -> None:
    await remember(bank, PARIS, BUDDY)
    query = Query(dense=EMBEDDER.vector("Buddy dog"), terms={7: 1.0})
    (found,) = await bank.recall([query], 10)
    assert [candidate.score for candidate in found] == [pytest.approx(1 / 61), pytest.approx(1 / 62)]


async def test_a_memory_without_any_word_is_stored_and_found(bank: StoredBank) -> None:
    await remember(bank, "🙂🙂", BUDDY)
    assert await found_texts(bank, "🙂") == ["🙂🙂", BUDDY]


@pytest.mark.parametrize("term", [0, 1, DIMENSION - 2, DIMENSION - 1])
async def test_the_outermost_terms_are_found(bank: StoredBank, term: int) -> None:
    dense = EMBEDDER.vector("same")
    others = [adding("other", forms=Embedded(dense=dense, terms={(term + 5) % DIMENSION: 1.0}))]
    edge = adding("edge", forms=Embedded(dense=dense, terms={term: 0.5}))
    await bank.apply(Changes(adds=(*others, edge)))
    (found,) = await bank.recall([Query(dense=dense, terms={term: 1.0})], 10)
    assert [candidate.memory.text for candidate in found] == ["edge", "other"]


async def test_a_revised_memory_says_its_new_text_and_keeps_what_it_was(bank: StoredBank) -> None:
    (buddy,) = await remember(bank, BUDDY)
    revision = revising(buddy, "Alice adopted two dogs named Buddy and Scout.")
    (revised,) = await bank.apply(Changes(revisions=(revision,)))
    assert (revised.id, revised.version, revised.text) == (buddy.id, 2, revision.text)
    assert (revised.sources, revised.said_at) == (revision.sources, revision.said_at)
    assert (revised.speaker, revised.created_at) == (buddy.speaker, buddy.created_at)
    assert revised.updated_at >= buddy.updated_at
    assert await bank.memories() == [revised]
    assert await bank.history(buddy.id) == [buddy, revised]


async def test_a_revised_memory_is_found_by_its_new_text_alone(bank: StoredBank) -> None:
    (buddy, _) = await remember(bank, BUDDY, PARIS)
    await bank.apply(Changes(revisions=(revising(buddy, "Alice sails a red canoe."),)))
    assert (await found_texts(bank, "red canoe"))[0] == "Alice sails a red canoe."
    (found,) = await bank.recall([Query(dense=EMBEDDER.vector("x"), terms=embedded(BUDDY).terms)], 10)
    assert all(candidate.memory.text != BUDDY for candidate in found)


async def test_a_revised_memory_keeps_its_place_in_the_order_of_creation(bank: StoredBank) -> None:
    first, second, third = await remember(bank, BUDDY, BUDDY, BUDDY)
    (changed,) = await bank.apply(Changes(revisions=(revising(first, PARIS),)))
    await bank.apply(Changes(revisions=(revising(changed, BUDDY),)))
    assert [memory.id for memory in await bank.memories()] == [first.id, second.id, third.id]
    (found,) = await bank.recall([asking("Buddy")], 10)
    assert [candidate.memory.id for candidate in found] == [first.id, second.id, third.id]


async def test_a_removed_memory_is_gone_but_its_history_stays(bank: StoredBank) -> None:
    buddy, paris = await remember(bank, BUDDY, PARIS)
    assert await bank.apply(Changes(removals=(removing(buddy),))) == []
    assert await bank.memories() == [paris]
    assert await found_texts(bank, "Buddy") == [PARIS]
    assert [memory.text for memory in await bank.history(buddy.id)] == [BUDDY]
    with pytest.raises(UnknownMemory):
        await bank.get(buddy.id)


async def test_adds_revisions_and_removals_apply_together(bank: StoredBank) -> None:
    buddy, paris = await remember(bank, BUDDY, PARIS)
    changes = Changes(
        adds=(adding(SCOUT),), revisions=(revising(paris, "Alice lives in Berlin."),), removals=(removing(buddy),)
    )
    after = await bank.apply(changes)
    assert [memory.text for memory in after] == [SCOUT, "Alice lives in Berlin."]
    assert [memory.text for memory in await bank.memories()] == ["Alice lives in Berlin.", SCOUT]


async def test_memories_that_nobody_knows_are_reported(bank: StoredBank) -> None:
    for ask in (bank.get, bank.history):
        with pytest.raises(UnknownMemory):
            await ask(uuid4())


def _old_version(buddy: Memory, revised: Memory, removed: Memory) -> Changes:
    return Changes(adds=(adding(SCOUT),), revisions=(revising(buddy, "Alice has no dog."),))


def _old_version_removed(buddy: Memory, revised: Memory, removed: Memory) -> Changes:
    return Changes(adds=(adding(SCOUT),), removals=(removing(buddy),))


def _gone(buddy: Memory, revised: Memory, removed: Memory) -> Changes:
    return Changes(adds=(adding(SCOUT),), revisions=(revising(revised, "x y z"), revising(removed, "Alice likes tea.")))


def _gone_removed(buddy: Memory, revised: Memory, removed: Memory) -> Changes:
    return Changes(removals=(removing(revised), removing(removed)))


def _unknown(buddy: Memory, revised: Memory, removed: Memory) -> Changes:
    stranger = buddy.model_copy(update={"id": uuid4()})
    return Changes(adds=(adding(SCOUT),), removals=(removing(revised),), revisions=(revising(stranger, "Alice."),))


def _revised_twice(buddy: Memory, revised: Memory, removed: Memory) -> Changes:
    return Changes(revisions=(revising(revised, "Alice likes tea."), revising(revised, "Alice likes milk.")))


def _revised_and_removed(buddy: Memory, revised: Memory, removed: Memory) -> Changes:
    return Changes(revisions=(revising(revised, "Alice likes tea."),), removals=(removing(revised),))


def _removed_twice(buddy: Memory, revised: Memory, removed: Memory) -> Changes:
    return Changes(adds=(adding(SCOUT),), removals=(removing(revised), removing(revised)))


@pytest.mark.parametrize(
    "stale",
    [
        _old_version,
        _old_version_removed,
        _gone,
        _gone_removed,
        _unknown,
        _revised_twice,
        _revised_and_removed,
        _removed_twice,
    ],
)
async def test_stale_changes_are_refused_whole(
    bank: StoredBank, stale: Callable[[Memory, Memory, Memory], Changes]
) -> None:
    buddy, paris = await remember(bank, BUDDY, PARIS)
    (revised,) = await bank.apply(
        Changes(revisions=(revising(buddy, "Alice has a dog, Buddy."),), removals=(removing(paris),))
    )
    history = [await bank.history(memory.id) for memory in (buddy, paris)]
    with pytest.raises(StaleMemory):
        await bank.apply(stale(buddy, revised, paris))
    assert await bank.memories() == [revised]
    assert [await bank.history(memory.id) for memory in (buddy, paris)] == history
    assert await found_texts(bank, "Scout") == [revised.text]


async def test_changes_without_index_forms_are_refused_whole(bank: StoredBank) -> None:
    (buddy,) = await remember(bank, BUDDY)
    bare = adding(SCOUT).model_copy(update={"embedded": None})
    with pytest.raises(ValueError, match="embedded"):
        await bank.apply(Changes(adds=(adding(PARIS), bare), removals=(removing(buddy),)))
    assert await bank.memories() == [buddy]


async def test_turns_and_speakers_come_in_order_of_arrival(bank: StoredBank) -> None:
    turns = [make_turn(f"Turn {number}.", speaker=speaker) for number, speaker in enumerate(["Zoe", "Adam", "Zoe"])]
    later = make_turn("Turn 3.", speaker="Bob", said_at=datetime(1999, 1, 1, tzinfo=UTC))
    await bank.hear(turns)
    await bank.hear([later])
    assert await bank.speakers() == ["Zoe", "Adam", "Bob"]
    assert await bank.turns([later.id, turns[2].id, uuid4(), turns[0].id]) == [turns[0], turns[2], later]
