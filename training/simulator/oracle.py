"""The oracle bank: what a bank holds where every decision was right."""

from __future__ import annotations

from uuid import UUID

from app.core.operations import OperationKind
from app.core.values import Memory, Turn
from training.simulator.values import RightOperation, SaidFact, SimulatedConversation


def oracle_bank(conversation: SimulatedConversation, upto: int | None = None) -> list[Memory]:
    """The live memories once so many turns were heard (None: all), oldest first."""
    memories: dict[UUID, Memory] = {}
    for one in conversation.turns[:upto]:
        for operation in one.operations:
            apply_right(memories, operation, one.facts[operation.fact - 1], one.turn)
    return list(memories.values())


def apply_right(memories: dict[UUID, Memory], operation: RightOperation, fact: SaidFact, turn: Turn) -> None:
    """Do a right operation to the memories by id."""
    match operation.kind:
        case OperationKind.ADD:
            memories[operation.memory] = Memory(
                id=operation.memory,
                version=1,
                text=fact.text,
                speaker=turn.speaker,
                said_at=turn.said_at,
                sources=(turn.id,),
                created_at=turn.said_at,
                updated_at=turn.said_at,
            )
        case OperationKind.UPDATE:
            old = memories[operation.memory]
            changed = {
                "version": old.version + 1,
                "text": operation.text,
                "said_at": turn.said_at,
                "sources": (*old.sources, turn.id),
                "updated_at": turn.said_at,
            }
            memories[operation.memory] = old.model_copy(update=changed)
        case OperationKind.DELETE:
            del memories[operation.memory]
        case OperationKind.NOOP:
            pass
