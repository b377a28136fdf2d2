"""From the answers to questions to the scores of systems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from statistics import fmean

from app.core.changes import Verdict
from app.core.scoring import Scores
from app.core.trace import Outcome
from app.core.values import Value
from training.evaluation import judging
from training.evaluation.answering import Result
from training.evaluation.bootstrap import Estimate, estimate
from training.evaluation.config import EvalConfig
from training.evaluation.judging import Judged, Verdicts
from training.evaluation.losses import Loss
from training.evaluation.operations import OperationScores
from training.evaluation.systems import Heard

METRICS = tuple(Scores.model_fields)
ALL = "all"
"""The group of all questions that have an answer."""
PAIRED = "mem0_f1"
"""The score whose differences between systems are told."""


class GroupScores(Value):
    """A system on the questions of a category, or on all."""

    questions: int
    failed: int
    """The model failed: scored 0."""
    unreadable: int
    """The reply did not follow the schema: scored 0."""
    abstained: int
    scores: dict[str, Estimate]
    """By metric, from 0 to 1."""
    recall: dict[str, float | None]
    """Mean share of the evidence, over the questions that have any."""
    recall_intervals: dict[str, Estimate]
    losses: dict[Loss, int]
    judged: dict[str, Judged]
    """By the judge's prompt."""
    judged_intervals: dict[str, Estimate]
    """By the judge's prompt, of each question's mean over the runs."""


class Abstention(Value):
    """Questions that the conversation does not answer."""

    questions: int
    failed: int
    abstained: Estimate | None
    """The share for which the system said that it does not know."""


class Cost(Value):
    """What the answers cost."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    """Of all calls; several run at the same time."""


class SystemScores(Value):
    """A system on everything that was asked."""

    groups: dict[str, GroupScores]
    """By category, and all."""
    abstention: Abstention
    cost: Cost
    cut: int
    """Questions whose candidates did not all fit into the prompt."""
    shown: float
    """Mean number of candidates in a prompt."""
    prompt_versions: list[str]


class BankScores(Value):
    """The banks that an extractor and a manager made."""

    turns: int
    failed: int
    """Turns on which a model failed: they changed nothing."""
    facts: int
    memories: int
    operations: dict[str, int]
    """By kind and what became of it."""
    fallback: int
    """Facts that were added because every operation on them was refused, or none was given."""


class Difference(Value):
    """One system against another on the same questions."""

    system: str
    against: str
    f1: Estimate
    """Mem0's F1 of the first less that of the second."""


class Results(Value):
    """A whole evaluation."""

    note: str
    embedder: str
    policies: dict[str, str]
    judge: dict[str, str]
    """The judge's model, and the versions of its prompts."""
    systems: dict[str, SystemScores]
    banks: dict[str, BankScores]
    operations: dict[str, OperationScores]
    """By manager; on simulated conversations alone."""
    differences: list[Difference]
    reference: str
    is_locomo: bool
    is_papers_test: bool
    right_at: float


def of_system(results: Sequence[Result], verdicts: Mapping[str, Verdicts], config: EvalConfig) -> SystemScores:
    """The scores of one system; `verdicts` by the judge's prompt."""
    answerable = [result for result in results if not result.is_trap]
    groups: dict[str, list[Result]] = {}
    for result in answerable:
        groups.setdefault(result.group, []).append(result)
    everything = dict(sorted(groups.items())) | ({ALL: answerable} if answerable else {})
    usage = [result.usage for result in results]
    return SystemScores(
        groups={name: _group(chosen, verdicts, config) for name, chosen in everything.items()},
        abstention=_abstention([result for result in results if result.is_trap], config),
        cost=Cost(
            calls=sum(bool(result.policy) for result in results),
            prompt_tokens=sum(one.prompt_tokens for one in usage),
            completion_tokens=sum(one.completion_tokens for one in usage),
            seconds=sum(result.seconds for result in results),
        ),
        cut=sum(result.left_out > 0 for result in results),
        shown=fmean(result.shown for result in results),
        prompt_versions=sorted({result.prompt_version for result in results}),
    )


def differences(systems: Mapping[str, Sequence[Result]], config: EvalConfig) -> list[Difference]:
    """Every pair of systems, on the questions that have an answer."""
    found = []
    for (system, results), (against, others) in combinations(systems.items(), 2):
        second = {result.id: value(result, PAIRED) for result in others if not result.is_trap}
        first = [result for result in results if not result.is_trap]
        by_conversation = _by_conversation(first, [value(result, PAIRED) - second[result.id] for result in first])
        if f1 := estimate(by_conversation, config.resamples, config.seed):
            found.append(Difference(system=system, against=against, f1=f1))
    return found


async def of_bank(heard: Heard) -> BankScores:
    """What two policies made of a conversation."""
    log = [line for turn in heard.turns if turn.plan for line in turn.plan.log]
    return BankScores(
        turns=len(heard.turns),
        failed=sum(turn.error is not None for turn in heard.turns),
        facts=sum(len(turn.facts) for turn in heard.turns),
        memories=len(await heard.bank.memories()),
        operations=Counter(f"{line.kind.value} {line.verdict.value}" for line in log),
        fallback=sum(line.fallback and line.verdict is Verdict.APPLIED for line in log),
    )


def together(banks: Sequence[BankScores]) -> BankScores:
    """The sums over conversations."""
    operations: Counter[str] = sum((Counter(bank.operations) for bank in banks), Counter())
    return BankScores(
        turns=sum(bank.turns for bank in banks),
        failed=sum(bank.failed for bank in banks),
        facts=sum(bank.facts for bank in banks),
        memories=sum(bank.memories for bank in banks),
        operations=dict(sorted(operations.items())),
        fallback=sum(bank.fallback for bank in banks),
    )


def value(result: Result, metric: str) -> float:
    """A score of a question that has an answer."""
    score: float = getattr(result.scores, metric)
    return score


def _group(results: Sequence[Result], verdicts: Mapping[str, Verdicts], config: EvalConfig) -> GroupScores:
    scores = {
        metric: estimate(
            _by_conversation(results, [value(result, metric) for result in results]), config.resamples, config.seed
        )
        for metric in METRICS
    }
    recalls = {name: _recall_interval(results, name, config) for name in results[0].recall}
    losses = Counter(result.loss for result in results)
    intervals = {prompt: _judged_interval(results, marks, config) for prompt, marks in verdicts.items()}
    return GroupScores(
        questions=len(results),
        failed=sum(result.outcome is None for result in results),
        unreadable=sum(result.outcome is Outcome.MALFORMED for result in results),
        abstained=sum(result.outcome is Outcome.ABSTAINED for result in results),
        scores={metric: score for metric, score in scores.items() if score},
        recall={name: _mean(result.recall[name] for result in results) for name in results[0].recall},
        recall_intervals={name: interval for name, interval in recalls.items() if interval},
        losses={loss: losses[loss] for loss in Loss},
        judged={
            prompt: judging.summary({result.id: marks[result.id] for result in results})
            for prompt, marks in verdicts.items()
        },
        judged_intervals={prompt: interval for prompt, interval in intervals.items() if interval},
    )


def _judged_interval(results: Sequence[Result], marks: Verdicts, config: EvalConfig) -> Estimate | None:
    return _of_known(results, [_mean(marks[result.id]) for result in results], config)


def _recall_interval(results: Sequence[Result], name: str, config: EvalConfig) -> Estimate | None:
    return _of_known(results, [result.recall[name] for result in results], config)


def _of_known(results: Sequence[Result], values: Sequence[float | None], config: EvalConfig) -> Estimate | None:
    """Over the questions that have a value."""
    known = [(result, one) for result, one in zip(results, values, strict=True) if one is not None]
    by_conversation = _by_conversation([result for result, _ in known], [one for _, one in known])
    return estimate(by_conversation, config.resamples, config.seed)


def _abstention(traps: Sequence[Result], config: EvalConfig) -> Abstention:
    said = [float(result.outcome is Outcome.ABSTAINED) for result in traps]
    return Abstention(
        questions=len(traps),
        failed=sum(result.outcome is None for result in traps),
        abstained=estimate(_by_conversation(traps, said), config.resamples, config.seed),
    )


def _by_conversation(results: Sequence[Result], values: Sequence[float]) -> list[list[float]]:
    found: dict[str, list[float]] = {}
    for result, one in zip(results, values, strict=True):
        found.setdefault(result.conversation, []).append(one)
    return list(found.values())


def _mean(values: Iterable[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return fmean(known) if known else None
