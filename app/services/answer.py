"""Answering a question from a bank, and reading an answer again with what it stands on."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol
from uuid import UUID, uuid4

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import errors, retrieval
from app.core.agents import run
from app.core.agents.answerer import Answer, AnswerListener
from app.core.trace import Outcome, Trace
from app.core.values import Candidate, Memory, Role, Turn, Usage, Value
from app.db import queries, tables
from app.db.engine import Sessions
from app.db.queries import BankKey, in_bank
from app.llm.embedding import embed_queries
from app.services import limits
from app.services.callers import Caller
from app.services.once import Once
from app.services.service import Service
from app.services.traces import write_trace


class SourceTurn(Value):
    """A turn that a memory came from."""

    id: UUID
    external_id: str | None
    speaker: str
    text: str
    said_at: datetime


class UsedMemory(Value):
    """A memory that an answer stands on, in the version that was used."""

    id: UUID
    version: int
    text: str
    speaker: str
    said_at: datetime
    sources: tuple[SourceTurn, ...]


class RankedMemory(Value):
    """A candidate of an answer."""

    id: UUID
    version: int
    text: str
    score: float
    distilled: bool
    sources: tuple[UUID, ...]
    external_ids: tuple[str, ...]
    """External ids of the source turns, where they have some."""


class Timings(Value):
    """Seconds spent on each step of an answer."""

    embedding: float
    recall: float
    model: float
    total: float


class Answered(Value):
    """An answer with everything that it stands on."""

    id: UUID
    question: str
    answer: str | None
    """None where the bank does not tell."""
    abstained: bool
    memories: tuple[UsedMemory, ...]
    """What the Answer Agent distilled from the candidates."""
    candidates: tuple[RankedMemory, ...]
    policy: str | None
    """The model that answered; null where the bank was empty and none was asked."""
    prompt_version: str | None
    usage: Usage
    timings: Timings
    created_at: datetime
    as_of: datetime | None = None
    """The moment as of which the bank was asked; null: as it stood."""
    best_guess: bool = False
    """Whether it was asked for what is most likely, where it would have abstained."""


class Told(AnswerListener, Protocol):
    """Hears what a question comes to while it is answered. No call raises anything."""

    def found(self, candidates: Sequence[Candidate], turns: Sequence[Turn]) -> None:
        """What was retrieved, with its source turns."""
        ...

    def settle(self, answered: Answered) -> None:
        """What was stored in the end, which may be what an earlier request was answered."""
        ...


async def ask(
    service: Service,
    key: BankKey,
    question: str,
    once: Once | None = None,
    caller: Caller | None = None,
    as_of: datetime | None = None,
    told: Told | None = None,
    *,
    best_guess: bool = False,
) -> Answered:
    """Answer a question, within the caller's day if given; from the bank as it was at a moment, if given; `told` hears
    of it before. For a best guess it abstains only where the bank has nothing to show.

    Raises a `ModelError`, `QuotaExceeded`, `InvalidInput` for a moment that is still to come, or `Overloaded` where too
    many questions are being answered.

    Two requests under one Idempotency-Key at once may both ask the model; both get the answer that was kept first.
    """
    once = once or Once()
    if (earlier := await once.look(service.sessions, key.tenant_id)) is not None:
        answered = Answered.model_validate_json(json.dumps(earlier))
    elif service.answering.locked():
        raise errors.Overloaded("The service answers as many questions as it can; ask again later.")
    else:
        async with service.answering, limits.counted_question(service.sessions, caller, once):
            answered = await _ask(service, key, _Asked(question, as_of, best_guess), once, told)
    if told is not None:
        told.settle(answered)
    return answered


async def read(sessions: Sessions, key: BankKey, answer_id: UUID) -> Answered:
    """An earlier answer as it was given. Raises `UnknownAnswer`."""
    answers = tables.answers
    statement = select(answers.c.body).where(in_bank(answers, key), answers.c.id == answer_id)
    async with sessions.begin(key.tenant_id) as session:
        body = await session.scalar(statement)
    if body is None:
        raise errors.UnknownAnswer(answer_id)
    return Answered.model_validate(body)


class _Asked(NamedTuple):
    question: str
    as_of: datetime | None
    best_guess: bool


async def _ask(service: Service, key: BankKey, asked: _Asked, once: Once, told: Told | None) -> Answered:
    started = time.perf_counter()
    (query,) = await embed_queries(service.embedder, [asked.question], use_lexical=service.settings.retrieval.lexical)
    embedded = time.perf_counter()
    bank = service.bank(key, asked.as_of)
    candidates = await retrieval.candidates(bank, query, service.settings.answerer.candidates)
    turns = await bank.turns([i for candidate in candidates for i in candidate.memory.sources])
    recalled = time.perf_counter()
    if told is not None:
        told.found(candidates, turns)
    answer, trace = await _complete(service, asked, candidates, turns, told)
    ended = time.perf_counter()
    answered = _answered(asked.question, answer, trace, candidates, turns).model_copy(
        update={
            "as_of": asked.as_of,
            "best_guess": asked.best_guess,
            "timings": Timings(
                embedding=embedded - started,
                recall=recalled - embedded,
                model=ended - recalled,
                total=ended - started,
            ),
        }
    )
    return await _keep(service, key, answered, trace, [candidate.memory for candidate in candidates], turns, once)


async def _complete(
    service: Service,
    asked: _Asked,
    candidates: Sequence[Candidate],
    turns: Sequence[Turn],
    told: AnswerListener | None,
) -> tuple[Answer, Trace | None]:
    """Nothing is asked of a model where there is nothing to answer from."""
    if not candidates:
        return Answer(outcome=Outcome.ABSTAINED), None
    options = service.settings.answerer
    sources = {turn.id: turn for turn in turns} if options.attach_sources else {}
    completer = service.completers[Role.ANSWERER]
    answer, trace = await run.answer(
        asked.question, candidates, sources, completer, options, told, best_guess=asked.best_guess
    )
    if answer.outcome is Outcome.MALFORMED:
        raise errors.BrokenReply("The answerer's reply does not follow its schema.")
    return answer, trace


def _answered(
    question: str, answer: Answer, trace: Trace | None, candidates: Sequence[Candidate], turns: Sequence[Turn]
) -> Answered:
    by_id = {turn.id: turn for turn in turns}
    distilled = [candidates[ordinal - 1].memory for ordinal in answer.distilled]
    chosen = {memory.id for memory in distilled}
    return Answered(
        id=uuid4(),
        question=question,
        answer=answer.text,
        abstained=answer.outcome is Outcome.ABSTAINED,
        memories=tuple(used(memory, by_id) for memory in distilled),
        candidates=tuple(ranked(candidate, chosen, by_id) for candidate in candidates),
        policy=trace.policy if trace else None,
        prompt_version=trace.prompt_version if trace else None,
        usage=trace.usage if trace else Usage(),
        timings=Timings(embedding=0, recall=0, model=0, total=0),
        created_at=datetime.now(UTC),
    )


def source_turns(memory: Memory, turns: dict[UUID, Turn]) -> tuple[SourceTurn, ...]:
    """The turns that a memory came from, as far as they exist."""
    found = [turns[i] for i in memory.sources if i in turns]
    return tuple(SourceTurn.model_validate(t.model_dump(exclude={"session", "metadata"})) for t in found)


def used(memory: Memory, turns: dict[UUID, Turn]) -> UsedMemory:
    """A memory with the turns that it came from."""
    fields = memory.model_dump(include={"id", "version", "text", "speaker", "said_at"})
    return UsedMemory(**fields, sources=source_turns(memory, turns))


def ranked(candidate: Candidate, chosen: set[UUID], turns: dict[UUID, Turn]) -> RankedMemory:
    """A candidate, and whether it is among the chosen."""
    memory = candidate.memory
    external = [turns[i].external_id for i in memory.sources if i in turns]
    return RankedMemory(
        id=memory.id,
        version=memory.version,
        text=memory.text,
        score=candidate.score,
        distilled=memory.id in chosen,
        sources=memory.sources,
        external_ids=tuple(i for i in external if i is not None),
    )


async def _keep(
    service: Service,
    key: BankKey,
    answered: Answered,
    trace: Trace | None,
    read: Sequence[Memory],
    turns: Sequence[Turn],
    once: Once,
) -> Answered:
    """Store the answer, unless another under its Idempotency-Key was first; the one that is stored.

    Raises `UnknownBank` where the bank was deleted while it was asked, `ErasedMeanwhile` where a part of it was.
    """
    holds = {"memory_ids": [memory.id for memory in read], "turn_ids": [turn.id for turn in turns]}
    row = {
        "id": answered.id,
        "body": answered.model_dump(mode="json"),
        "distilled_ids": [memory.id for memory in answered.memories],
        "created_at": answered.created_at,
    }
    try:
        async with service.sessions.begin(key.tenant_id) as session:
            if (earlier := await once.claim(session, key.tenant_id)) is not None:
                return Answered.model_validate_json(json.dumps(earlier))
            await session.execute(insert(tables.answers).values(**key._asdict(), **row, **holds))
            if not await _still_there(session, key, read, holds["turn_ids"]):
                raise errors.ErasedMeanwhile()
            if trace is not None:
                await write_trace(
                    session,
                    service,
                    key,
                    trace,
                    answer_id=answered.id,
                    turn_ids=holds["turn_ids"],
                    memory_ids=holds["memory_ids"],
                )
            await once.keep(session, key.tenant_id, answered, key, holds_text=True)
    except IntegrityError as error:
        raise errors.UnknownBank(key.bank_id) from error
    return answered


async def _still_there(session: AsyncSession, key: BankKey, read: Sequence[Memory], turn_ids: Sequence[UUID]) -> bool:
    """Whether nothing of what was read has been erased; it stays until the transaction ends."""
    return await queries.have_turns(session, key, turn_ids) and (
        await queries.missing_version(session, key, read) is None
    )
