"""One form for the conversations of every source."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid5

from app.core.values import Turn, Value

_NAMESPACE = UUID("6d656d6f-7279-5231-8000-747261696e00")
"""Of all ids made here: the same source gives the same ids in every process."""


class Question(Value):
    """A question about a conversation, with its gold answer."""

    id: str
    text: str
    answer: str
    """Empty where the right thing is to abstain."""
    category: str
    """As the source names it."""
    evidence: tuple[UUID, ...]
    """The turns that the answer stands on, in their order."""
    asked_at: datetime | None = None
    """None: after the last turn."""
    since: int = 0
    """So many turns must have been heard for the answer to be right."""
    until: int | None = None
    """With so many turns heard, the answer is right no more."""

    @property
    def is_unanswerable(self) -> bool:
        return not self.answer

    def holds_after(self, turns: int) -> bool:
        """Whether the answer is right once so many turns were heard."""
        return self.since <= turns and (self.until is None or turns < self.until)


class Conversation(Value):
    """A conversation with what is asked about it."""

    id: str
    source: str
    """The data set, with its variant where it has several."""
    speakers: tuple[str, ...]
    turns: tuple[Turn, ...]
    """In the order of saying; `external_id` is the source's own."""
    questions: tuple[Question, ...]
    adversarial: tuple[Question, ...] = ()
    """Questions that the source keeps apart; no score counts them in."""


def stable_id(*parts: object) -> UUID:
    """The id of what these parts name."""
    return uuid5(_NAMESPACE, "/".join(map(str, parts)))


def hanging_on(conversation: Conversation, turn: UUID) -> list[Question]:
    """The questions that have the turn among their evidence."""
    return [question for question in conversation.questions if turn in question.evidence]
