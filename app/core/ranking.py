"""Reciprocal rank fusion of the dense and the lexical arm; one function for every bank."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

FUSION_CONSTANT = 60
"""k of Cormack, Clarke and Büttcher, Reciprocal Rank Fusion, SIGIR 2009."""
ARM_DEPTH_FACTOR = 2
"""Each arm is read to this multiple of the limit before fusing."""
SCORE_DECIMALS = 5
"""Scores are rounded so that two banks agree on ties in spite of their rounding."""

Key = TypeVar("Key", bound=Hashable)


def arm_depth(limit: int) -> int:
    """How deep each arm is read for a recall of `limit`."""
    return max(limit * ARM_DEPTH_FACTOR, 20)


def fuse(arms: Sequence[Sequence[Key]]) -> dict[Key, float]:
    """Fused score by key; each arm lists its keys best first."""
    scores: dict[Key, float] = {}
    for arm in arms:
        for rank, key in enumerate(arm, start=1):
            scores[key] = scores.get(key, 0.0) + 1.0 / (FUSION_CONSTANT + rank)
    return scores
