"""The systems: from a conversation to a prompt for each of its questions. All ask the service's one answer prompt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from uuid import UUID

from app.core import retrieval
from app.core.agents import answerer
from app.core.agents.answerer import AnswererOptions
from app.core.changes import Changes
from app.core.ports import Embedder
from app.core.values import Candidate, Role
from app.llm.embedding import embed_queries
from training.banks import TrainingBank, filled
from training.data.conversation import Conversation, Question
from training.engine import UnfitConfiguration
from training.episode import AnswerEpisode, HeardTurn, answer_episode, context_of, hear
from training.evaluation import turns
from training.evaluation.config import ADD_ALL, KNOWN_FACTS, EvalConfig, Kind, System
from training.evaluation.journal import NoReply, RecordingCompleter
from training.policies import AddEverything, Extractor, KnownFacts, Manager, ModelExtractor, ModelManager
from training.simulator.oracle import oracle_bank
from training.simulator.values import SimulatedConversation

T = TypeVar("T")


@dataclass(frozen=True)
class Way:
    """How far turns came on the way to the bank."""

    extracted: frozenset[UUID] = frozenset()
    """At least one fact was read out of it."""
    stored: frozenset[UUID] = frozenset()
    """A memory had it among its sources at some time."""
    kept: frozenset[UUID] = frozenset()
    """A memory has it among its sources at the end."""

    @classmethod
    def of(cls, ids: Iterable[UUID]) -> Way:
        """Turns that came all the way."""
        known = frozenset(ids)
        return cls(known, known, known)


@dataclass(frozen=True)
class Heard:
    """What the agents made of a conversation."""

    bank: TrainingBank
    turns: tuple[HeardTurn, ...]
    way: Way


@dataclass(frozen=True)
class Sitting:
    """A system before the questions of a conversation."""

    way: Way
    episodes: tuple[AnswerEpisode, ...]


@dataclass
class Workshop:
    """Prepares systems for one conversation; what several of them share is made once."""

    config: EvalConfig
    conversation: Conversation
    simulated: SimulatedConversation | None
    """What is right about it, where that is known."""
    completers: Mapping[tuple[Role, str], RecordingCompleter]
    embedder: Embedder
    _heard: dict[tuple[str, str], Heard] = field(default_factory=dict)
    _sittings: dict[tuple[object, ...], Sitting] = field(default_factory=dict)
    _bank_of_turns: TrainingBank | None = None

    async def sit(self, system: System) -> Sitting:
        """The prompts of all questions, those without an answer last. Raises a `ModelError` where embedding fails."""
        key = (system.kind, system.extractor, system.manager, system.best_guess, system.prompt_characters)
        if key not in self._sittings:
            asked = (*self.conversation.questions, *self.conversation.adversarial)
            options = options_of(system, self.config)
            if system.kind in (Kind.AGENTS, Kind.ORACLE_BANK):
                way, bank = await self._bank(system)
                found = [
                    await answer_episode(bank, question, self.embedder, options, best_guess=system.best_guess)
                    for question in asked
                ]
            else:
                way = Way() if system.kind is Kind.NO_MEMORY else Way.of(turn.id for turn in self.conversation.turns)
                candidates = await self._turns(system.kind, asked, options)
                found = [
                    _episode(*pair, options, best_guess=system.best_guess)
                    for pair in zip(asked, candidates, strict=True)
                ]
            self._sittings[key] = Sitting(way, tuple(found))
        return self._sittings[key]

    async def hear(self, extractor: str, manager: str) -> Heard:
        """The bank that two policies make of the conversation; facts are read ahead, side by side."""
        if (extractor, manager) not in self._heard:
            await self.read_ahead(extractor)
            self._heard[extractor, manager] = await self._hear(self._reader(extractor), self._keeper(manager))
        return self._heard[extractor, manager]

    async def read_ahead(self, extractor: str) -> None:
        """Have the extractor read all turns, so many at once; its failures are met again where the bank is made."""
        reader = self._reader(extractor)

        async def read(place: int) -> None:
            heard = self.conversation.turns[: place + 1]
            try:
                await reader.facts(heard[-1], context_of(heard, self.config.rules.extractor))
            except NoReply:
                return

        places = range(len(self.conversation.turns))
        await at_once([partial(read, place) for place in places], self.config.concurrency)

    async def _bank(self, system: System) -> tuple[Way, TrainingBank]:
        if system.kind is Kind.AGENTS:
            heard = await self.hear(str(system.extractor), str(system.manager))
            return heard.way, heard.bank
        right = self._right()
        bank = await filled(self.embedder, oracle_bank(right))
        bank.add_turns(self.conversation.turns)
        return _right_way(right), bank

    async def _turns(self, kind: Kind, asked: Sequence[Question], options: AnswererOptions) -> list[list[Candidate]]:
        """Turns as the candidates of each question."""
        said = self.conversation.turns
        match kind:
            case Kind.BM25:
                index = turns.Bm25(said)
                return [index.candidates(question.text, options.candidates) for question in asked]
            case Kind.DENSE | Kind.HYBRID:
                if self._bank_of_turns is None:
                    self._bank_of_turns = await turns.bank_of_turns(self.conversation, self.embedder)
                texts = [question.text for question in asked]
                wanted = await embed_queries(self.embedder, texts, use_lexical=kind is Kind.HYBRID)
                return [await retrieval.candidates(self._bank_of_turns, q, options.candidates) for q in wanted]
            case Kind.FULL_CONTEXT:
                return [turns.newest_that_fit(question.text, said, options) for question in asked]
            case Kind.ORACLE:
                return [turns.evidence(said, question.evidence) for question in asked]
            case _:
                return [[] for _ in asked]

    async def _hear(self, reader: Extractor, keeper: Manager) -> Heard:
        bank = TrainingBank()
        heard = hear(bank, self.conversation, reader, keeper, self.embedder, self.config.rules)
        done = tuple([one async for one in heard])
        changes = [one.plan.changes for one in done if one.plan]
        way = Way(
            extracted=frozenset(one.turn.id for one in done if one.facts),
            stored=frozenset(i for one in changes for i in _sources(one)),
            kept=frozenset(i for memory in await bank.memories() for i in memory.sources),
        )
        return Heard(bank, done, way)

    def _reader(self, extractor: str) -> Extractor:
        if extractor == KNOWN_FACTS:
            return KnownFacts.of(self._right())
        return ModelExtractor(self.completers[Role.EXTRACTOR, extractor], self.config.rules.extractor)

    def _keeper(self, manager: str) -> Manager:
        if manager == ADD_ALL:
            return AddEverything()
        return ModelManager(self.completers[Role.MANAGER, manager], self.config.rules.manager)

    def _right(self) -> SimulatedConversation:
        if self.simulated is None:
            raise UnfitConfiguration("Right facts and right banks are known of simulated conversations alone.")
        return self.simulated


def options_of(system: System, config: EvalConfig) -> AnswererOptions:
    """How the system's Answer Agent is asked."""
    if system.prompt_characters is None:
        return config.rules.answerer
    return config.rules.answerer.model_copy(update={"max_prompt_characters": system.prompt_characters})


def chooses(system: System) -> bool:
    """Whether the Answer Agent names the memories that matter first; without memories there is nothing to name."""
    return system.distil and system.kind is not Kind.NO_MEMORY


async def at_once(work: Iterable[Callable[[], Awaitable[T]]], concurrency: int) -> list[T]:
    """The results in order; so many run at the same time, and the first error ends all."""
    slots = asyncio.Semaphore(concurrency)

    async def one(start: Callable[[], Awaitable[T]]) -> T:
        async with slots:
            return await start()

    tasks = [asyncio.ensure_future(one(start)) for start in work]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _episode(
    question: Question, candidates: list[Candidate], options: AnswererOptions, *, best_guess: bool
) -> AnswerEpisode:
    prompt = answerer.render(question.text, candidates, {}, options, best_guess=best_guess)
    return AnswerEpisode(question, tuple(candidates), prompt)


def _sources(changes: Changes) -> set[UUID]:
    """The turns that changed or new memories come from."""
    added = {turn for add in changes.adds for turn in add.sources}
    return added | {turn for revision in changes.revisions for turn in revision.sources}


def _right_way(right: SimulatedConversation) -> Way:
    return Way(
        extracted=frozenset(one.turn.id for one in right.turns if one.facts),
        stored=frozenset(one.turn.id for one in right.turns if one.operations),
        kept=frozenset(i for memory in oracle_bank(right) for i in memory.sources),
    )
