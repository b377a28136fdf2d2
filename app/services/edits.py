"""What clients write themselves: a memory added, revised or removed, logged and undone like what the manager does."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.changes import AddMemory, Changes, LoggedOperation, RemoveMemory, ReviseMemory, Verdict
from app.core.errors import PreconditionFailed, UnknownMemory
from app.core.operations import OperationKind
from app.core.values import Embedded, Memory, Value
from app.db import lanes, oplog, queries
from app.db.oplog import Origin
from app.db.queries import BankKey
from app.llm.embedding import embed_memories
from app.services import events
from app.services.once import Once
from app.services.service import Service


class Edited(Value):
    """What a client's write came to."""

    memory: Memory
    """As it stands; where it was removed, as it last stood."""
    operation: int
    """The number of the operation, by which it can be undone."""


class Edit:
    """One write of a client to a bank, under its Idempotency-Key and in the name of its API key."""

    def __init__(self, service: Service, key: BankKey, once: Once | None = None, key_id: UUID | None = None) -> None:
        self._service, self._key, self._key_id = service, key, key_id
        self._once = once or Once()

    async def add(self, text: str, speaker: str, said_at: datetime | None = None) -> Edited:
        """A new memory, which comes from no turn. Raises a `ModelError`, `UnknownBank`, `IdempotencyConflict`."""
        if (earlier := await self._look()) is not None:
            return earlier
        said = _one_line(text)
        memory = AddMemory(
            memory_id=uuid4(),
            text=said,
            speaker=speaker,
            said_at=said_at or datetime.now(UTC),
            sources=(),
            embedded=await self._embed(said),
        )
        line = LoggedOperation(
            kind=OperationKind.ADD,
            verdict=Verdict.APPLIED,
            memory_id=memory.memory_id,
            version_after=1,
            text_after=said,
        )
        async with self._service.sessions.begin(self._key.tenant_id) as session:
            if (earlier := await self._claim(session)) is not None:
                return earlier
            await lanes.lock(session, self._key)
            return await self._write(session, Changes(adds=(memory,)), line)

    async def revise(
        self, memory_id: UUID, text: str | None, said_at: datetime | None, expected: Collection[int] | None = None
    ) -> Edited:
        """Another text or time for the newest version of a live memory, which keeps its turns.

        Raises a `ModelError`, `UnknownMemory`, `IdempotencyConflict`, and `PreconditionFailed` where the memory is at
        none of the expected versions.
        """
        if (earlier := await self._look()) is not None:
            return earlier
        said = _one_line(text) if text is not None else None
        forms = await self._embed(said) if said is not None else None
        async with self._service.sessions.begin(self._key.tenant_id) as session:
            if (earlier := await self._claim(session)) is not None:
                return earlier
            head = await self._lock(session, memory_id, expected)
            revised = ReviseMemory(
                memory_id=head.id,
                version=head.version,
                text=head.text if said is None else said,
                said_at=said_at or head.said_at,
                sources=head.sources,
                # With its text as it was, it keeps its vectors to the last bit.
                embedded=forms or await queries.forms_of(session, self._key, memory_id),
            )
            if (revised.text, revised.said_at) == (head.text, head.said_at):
                line = _line_of(head, OperationKind.UPDATE, Verdict.UNCHANGED, head.text)
                return await self._write(session, Changes(), line, head)
            line = _line_of(head, OperationKind.UPDATE, Verdict.APPLIED, revised.text)
            return await self._write(session, Changes(revisions=(revised,)), line, head)

    async def remove(self, memory_id: UUID, expected: Collection[int] | None = None) -> Edited:
        """A live memory is forgotten; its versions stay. Raises as `revise` does, and no `ModelError`."""
        async with self._service.sessions.begin(self._key.tenant_id) as session:
            if (earlier := await self._claim(session)) is not None:
                return earlier
            head = await self._lock(session, memory_id, expected)
            removal = RemoveMemory(memory_id=head.id, version=head.version)
            line = _line_of(head, OperationKind.DELETE, Verdict.APPLIED, None)
            return await self._write(session, Changes(removals=(removal,)), line, head)

    async def _look(self) -> Edited | None:
        body = await self._once.look(self._service.sessions, self._key.tenant_id)
        return None if body is None else Edited.model_validate_json(json.dumps(body))

    async def _claim(self, session: AsyncSession) -> Edited | None:
        body = await self._once.claim(session, self._key.tenant_id)
        return None if body is None else Edited.model_validate_json(json.dumps(body))

    async def _embed(self, text: str) -> Embedded:
        (forms,) = await embed_memories(self._service.embedder, [text])
        return forms

    async def _lock(self, session: AsyncSession, memory_id: UUID, expected: Collection[int] | None) -> Memory:
        """The memory in its newest version, which stays the newest until the transaction ends."""
        await lanes.lock(session, self._key)
        found = await queries.memories_by_id(session, self._key, [memory_id])
        if memory_id not in found:
            raise UnknownMemory(memory_id)
        if expected is not None and found[memory_id].version not in expected:
            raise PreconditionFailed()
        return found[memory_id]

    async def _write(
        self, session: AsyncSession, changes: Changes, line: LoggedOperation, head: Memory | None = None
    ) -> Edited:
        written = await lanes.stamp(session, self._key, 1)
        after = [*await queries.apply_changes(session, self._key, changes, written.at), *([head] if head else [])]
        await oplog.write(session, self._key, written, [line], Origin.CLIENT, key_id=self._key_id)
        await events.memory_changed(session, self._key, written, [line], Origin.CLIENT)
        edited = Edited(memory=after[0], operation=written.first)
        await self._once.keep(session, self._key.tenant_id, edited, self._key, holds_text=True)
        return edited


def _line_of(head: Memory, kind: OperationKind, verdict: Verdict, text: str | None) -> LoggedOperation:
    is_new = verdict is Verdict.APPLIED and text is not None
    return LoggedOperation(
        kind=kind,
        verdict=verdict,
        memory_id=head.id,
        version_before=head.version,
        version_after=head.version + 1 if is_new else None,
        text_before=head.text,
        text_after=text,
    )


def _one_line(text: str) -> str:
    """As the manager's texts are kept: one line, single spaces."""
    return " ".join(text.split())
