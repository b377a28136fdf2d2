"""The Memory Manager over stretches of a conversation: each decision is made on the bank that the earlier ones left.

The environment of LoGo-GRPO for the manager; the extractor's facts are given, so that the manager alone differs.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from uuid import UUID

from app.core import scoring
from app.core.ports import Embedder
from app.core.values import Fact, Turn
from training import rewards, tasks
from training.banks import TrainingBank
from training.config import Logo
from training.data.conversation import Conversation, Question
from training.engine import Reward, Row, UnfitConfiguration
from training.episode import FrozenAnswerer, ManagerEpisode, Rules, decided, known, manager_episode, manager_episodes
from training.policies import Extractor, KnownFacts, Manager
from training.rewards import RewardConfig, Term
from training.simulator.values import SimulatedConversation


@dataclass(frozen=True)
class Told:
    """A conversation with the facts of its turns, and a bank to begin with at each turn that holds some."""

    conversation: Conversation
    facts: dict[UUID, tuple[Fact, ...]]
    before: tuple[tuple[int, TrainingBank], ...]
    """For each turn that holds facts: its place among all turns, and the bank of a keeper once it was heard."""


async def told(
    conversation: Conversation, reader: Extractor, keeper: Manager, embedder: Embedder, rules: Rules
) -> Told:
    """A conversation read once; `keeper` makes the banks that stretches in its midst begin with."""
    facts, before = {}, []
    async for episode in manager_episodes(conversation, reader, keeper, embedder, rules):
        facts[episode.turn.id] = episode.facts
        before.append((len(episode.heard) - 1, episode.bank))
    return Told(conversation, facts, tuple(before))


async def told_by_the_simulator(conversation: SimulatedConversation, embedder: Embedder, rules: Rules) -> Told:
    """With the right facts, and the banks of a manager that makes no mistake."""
    whole = conversation.conversation(every_time=True)
    return await told(whole, KnownFacts.of(conversation), known(conversation)[1], embedder, rules)


@dataclass(frozen=True)
class Stretch:
    """What all trajectories of a group share: where they end, and what they are asked."""

    told: Told
    end: int
    """The place of the first turn after it."""
    draw: int


@dataclass(frozen=True)
class ManagerPosition:
    """Before a decision of a trajectory, or at its end."""

    stretch: Stretch
    bank: TrainingBank
    heard: tuple[Turn, ...]
    episode: ManagerEpisode | None
    """The decision to be made; None at the end."""
    row: Row | None
    decided: tuple[UUID, ...] = ()
    """The turns that were decided on."""
    validity: tuple[float, ...] = ()
    """Of each of these decisions."""

    @property
    def scored_alone(self) -> bool:
        """Whether questions hang on the turn."""
        return self.episode is not None and bool(self.episode.questions)


class ManagerTrajectories:
    """Stretches of conversations to decide on, scored by what a frozen Answer Agent answers from the bank.

    After decisions made again it is asked what hangs on their turns. At the end of a stretch it is asked what hangs on
    the turns of the stretch, and at most as much of what could be answered before: nothing may be lost of that.
    Raises `UnfitConfiguration` for a term of the reward that diverged banks do not have.
    """

    def __init__(
        self,
        conversations: Sequence[Told],
        agent: FrozenAnswerer,
        embedder: Embedder,
        rules: Rules,
        reward: RewardConfig,
        logo: Logo,
    ) -> None:
        if foreign := [term.value for term in reward.weights if term not in TERMS]:
            raise UnfitConfiguration(f"a trajectory has no {', '.join(foreign)}")
        self._told = [one for one in conversations if one.before]
        self._agent, self._embedder, self._rules = agent, embedder, rules
        self._reward, self._logo = reward, logo

    @property
    def starts(self) -> Sequence[str]:
        return [one.conversation.id for one in self._told]

    async def start(self, place: int, decisions: int, draw: int) -> ManagerPosition:
        """A stretch of so many turns that hold facts, by chance among those that follow one another."""
        told = self._told[place]
        stretches = range(0, len(told.before), decisions)
        first = random.Random(draw).choice(stretches)
        end = (
            told.before[first + decisions][0] if first + decisions < len(told.before) else len(told.conversation.turns)
        )
        turn, bank = told.before[first]
        return await self._position(Stretch(told, end, draw), bank.copy(), told.conversation.turns[: turn + 1])

    async def decide(self, position: ManagerPosition, completion: str) -> ManagerPosition:
        assert position.episode is not None
        done = await decided(position.episode, completion, self._embedder)
        turns, heard = position.stretch.told.conversation.turns, len(position.heard)
        following = [n for n in range(heard, position.stretch.end) if turns[n].id in position.stretch.told.facts]
        upto = following[0] + 1 if following else position.stretch.end
        done.bank.add_turns(turns[heard:upto])
        after = await self._position(position.stretch, done.bank, turns[:upto], at_end=not following)
        return replace(
            after,
            decided=(*position.decided, position.episode.turn.id),
            validity=(*position.validity, rewards.plan_validity(done.plan)),
        )

    async def reward_at_end(self, position: ManagerPosition) -> Reward | None:
        most, draw = self._logo.questions, position.stretch.draw
        hanging, others = about(position.decided, answerable(position))
        asked = self._drawn(hanging, most, draw)
        asked += self._drawn(others, min(len(asked) or most, most - len(asked)), draw)
        return await self._scored(position, asked, position.validity)

    async def local_reward(self, before: ManagerPosition, after: ManagerPosition) -> Reward | None:
        hanging, _ = about(after.decided[len(before.decided) :], answerable(after))
        asked = self._drawn(hanging, self._logo.inner_questions, before.stretch.draw)
        return await self._scored(after, asked, after.validity[len(before.validity) :])

    async def _position(
        self, stretch: Stretch, bank: TrainingBank, heard: tuple[Turn, ...], *, at_end: bool = False
    ) -> ManagerPosition:
        bare = ManagerPosition(stretch, bank, heard, None, None)
        if at_end:
            return bare
        turn = heard[-1]
        asked = [question for question in answerable(bare) if turn.id in question.evidence]
        episode = await manager_episode(
            stretch.told.conversation.id, bank, stretch.told.facts[turn.id], heard, asked, self._embedder, self._rules
        )
        return replace(bare, episode=episode, row=tasks.row(episode.id, episode, None))

    def _drawn(self, questions: Sequence[Question], most: int, draw: int) -> list[Question]:
        """The same for all that are compared: by the draw, and by nothing that a decision changes."""
        return random.Random(draw).sample(questions, min(most, len(questions)))

    async def _scored(
        self, position: ManagerPosition, asked: Sequence[Question], validity: Sequence[float]
    ) -> Reward | None:
        """None where nothing can be asked, or the Answer Agent failed."""
        if not asked:
            return None
        answers = [await self._agent.answer(position.bank, question) for question in asked]
        texts = [memory.text for memory in await position.bank.memories()]
        known = {
            Term.EXACT_MATCH: rewards.answers_score(scoring.exact_match, asked, answers),
            Term.TOKEN_F1: rewards.answers_score(scoring.mem0_f1, asked, answers),
            Term.VALIDITY: fmean(validity),
            Term.BANK_GROWTH: rewards.bank_growth(texts, [turn.text for turn in position.heard]),
        }
        made = rewards.composed({term: known[term] for term in self._reward.weights}, self._reward)
        if made.value is None:
            return None
        return Reward(made.value, {term.value: value for term, value in made.terms.items() if value is not None})


TERMS = frozenset({Term.EXACT_MATCH, Term.TOKEN_F1, Term.VALIDITY, Term.BANK_GROWTH})
"""What the reward of a stretch may be made of: its questions ask of the whole bank, what was told before included."""


def about(turns: Sequence[UUID], questions: Sequence[Question]) -> tuple[list[Question], list[Question]]:
    """The questions that have one of the turns among their evidence, and the others."""
    hang = [not set(turns).isdisjoint(question.evidence) for question in questions]
    pairs = list(zip(questions, hang, strict=True))
    return [question for question, here in pairs if here], [question for question, here in pairs if not here]


def answerable(position: ManagerPosition) -> list[Question]:
    """The questions whose answers are right now, and whose evidence was heard, if they have any."""
    heard = {turn.id for turn in position.heard}
    questions = position.stretch.told.conversation.questions
    return [q for q in questions if q.holds_after(len(heard)) and heard >= set(q.evidence)]
