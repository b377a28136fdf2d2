"""Banks of training: copies are apart, the same changes give the same bank, and no text is embedded twice."""

from __future__ import annotations

from uuid import uuid4

import numpy as np

from app.core.changes import Changes, ReviseMemory
from tests.fixtures.banks import EMBEDDER, adding, make_turn, removing, revising
from tests.fixtures.doubles import HashEmbedder
from training.banks import CachedEmbedder, TrainingBank, filled, queries, with_embeddings

BUDDY, CANOE = "Alice adopted a dog named Buddy.", "Alice bought a red canoe."


async def a_bank() -> TrainingBank:
    bank = TrainingBank()
    bank.add_turns([make_turn()])
    await bank.apply(Changes(adds=(adding(BUDDY), adding(CANOE))))
    return bank


async def test_a_copy_is_the_same_bank() -> None:
    bank = await a_bank()
    copied = bank.copy()
    asked = await queries(EMBEDDER, ["Who is Buddy?"])
    assert await copied.memories() == await bank.memories()
    assert await copied.recall(asked, 5) == await bank.recall(asked, 5)
    assert await copied.speakers() == ["Alice"]


async def test_what_is_done_to_a_copy_is_not_done_to_the_bank() -> None:
    bank = await a_bank()
    before = await bank.memories()
    dog, canoe = before
    copied, other = bank.copy(), bank.copy()
    await copied.apply(Changes(adds=(adding("Alice sings."),), revisions=(revising(dog, "Alice has a dog."),)))
    await copied.apply(Changes(removals=(removing(canoe),)))
    copied.add_turns([make_turn(speaker="Bob")])
    assert [memory.text for memory in await copied.memories()] == ["Alice has a dog.", "Alice sings."]
    for untouched in (bank, other):
        assert await untouched.memories() == before
        assert await untouched.history(dog.id) == [dog]
        assert await untouched.speakers() == ["Alice"]


async def test_the_same_changes_give_the_same_bank() -> None:
    adds = (adding(BUDDY), adding(CANOE))
    banks = [TrainingBank(), TrainingBank()]
    for bank in banks:
        await bank.apply(Changes(adds=adds))
    first, second = [await bank.memories() for bank in banks]
    assert first == second


async def test_a_bank_is_filled_with_memories_in_their_order() -> None:
    memories = await (await a_bank()).memories()
    found = await (await filled(EMBEDDER, memories)).memories()
    assert [(m.id, m.text, m.speaker, m.sources) for m in found] == [
        (m.id, m.text, m.speaker, m.sources) for m in memories
    ]


async def test_changes_are_embedded_in_order() -> None:
    (dog, _) = await (await a_bank()).memories()
    add, revision = adding("Alice sings."), revising(dog, "Alice has a dog.")
    bare = Changes(adds=(add.model_copy(update={"embedded": None}),), revisions=(_bare(revision),))
    done = await with_embeddings(EMBEDDER, bare)
    assert done.adds[0].embedded is not None
    assert np.array_equal(done.adds[0].embedded.dense, EMBEDDER.vector("Alice sings."))
    assert done.revisions[0].embedded is not None
    assert np.array_equal(done.revisions[0].embedded.dense, EMBEDDER.vector("Alice has a dog."))


def _bare(revision: ReviseMemory) -> ReviseMemory:
    return revision.model_copy(update={"embedded": None})


async def test_a_text_is_embedded_once_and_the_oldest_are_forgotten() -> None:
    inner = HashEmbedder()
    embedder = CachedEmbedder(inner, limit=2)
    assert (embedder.model, embedder.dimension) == (inner.model, inner.dimension)
    first = await embedder.embed(["a dog", "a cat", "a dog"])
    assert [v.tobytes() for v in first] == [inner.vector(text).tobytes() for text in ("a dog", "a cat", "a dog")]
    assert inner.calls == 1
    await embedder.embed(["a cat", "a dog"])
    assert inner.calls == 1
    await embedder.embed(["a bird"])
    await embedder.embed(["a dog"])
    assert inner.calls == 3
    assert await embedder.embed([]) == []


async def test_an_unknown_memory_is_stale_in_a_copy_too() -> None:
    bank = (await a_bank()).copy()
    assert len(await bank.turns([uuid4()])) == 0
