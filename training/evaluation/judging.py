"""LLM-as-a-judge over answers that are kept, so that judging again costs no new answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev

from app.core import scoring
from app.core.ports import Completer
from app.core.scoring import UnreadableVerdict, Verdict
from app.core.values import Prompt, Role, Value
from training.evaluation.answering import Result
from training.evaluation.config import Judge
from training.evaluation.journal import NoReply, RecordingCompleter
from training.evaluation.systems import at_once

Verdicts = dict[str, list[float | None]]
"""By question: for each run 1 for CORRECT, 0 for WRONG, None where there is no verdict."""


class Judged(Value):
    """The share of CORRECT over some questions."""

    mean: float | None
    """Over runs and questions that have a verdict."""
    deviation: float | None
    """The sample standard deviation of the runs' means; None for a single run."""
    runs: int
    without_verdict: int
    """Of all runs."""


def recorders(judge: Judge, completer: Completer, folder: Path) -> dict[str, list[RecordingCompleter]]:
    """By prompt, a completer for each run: the same answer is marked once in each, and by each judge."""
    # A model's name may hold what a file's name may not.
    name = f"judge-{hashlib.sha256(judge.model.encode()).hexdigest()[:8]}"
    runs = range(1, judge.runs + 1)
    return {
        prompt: [RecordingCompleter(folder / f"{name}-{prompt}-run{run}.jsonl", completer) for run in runs]
        for prompt in judge.prompts
    }


async def verdicts(
    runs: Sequence[RecordingCompleter], results: Sequence[Result], concurrency: int, *, strict: bool
) -> Verdicts:
    """Verdicts on the questions that have a gold answer; no answer at all is wrong, and nobody is asked."""
    asked = [result for result in results if not result.is_trap]
    work = [partial(_verdict, completer, result, strict) for result in asked for completer in runs]
    found = iter(await at_once(work, concurrency))
    return {result.id: [next(found) for _ in runs] for result in asked}


async def _verdict(completer: RecordingCompleter, result: Result, strict: bool) -> float | None:
    if not result.answer:
        return 0.0
    prompt = Prompt(
        # A role of the service names a prompt's schema on the wire, and nothing else; judges have none of their own.
        role=Role.ANSWERER,
        messages=scoring.render_judge(result.question, result.gold, result.answer, strict=strict),
        reply_schema=scoring.VERDICT_SCHEMA,
        version=scoring.judge_version(strict=strict),
    )
    try:
        completion = await completer.complete(prompt)
        return float(scoring.parse_verdict(completion.text) is Verdict.CORRECT)
    except (NoReply, UnreadableVerdict):
        return None


def summary(marks: Mapping[str, Sequence[float | None]]) -> Judged:
    """Mean and deviation over these questions."""
    runs = list(zip(*marks.values(), strict=True))
    means = [fmean(known) for run in runs if (known := [mark for mark in run if mark is not None])]
    everything = [mark for run in runs for mark in run]
    known = [mark for mark in everything if mark is not None]
    return Judged(
        mean=fmean(known) if known else None,
        deviation=stdev(means) if len(means) > 1 else None,
        runs=len(runs),
        without_verdict=len(everything) - len(known),
    )
