"""The rows of a run: from the simulator, from a LoCoMo file, or from traces that a service kept."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from app.core import rendering
from app.core.operations import Operation
from app.core.ports import Embedder
from app.core.values import Fact, Memory, Role, Turn, Value
from training import tasks
from training.banks import TrainingBank
from training.data import locomo, traces
from training.data.conversation import Conversation
from training.data.files import UnreadableData
from training.data.locomo import Loaded, Part
from training.engine import Row, UnfitConfiguration
from training.episode import Rules, answer_episode, hear, manager_episodes
from training.evaluation.journal import RETRIED, NoReply, RecordingCompleter
from training.logo_task import Told, told, told_by_the_simulator
from training.policies import AddEverything, Extractor, Manager, ModelExtractor, ModelManager
from training.rewards import RewardConfig, Term
from training.run_record import DataRecord, rows_sha256
from training.simulator import storage, world
from training.simulator.pools import Split
from training.simulator.values import SimulatedConversation

Kind = Literal["simulator", "locomo", "traces"]
ADD_ALL = "add-all"
"""In place of a manager's model: each fact is added, and nothing else happens."""
NEED_QUESTIONS = (Term.EXACT_MATCH, Term.TOKEN_F1)
NO_TARGET = "the right reply is not known"
NO_QUESTION = "no question hangs on it"
LICENCES = {
    "simulator": "Apache-2.0",
    "locomo": "CC BY-NC 4.0",
    "traces": "as those who spoke have allowed",
}
Advance = Callable[[int, int], None]
"""Told of each step: how many are done, and of how many."""


class Source(Value):
    """Where rows come from."""

    kind: Kind
    split: Literal["train", "validation"] = "train"
    seed: int = 1
    conversations: int = 100
    """Of the simulator."""
    adding: float = tasks.ADDING
    """The share that is kept of the simulator's turns on which the manager is right to do nothing but ADD."""
    unanswerable: float | None = None
    """The share that is kept of the simulator's questions about what was never told; None: what suits the method."""
    file: Path | None = None
    """Of LoCoMo, of traces, or of conversations that the simulator wrote."""


@dataclass(frozen=True)
class Agents:
    """What rows are made with."""

    embedder: Embedder
    rules: Rules
    extractor: RecordingCompleter | None = None
    """Reads the facts of a LoCoMo conversation."""
    manager: RecordingCompleter | None = None
    """Makes its bank; None: each fact is added."""


@dataclass
class Built:
    """Rows with what is to be told of them."""

    rows: list[Row]
    conversations: tuple[str, ...]
    left_out: Counter[str] = field(default_factory=Counter)
    note: str = ""

    def record(self, source: Source) -> DataRecord:
        generated = source.kind == "simulator" and source.file is None
        return DataRecord(
            source=source.kind,
            split=source.split,
            seed=source.seed if generated else None,
            conversations=self.conversations,
            rows=len(self.rows),
            left_out=dict(self.left_out),
            sha256=rows_sha256(self.rows),
            licence=LICENCES[source.kind],
            note=self.note,
        )

    def keep(self, wanted: Callable[[Row], bool], why_not: str) -> None:
        """Leave out the rows that are not wanted, and count them."""
        kept = [row for row in self.rows if wanted(row)]
        if len(kept) < len(self.rows):
            self.left_out[why_not] += len(self.rows) - len(kept)
        self.rows = kept


def build(role: Role, source: Source, agents: Agents, advance: Advance) -> Built:
    """All rows of a source for a role.

    Raises `DataError`, `LocomoError`, a `ModelError` of the extractor or the manager, and `UnfitConfiguration` where
    the source does not have what the role learns from.
    """
    match source.kind:
        case "simulator":
            return asyncio.run(_simulated(role, source, agents, advance))
        case "locomo":
            return asyncio.run(_locomo(role, source, agents, advance))
        case "traces":
            return _traces(role, source, agents.rules)


def build_trajectories(source: Source, agents: Agents, advance: Advance) -> tuple[Built, list[Told]]:
    """Conversations for the manager to decide on from turn to turn; their decisions stand for rows in the record.

    Raises as `build` does.
    """
    built, found = asyncio.run(_told(source, agents, advance))
    built.rows = [
        Row(f"{one.conversation.id}/{turn.external_id}", "\n".join(fact.text for fact in one.facts[turn.id]))
        for one in found
        for turn in one.conversation.turns
        if turn.id in one.facts
    ]
    return built, found


def only_with_targets(built: Built) -> None:
    built.keep(lambda row: row.target is not None, NO_TARGET)


def only_with_questions(built: Built, reward: RewardConfig) -> None:
    """Leave out turns on which no question hangs, where the reward is made of answers.

    Those that hold nothing stay for the extractor: without them, saying more is all that it would learn.
    """
    if any(term in reward.weights for term in NEED_QUESTIONS):
        built.keep(lambda row: row.columns[tasks.EPISODE].has_reward, NO_QUESTION)


# The simulator


async def _simulated(role: Role, source: Source, agents: Agents, advance: Advance) -> Built:
    chosen = _conversations(source)
    made = _rows_of(role, _counted(chosen, advance), source, agents)
    return Built([row async for row in made], tuple(one.id for one in chosen))


def _counted(conversations: Sequence[SimulatedConversation], advance: Advance) -> Iterable[SimulatedConversation]:
    for place, conversation in enumerate(conversations, start=1):
        yield conversation
        advance(place, len(conversations))


def _conversations(source: Source) -> list[SimulatedConversation]:
    if source.file is None:
        return list(islice(world.conversations(Split(source.split), source.seed), source.conversations))
    try:
        found = list(storage.read_jsonl(source.file))
    except OSError as error:
        raise UnreadableData(source.file, error.strerror or "it cannot be read") from error
    except ValueError as error:
        raise UnreadableData(source.file, "it holds no simulated conversations") from error
    if any(one.split is Split.EXAM for one in found):
        raise UnfitConfiguration(f"{source.file} holds conversations of the exam, which is never trained on.")
    return found


def _rows_of(
    role: Role, conversations: Iterable[SimulatedConversation], source: Source, agents: Agents
) -> AsyncIterator[Row]:
    match role:
        case Role.MANAGER:
            return tasks.manager_rows(conversations, agents.embedder, agents.rules, source.seed, source.adding)
        case Role.ANSWERER:
            share = tasks.UNANSWERABLE if source.unanswerable is None else source.unanswerable
            return tasks.answerer_rows(conversations, agents.embedder, agents.rules, source.seed, unanswerable=share)
        case Role.EXTRACTOR:
            return tasks.extractor_rows(conversations, agents.embedder, agents.rules, source.seed)


# LoCoMo


async def _locomo(role: Role, source: Source, agents: Agents, advance: Advance) -> Built:
    if role is Role.EXTRACTOR:
        raise UnfitConfiguration("The right facts of LoCoMo are not known: the extractor learns from the simulator.")
    loaded = _loaded(source)
    built = Built([], tuple(one.id for one in loaded.conversations), note=loaded.note)
    reader, keeper = _given(loaded.conversations, agents, built, advance)
    of_role = _manager_rows if role is Role.MANAGER else _answerer_rows
    for conversation in loaded.conversations:
        built.rows += [row async for row in of_role(conversation, reader, keeper, agents)]
    return built


def _loaded(source: Source) -> Loaded:
    if source.file is None:
        raise UnfitConfiguration("Name the LoCoMo file with --locomo, or in MEMORY_R1_LOCOMO.")
    loaded = locomo.load(source.file, Part(source.split))
    if not loaded.conversations:
        raise UnfitConfiguration(f"{source.file} holds none of {', '.join(loaded.missing)}.")
    return loaded


def _given(
    conversations: Sequence[Conversation], agents: Agents, built: Built, advance: Advance
) -> tuple[_Reader, _Keeper]:
    if agents.extractor is None:
        raise UnfitConfiguration("Somebody must read LoCoMo's facts: name a model with --extractor.")
    turns = sum(len(one.turns) for one in conversations)
    keeper = ModelManager(agents.manager, agents.rules.manager) if agents.manager else AddEverything()
    reader = ModelExtractor(agents.extractor, agents.rules.extractor)
    return _Reader(reader, built, lambda done: advance(done, turns)), _Keeper(keeper, built)


async def _told(source: Source, agents: Agents, advance: Advance) -> tuple[Built, list[Told]]:
    if source.kind == "simulator":
        chosen = _conversations(source)
        found = [await told_by_the_simulator(one, agents.embedder, agents.rules) for one in _counted(chosen, advance)]
        return Built([], tuple(one.id for one in chosen)), found
    if source.kind == "traces":
        raise UnfitConfiguration("Nothing can be decided again on traces: choose the simulator or LoCoMo.")
    loaded = _loaded(source)
    built = Built([], tuple(one.id for one in loaded.conversations), note=loaded.note)
    reader, keeper = _given(loaded.conversations, agents, built, advance)
    return built, [await told(one, reader, keeper, agents.embedder, agents.rules) for one in loaded.conversations]


async def _manager_rows(
    conversation: Conversation, reader: Extractor, keeper: Manager, agents: Agents
) -> AsyncIterator[Row]:
    async for episode in manager_episodes(conversation, reader, keeper, agents.embedder, agents.rules):
        yield tasks.manager_row(episode, agents.rules)


async def _answerer_rows(
    conversation: Conversation, reader: Extractor, keeper: Manager, agents: Agents
) -> AsyncIterator[Row]:
    """A row for each question, on the bank of the whole conversation."""
    bank = TrainingBank()
    async for heard in hear(bank, conversation, reader, keeper, agents.embedder, agents.rules):
        if heard.error:
            raise heard.error
    options = agents.rules.answerer
    for question in conversation.questions:
        episode = await answer_episode(bank, question, agents.embedder, options)
        target = tasks.right_answer(episode, options.max_distilled)
        yield tasks.row(question.id, episode, target)


def _is_of_the_moment(error: NoReply) -> bool:
    """As in the service, a reply that cannot be used costs a turn; a server that is not there ends the run."""
    return error.failure.kind in RETRIED


@dataclass
class _Reader:
    """An extractor that tells how far it got, and counts the turns that it could not read."""

    reader: Extractor
    built: Built
    advance: Callable[[int], None]
    done: int = 0

    async def facts(self, turn: Turn, context: Sequence[Turn]) -> tuple[Fact, ...]:
        self.done += 1
        self.advance(self.done)
        try:
            return await self.reader.facts(turn, context)
        except NoReply as error:
            if _is_of_the_moment(error):
                raise
            self.built.left_out["the extractor failed"] += 1
            return ()


@dataclass
class _Keeper:
    """A manager that counts the turns that it could not decide on; their facts are added."""

    keeper: Manager
    built: Built

    async def decide(self, facts: Sequence[Fact], shown: Sequence[Memory], turn: Turn) -> tuple[Operation, ...]:
        try:
            return await self.keeper.decide(facts, shown, turn)
        except NoReply as error:
            if _is_of_the_moment(error):
                raise
            self.built.left_out["the manager of the bank failed"] += 1
            return ()


# Traces


def _traces(role: Role, source: Source, rules: Rules) -> Built:
    """What a service's policy said, to be said again."""
    if source.file is None:
        raise UnfitConfiguration("Name the file of traces with --traces.")
    found = traces.load(source.file, role)
    version = rendering.prompt_version(role.value, getattr(rules, role.value).model_dump_json())
    usable = traces.usable(found, version)
    rows = [Row(f"trace-{n}", one.trace.messages, one.trace.reply) for n, one in enumerate(usable, start=1)]
    built = Built(rows, (), note=f"prompt {version}")
    if len(usable) < len(found):
        built.left_out["the reply could not be read, or the prompt is another one"] = len(found) - len(usable)
    return built
