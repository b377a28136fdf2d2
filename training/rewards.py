"""Rewards: named terms, weighted by a configuration and reported one by one. Every metric is `app.core.scoring`'s.

A term is None where it cannot be told, because the frozen Answer Agent failed; the reward is then None too, which says
"leave this sample out" and never "zero".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from statistics import fmean

from app.core import scoring
from app.core.agents.answerer import Answer
from app.core.agents.extractor import Extraction
from app.core.changes import Plan
from app.core.lexical import tokens
from app.core.operations import Operation, OperationKind
from app.core.trace import Outcome
from app.core.values import Memory, Value
from training.banks import TrainingBank
from training.data.conversation import Question
from training.episode import AnswerEpisode, Decided, ExtractorEpisode, ManagerEpisode

FREE_GROWTH = 0.7
"""A bank may hold this share of the words that it was told before it costs (Memory-R2, its public reward)."""


class Term(StrEnum):
    """What a reward may be made of."""

    EXACT_MATCH = "exact_match"
    """Memory-R1's reward for both agents: the answer is the gold answer but for case and white space."""
    TOKEN_F1 = "token_f1"
    """Mem0's F1 over sets of words."""
    VALIDITY = "validity"
    """The share of what a reply asks for that stands up to the checks; 0 where it cannot be read."""
    BANK_GROWTH = "bank_growth"
    """A price, so its weight is negative: the words of the bank beyond `FREE_GROWTH` of those heard, as their share."""
    TURN_GROWTH = "turn_growth"
    """A price, so its weight is negative: the words that the turn put into the bank, as a share of those told."""
    KEPT = "kept"
    """As `TOKEN_F1`, of what the memories that a decision was shown have told before."""
    OPERATION_MATCH = "operation_match"
    """How far the operations are the right ones, where these are known."""
    FACT_MATCH = "fact_match"
    """How far the facts are the right ones, where these are known."""


class RewardConfig(Value):
    """The weight of each term; what is not named counts nothing."""

    weights: dict[Term, float]


PRESETS = {
    "paper": RewardConfig(weights={Term.EXACT_MATCH: 1.0}),
    # A small model hardly ever hits a whole answer at first: a group without a difference teaches nothing. One turn
    # never brings the bank to where `BANK_GROWTH` costs, so that adding everything had no price; with a price alone,
    # writing over other memories would be the cheapest way to keep a fact.
    "small": RewardConfig(
        weights={
            Term.TOKEN_F1: 1.0,
            Term.KEPT: 1.0,
            Term.VALIDITY: 0.25,
            Term.BANK_GROWTH: -0.3,
            Term.TURN_GROWTH: -0.3,
        }
    ),
    # The reward of Memory-R2's public code, with the price that it found best for long conversations.
    "memory-r2": RewardConfig(weights={Term.TOKEN_F1: 1.0, Term.BANK_GROWTH: -0.3}),
}


class Reward(Value):
    """A reward with what it is made of."""

    value: float | None
    """None: not to be scored."""
    terms: dict[Term, float | None]
    """Before weighting, only those that have a weight."""


async def manager_reward(
    episode: ManagerEpisode,
    decided: Decided,
    answers: Sequence[Answer | None],
    config: RewardConfig,
    kept: Sequence[Answer | None] = (),
) -> Reward:
    """What a decision is worth; `answers` are the frozen agent's to the episode's questions, in their order.

    `kept` are those to the questions at stake, where `Term.KEPT` is weighted.

    Raises ValueError where a weighted term has nothing to stand on: no question hangs on the turn, or the right
    operations are not known; and for a term that a decision does not have.
    """
    before, after = await episode.bank.memories(), await decided.bank.memories()
    texts = [memory.text for memory in after]
    heard = [turn.text for turn in episode.heard]
    told = [fact.text for fact in episode.facts]
    makers: dict[Term, Callable[[], float | None]] = {
        Term.EXACT_MATCH: lambda: answers_score(scoring.exact_match, episode.questions, answers),
        Term.TOKEN_F1: lambda: answers_score(scoring.mem0_f1, episode.questions, answers),
        Term.VALIDITY: lambda: plan_validity(decided.plan),
        Term.BANK_GROWTH: lambda: bank_growth(texts, heard),
        Term.TURN_GROWTH: lambda: turn_growth(before, after, told),
        Term.KEPT: lambda: answers_score(scoring.mem0_f1, episode.at_stake, kept) if episode.at_stake else 1.0,
        Term.OPERATION_MATCH: lambda: operation_match(decided.decision.operations, _right(episode)),
    }
    return _made("a decision", makers, config)


def answerer_reward(episode: AnswerEpisode, answer: Answer, config: RewardConfig) -> Reward:
    """What an answer is worth to the Answer Agent that gave it; raises ValueError for a term of the manager's."""
    makers: dict[Term, Callable[[], float | None]] = {
        Term.EXACT_MATCH: lambda: answer_score(scoring.exact_match, episode.question, answer),
        Term.TOKEN_F1: lambda: answer_score(scoring.mem0_f1, episode.question, answer),
        Term.VALIDITY: lambda: float(answer.outcome is not Outcome.MALFORMED),
    }
    return _made("an answer", makers, config)


async def extractor_reward(
    episode: ExtractorEpisode,
    read: Extraction,
    bank: TrainingBank,
    answers: Sequence[Answer | None],
    config: RewardConfig,
) -> Reward:
    """What the facts of a turn are worth, once they are in the bank; `answers` as in `manager_reward`.

    A turn that holds nothing changes no answer: there they count as right, and each fact costs what it adds.

    Raises ValueError where no question hangs on another turn and a term needs one, and for a term of the manager's.
    """
    before, after = await episode.bank.memories(), await bank.memories()
    texts = [memory.text for memory in after]
    heard = [turn.text for turn in episode.heard]

    def answered(metric: Metric) -> float | None:
        return 1.0 if episode.is_silent else answers_score(metric, episode.questions, answers)

    makers: dict[Term, Callable[[], float | None]] = {
        Term.EXACT_MATCH: lambda: answered(scoring.exact_match),
        Term.TOKEN_F1: lambda: answered(scoring.mem0_f1),
        Term.VALIDITY: lambda: extraction_validity(read),
        Term.BANK_GROWTH: lambda: bank_growth(texts, heard),
        Term.TURN_GROWTH: lambda: turn_growth(before, after, [episode.turn.text]),
        Term.FACT_MATCH: lambda: fact_match([fact.text for fact in read.facts], [f.text for f in episode.right]),
    }
    return _made("an extraction", makers, config)


def _made(what: str, makers: Mapping[Term, Callable[[], float | None]], config: RewardConfig) -> Reward:
    if foreign := [term.value for term in config.weights if term not in makers]:
        raise ValueError(f"{what} has no {', '.join(foreign)}")
    return composed({term: makers[term]() for term in config.weights}, config)


def composed(terms: Mapping[Term, float | None], config: RewardConfig) -> Reward:
    """The weighted sum; None where a weighted term is None."""
    known = {term: value for term, value in terms.items() if value is not None}
    if len(known) < len(terms):
        return Reward(value=None, terms=dict(terms))
    return Reward(value=sum(config.weights[term] * value for term, value in known.items()), terms=dict(terms))


# The terms

Metric = Callable[[str, str], float]


def answers_score(metric: Metric, questions: Sequence[Question], answers: Sequence[Answer | None]) -> float | None:
    """The mean over the questions; None where one was not answered because the model failed.

    A mean over the rest would compare rollouts of a group on different questions.
    """
    if not questions:
        raise ValueError("no question hangs on this turn")
    scores = [answer_score(metric, question, answer) for question, answer in zip(questions, answers, strict=True)]
    known = [score for score in scores if score is not None]
    return fmean(known) if len(known) == len(scores) else None


def answer_score(metric: Metric, question: Question, answer: Answer | None) -> float | None:
    """One answer under a metric; where the right thing is to abstain, 1 for that and 0 for all else."""
    if answer is None:
        return None
    if question.is_unanswerable:
        return float(answer.outcome is Outcome.ABSTAINED)
    return metric(answer.text or "", question.answer)


def plan_validity(plan: Plan | None) -> float:
    """The share of the log's lines that were not refused; 0 for a reply that could not be read.

    A fact without an operation is added all the same, and counts as refused.
    """
    if plan is None:
        return 0.0
    refused = len(plan.rejected)
    forgotten = {line.fact for line in plan.log if line.fallback} - {line.fact for line in plan.rejected}
    decided = [line for line in plan.log if not line.fallback]
    asked = len(decided) + len(forgotten)
    return 1.0 - (refused + len(forgotten)) / asked if asked else 1.0


def extraction_validity(read: Extraction) -> float:
    """The share of the facts that stood up to the checks; 1 for none, 0 for a reply that could not be read."""
    if read.outcome is Outcome.MALFORMED:
        return 0.0
    said = len(read.facts) + len(read.rejected)
    return len(read.facts) / said if said else 1.0


def fact_match(facts: Sequence[str], right: Sequence[str]) -> float:
    """The harmonic mean of how well the facts are right and of how well the right ones are there, each by its best F1.

    1 where there are none and should be none, 0 where only one side has some.
    """
    if not facts or not right:
        return float(not facts and not right)
    precision = fmean(max(scoring.mem0_f1(fact, one) for one in right) for fact in facts)
    recall = fmean(max(scoring.mem0_f1(fact, one) for fact in facts) for one in right)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def bank_growth(memories: Iterable[str], heard: Iterable[str]) -> float:
    """max(0, bank - 0.7 heard) / heard, in words; 0 where nothing was heard."""
    bank_words = sum(len(tokens(text)) for text in memories)
    heard_words = sum(len(tokens(text)) for text in heard)
    return max(0.0, bank_words - FREE_GROWTH * heard_words) / heard_words if heard_words else 0.0


def turn_growth(before: Iterable[Memory], after: Iterable[Memory], told: Iterable[str]) -> float:
    """The words of new memories, and those that changed ones have more than before, as a share of those told.

    At most 1. What is deleted or shortened gives nothing back, or forgetting would pay.
    """
    held = {memory.id: len(tokens(memory.text)) for memory in before}
    grown = sum(max(0, len(tokens(memory.text)) - held.get(memory.id, 0)) for memory in after)
    told_words = sum(len(tokens(text)) for text in told)
    return min(1.0, grown / told_words) if told_words else float(grown > 0)


def operation_match(operations: Sequence[Operation], right: Sequence[Operation]) -> float:
    """The mean over facts of how well the operations on a fact match the one that is right.

    Kind and memory must be the same; the merged text of an UPDATE counts by its F1. Several operations on one fact
    share what the best of them earns.
    """
    earned = []
    for one in right:
        own = [operation for operation in operations if operation.fact == one.fact]
        earned.append(max((_match(operation, one) for operation in own), default=0.0) / max(1, len(own)))
    return fmean(earned) if earned else 1.0


def _match(operation: Operation, right: Operation) -> float:
    if (operation.kind, operation.memory) != (right.kind, right.memory):
        return 0.0
    if operation.kind is not OperationKind.UPDATE:
        return 1.0
    return scoring.mem0_f1(operation.text or "", right.text or "")


def _right(episode: ManagerEpisode) -> Sequence[Operation]:
    if episode.right is None:
        raise ValueError("the right operations of this turn are not known")
    return episode.right
