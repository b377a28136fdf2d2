"""Which memories a question is answered from, and the fusing of ranks."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from app.core import ranking, retrieval
from app.core.in_memory import InMemoryBank
from tests.fixtures.banks import EMBEDDER, asking, make_turn, remember


async def _bank(**texts: list[str]) -> InMemoryBank:
    """A bank in which each speaker has spoken and is remembered by these texts."""
    bank = InMemoryBank()
    for speaker, said in texts.items():
        bank.add_turns([make_turn("Hello.", speaker=speaker)])
        await remember(bank, *said, speaker=speaker)
    return bank


async def _found(bank: InMemoryBank, text: str, limit: int) -> list[str]:
    return [candidate.memory.text for candidate in await retrieval.candidates(bank, asking(text), limit)]


def _dogs(who: str, count: int) -> list[str]:
    return [f"{who} walks dog {number}." for number in range(count)]


async def test_the_speakers_names_do_not_count_as_words_of_a_question() -> None:
    bank = await _bank(Alice=["Alice, Alice, Alice!", "Alice bought a kayak."], Bob=["Bob sails."])
    terms = asking("Which kayak does Alice have?").terms
    assert set(retrieval.without_names(asking("Which kayak does Alice have?"), ["Alice", "Bob"]).terms) < set(terms)
    alone = retrieval.without_names(asking("What about Alice and Bob?"), ["Alice", "Bob"])
    assert alone.terms == {}, "a question of names alone is answered by the dense arm"
    found = await retrieval.related(bank, [asking("Alice has a kayak.")], 1, "Alice")
    assert [candidate.memory.text for candidate in found[0]] == ["Alice bought a kayak."]


async def test_each_of_two_speakers_gets_half() -> None:
    bank = await _bank(Alice=_dogs("Alice", 20), Bob=["Bob drinks tea.", "Bob drinks milk.", "Bob sails."])
    for asked in ("Which dog is walked?", "Which dogs do Alice and Bob walk?"):
        found = await _found(bank, asked, 4)
        assert len(found) == 4
        assert len([text for text in found if text.startswith("Bob")]) == 2


@pytest.mark.parametrize(("asked", "bobs"), [("Which dog does Bob walk?", 6), ("What is Bob's dog called?", 6)])
async def test_the_one_that_a_question_names_gets_three_quarters(asked: str, bobs: int) -> None:
    drinks = [f"Bob drinks {what}." for what in ("tea", "milk", "cocoa", "water", "juice", "mead", "cider", "ale")]
    bank = await _bank(Alice=_dogs("Alice", 20), Bob=drinks)
    found = await _found(bank, asked, 8)
    assert len(found) == 8
    assert len([text for text in found if text.startswith("Bob")]) == bobs, "the rest goes to the best of all"


async def test_without_the_lexical_arm_no_name_is_seen() -> None:
    bank = await _bank(Alice=_dogs("Alice", 20), Bob=["Bob drinks tea.", "Bob drinks milk.", "Bob sails."])
    query = asking("Which dog does Alice walk?").model_copy(update={"terms": {}})
    found = [candidate.memory.speaker for candidate in await retrieval.candidates(bank, query, 4)]
    assert found.count("Bob") == 2


async def test_what_one_speaker_leaves_free_goes_to_the_other() -> None:
    bank = await _bank(Alice=_dogs("Alice", 20), Bob=["Bob drinks tea."])
    found = await _found(bank, "dog", 10)
    assert len(found) == len(set(found)) == 10
    assert "Bob drinks tea." in found


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 60])
async def test_the_limit_holds_and_is_used(limit: int) -> None:
    bank = await _bank(Alice=_dogs("Alice", 9), Bob=_dogs("Bob", 9))
    assert len(await _found(bank, "dog", limit)) == min(limit, 18)


@pytest.mark.parametrize("speakers", [["Alice"], ["Alice", "Bob", "Cara"]])
async def test_one_or_three_speakers_share_one_list(speakers: list[str]) -> None:
    bank = await _bank(**{speaker: [f"{speaker} drinks tea."] for speaker in speakers})
    await remember(bank, *_dogs("Alice", 5))
    assert all("dog" in text for text in await _found(bank, "dog", 4))


async def test_a_speaker_of_whom_nothing_is_remembered_takes_no_place() -> None:
    bank = await _bank(Alice=_dogs("Alice", 9), Bob=[])
    assert len(await _found(bank, "dog", 6)) == 6


async def test_an_empty_bank_has_no_candidates() -> None:
    assert await _found(InMemoryBank(), "dog", 60) == []


async def test_candidates_come_best_first_and_ties_in_order_of_creation() -> None:
    bank = await _bank(Alice=_dogs("Alice", 5), Bob=_dogs("Bob", 5))
    candidates = await retrieval.candidates(bank, asking("dog 3"), 8)
    keys = [(-candidate.score, candidate.memory.created_at) for candidate in candidates]
    assert keys == sorted(keys)


async def test_a_standing_clock_changes_nothing() -> None:
    """Training replays a bank in no time."""
    moment = datetime(2023, 5, 8, tzinfo=UTC)
    bank = InMemoryBank(now=lambda: moment)
    memories = await remember(bank, *_dogs("Alice", 5))
    (found,) = await bank.recall([asking("nothing of it", use_lexical=False)], 5)
    assert {candidate.memory.id for candidate in found} == {memory.id for memory in memories}
    assert [memory.created_at for memory in memories] == [moment] * 5


def test_fused_scores_are_sums_of_reciprocal_ranks() -> None:
    fused = ranking.fuse([["a", "b"], ["b", "c"]])
    assert fused == {"a": 1 / 61, "b": pytest.approx(1 / 62 + 1 / 61), "c": 1 / 62}
    assert ranking.fuse([]) == {}
    assert ranking.fuse([[], []]) == {}


def test_arms_are_read_deeper_than_the_limit() -> None:
    assert [ranking.arm_depth(limit) for limit in (1, 10, 60)] == [20, 20, 120]


def test_vectors_in_steps_have_exact_products_in_single_precision() -> None:
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(50, 1100)).astype(np.float32)
    steps = np.stack([ranking.in_steps(vector / np.linalg.norm(vector)) for vector in vectors])
    assert np.array_equal(steps, steps.astype(np.float16).astype(np.float32))
    assert np.array_equal((steps @ steps.T).astype(np.int64), steps.astype(np.int64) @ steps.astype(np.int64).T)
    one_axis = np.eye(1, 384, dtype=np.float32)[0]
    assert ranking.in_steps(one_axis).max() == np.float16(ranking.VECTOR_STEPS) == 2048


def test_steps_keep_the_similarity() -> None:
    texts = ["Alice adopted a dog.", "Bob sails a canoe.", "Alice adopted a cat."]
    exact = np.stack([EMBEDDER.vector(text) for text in texts])
    steps = np.stack([ranking.in_steps(vector) for vector in exact]) / ranking.VECTOR_STEPS
    assert np.allclose(steps @ steps.T, exact @ exact.T, atol=2e-3)
