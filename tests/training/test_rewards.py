"""Rewards by hand: every term has a value that can be worked out on paper."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.core import scoring
from app.core.agents import answerer
from app.core.agents.answerer import Answer
from app.core.changes import Plan, plan
from app.core.operations import Operation, OperationKind
from app.core.trace import Outcome
from app.core.values import Memory, Prompt
from tests.fixtures.banks import facts_of, make_candidates, make_memory, make_turn
from tests.fixtures.doubles import HashEmbedder
from training import episode, rewards
from training.banks import CachedEmbedder
from training.data.conversation import Question
from training.episode import AnswerEpisode, Rules
from training.policies import right_operations
from training.rewards import PRESETS, RewardConfig, Term
from training.simulator import world
from training.simulator.pools import Split
from training.simulator.values import SimulatedConversation, SimulatedTurn

ADD, UPDATE, DELETE, NOOP = OperationKind
ABSTAINED = Answer(outcome=Outcome.ABSTAINED)
MALFORMED = Answer(outcome=Outcome.MALFORMED)


def asking(answer: str) -> Question:
    return Question(id="q", text="Where?", answer=answer, category="current", evidence=())


def said(text: str) -> Answer:
    return Answer(outcome=Outcome.ANSWERED, text=text)


@pytest.mark.parametrize(
    ("gold", "answer", "exact", "f1"),
    [
        ("Oslo", said("oslo "), 1.0, 1.0),
        # One of the answer's two words is the gold's one word: 2 * 1 / (2 + 1).
        ("Oslo", said("in Oslo"), 0.0, 2 / 3),
        # {7, may, 2023} and {may, 2023}: 2 * 2 / (3 + 2).
        ("7 May 2023", said("May 2023"), 0.0, 0.8),
        ("Oslo", said("Paris"), 0.0, 0.0),
        ("Oslo", ABSTAINED, 0.0, 0.0),
        ("Oslo", MALFORMED, 0.0, 0.0),
        ("", ABSTAINED, 1.0, 1.0),
        ("", said("Oslo"), 0.0, 0.0),
        ("", MALFORMED, 0.0, 0.0),
        ("Oslo", None, None, None),
        ("", None, None, None),
    ],
)
def test_an_answer(gold: str, answer: Answer | None, exact: float | None, f1: float | None) -> None:
    assert rewards.answer_score(scoring.exact_match, asking(gold), answer) == exact
    assert rewards.answer_score(scoring.mem0_f1, asking(gold), answer) == (f1 and pytest.approx(f1))


def test_several_answers_count_alike_and_one_that_failed_leaves_the_sample_out() -> None:
    questions = [asking("Oslo"), asking("Rome")]
    score = rewards.answers_score
    assert score(scoring.exact_match, questions, [said("Oslo"), said("Paris")]) == 0.5
    assert score(scoring.exact_match, questions, [said("Oslo"), None]) is None
    with pytest.raises(ValueError, match="no question"):
        score(scoring.exact_match, [], [])


def planned(*operations: Operation, facts: int = 1, memory: str = "Alice adopted a dog named Buddy.") -> Plan:
    texts = ("Alice adopted another dog named Scout.", "Alice sings in a choir.")[:facts]
    shown = [make_memory(memory)]
    return plan(operations, facts_of(*texts), shown, make_turn(), uuid4)


MERGED = "Alice adopted two dogs named Buddy and Scout."


@pytest.mark.parametrize(
    ("made", "validity"),
    [
        (None, 0.0),
        (planned(Operation(kind=UPDATE, fact=1, memory=1, text=MERGED)), 1.0),
        (planned(Operation(kind=NOOP, fact=1), memory=MERGED), 1.0),
        # No memory says Scout.
        (planned(Operation(kind=NOOP, fact=1)), 0.0),
        (planned(Operation(kind=UPDATE, fact=1, memory=1, text=MERGED), Operation(kind=NOOP, fact=2), facts=2), 0.5),
        # It would lose Buddy, and is refused.
        (planned(Operation(kind=UPDATE, fact=1, memory=1, text="Alice has a dog named Scout.")), 0.0),
        (planned(Operation(kind=DELETE, fact=1, memory=1)), 0.0),
        # One of two is refused.
        (planned(Operation(kind=DELETE, fact=1, memory=1), Operation(kind=ADD, fact=2), facts=2), 0.5),
        # The second fact was forgotten, and is added all the same.
        (planned(Operation(kind=ADD, fact=1), facts=2), 0.5),
        (planned(facts=0), 1.0),
    ],
)
def test_validity(made: Plan | None, validity: float) -> None:
    assert rewards.plan_validity(made) == validity


@pytest.mark.parametrize(
    ("memories", "heard", "price"),
    [
        (["one two three four five six seven"], ["a b c d e", "f g h i j"], 0.0),
        # Nine words for ten heard, of which seven are free: 2 / 10.
        (["one two three four", "five six seven eight nine"], ["a b c d e", "f g h i j"], 0.2),
        (["one two"], ["a"], 1.3),
        ([], ["a"], 0.0),
        (["one"], [], 0.0),
    ],
)
def test_bank_growth(memories: list[str], heard: list[str], price: float) -> None:
    assert rewards.bank_growth(memories, heard) == pytest.approx(price)


OLD, OTHER = make_memory("Alice has a dog named Buddy."), make_memory("Alice lives in Oslo.")


@pytest.mark.parametrize(
    ("after", "growth"),
    [
        ([OLD, OTHER], 0.0),
        # Five new words for the five that were told.
        ([OLD, OTHER, make_memory("Alice adopted a dog, Scout.")], 1.0),
        # Two words more in a memory of six: 2 / 5.
        ([OLD.model_copy(update={"text": "Alice has two dogs named Buddy and Scout."}), OTHER], 0.4),
        # What is gone or shorter does not make up for what is new.
        ([OTHER.model_copy(update={"text": "Alice."}), make_memory("Alice has Scout.")], 0.6),
        ([OTHER, make_memory("Alice has a dog named Buddy and a dog named Scout.")], 1.0),
    ],
)
def test_turn_growth(after: list[Memory], growth: float) -> None:
    assert rewards.turn_growth([OLD, OTHER], after, ["Alice adopted a dog, Scout."]) == pytest.approx(growth)


def test_what_grows_from_nothing_is_dear() -> None:
    assert rewards.turn_growth([], [OLD], []) == 1.0
    assert rewards.turn_growth([OLD], [OLD], []) == 0.0


@pytest.mark.parametrize(
    ("operations", "match"),
    [
        ([Operation(kind=UPDATE, fact=1, memory=2, text="Alice has Buddy and Scout")], 1.0),
        # Words {alice, has, scout} of {alice, has, buddy, and, scout}: 2 * 3 / (3 + 5).
        ([Operation(kind=UPDATE, fact=1, memory=2, text="Alice has Scout")], 0.75),
        ([Operation(kind=UPDATE, fact=1, memory=1, text="Alice has Buddy and Scout")], 0.0),
        ([Operation(kind=ADD, fact=1)], 0.0),
        ([], 0.0),
        # Two operations where one is right share what it earns.
        (
            [Operation(kind=UPDATE, fact=1, memory=2, text="Alice has Buddy and Scout"), Operation(kind=ADD, fact=1)],
            0.5,
        ),
    ],
)
def test_operation_match(operations: list[Operation], match: float) -> None:
    right = [Operation(kind=UPDATE, fact=1, memory=2, text="Alice has Buddy and Scout")]
    assert rewards.operation_match(operations, right) == pytest.approx(match)
    # A second fact that is decided right lifts the mean.
    both = rewards.operation_match([*operations, Operation(kind=NOOP, fact=2)], [*right, Operation(kind=NOOP, fact=2)])
    assert both == pytest.approx((match + 1) / 2)


def test_a_reward_is_the_weighted_sum_of_its_terms() -> None:
    config = RewardConfig(weights={Term.TOKEN_F1: 1.0, Term.VALIDITY: 0.25, Term.BANK_GROWTH: -0.5})
    terms = {Term.TOKEN_F1: 0.8, Term.VALIDITY: 1.0, Term.BANK_GROWTH: 0.2}
    reward = rewards.composed(terms, config)
    assert reward.value == pytest.approx(0.8 + 0.25 - 0.1)
    assert reward.terms == terms


def test_a_term_that_cannot_be_told_makes_the_reward_none_and_the_others_are_still_reported() -> None:
    reward = rewards.composed({Term.TOKEN_F1: None, Term.VALIDITY: 1.0}, PRESETS["small"])
    assert reward.value is None
    assert reward.terms[Term.VALIDITY] == 1.0


def test_the_papers_reward_is_exact_match_alone() -> None:
    assert PRESETS["paper"].weights == {Term.EXACT_MATCH: 1.0}
    assert PRESETS["small"].weights[Term.BANK_GROWTH] < 0


def test_an_answer_agents_reward() -> None:
    found = AnswerEpisode(asking("Oslo"), tuple(make_candidates("Alice lives in Oslo.")), _prompt())
    config = RewardConfig(weights={Term.TOKEN_F1: 1.0, Term.VALIDITY: 0.5})
    assert rewards.answerer_reward(found, said("in Oslo"), config).value == pytest.approx(2 / 3 + 0.5)
    assert rewards.answerer_reward(found, MALFORMED, config).value == 0.0
    assert rewards.answerer_reward(found, said("Oslo"), PRESETS["paper"]).value == 1.0
    with pytest.raises(ValueError, match="an answer has no kept, bank_growth, turn_growth"):
        rewards.answerer_reward(found, said("Oslo"), PRESETS["small"])


def _prompt() -> Prompt:
    return answerer.render("Where?", make_candidates("Alice lives in Oslo."), {}, Rules().answerer)


async def test_a_managers_reward_has_every_term() -> None:
    embedder = CachedEmbedder(HashEmbedder())
    simulated = world.simulate(Split.TRAIN, 5, 0)
    found = [one async for one in episode.simulated_episodes(simulated, embedder, Rules()) if one.questions]
    config = RewardConfig(weights={term: 1.0 for term in Term if term is not Term.FACT_MATCH})
    one = next(one for one in found if one.at_stake)
    assert one.right == right_operations(_simulated(simulated, one), one.shown)
    reply = '{"reasoning":"new",' + ",".join(f'"f{n}":[{{"op":"ADD"}}]' for n in range(1, len(one.facts) + 1)) + "}"
    assert {operation.kind for operation in one.right or ()} == {ADD}
    done = await episode.decided(one, reply, embedder)
    gold = [said(q.answer) if q.answer else ABSTAINED for q in one.questions]
    kept = [said(q.answer) if q.answer else ABSTAINED for q in one.at_stake]
    reward = await rewards.manager_reward(one, done, gold, config, kept)
    assert reward.terms == {
        Term.EXACT_MATCH: 1.0,
        Term.TOKEN_F1: 1.0,
        Term.VALIDITY: 1.0,
        Term.BANK_GROWTH: 0.0,
        Term.TURN_GROWTH: 1.0,
        Term.KEPT: 1.0,
        Term.OPERATION_MATCH: 1.0,
    }
    failed = await rewards.manager_reward(one, done, [None] * len(gold), config, kept)
    assert failed.value is None
    forgotten = await rewards.manager_reward(one, done, gold, config, [said("nobody knows")] * len(kept))
    assert forgotten.terms[Term.KEPT] == 0.0
    unknown = episode.ManagerEpisode(**(vars(one) | {"right": None}))
    with pytest.raises(ValueError, match="not known"):
        await rewards.manager_reward(unknown, done, gold, config, kept)
    with pytest.raises(ValueError, match="no fact_match"):
        await rewards.manager_reward(one, done, gold, RewardConfig(weights={Term.FACT_MATCH: 1.0}))


def _simulated(conversation: SimulatedConversation, one: episode.ManagerEpisode) -> SimulatedTurn:
    return next(turn for turn in conversation.turns if turn.turn.id == one.turn.id)
