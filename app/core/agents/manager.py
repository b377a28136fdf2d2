"""The Memory Manager: a turn's facts and the memories related to them, to operations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app.core import rendering
from app.core.agents import replies
from app.core.changes import MAX_MEMORY_LENGTH
from app.core.operations import Operation, OperationKind
from app.core.trace import Outcome
from app.core.values import Candidate, Fact, Memory, Message, Prompt, Role, Turn, Value

MAX_OPERATIONS_PER_FACT = 2
MAX_REASONING = 160
"""Characters of the reasoning."""
_REASONING = re.compile(r' "reasoning", one short sentence, then|"reasoning":"[^"]*",')


class ManagerOptions(BaseModel):
    """How the manager is asked."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    related: int = Field(10, ge=1, le=50)
    """Memories shown for each fact; one that is related to several facts is shown once."""
    max_shown: int = Field(40, ge=1, le=200)
    """Memories shown in one call at most."""
    reasoning: bool = True
    """Let the model write one sentence before it decides."""
    max_text_characters: int = Field(400, ge=40, le=MAX_MEMORY_LENGTH)
    """Characters of a merged memory at most."""


class Decision(Value):
    """What came of a reply."""

    outcome: Outcome
    operations: tuple[Operation, ...] = ()
    reasoning: str | None = None
    """What the model wrote before it decided."""


class _Add(BaseModel):
    op: Literal["ADD"]


class _Noop(BaseModel):
    op: Literal["NOOP"]


class _Update(BaseModel):
    op: Literal["UPDATE"]
    memory: str
    text: str


class _Delete(BaseModel):
    op: Literal["DELETE"]
    memory: str


_operations = TypeAdapter(list[Annotated[_Add | _Noop | _Update | _Delete, Field(discriminator="op")]])


def shown(related: Sequence[Sequence[Candidate]], options: ManagerOptions) -> list[Memory]:
    """The memories to show: best first over all facts, each once."""
    unique: dict[UUID, Memory] = {}
    for candidate in sorted((c for found in related for c in found), key=lambda c: -c.score):
        unique.setdefault(candidate.memory.id, candidate.memory)
    return list(unique.values())[: options.max_shown]


def render(facts: Sequence[Fact], memories: Sequence[Memory], turn: Turn, options: ManagerOptions) -> Prompt:
    """One prompt for all facts of a turn. Memories are `m1`, `m2` ..., facts `f1`, `f2` ...: never ids."""
    constant = _constant(options)
    return Prompt(
        role=Role.MANAGER,
        messages=(*constant, Message(role="user", content=_question(facts, memories, turn))),
        constant=len(constant),
        reply_schema=_schema(len(facts), len(memories), options),
        version=rendering.prompt_version("manager", options.model_dump_json()),
    )


def _constant(options: ManagerOptions) -> tuple[Message, ...]:
    """Instructions and examples; they show no reasoning where none is asked for."""
    messages = rendering.constant_messages("manager")
    if options.reasoning:
        return messages
    return tuple(m.model_copy(update={"content": _REASONING.sub("", m.content)}) for m in messages)


def parse(reply: str, facts: int, memories: int) -> Decision:
    """The operations of a reply to a prompt with so many facts and memories."""
    read = replies.read_object(reply)
    if read is None:
        return Decision(outcome=Outcome.MALFORMED)
    operations: list[Operation] = []
    for number in range(1, facts + 1):
        try:
            decided = _operations.validate_python(read.get(f"f{number}"))
        except ValidationError:
            return Decision(outcome=Outcome.MALFORMED)
        operations += [_operation(number, one) for one in decided[:MAX_OPERATIONS_PER_FACT]]
    if any(o.memory is not None and not 1 <= o.memory <= memories for o in operations):
        return Decision(outcome=Outcome.MALFORMED)
    reasoning = replies.clean(str(read["reasoning"]))[:MAX_REASONING] if "reasoning" in read else None
    return Decision(outcome=Outcome.DECIDED, operations=tuple(operations), reasoning=reasoning)


def _operation(fact: int, decided: _Add | _Noop | _Update | _Delete) -> Operation:
    memory = decided.memory if isinstance(decided, _Update | _Delete) else None
    return Operation(
        kind=OperationKind(decided.op),
        fact=fact,
        memory=_ordinal(memory) if memory is not None else None,
        text=replies.clean(decided.text) if isinstance(decided, _Update) else None,
    )


def _ordinal(name: str) -> int:
    """The number in `m12`; 0, which is never shown, for anything else."""
    digits = name.removeprefix("m")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0


def _question(facts: Sequence[Fact], memories: Sequence[Memory], turn: Turn) -> str:
    known = [f"m{n} ({rendering.day(m.said_at)}): {m.text}" for n, m in enumerate(memories, start=1)]
    new = [f"f{n}: {fact.text}" for n, fact in enumerate(facts, start=1)]
    said = f"New facts, said by {turn.speaker} on {rendering.day(turn.said_at)}:"
    return "\n".join(["Memories:", *(known or ["none"]), said, *new])


def _schema(facts: int, memories: int, options: ManagerOptions) -> dict[str, Any]:
    reasoning = {"reasoning": rendering.text_schema(MAX_REASONING)} if options.reasoning else {}
    operation = {"anyOf": _operation_schemas(memories, options)}
    decided = rendering.list_schema(operation, MAX_OPERATIONS_PER_FACT, least=1)
    return rendering.object_schema(reasoning | {f"f{n}": decided for n in range(1, facts + 1)})


def _operation_schemas(memories: int, options: ManagerOptions) -> list[dict[str, Any]]:
    """Only memories that were shown can be named; with none shown nothing is known yet, and can only be added."""
    add, noop = (rendering.object_schema({"op": {"type": "string", "enum": [op]}}) for op in ("ADD", "NOOP"))
    if not memories:
        return [add]
    memory = {"type": "string", "enum": [f"m{n}" for n in range(1, memories + 1)]}
    update = {
        "op": {"type": "string", "enum": ["UPDATE"]},
        "memory": memory,
        "text": rendering.text_schema(options.max_text_characters),
    }
    delete = {"op": {"type": "string", "enum": ["DELETE"]}, "memory": memory}
    return [add, noop, rendering.object_schema(update), rendering.object_schema(delete)]
