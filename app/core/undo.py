"""Undoing operations: never by overwriting, but by new versions that say what an earlier one said.

An applied operation took one memory from a version, or from not being there, to another. Its undoing takes the memory
back, where the memory still stands as the operation left it. Two versions are the same content where they restore the
same version; so what was done later, and undone later, stands in nobody's way. An undoing is itself an operation: it
can be undone by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.core.changes import Changes, LoggedOperation, RemoveMemory, RestoreMemory, Verdict
from app.core.errors import NothingToUndo, UndoConflict
from app.core.operations import OperationKind


class Recorded(LoggedOperation):
    """A line of the operation log as it is kept."""

    number: int
    erased_at: datetime | None = None

    @property
    def is_in_force(self) -> bool:
        """Whether it changed a memory, and was not undone."""
        return self.verdict is Verdict.APPLIED and self.undone_by is None

    @property
    def is_erased(self) -> bool:
        """Whether nobody knows any more what it changed; of some erased lines only the reasoning went."""
        return self.erased_at is not None and self.text_before is None and self.text_after is None


class Standing(NamedTuple):
    """How a memory stands: its newest version, whether it is live, and whose content each kept version is."""

    version: int
    live: bool
    contents: Mapping[int, int]

    @property
    def content(self) -> int | None:
        """The version whose content the memory has; None where it is removed."""
        return self.contents.get(self.version, self.version) if self.live else None


class Step(NamedTuple):
    """One undoing: the change of one memory, and its line of the log."""

    change: RemoveMemory | RestoreMemory
    line: LoggedOperation


def why_not_undoable(operation: Recorded) -> str | None:
    """Why there is nothing to undo about an operation; None where there is."""
    if operation.is_erased:
        return "What the operation was about has been erased."
    if operation.verdict is not Verdict.APPLIED or operation.memory_id is None:
        return "The operation changed nothing."
    if operation.undone_by is not None:
        return f"The operation was undone by operation {operation.undone_by}."
    return None


def plan(
    undone: Sequence[Recorded], standings: Mapping[UUID, Standing], history: Sequence[Recorded]
) -> tuple[Step, ...]:
    """The undoing of operations, newest first; `history` is all that was applied to their memories since the first.

    Raises `NothingToUndo`, and `UndoConflict` with the later operations that would have to be undone before.
    """
    if not undone:
        raise NothingToUndo()
    planner = _Planner(standings)
    numbers = {operation.number for operation in undone}
    conflicts: set[int] = set()
    blocked: set[UUID] = set()
    for operation in sorted(undone, key=lambda one: -one.number):
        memory_id = _memory_of(operation)
        if memory_id in blocked:
            continue
        if not planner.stands_as_left_by(operation):
            blocked.add(memory_id)
            conflicts.update(_in_the_way(operation, numbers, history))
            continue
        planner.undo(operation)
    if conflicts:
        raise UndoConflict(sorted(conflicts))
    if blocked:
        raise NothingToUndo("What it would change has been erased.")
    return tuple(planner.steps)


def waves(steps: Sequence[Step]) -> list[Changes]:
    """The steps as changes to apply one after the other, each with at most one change of a memory."""
    rounds: list[list[RemoveMemory | RestoreMemory]] = []
    count: dict[UUID, int] = {}
    for step in steps:
        place = count.get(step.change.memory_id, 0)
        count[step.change.memory_id] = place + 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(step.change)
    return [
        Changes(
            removals=tuple(change for change in changes if isinstance(change, RemoveMemory)),
            restorations=tuple(change for change in changes if isinstance(change, RestoreMemory)),
        )
        for changes in rounds
    ]


class _Planner:
    def __init__(self, standings: Mapping[UUID, Standing]) -> None:
        self._standings = dict(standings)
        self.steps: list[Step] = []

    def stands_as_left_by(self, operation: Recorded) -> bool:
        """Whether the memory is what the operation made of it."""
        standing = self._standings.get(_memory_of(operation))
        if standing is None:
            raise NothingToUndo("What it would change has been erased.")
        return standing.content == _content(standing, operation.version_after)

    def undo(self, operation: Recorded) -> None:
        memory_id = _memory_of(operation)
        standing = self._standings[memory_id]
        content = _content(standing, operation.version_before)
        if content is None:
            self._step(operation, OperationKind.DELETE, RemoveMemory(memory_id=memory_id, version=standing.version))
            self._standings[memory_id] = standing._replace(live=False)
            return
        kind = OperationKind.UPDATE if standing.live else OperationKind.ADD
        removed = not standing.live
        self._step(
            operation,
            kind,
            RestoreMemory(memory_id=memory_id, version=standing.version, removed=removed, restores=content),
        )
        version = standing.version + 1
        self._standings[memory_id] = Standing(version, True, {**standing.contents, version: content})

    def _step(self, operation: Recorded, kind: OperationKind, change: RemoveMemory | RestoreMemory) -> None:
        line = LoggedOperation(
            kind=kind,
            verdict=Verdict.APPLIED,
            memory_id=change.memory_id,
            version_before=None if kind is OperationKind.ADD else change.version,
            version_after=None if kind is OperationKind.DELETE else change.version + 1,
            text_before=None if kind is OperationKind.ADD else operation.text_after,
            text_after=None if kind is OperationKind.DELETE else operation.text_before,
            undoes=operation.number,
        )
        self.steps.append(Step(change, line))


def _memory_of(operation: Recorded) -> UUID:
    reason = why_not_undoable(operation)
    if reason is not None or operation.memory_id is None:
        raise NothingToUndo(reason)
    return operation.memory_id


def _content(standing: Standing, version: int | None) -> int | None:
    """Whose content a version is. Raises `NothingToUndo` where that is not kept any more."""
    if version is None:
        return None
    content = standing.contents.get(version)
    if content is None or content not in standing.contents:
        raise NothingToUndo("What it would bring back has been erased.")
    return content


def _in_the_way(operation: Recorded, numbers: set[int], history: Sequence[Recorded]) -> list[int]:
    """Later operations in force on the same memory, without undoings of what was itself done later."""
    later = [
        other
        for other in history
        if other.memory_id == operation.memory_id
        and other.number > operation.number
        and other.is_in_force
        and other.number not in numbers
    ]
    real = [other for other in later if other.undoes is None or other.undoes <= operation.number]
    return [other.number for other in real if not other.is_erased] or [other.number for other in later]
