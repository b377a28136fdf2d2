"""From operations to changes: the manager's decisions checked against reality, with the reason for each rejection.

Nothing that the model says can destroy what it was not told to: an operation that would drop a name or a number
without the fact speaking of a change is refused, and the fact is then kept beside what is there. Nor can it say
of a fact that it is known where no memory that was shown says it. A fact whose operations were all refused is added
as it stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.core import grounding
from app.core.operations import Operation, OperationKind
from app.core.values import Embedded, Fact, Memory, Turn, Value

MAX_MEMORY_LENGTH = 1000
"""Characters of one memory."""


class AddMemory(Value):
    memory_id: UUID
    text: str
    speaker: str
    said_at: datetime
    sources: tuple[UUID, ...]
    embedded: Embedded | None = None


class ReviseMemory(Value):
    memory_id: UUID
    version: int
    """The version that was read; the bank refuses any other."""
    text: str
    said_at: datetime
    sources: tuple[UUID, ...]
    embedded: Embedded | None = None


class RemoveMemory(Value):
    memory_id: UUID
    version: int


class RestoreMemory(Value):
    """What a memory said in an earlier version, as a new version; it brings a removed memory back."""

    memory_id: UUID
    version: int
    """The newest version that was read; the bank refuses any other."""
    removed: bool
    """Whether the memory was removed when it was read; the bank refuses it otherwise."""
    restores: int
    """The version whose content it is; that one was itself no restored one."""


def required(embedded: Embedded | None) -> Embedded:
    """The index forms of a change. Raises ValueError where it was never embedded."""
    if embedded is None:
        raise ValueError("Changes must be embedded before they are applied.")
    return embedded


class Changes(Value):
    """What is really applied, all or nothing."""

    adds: tuple[AddMemory, ...] = ()
    revisions: tuple[ReviseMemory, ...] = ()
    removals: tuple[RemoveMemory, ...] = ()
    restorations: tuple[RestoreMemory, ...] = ()

    @property
    def changed_twice(self) -> UUID | None:
        """A memory that more than one of the changes is about; a bank refuses that as stale."""
        removed, revised, restored = self.removals, self.revisions, self.restorations
        changed = [c.memory_id for c in removed] + [c.memory_id for c in revised] + [c.memory_id for c in restored]
        return next((memory_id for memory_id, times in Counter(changed).items() if times > 1), None)

    @property
    def texts(self) -> list[str]:
        """The new texts, in the order in which `with_embedded` takes their embeddings."""
        changes: tuple[AddMemory | ReviseMemory, ...] = (*self.adds, *self.revisions)
        return [change.text for change in changes]

    def with_embedded(self, embedded: Sequence[Embedded]) -> Changes:
        """The same changes with the index forms of their texts. Raises ValueError where the counts differ."""
        adds = [a.model_copy(update={"embedded": e}) for a, e in zip(self.adds, embedded, strict=False)]
        rest = embedded[len(self.adds) :]
        revisions = [r.model_copy(update={"embedded": e}) for r, e in zip(self.revisions, rest, strict=True)]
        return self.model_copy(update={"adds": tuple(adds), "revisions": tuple(revisions)})


class Verdict(StrEnum):
    """What became of an operation."""

    APPLIED = "applied"
    REJECTED = "rejected"
    UNCHANGED = "unchanged"
    """A NOOP that stands, or an operation that would change nothing."""


class LoggedOperation(Value):
    """One line of the operation log."""

    number: int | None = None
    """Its place in the bank's log, from 1 and without gaps; None until it is written."""
    kind: OperationKind
    fact: str | None = None
    """None where no fact led to it, or where it was erased."""
    verdict: Verdict
    reason: str | None = None
    fallback: bool = False
    """Added by `plan` because every operation of the fact was refused."""
    memory_id: UUID | None = None
    version_before: int | None = None
    version_after: int | None = None
    text_before: str | None = None
    text_after: str | None = None
    undoes: int | None = None
    """The number of the operation that this one undid."""
    undone_by: int | None = None
    """The number of the operation that undid this one, and was not undone itself."""


class Plan(Value):
    """The outcome of checking a decision."""

    changes: Changes
    log: tuple[LoggedOperation, ...]

    @property
    def rejected(self) -> list[LoggedOperation]:
        return [line for line in self.log if line.verdict is Verdict.REJECTED]


def plan(
    operations: Sequence[Operation],
    facts: Sequence[Fact],
    shown: Sequence[Memory],
    turn: Turn,
    new_id: Callable[[], UUID],
) -> Plan:
    """Check operations on facts against the memories that were shown; every fact ends in the log at least once."""
    return _Planner(facts, shown, turn, new_id).plan(operations)


class _Planner:
    def __init__(self, facts: Sequence[Fact], shown: Sequence[Memory], turn: Turn, new_id: Callable[[], UUID]) -> None:
        self._facts, self._shown, self._turn, self._new_id = facts, shown, turn, new_id
        self._adds: list[AddMemory] = []
        self._revisions: list[ReviseMemory] = []
        self._removals: list[RemoveMemory] = []
        self._log: list[LoggedOperation] = []
        self._touched: set[UUID] = set()
        self._left: list[Fact] = []
        """Facts that stand on what the bank says already."""

    def plan(self, operations: Sequence[Operation]) -> Plan:
        for number, fact in enumerate(self._facts, start=1):
            own = [operation for operation in operations if operation.fact == number]
            held = [self._decide(operation, fact) for operation in own]
            if not any(held):
                self._add(fact, fallback=True)
        changes = Changes(adds=tuple(self._adds), revisions=tuple(self._revisions), removals=tuple(self._removals))
        return Plan(changes=changes, log=tuple(self._log))

    def _decide(self, operation: Operation, fact: Fact) -> bool:
        """True where the bank will hold what the fact says."""
        match operation.kind:
            case OperationKind.ADD:
                return self._add(fact)
            case OperationKind.NOOP:
                return self._leave(operation, fact)
            case OperationKind.UPDATE:
                return self._update(operation, fact)
            case OperationKind.DELETE:
                return self._delete(operation, fact)

    def _add(self, fact: Fact, fallback: bool = False) -> bool:
        if self._knows(fact.text):
            self._left.append(fact)
            self._record(OperationKind.ADD, fact, Verdict.UNCHANGED, reason="already known", fallback=fallback)
            return True
        added = AddMemory(
            memory_id=self._new_id(),
            text=fact.text,
            speaker=self._turn.speaker,
            said_at=self._turn.said_at,
            sources=(self._turn.id,),
        )
        self._adds.append(added)
        self._log.append(
            LoggedOperation(
                kind=OperationKind.ADD,
                fact=fact.text,
                verdict=Verdict.APPLIED,
                fallback=fallback,
                memory_id=added.memory_id,
                version_after=1,
                text_after=added.text,
            )
        )
        return True

    def _leave(self, operation: Operation, fact: Fact) -> bool:
        covered = any(grounding.covers(text, fact.text, self._turn.speaker) for text in self._held())
        if not covered and not self._knows(fact.text):
            return self._reject(operation, fact, None, "no memory that was shown says it")
        self._left.append(fact)
        self._record(OperationKind.NOOP, fact, Verdict.UNCHANGED)
        return True

    def _knows(self, text: str) -> bool:
        """True where the bank will hold just this text when the turn is done with, as far as is decided."""
        return normalise(text) in {normalise(one) for one in self._held()}

    def _held(self) -> list[str]:
        """What the bank will say of what was shown and is new, as far as is decided."""
        untouched = [memory.text for memory in self._shown if memory.id not in self._touched]
        return [*untouched, *(add.text for add in self._adds), *(revision.text for revision in self._revisions)]

    def _update(self, operation: Operation, fact: Fact) -> bool:
        memory = self._memory(operation)
        text = " ".join((operation.text or "").split())
        reason = self._why_not_update(memory, text, fact)
        if memory is None or reason:
            return self._reject(operation, fact, memory, reason or "no such memory was shown")
        if normalise(text) == normalise(memory.text):
            self._record(OperationKind.UPDATE, fact, Verdict.UNCHANGED, "says the same", memory)
            return True
        self._touched.add(memory.id)
        self._revisions.append(
            ReviseMemory(
                memory_id=memory.id,
                version=memory.version,
                text=text,
                said_at=max(memory.said_at, self._turn.said_at),
                sources=tuple(dict.fromkeys((*memory.sources, self._turn.id))),
            )
        )
        self._record(OperationKind.UPDATE, fact, Verdict.APPLIED, memory=memory, text_after=text)
        return True

    def _delete(self, operation: Operation, fact: Fact) -> bool:
        memory = self._memory(operation)
        if memory is None:
            return self._reject(operation, fact, None, "no such memory was shown")
        if memory.id in self._touched:
            return self._reject(operation, fact, memory, "the memory was changed by this turn already")
        if not grounding.says_change(fact.text):
            return self._reject(operation, fact, memory, "the fact does not speak of a change")
        if not grounding.share_subject(fact.text, memory.text, self._turn.speaker):
            return self._reject(operation, fact, memory, "the fact speaks of something else")
        if grounding.tells_the_same_change(memory.text, fact.text):
            return self._reject(operation, fact, memory, "the memory says the same")
        self._touched.add(memory.id)
        self._removals.append(RemoveMemory(memory_id=memory.id, version=memory.version))
        self._record(OperationKind.DELETE, fact, Verdict.APPLIED, memory=memory)
        return not grounding.news(fact.text, memory.text)

    def _why_not_update(self, memory: Memory | None, text: str, fact: Fact) -> str | None:
        if memory is None:
            return "no such memory was shown"
        if memory.id in self._touched:
            return "the memory was changed by this turn already"
        if not text:
            return "the text is empty"
        if len(text) > MAX_MEMORY_LENGTH:
            return f"the text is longer than {MAX_MEMORY_LENGTH} characters"
        invented = grounding.why_merge_ungrounded(text, [memory.text, fact.text])
        if invented:
            return invented
        if lost := self._why_lossy(memory, text, fact):
            return lost
        if not grounding.takes_up(text, fact.text, memory.text):
            return "it says nothing of what is new in the fact"
        return None

    def _why_lossy(self, memory: Memory, text: str, fact: Fact) -> str | None:
        """A merge holds what is new in the fact, and drops what is old only where the fact speaks of a change to it."""
        lost = grounding.lost_by(fact.text, text)
        if any(self._would_lose(left, memory, text) for left in self._left):
            return "it would lose another fact of this turn"
        is_about_it = grounding.share_subject(f"{fact.text} {text}", memory.text, self._turn.speaker)
        if grounding.says_change(fact.text) and is_about_it:
            lost &= grounding.lost_by(fact.text, memory.text)
        else:
            lost |= grounding.lost_by(memory.text, text)
            if not lost and not grounding.keeps_most(text, memory.text):
                return "it would lose most of what the memory says"
        return f"it would lose {', '.join(sorted(lost))}" if lost else None

    def _would_lose(self, left: Fact, memory: Memory, text: str) -> bool:
        speaker = self._turn.speaker
        return grounding.covers(memory.text, left.text, speaker) and not grounding.covers(text, left.text, speaker)

    def _memory(self, operation: Operation) -> Memory | None:
        if operation.memory is None or not 1 <= operation.memory <= len(self._shown):
            return None
        return self._shown[operation.memory - 1]

    def _reject(self, operation: Operation, fact: Fact, memory: Memory | None, reason: str) -> bool:
        self._record(operation.kind, fact, Verdict.REJECTED, reason, memory, text_after=operation.text)
        return False

    def _record(
        self,
        kind: OperationKind,
        fact: Fact,
        verdict: Verdict,
        reason: str | None = None,
        memory: Memory | None = None,
        text_after: str | None = None,
        fallback: bool = False,
    ) -> None:
        applied = verdict is Verdict.APPLIED and memory is not None and kind is not OperationKind.DELETE
        self._log.append(
            LoggedOperation(
                kind=kind,
                fact=fact.text,
                verdict=verdict,
                reason=reason,
                fallback=fallback,
                memory_id=memory.id if memory else None,
                version_before=memory.version if memory else None,
                version_after=memory.version + 1 if applied and memory else None,
                text_before=memory.text if memory else None,
                text_after=text_after,
            )
        )


def normalise(text: str) -> str:
    """The form in which two texts count as the same."""
    return " ".join(text.casefold().split()).rstrip(".!")
