"""Working on a turn: extract, recall, decide, apply. No transaction is open while a model is called."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import errors, retrieval
from app.core.agents import manager, run
from app.core.agents.extractor import Extraction
from app.core.changes import Plan, plan
from app.core.trace import Outcome, Trace
from app.core.values import Embedded, Role
from app.db import lanes, queries, tables
from app.db.lanes import InboxItem
from app.db.queries import BankKey
from app.llm.embedding import embed_memories, query_of
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
    async with service.sessions.begin() as session:
        await lanes.keep_extraction(session, key, item.position, extraction.model_dump(mode="json"))
        await write_trace(session, service, key, trace, turn_id=item.turn.id)
    return extraction


async def decide_and_apply(
    service: Service, key: BankKey, item: InboxItem, extraction: Extraction, owner: UUID
) -> None:
    """Decide on a turn's facts and apply that; plans again once where a memory changed meanwhile.

    Raises a `ModelError`, `StaleMemory`, or `LeaseLost`.
    """
    if not extraction.facts:
        await _finish(service, key, item, owner, None, None, [])
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
    await _finish(service, key, item, owner, planned, trace, embedded)


async def _finish(
    service: Service,
    key: BankKey,
    item: InboxItem,
    owner: UUID,
    planned: Plan | None,
    trace: Trace | None,
    embedded: Sequence[Embedded],
) -> None:
    """Memories, versions, operation log and the turn's "done" in one transaction, under the bank's lease."""
    async with service.sessions.begin() as session:
        await lanes.hold(session, key, owner)
        await lanes.finish(session, key, item.position)
        if planned is not None and trace is not None:
            await queries.apply_changes(session, key, planned.changes.with_embedded(embedded))
            await _write_operations(session, key, item, planned, trace)
            await write_trace(session, service, key, trace, turn_id=item.turn.id)


async def _write_operations(session: AsyncSession, key: BankKey, item: InboxItem, planned: Plan, trace: Trace) -> None:
    of_turn = {"ingestion_id": item.ingestion_id, "turn_id": item.turn.id}
    policy = {"policy": trace.policy, "prompt_version": trace.prompt_version}
    rows = [{**key._asdict(), **of_turn, **policy, **line.model_dump()} for line in planned.log]
    if rows:
        await session.execute(insert(tables.operations), rows)


async def _embed(service: Service, texts: Sequence[str], known: dict[str, Embedded]) -> list[Embedded]:
    """Index forms of texts; each distinct text is embedded once a turn."""
    missing = [text for text in dict.fromkeys(texts) if text not in known]
    if missing:
        known.update(zip(missing, await embed_memories(service.embedder, missing), strict=True))
    return [known[text] for text in texts]
