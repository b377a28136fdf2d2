"""Intervals by resampling whole conversations: the questions of one conversation are no independent draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from app.core.values import Value


class Estimate(Value):
    """A mean over questions with its 95% interval."""

    mean: float
    low: float
    high: float
    questions: int
    units: int
    """What was resampled: so many conversations, or questions where there is one conversation."""
    resampled: Literal["conversations", "questions"]


def estimate(by_conversation: Sequence[Sequence[float]], resamples: int, seed: int) -> Estimate | None:
    """The mean over all questions, and the percentile bootstrap (Efron 1979) of it; None without questions.

    `by_conversation` holds a value for each question. Conversations are drawn with replacement, each with all its
    questions; where only one has any, its questions are drawn instead, which says nothing about other conversations.
    """
    held = [np.asarray(values, dtype=np.float64) for values in by_conversation if len(values)]
    if not held:
        return None
    is_one = len(held) == 1
    sums = held[0] if is_one else np.array([values.sum() for values in held])
    counts = np.ones_like(sums) if is_one else np.array([float(len(values)) for values in held])
    drawn = np.random.default_rng(seed).integers(0, len(sums), (resamples, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(
        mean=float(sums.sum() / counts.sum()),
        low=float(low),
        high=float(high),
        questions=int(counts.sum()),
        units=len(sums),
        resampled="questions" if is_one else "conversations",
    )
