"""Where a question was lost on its way: each stands in exactly one class, so that the counts add up."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from uuid import UUID

from training.evaluation.systems import Way


class Loss(StrEnum):
    """In the order of the way. A question needs all of its evidence: the first stage that loses any of it counts."""

    NOT_EXTRACTED = "never extracted"
    """No fact was read out of an evidence turn, or the extractor failed on it."""
    NOT_STORED = "never stored"
    """Facts were read, but no memory ever had the turn as a source: the manager kept none, or failed."""
    REMOVED = "deleted or merged away"
    """A memory had it as a source, and none has at the end."""
    NOT_RETRIEVED = "not retrieved"
    """No memory in the prompt has it as a source."""
    NOT_DISTILLED = "not distilled"
    """No memory that the Answer Agent chose has it as a source."""
    ANSWERED_WRONG = "answered wrong"
    """All evidence was there to the last."""
    NO_EVIDENCE = "answered wrong, no evidence known"
    """The data names no turn that the answer stands on."""
    FAILED = "the model failed"
    """There is no answer."""
    RIGHT = "answered right"
    """Whatever became of the evidence."""


def lost(
    evidence: Collection[UUID],
    way: Way,
    shown: Collection[UUID],
    chosen: Collection[UUID] | None,
    right: bool | None,
) -> Loss:
    """The class of a question.

    `shown` and `chosen` are the source turns of the memories in the prompt, and of those that were distilled (None:
    nothing is distilled); `right` is None where the model failed.
    """
    if right is None:
        return Loss.FAILED
    if right:
        return Loss.RIGHT
    if not evidence:
        return Loss.NO_EVIDENCE
    stages: list[tuple[Loss, Collection[UUID]]] = [
        (Loss.NOT_EXTRACTED, way.extracted),
        (Loss.NOT_STORED, way.stored),
        (Loss.REMOVED, way.kept),
        (Loss.NOT_RETRIEVED, shown),
    ]
    if chosen is not None:
        stages.append((Loss.NOT_DISTILLED, chosen))
    return next((loss for loss, held in stages if not set(evidence) <= set(held)), Loss.ANSWERED_WRONG)
