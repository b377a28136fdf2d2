"""Episodes: one decision of the manager, one answer, or a whole conversation, in the service's own terms.

The prompts, the parsers, the checks and the ranking are those of `app.core`; nothing here has a form of its own, so
that a policy is trained on what it will serve.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from uuid import UUID, uuid5

from app.core import retrieval
from app.core.agents import answerer, extractor, manager
from app.core.agents.answerer import Answer, AnswererOptions
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import Decision, ManagerOptions
from app.core.changes import Plan, plan
from app.core.errors import ModelError
from app.core.operations import Operation
from app.core.ports import Completer, Embedder
from app.core.trace import Outcome
from app.core.values import Candidate, Completion, Fact, Memory, Prompt, Turn, Value
from training.banks import TrainingBank, filled, queries, with_embeddings
from training.data.conversation import Conversation, Question, hanging_on
from training.policies import Extractor, KnownFacts, Manager, RightManager, right_operations
from training.simulator.oracle import oracle_bank
from training.simulator.values import SimulatedConversation, SimulatedTurn

AT_STAKE = 3
"""Questions at stake that an episode asks at most: each costs an answer for each bank that a decision may leave."""
_NAMESPACE = UUID("6d656d6f-7279-5231-8000-657069736f64")


class Rules(Value):
    """How the agents of an episode are asked."""

    extractor: ExtractorOptions = ExtractorOptions()
    manager: ManagerOptions = ManagerOptions()
    answerer: AnswererOptions = AnswererOptions()


@dataclass(frozen=True)
class ManagerEpisode:
    """One turn to decide on. The bank is the one before the turn; rollouts of a group work on copies of it."""

    id: str
    bank: TrainingBank
    turn: Turn
    facts: tuple[Fact, ...]
    shown: tuple[Memory, ...]
    prompt: Prompt
    questions: tuple[Question, ...]
    """Those that hang on the turn by their evidence, and whose answers are right after it."""
    heard: tuple[Turn, ...]
    """All turns up to this one, which is the last."""
    right: tuple[Operation, ...] | None = None
    """The right operations, where they are known."""
    at_stake: tuple[Question, ...] = ()
    """Some that the memories shown have answered before, and still should; on simulated conversations alone."""

    @property
    def has_reward(self) -> bool:
        """Whether answers tell a good decision from a bad one."""
        return bool(self.questions)


@dataclass(frozen=True)
class ExtractorEpisode:
    """One turn to read. The bank is the one before it."""

    id: str
    bank: TrainingBank
    turn: Turn
    context: tuple[Turn, ...]
    prompt: Prompt
    questions: tuple[Question, ...]
    """Those that hang on the turn by their evidence, and whose answers are right after it."""
    heard: tuple[Turn, ...]
    """All turns up to this one, which is the last."""
    right: tuple[Fact, ...]
    """The right facts."""

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to read out of the turn."""
        return not self.right and not self.questions

    @property
    def has_reward(self) -> bool:
        """Whether a reward tells good facts from bad ones: by answers, or where there should be none."""
        return bool(self.questions) or self.is_silent


@dataclass(frozen=True)
class Decided:
    """What a manager's reply made of the bank."""

    decision: Decision
    plan: Plan | None
    """None where the reply could not be read; the bank is then as it was."""
    bank: TrainingBank


@dataclass(frozen=True)
class AnswerEpisode:
    """One question with what was found for it."""

    question: Question
    candidates: tuple[Candidate, ...]
    prompt: Prompt


@dataclass(frozen=True)
class HeardTurn:
    """What became of a turn."""

    turn: Turn
    facts: tuple[Fact, ...] = ()
    plan: Plan | None = None
    """None where the turn holds no facts, or a model failed."""
    error: ModelError | None = None


@dataclass(frozen=True)
class Played:
    """A whole conversation: the bank at its end, what became of each turn, and the answers to its questions."""

    bank: TrainingBank
    plans: tuple[Plan, ...]
    answers: Mapping[str, Answer | None]
    """By question id; None where the Answer Agent failed."""


class FrozenAnswerer:
    """An Answer Agent that does not learn; the same prompt is asked once."""

    def __init__(self, completer: Completer, embedder: Embedder, options: AnswererOptions) -> None:
        self._completer, self._embedder, self._options = completer, embedder, options
        self._asked: dict[str, asyncio.Task[Completion]] = {}

    async def answer(self, bank: TrainingBank, question: Question) -> Answer | None:
        """The answer from this bank; None where the model failed, which tells nothing about the bank."""
        episode = await answer_episode(bank, question, self._embedder, self._options)
        try:
            completion = await self._ask(episode.prompt)
        except ModelError:
            return None
        return answerer.parse(completion.text, len(episode.candidates))

    async def _ask(self, prompt: Prompt) -> Completion:
        """Replies to one prompt are scored side by side, and most leave the same bank: what is under way is awaited."""
        key = "\x00".join((prompt.version, *(message.content for message in prompt.messages)))
        if key not in self._asked:
            self._asked[key] = asyncio.create_task(self._complete(key, prompt))
        return await asyncio.shield(self._asked[key])

    async def _complete(self, key: str, prompt: Prompt) -> Completion:
        try:
            return await self._completer.complete(prompt)
        except ModelError:
            del self._asked[key]
            raise


async def decided(episode: ManagerEpisode, reply: str, embedder: Embedder) -> Decided:
    """What a reply to the episode's prompt makes of a copy of its bank."""
    decision = manager.parse(reply, len(episode.facts), len(episode.shown))
    bank = episode.bank.copy()
    if decision.outcome is Outcome.MALFORMED:
        return Decided(decision, None, bank)
    made = plan(decision.operations, episode.facts, episode.shown, episode.turn, ids_of(episode.turn))
    await bank.apply(await with_embeddings(embedder, made.changes))
    return Decided(decision, made, bank)


async def answer_episode(
    bank: TrainingBank, question: Question, embedder: Embedder, options: AnswererOptions, *, best_guess: bool = False
) -> AnswerEpisode:
    """A question with up to 60 candidates, as the service finds them."""
    (query,) = await queries(embedder, [question.text])
    found = await retrieval.candidates(bank, query, options.candidates)
    wanted = [turn for candidate in found for turn in candidate.memory.sources]
    sources = await bank.turns(wanted) if options.attach_sources else []
    known_turns = {turn.id: turn for turn in sources}
    prompt = answerer.render(question.text, found, known_turns, options, best_guess=best_guess)
    return AnswerEpisode(question, tuple(found), prompt)


async def manager_episodes(
    conversation: Conversation, reader: Extractor, keeper: Manager, embedder: Embedder, rules: Rules
) -> AsyncIterator[ManagerEpisode]:
    """An episode for each turn that holds facts; `keeper` decides what the bank of the next ones is."""
    bank = TrainingBank()
    for place, turn in enumerate(conversation.turns):
        bank.add_turns([turn])
        heard = conversation.turns[: place + 1]
        facts = await reader.facts(turn, context_of(heard, rules.extractor))
        if not facts:
            continue
        shown = await _shown(bank, facts, turn, embedder, rules.manager)
        yield _episode(
            conversation.id, bank.copy(), turn, facts, shown, hanging_on(conversation, turn.id), heard, rules
        )
        operations = await keeper.decide(facts, shown, turn)
        made = plan(operations, facts, shown, turn, _new_ids(keeper, turn))
        await bank.apply(await with_embeddings(embedder, made.changes))


async def manager_episode(
    name: str,
    bank: TrainingBank,
    facts: tuple[Fact, ...],
    heard: Sequence[Turn],
    questions: Iterable[Question],
    embedder: Embedder,
    rules: Rules,
) -> ManagerEpisode:
    """The episode of the last turn heard, on any bank."""
    shown = await _shown(bank, facts, heard[-1], embedder, rules.manager)
    return _episode(name, bank, heard[-1], facts, shown, questions, heard, rules)


async def simulated_extractions(
    conversation: SimulatedConversation, embedder: Embedder, rules: Rules
) -> AsyncIterator[ExtractorEpisode]:
    """An episode for each turn, each on the oracle bank, with the right facts."""
    bank = TrainingBank()
    whole = conversation.conversation(every_time=True)
    for place, one in enumerate(conversation.turns, start=1):
        bank.add_turns([one.turn])
        context = context_of(whole.turns[:place], rules.extractor)
        yield ExtractorEpisode(
            id=f"{conversation.id}/{one.turn.external_id}",
            bank=bank.copy(),
            turn=one.turn,
            context=tuple(context),
            prompt=extractor.render(one.turn, context, rules.extractor),
            questions=tuple(q for q in hanging_on(whole, one.turn.id) if q.holds_after(place)),
            heard=whole.turns[:place],
            right=tuple(fact.fact for fact in one.facts),
        )
        await _remember(bank, conversation, one, embedder)


async def _remember(
    bank: TrainingBank, conversation: SimulatedConversation, one: SimulatedTurn, embedder: Embedder
) -> None:
    """Apply to the oracle bank what is right after a turn."""
    if not one.facts:
        return
    everything = await bank.memories()
    facts = [fact.fact for fact in one.facts]
    ids = ids_of(one.turn, RightManager(conversation).new_ids(one.turn))
    made = plan(right_operations(one, everything), facts, everything, one.turn, ids)
    await bank.apply(await with_embeddings(embedder, made.changes))


async def simulated_episodes(
    conversation: SimulatedConversation, embedder: Embedder, rules: Rules
) -> AsyncIterator[ManagerEpisode]:
    """An episode for each turn that holds facts, each on the oracle bank, with the right operations.

    A right operation whose memory was not found for its fact cannot be said; its turn is left out.
    """
    bank = TrainingBank()
    whole = conversation.conversation(every_time=True)
    for place, one in enumerate(conversation.turns, start=1):
        bank.add_turns([one.turn])
        if not one.facts:
            continue
        facts = tuple(fact.fact for fact in one.facts)
        shown = await _shown(bank, facts, one.turn, embedder, rules.manager)
        asked = [question for question in hanging_on(whole, one.turn.id) if question.holds_after(place)]
        right = right_operations(one, shown)
        if all(operation.memory != 0 for operation in right):
            heard = whole.turns[:place]
            episode = _episode(conversation.id, bank.copy(), one.turn, facts, shown, asked, heard, rules, right)
            yield replace(episode, at_stake=_at_stake(episode, whole, place))
        await _remember(bank, conversation, one, embedder)


def _at_stake(episode: ManagerEpisode, whole: Conversation, place: int) -> tuple[Question, ...]:
    """Questions that hang on a memory shown and not on the turn, drawn by chance."""
    told = {turn for memory in episode.shown for turn in memory.sources}
    found = [
        question
        for question in whole.questions
        if question.holds_after(place) and told & set(question.evidence) and episode.turn.id not in question.evidence
    ]
    return tuple(Random(episode.id).sample(found, min(AT_STAKE, len(found))))


async def oracle_answer_episodes(
    conversation: SimulatedConversation, upto: int, embedder: Embedder, options: AnswererOptions
) -> AsyncIterator[AnswerEpisode]:
    """The questions that hold once so many turns were heard, on the oracle bank of that time."""
    bank = await filled(embedder, oracle_bank(conversation, upto))
    bank.add_turns(one.turn for one in conversation.turns[:upto])
    for question in conversation.questions_after(upto):
        yield await answer_episode(bank, question, embedder, options)


async def hear(
    bank: TrainingBank,
    conversation: Conversation,
    reader: Extractor,
    keeper: Manager,
    embedder: Embedder,
    rules: Rules,
) -> AsyncIterator[HeardTurn]:
    """Hear a conversation into the bank, turn by turn; as in the service, a turn whose model failed changes nothing."""
    for place, turn in enumerate(conversation.turns):
        bank.add_turns([turn])
        facts: tuple[Fact, ...] = ()
        try:
            facts = await reader.facts(turn, context_of(conversation.turns[: place + 1], rules.extractor))
            if not facts:
                yield HeardTurn(turn)
                continue
            shown = await _shown(bank, facts, turn, embedder, rules.manager)
            operations = await keeper.decide(facts, shown, turn)
            made = plan(operations, facts, shown, turn, _new_ids(keeper, turn))
            changes = await with_embeddings(embedder, made.changes)
        except ModelError as error:
            yield HeardTurn(turn, facts, error=error)
            continue
        await bank.apply(changes)
        yield HeardTurn(turn, facts, made)


async def play(
    conversation: Conversation,
    reader: Extractor,
    keeper: Manager,
    agent: FrozenAnswerer,
    embedder: Embedder,
    rules: Rules,
) -> Played:
    """Hear a whole conversation, and ask its questions at the end."""
    bank, plans = TrainingBank(), []
    async for heard in hear(bank, conversation, reader, keeper, embedder, rules):
        if heard.error:
            raise heard.error
        if heard.plan:
            plans.append(heard.plan)
    answers = {question.id: await agent.answer(bank, question) for question in conversation.questions}
    return Played(bank, tuple(plans), answers)


def known(conversation: SimulatedConversation) -> tuple[KnownFacts, RightManager]:
    """The extractor and the manager that make no mistake on a simulated conversation."""
    return KnownFacts.of(conversation), RightManager(conversation)


def _episode(
    name: str,
    bank: TrainingBank,
    turn: Turn,
    facts: tuple[Fact, ...],
    shown: Sequence[Memory],
    questions: Iterable[Question],
    heard: Sequence[Turn],
    rules: Rules,
    right: tuple[Operation, ...] | None = None,
) -> ManagerEpisode:
    return ManagerEpisode(
        id=f"{name}/{turn.external_id or turn.id}",
        bank=bank,
        turn=turn,
        facts=facts,
        shown=tuple(shown),
        prompt=manager.render(facts, shown, turn, rules.manager),
        questions=tuple(questions),
        heard=tuple(heard),
        right=right,
    )


async def _shown(
    bank: TrainingBank, facts: Sequence[Fact], turn: Turn, embedder: Embedder, options: ManagerOptions
) -> list[Memory]:
    asked = await queries(embedder, [fact.text for fact in facts])
    return manager.shown(await retrieval.related(bank, asked, options.related, turn.speaker), options)


def context_of(heard: Sequence[Turn], options: ExtractorOptions) -> Sequence[Turn]:
    """What is shown before the last of the turns heard."""
    earlier = heard[:-1]
    return earlier[-options.context_turns :] if options.context_turns else ()


def ids_of(turn: Turn, first: Sequence[UUID] = ()) -> Callable[[], UUID]:
    """Ids for a turn's new memories, the same in every rollout; those given come first."""
    given, count = iter(first), iter(range(1_000_000))
    return lambda: next(given, None) or uuid5(_NAMESPACE, f"{turn.id}/{next(count)}")


def _new_ids(keeper: Manager, turn: Turn) -> Callable[[], UUID]:
    return ids_of(turn, keeper.new_ids(turn) if isinstance(keeper, RightManager) else ())
