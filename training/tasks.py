"""What each role learns: its prompts, the right replies where they are known, and the reward of a reply.

The right replies have the form that the service's constrained sampling gives: no white space between tokens of JSON,
and a space before the words of a text, since most words of a vocabulary begin with one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from app.core import lexical
from app.core.agents import answerer, extractor
from app.core.changes import plan
from app.core.operations import Operation, OperationKind
from app.core.ports import Embedder
from training import rewards
from training.banks import with_embeddings
from training.engine import Reward, Row
from training.episode import (
    AnswerEpisode,
    ExtractorEpisode,
    FrozenAnswerer,
    ManagerEpisode,
    Rules,
    decided,
    ids_of,
    oracle_answer_episodes,
    simulated_episodes,
    simulated_extractions,
)
from training.policies import AddEverything
from training.rewards import RewardConfig
from training.simulator.values import SimulatedConversation, SimulatedTurn

EPISODE = "episode"
ADDING = 0.4
"""The share that is kept of the turns on which the manager is right to do nothing but ADD."""
UNANSWERABLE = 0.25
"""The share that is kept of the questions about what was never told."""


@dataclass(frozen=True)
class Lesson:
    """A role's rows, and how a reply to one of them is scored."""

    rows: Sequence[Row]
    score: Callable[[str, Row], Awaitable[rewards.Reward]]

    async def reward(self, completion: str, row: Row) -> Reward | None:
        """None where the frozen Answer Agent failed."""
        scored = await self.score(completion, row)
        terms = {term.value: value for term, value in scored.terms.items() if value is not None}
        return None if scored.value is None else Reward(scored.value, terms)


def row(name: str, episode: ManagerEpisode | AnswerEpisode | ExtractorEpisode, target: str | None) -> Row:
    """An episode as a row."""
    prompt = episode.prompt
    return Row(name, prompt.messages, target, {EPISODE: episode}, prompt.reply_schema)


# The manager


async def manager_rows(
    conversations: Iterable[SimulatedConversation], embedder: Embedder, rules: Rules, seed: int, adding: float = ADDING
) -> AsyncIterator[Row]:
    """A row for each turn that holds facts, on the oracle bank, with the right operations as its target.

    Turns whose facts are all to be added are most of a dialogue; a share of them is enough. Where no memory is shown,
    nothing but ADD can be said and nothing is learned.
    """
    for conversation in conversations:
        chance = Random(f"{seed}/{conversation.id}")
        async for episode in simulated_episodes(conversation, embedder, rules):
            only_adds = all(one.kind is OperationKind.ADD for one in episode.right or ())
            if episode.shown and (not only_adds or chance.random() < adding):
                yield manager_row(episode, rules)


def manager_row(episode: ManagerEpisode, rules: Rules) -> Row:
    """The episode as a row; it has a target where the right operations are known."""
    target = None
    if episode.right is not None and not rules.manager.reasoning:
        target = manager_reply(episode.right, len(episode.facts))
    return row(episode.id, episode, target)


def manager_reply(operations: Sequence[Operation], facts: int) -> str:
    """Operations as the manager says them, without reasoning."""
    decisions = {
        f"f{number}": [_said(operation) for operation in operations if operation.fact == number]
        for number in range(1, facts + 1)
    }
    return _json(decisions)


def _said(operation: Operation) -> dict[str, str]:
    said = {"op": operation.kind.value}
    if operation.kind in (OperationKind.UPDATE, OperationKind.DELETE):
        said["memory"] = f"m{operation.memory}"
    if operation.kind is OperationKind.UPDATE:
        said["text"] = f" {operation.text}"
    return said


def manager_lesson(rows: Sequence[Row], agent: FrozenAnswerer, embedder: Embedder, config: RewardConfig) -> Lesson:
    """Scored by what the frozen agent answers from the bank that a decision leaves."""

    async def score(reply: str, row: Row) -> rewards.Reward:
        episode: ManagerEpisode = row.columns[EPISODE]
        made = await decided(episode, reply, embedder)
        answers = [await agent.answer(made.bank, question) for question in episode.questions]
        at_stake = episode.at_stake if rewards.Term.KEPT in config.weights else ()
        kept = [await agent.answer(made.bank, question) for question in at_stake]
        return await rewards.manager_reward(episode, made, answers, config, kept)

    return Lesson(rows, score)


# The Answer Agent


async def answerer_rows(
    conversations: Iterable[SimulatedConversation],
    embedder: Embedder,
    rules: Rules,
    seed: int,
    times: int = 3,
    unanswerable: float = 0.5,
) -> AsyncIterator[Row]:
    """A row for each question that holds at one of some times drawn by chance, on the oracle bank of that time.

    A question whose evidence was not found is left out: no reply to it would be right. Of what was never told, a share
    is enough: some questions are asked more often before they can be answered than afterwards, and abstaining would
    be learned for their wording.
    """
    for conversation in conversations:
        chance = Random(f"{seed}/{conversation.id}")
        for upto in sorted(chance.sample(range(2, len(conversation.turns) + 1), times)):
            async for episode in oracle_answer_episodes(conversation, upto, embedder, rules.answerer):
                is_wanted = not episode.question.is_unanswerable or chance.random() < unanswerable
                if is_wanted and (reply := right_answer(episode, rules.answerer.max_distilled)):
                    name = f"{episode.question.id}/{upto}"
                    yield row(name, episode, reply)


def right_answer(episode: AnswerEpisode, most: int) -> str | None:
    """The right reply: the candidates that hold the evidence, and the gold answer; None where they were not found."""
    if episode.question.is_unanswerable:
        return _json({"memories": [], "answer": None})
    found = {_holder(episode, turn) for turn in episode.question.evidence}
    if not found or None in found or len(found) > most:
        return None
    return _json({"memories": sorted(one for one in found if one), "answer": f" {episode.question.answer}"})


def _holder(episode: AnswerEpisode, turn: UUID) -> int | None:
    """The candidate that came of a turn; where several facts were told in it, the one that speaks of the question."""
    asked = set(lexical.stems(f"{episode.question.text} {episode.question.answer}"))
    held = [(n, one.memory) for n, one in enumerate(episode.candidates, start=1) if turn in one.memory.sources]
    best = max(held, key=lambda pair: len(asked & set(lexical.stems(pair[1].text))), default=None)
    return best[0] if best else None


def answerer_lesson(rows: Sequence[Row], config: RewardConfig) -> Lesson:
    """Scored by the gold answer."""

    async def score(reply: str, row: Row) -> rewards.Reward:
        episode: AnswerEpisode = row.columns[EPISODE]
        given = answerer.parse(reply, len(episode.candidates))
        return rewards.answerer_reward(episode, given, config)

    return Lesson(rows, score)


# The extractor


async def extractor_rows(
    conversations: Iterable[SimulatedConversation], embedder: Embedder, rules: Rules, seed: int, silent: float = 0.5
) -> AsyncIterator[Row]:
    """A row for each turn that holds facts, and for a share of those that hold none, with the right facts.

    A turn that cannot be understood from the earlier turns that are shown with it is left out.
    """
    for conversation in conversations:
        chance = Random(f"{seed}/{conversation.id}")
        said = {one.turn.id: one for one in conversation.turns}
        async for episode in simulated_extractions(conversation, embedder, rules):
            reply = extractor_reply(said[episode.turn.id])
            is_wanted = episode.right or chance.random() < silent
            if is_wanted and extractor.parse(reply, episode.turn, episode.context).facts == episode.right:
                yield row(episode.id, episode, reply)


def extractor_reply(one: SimulatedTurn) -> str:
    """The facts of a turn as the extractor says them."""
    facts = [
        {"who": fact.who, "what": fact.what if fact.what.startswith("'s ") else f" {fact.what}"} for fact in one.facts
    ]
    return _json({"facts": facts})


def extractor_lesson(rows: Sequence[Row], agent: FrozenAnswerer, embedder: Embedder, config: RewardConfig) -> Lesson:
    """Scored by what the frozen agent answers once every fact that stands up to the checks was added."""

    async def score(reply: str, row: Row) -> rewards.Reward:
        episode: ExtractorEpisode = row.columns[EPISODE]
        read = extractor.parse(reply, episode.turn, episode.context)
        bank = episode.bank.copy()
        operations = await AddEverything().decide(read.facts, (), episode.turn)
        made = plan(operations, read.facts, (), episode.turn, ids_of(episode.turn))
        await bank.apply(await with_embeddings(embedder, made.changes))
        answers = [await agent.answer(bank, question) for question in episode.questions]
        return await rewards.extractor_reward(episode, read, bank, answers, config)

    return Lesson(rows, score)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
