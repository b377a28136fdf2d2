"""What an answer comes to while it is made, told in order; whatever was told before, it ends with what is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from app.core.values import Candidate, Turn, Value
from app.services.answer import Answered, RankedMemory, UsedMemory, ranked, used


class FoundMemory(Value):
    """A candidate before the Answer Agent has chosen."""

    id: UUID
    version: int
    text: str
    score: float
    sources: tuple[UUID, ...]
    external_ids: tuple[str, ...]
    """External ids of the source turns, where they have some."""


class AnswerCandidates(Value):
    """What was retrieved for the question, best first."""

    candidates: tuple[FoundMemory, ...]


class AnswerDistilled(Value):
    """What the Answer Agent distilled from the candidates."""

    memories: tuple[UsedMemory, ...]


class AnswerToken(Value):
    """The next characters of the answer."""

    text: str


class AnswerReset(Value):
    """What was told of memories and text does not hold: both come anew."""


AnswerNews = AnswerCandidates | AnswerDistilled | AnswerToken | AnswerReset


class Telling:
    """The `app.services.answer.Told` of one question: passes on what is new, by a call that returns at once."""

    def __init__(self, tell: Callable[[AnswerNews], None]) -> None:
        self._tell = tell
        self._candidates: Sequence[Candidate] = ()
        self._turns: dict[UUID, Turn] = {}
        self._found: tuple[FoundMemory, ...] | None = None
        self._memories: tuple[UsedMemory, ...] | None = None
        self._text = ""

    def found(self, candidates: Sequence[Candidate], turns: Sequence[Turn]) -> None:
        self._candidates, self._turns = candidates, {turn.id: turn for turn in turns}
        self._tell_found(tuple(_found(ranked(one, set(), self._turns)) for one in candidates))

    def distilled(self, ordinals: tuple[int, ...]) -> None:
        memories = [self._candidates[ordinal - 1].memory for ordinal in ordinals]
        self._tell_memories(tuple(used(memory, self._turns) for memory in memories))

    def said(self, text: str) -> None:
        self._text += text
        self._tell(AnswerToken(text=text))

    def void(self) -> None:
        self._memories, self._text = None, ""
        self._tell(AnswerReset())

    def settle(self, answered: Answered) -> None:
        """Tell what is still missing of what is stored now, and all of it anew where something else was told."""
        found = tuple(_found(candidate) for candidate in answered.candidates)
        text = answered.answer or ""
        is_same = self._found in (None, found) and self._memories in (None, answered.memories)
        if not (is_same and text.startswith(self._text)):
            self.void()
        if self._found != found:
            self._tell_found(found)
        if self._memories is None:
            self._tell_memories(answered.memories)
        if len(text) > len(self._text):
            self.said(text[len(self._text) :])

    def _tell_found(self, found: tuple[FoundMemory, ...]) -> None:
        self._found = found
        self._tell(AnswerCandidates(candidates=found))

    def _tell_memories(self, memories: tuple[UsedMemory, ...]) -> None:
        self._memories = memories
        self._tell(AnswerDistilled(memories=memories))


def _found(candidate: RankedMemory) -> FoundMemory:
    return FoundMemory(**candidate.model_dump(exclude={"distilled"}))
