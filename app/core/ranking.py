"""Reciprocal rank fusion of the dense and the lexical arm; one function for every bank."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np

from app.core.values import Vector

FUSION_CONSTANT = 60
"""k of Cormack, Clarke and Büttcher, Reciprocal Rank Fusion, SIGIR 2009."""
ARM_DEPTH_FACTOR = 2
"""Each arm is read to this multiple of the limit before fusing."""
VECTOR_STEPS = 2048
"""Vectors are compared in whole steps of one part in so many. Half precision holds these exactly, and single precision
their inner products: in whatever order a bank sums, it finds the same scores and the same ties."""

Key = TypeVar("Key", bound=Hashable)


def arm_depth(limit: int) -> int:
    """How deep each arm is read for a recall of `limit`."""
    return max(limit * ARM_DEPTH_FACTOR, 20)


def in_steps(vector: Vector) -> Vector:
    """A unit-length vector as banks keep and compare it: whole numbers."""
    return np.asarray(np.rint(vector * VECTOR_STEPS), dtype=np.float32)


def fuse(arms: Sequence[Sequence[Key]]) -> dict[Key, float]:
    """Fused score by key; each arm lists its keys best first."""
    scores: dict[Key, float] = {}
    for arm in arms:
        for rank, key in enumerate(arm, start=1):
            scores[key] = scores.get(key, 0.0) + 1.0 / (FUSION_CONSTANT + rank)
    return scores
