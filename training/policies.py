"""Who extracts and who decides in an episode: what is known to be right, a model, or a plain rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from app.core.agents import run
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import ManagerOptions
from app.core.operations import Operation, OperationKind
from app.core.ports import Completer
from app.core.values import Fact, Memory, Turn
from training.simulator.values import SimulatedConversation, SimulatedTurn

NEEDS_MEMORY = (OperationKind.UPDATE, OperationKind.DELETE)


class Extractor(Protocol):
    """Reads the facts out of a turn."""

    async def facts(self, turn: Turn, context: Sequence[Turn]) -> tuple[Fact, ...]:
        """The facts of a turn, told after `context`."""
        ...


class Manager(Protocol):
    """Decides what to do with the facts of a turn."""

    async def decide(self, facts: Sequence[Fact], shown: Sequence[Memory], turn: Turn) -> tuple[Operation, ...]:
        """The operations; memories are named by their place among those shown, from 1."""
        ...


class KnownFacts:
    """The right facts, by turn: of a simulated conversation, or read by another extractor before."""

    def __init__(self, facts: Mapping[UUID, tuple[Fact, ...]]) -> None:
        self._facts = facts

    @classmethod
    def of(cls, conversation: SimulatedConversation) -> KnownFacts:
        return cls({one.turn.id: tuple(fact.fact for fact in one.facts) for one in conversation.turns})

    async def facts(self, turn: Turn, context: Sequence[Turn]) -> tuple[Fact, ...]:
        return self._facts.get(turn.id, ())


class RightManager:
    """Decides what is right, as long as the bank is the oracle's."""

    def __init__(self, conversation: SimulatedConversation) -> None:
        self._turns = {one.turn.id: one for one in conversation.turns}

    async def decide(self, facts: Sequence[Fact], shown: Sequence[Memory], turn: Turn) -> tuple[Operation, ...]:
        return right_operations(self._turns[turn.id], shown)

    def new_ids(self, turn: Turn) -> list[UUID]:
        """The ids of the memories that the turn's ADDs make."""
        return [o.memory for o in self._turns[turn.id].operations if o.kind is OperationKind.ADD]


def right_operations(simulated: SimulatedTurn, shown: Sequence[Memory]) -> tuple[Operation, ...]:
    """The right operations of a turn by the places of the memories shown.

    A memory that was not shown has place 0, which no model can name and `plan` refuses.
    """
    places = {memory.id: place for place, memory in enumerate(shown, start=1)}
    return tuple(
        Operation(
            kind=right.kind,
            fact=right.fact,
            memory=places.get(right.memory, 0) if right.kind in NEEDS_MEMORY else None,
            text=right.text,
        )
        for right in simulated.operations
    )


class AddEverything:
    """Adds each fact: the bank of a manager that has learned nothing."""

    async def decide(self, facts: Sequence[Fact], shown: Sequence[Memory], turn: Turn) -> tuple[Operation, ...]:
        return tuple(Operation(kind=OperationKind.ADD, fact=place) for place in range(1, len(facts) + 1))


class ModelExtractor:
    """A served extractor."""

    def __init__(self, completer: Completer, options: ExtractorOptions) -> None:
        self._completer, self._options = completer, options

    async def facts(self, turn: Turn, context: Sequence[Turn]) -> tuple[Fact, ...]:
        """Raises a `ModelError`."""
        extraction, _ = await run.extract(turn, context, self._completer, self._options)
        return extraction.facts


class ModelManager:
    """A served manager."""

    def __init__(self, completer: Completer, options: ManagerOptions) -> None:
        self._completer, self._options = completer, options

    async def decide(self, facts: Sequence[Fact], shown: Sequence[Memory], turn: Turn) -> tuple[Operation, ...]:
        """Raises a `ModelError`; a reply that cannot be read decides nothing, and each fact is then added."""
        decision, _ = await run.decide(facts, shown, turn, self._completer, self._options)
        return decision.operations
