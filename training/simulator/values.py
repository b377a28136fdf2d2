"""What the simulator makes: turns with the right facts and operations, and questions with the time that they hold."""

from __future__ import annotations

from uuid import UUID

from app.core.operations import OperationKind
from app.core.values import Fact, Turn, Value
from training.data.conversation import Conversation, Question
from training.simulator.pools import Split


class SaidFact(Value):
    """A fact in the form of the extractor's reply, and as it stands alone."""

    who: str
    what: str
    text: str

    @property
    def fact(self) -> Fact:
        return Fact(text=self.text)


class RightOperation(Value):
    """What is to be done with one fact of a turn; memories are named by the ids of the oracle bank."""

    kind: OperationKind
    fact: int
    """Counts from 1."""
    memory: UUID
    """The memory that an ADD makes, an UPDATE or DELETE is about, or that a NOOP finds saying the same."""
    text: str | None = None
    """The merged text of an UPDATE."""


class SimulatedTurn(Value):
    """A turn with what is right to make of it."""

    turn: Turn
    facts: tuple[SaidFact, ...] = ()
    operations: tuple[RightOperation, ...] = ()
    """One for each fact."""


class SimulatedConversation(Value):
    """A dialogue of two over weeks, drawn from a hidden world."""

    id: str
    split: Split
    seed: int
    speakers: tuple[str, str]
    turns: tuple[SimulatedTurn, ...]
    questions: tuple[Question, ...]
    """Every question that holds at some time; `Question.holds_after` tells when."""

    def questions_after(self, upto: int) -> list[Question]:
        """The questions whose answers are right once so many turns were heard."""
        return [question for question in self.questions if question.holds_after(upto)]

    def conversation(self, *, every_time: bool = False) -> Conversation:
        """The common form, with the questions that hold at the end, or with all."""
        chosen = self.questions if every_time else self.questions_after(len(self.turns))
        return Conversation(
            id=self.id,
            source=f"simulator-{self.split.value}",
            speakers=self.speakers,
            turns=tuple(one.turn for one in self.turns),
            questions=tuple(chosen),
        )
