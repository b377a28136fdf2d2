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


class Standing(NamedTuple):
    """How a memory stands: its newest version, whether it is live, and whose content each kept version is."""

    version: int
    live: bool
    contents: Mapping[int, int]
    texts: Mapping[int, str] = {}
    """Of kept versions; for operations whose line lost what they said, though the versions are kept."""

    @property
    def content(self) -> int | None:
        """The version whose content the memory has; None where it is removed."""
        return self.contents.get(self.version, self.version) if self.live else None

    def content_of(self, version: int | None) -> int | None:
        """Whose content a version is, or None for not being there. Raises `NothingToUndo` where it is not kept."""
        if version is None:
            return None
        content = self.contents.get(version)
        if content is None or content not in self.contents:
            raise NothingToUndo("What it would bring back has been erased.")
        return content

    def keeps(self, operation: Recorded) -> bool:
        """Whether both versions are kept that an operation led from and to: else nobody can undo it any more."""
        versions = (operation.version_before, operation.version_after)
        return all(version is None or self.contents.get(version) in self.contents for version in versions)


class Step(NamedTuple):
    """One undoing: the change of one memory, and its line of the log."""

    change: RemoveMemory | RestoreMemory
    line: LoggedOperation


class Plan(NamedTuple):
    """What undoing does."""

    steps: tuple[Step, ...]
    skipped: tuple[int, ...]
    """Operations, from the first, whose effect stays: what their undoing needs has been erased for good."""


def why_not_undoable(operation: Recorded) -> str | None:
    """Why there is nothing to undo about an operation; None where there is."""
    versions = (operation.version_before, operation.version_after)
    if operation.verdict is not Verdict.APPLIED or operation.memory_id is None or versions == (None, None):
        return "The operation changed nothing."
    if operation.undone_by is not None:
        return f"The operation was undone by operation {operation.undone_by}."
    return None


def plan(undone: Sequence[Recorded], standings: Mapping[UUID, Standing], history: Sequence[Recorded]) -> Plan:
    """The undoing of operations, newest first; `history` is all that was applied to their memories since the first.

    Raises `NothingToUndo`, and `UndoConflict` with the later operations that would have to be undone before.
    """
    if not undone:
        raise NothingToUndo()
    planner = _Planner(standings, history)
    conflicts: set[int] = set()
    blocked: set[UUID] = set()
    why: dict[int, NothingToUndo] = {}
    for operation in sorted(undone, key=lambda one: -one.number):
        memory_id = _memory_of(operation)
        if memory_id in blocked:
            continue
        try:
            in_the_way = planner.undo(operation)
        except NothingToUndo as erased:
            why[operation.number] = erased
            continue
        if in_the_way:
            blocked.add(memory_id)
            conflicts.update(in_the_way)
    if conflicts:
        raise UndoConflict(sorted(conflicts))
    if not planner.steps:
        raise next(iter(why.values()))
    return Plan(tuple(planner.steps), tuple(sorted(why)))


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
    def __init__(self, standings: Mapping[UUID, Standing], history: Sequence[Recorded]) -> None:
        self._standings = dict(standings)
        self._contents: dict[UUID, dict[int, int]] = {}
        self._undone: set[int] = set()
        self._newest_first: dict[UUID | None, list[Recorded]] = {}
        for other in sorted(history, key=lambda one: -one.number):
            if other.is_in_force:
                self._newest_first.setdefault(other.memory_id, []).append(other)
        self.steps: list[Step] = []

    def undo(self, operation: Recorded) -> list[int]:
        """Add the step; or none, and the operations that are in the way. Raises `NothingToUndo`: it never can be."""
        memory_id = _memory_of(operation)
        standing = self._standings.get(memory_id)
        if standing is None:
            raise NothingToUndo("What it would change has been erased.")
        target, content = standing.content_of(operation.version_after), standing.content_of(operation.version_before)
        if standing.content != target:
            return self._in_the_way(operation, standing, target)
        self._undone.add(operation.number)
        if content is None:
            self._step(operation, OperationKind.DELETE, RemoveMemory(memory_id=memory_id, version=standing.version))
            self._standings[memory_id] = standing._replace(live=False)
            return []
        kind = OperationKind.UPDATE if standing.live else OperationKind.ADD
        removed = not standing.live
        change = RestoreMemory(memory_id=memory_id, version=standing.version, removed=removed, restores=content)
        self._step(operation, kind, change)
        self._restored(memory_id, standing, content)
        return []

    def _restored(self, memory_id: UUID, standing: Standing, content: int) -> None:
        # One copy of a memory's versions, however many steps it takes.
        contents = self._contents.get(memory_id)
        if contents is None:
            contents = self._contents[memory_id] = dict(standing.contents)
        contents[standing.version + 1] = content
        self._standings[memory_id] = Standing(standing.version + 1, True, contents, standing.texts)

    def _in_the_way(self, operation: Recorded, standing: Standing, target: int | None) -> list[int]:
        """Later operations in force on the same memory, without undoings of what was itself done later.

        Raises `NothingToUndo` where undoing all of them that can be undone would not be enough.
        """
        found: list[int] = []
        content = standing.content
        for other in self._newest_first.get(operation.memory_id, ()):
            is_real = other.undoes is None or other.undoes <= operation.number
            if other.number <= operation.number or other.number in self._undone or not is_real:
                continue
            if not standing.keeps(other):
                continue
            found.append(other.number)
            if standing.content_of(other.version_after) == content:
                content = standing.content_of(other.version_before)
        if content != target or not found:
            raise NothingToUndo("What it would change has been erased.")
        return found

    def _step(self, operation: Recorded, kind: OperationKind, change: RemoveMemory | RestoreMemory) -> None:
        texts = self._standings[change.memory_id].texts
        line = LoggedOperation(
            kind=kind,
            verdict=Verdict.APPLIED,
            memory_id=change.memory_id,
            version_before=None if kind is OperationKind.ADD else change.version,
            version_after=None if kind is OperationKind.DELETE else change.version + 1,
            text_before=None
            if kind is OperationKind.ADD
            else _said(operation.text_after, operation.version_after, texts),
            text_after=None
            if kind is OperationKind.DELETE
            else _said(operation.text_before, operation.version_before, texts),
            undoes=operation.number,
        )
        self.steps.append(Step(change, line))


def _memory_of(operation: Recorded) -> UUID:
    reason = why_not_undoable(operation)
    if reason is not None or operation.memory_id is None:
        raise NothingToUndo(reason)
    return operation.memory_id


def _said(text: str | None, version: int | None, texts: Mapping[int, str]) -> str | None:
    """What a version says, where the line of the log lost it too."""
    return texts.get(version) if text is None and version is not None else text
