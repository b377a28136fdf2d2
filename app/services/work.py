"""Working on a turn: extract, recall, decide, apply. No transaction is open while a model is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import errors, retrieval
from app.core.agents import manager, run
from app.core.agents.extractor import Extraction
from app.core.agents.manager import Decision
from app.core.changes import AddMemory, Changes, LoggedOperation, ReviseMemory, plan
from app.core.trace import Outcome, Trace
from app.core.values import Embedded, Memory, Role
from app.db import lanes, oplog, queries
from app.db.lanes import InboxItem, LeaseLost
from app.db.oplog import Origin
from app.db.queries import BankKey
from app.llm.embedding import embed_memories, query_of
from app.services import events
from app.services.service import Service
from app.services.traces import write_trace


async def extract(service: Service, key: BankKey, item: InboxItem) -> Extraction:
    """The facts of a turn, kept so that a later try finds them. Raises a `ModelError`."""
    if item.extraction is not None:
        return Extraction.model_validate(item.extraction)
    options = service.settings.extractor
    extraction, trace = await run.extract(item.turn, item.before, service.completers[Role.EXTRACTOR], options)
    if extraction.outcome is Outcome.MALFORMED:
        raise errors.BrokenReply("The extractor's reply does not follow its schema.")
    read = _read(item)
    async with service.sessions.begin(key.tenant_id) as session:
        # The bank first, as everywhere: who erases it waits for this one, and not each for the other.
        await lanes.keep_bank(session, key)
        if not await queries.have_turns(session, key, read):
            # Erased while they were read: what was made of them is dropped, and the bank looked at anew.
            raise LeaseLost
        await lanes.keep_extraction(session, key, item.position, extraction.model_dump(mode="json"))
        await write_trace(session, service, key, trace, turn_id=item.turn.id, turn_ids=read, memory_ids=[])
    return extraction


async def decide_and_apply(
    service: Service, key: BankKey, item: InboxItem, extraction: Extraction, owner: UUID
) -> None:
    """Decide on a turn's facts and apply that; plans again once where a memory changed meanwhile.

    Raises a `ModelError`, `StaleMemory`, or `LeaseLost`.
    """
    if not extraction.facts:
        await _finish(service, key, item, owner, None)
        return
    known: dict[str, Embedded] = {}
    try:
        await _revise(service, key, item, extraction, owner, known)
    except errors.StaleMemory:
        await _revise(service, key, item, extraction, owner, known)


async def _revise(
    service: Service, key: BankKey, item: InboxItem, extraction: Extraction, owner: UUID, known: dict[str, Embedded]
) -> None:
    options = service.settings.manager
    texts = [fact.text for fact in extraction.facts]
    await _embed(service, texts, known)
    use_lexical = service.settings.retrieval.lexical
    asked = [query_of(text, known[text].dense, use_lexical=use_lexical) for text in texts]
    related = await retrieval.related(service.bank(key), asked, options.related, item.turn.speaker)
    shown = manager.shown(related, options)
    decision, trace = await run.decide(extraction.facts, shown, item.turn, service.completers[Role.MANAGER], options)
    if decision.outcome is Outcome.MALFORMED:
        raise errors.BrokenReply("The manager's reply does not follow its schema.")
    planned = plan(decision.operations, extraction.facts, shown, item.turn, uuid4)
    embedded = await _embed(service, planned.changes.texts, known)
    changes = planned.changes.with_embedded(embedded)
    await _finish(service, key, item, owner, _Decided(changes, planned.log, decision, shown, trace))


class _Decided(NamedTuple):
    changes: Changes
    log: Sequence[LoggedOperation]
    decision: Decision
    shown: Sequence[Memory]
    trace: Trace


async def _finish(service: Service, key: BankKey, item: InboxItem, owner: UUID, decided: _Decided | None) -> None:
    """Memories, versions, operation log and the turn's "done" in one transaction, under the bank's lease."""
    async with service.sessions.begin(key.tenant_id) as session:
        await lanes.hold(session, key, owner)
        await lanes.finish(session, key, item.position)
        if decided is not None:
            await _apply(session, service, key, item, decided)
        await events.ingestion_ended(session, key, item.ingestion_id, item.position)


async def _apply(session: AsyncSession, service: Service, key: BankKey, item: InboxItem, decided: _Decided) -> None:
    """Raises `StaleMemory` where what was decided upon was changed, or erased, meanwhile, and `LeaseLost` where a turn
    was that the facts were read from, or that the memories rest on.
    """
    changes: tuple[AddMemory | ReviseMemory, ...] = (*decided.changes.adds, *decided.changes.revisions)
    if not await queries.have_turns(session, key, {*_read(item), *(i for change in changes for i in change.sources)}):
        raise LeaseLost
    erased = await queries.missing_version(session, key, decided.shown)
    if erased is not None:
        raise errors.StaleMemory(erased)
    written = await lanes.stamp(session, key, len(decided.log))
    await queries.apply_changes(session, key, decided.changes, written.at)
    await oplog.write(
        session,
        key,
        written,
        decided.log,
        Origin.WORKER,
        ingestion_id=item.ingestion_id,
        turn_id=item.turn.id,
        reasoning=decided.decision.reasoning,
        shown=[{"id": str(memory.id), "version": memory.version} for memory in decided.shown],
        policy=decided.trace.policy,
        prompt_version=decided.trace.prompt_version,
    )
    await events.memory_changed(session, key, written, decided.log, Origin.WORKER)
    shown_ids = [memory.id for memory in decided.shown]
    # A fact may name what was said just before its turn.
    await write_trace(
        session, service, key, decided.trace, turn_id=item.turn.id, turn_ids=_read(item), memory_ids=shown_ids
    )


def _read(item: InboxItem) -> list[UUID]:
    """The turns that the extractor read: the turn itself, and those before it."""
    return [item.turn.id, *(turn.id for turn in item.before)]


async def _embed(service: Service, texts: Sequence[str], known: dict[str, Embedded]) -> list[Embedded]:
    """Index forms of texts; each distinct text is embedded once a turn."""
    missing = [text for text in dict.fromkeys(texts) if text not in known]
    if missing:
        known.update(zip(missing, await embed_memories(service.embedder, missing), strict=True))
    return [known[text] for text in texts]
