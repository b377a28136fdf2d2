"""Episodes in the service's own terms: what is right is right in them, and a group starts from one bank."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

import pytest

from app.core import scoring
from app.core.agents import answerer, manager
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import ManagerOptions
from app.core.errors import ModelUnreachable
from app.core.operations import Operation, OperationKind
from app.core.trace import Outcome
from app.core.values import Completion, Prompt, Role
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter, question_of
from training import episode
from training.banks import CachedEmbedder
from training.data.conversation import Conversation
from training.episode import FrozenAnswerer, ManagerEpisode, Rules
from training.policies import AddEverything, KnownFacts, ModelExtractor, ModelManager
from training.simulator import world
from training.simulator.oracle import oracle_bank
from training.simulator.pools import Split
from training.simulator.values import SimulatedConversation

EMBEDDER = CachedEmbedder(HashEmbedder())
RULES = Rules()
SIMULATED = [world.simulate(split, 5, 0) for split in Split]
each = pytest.mark.parametrize("simulated", SIMULATED, ids=lambda conversation: conversation.id)
T = TypeVar("T")


async def listed(items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]


def as_reply(operations: Sequence[Operation]) -> str:
    """A manager's reply that says these operations."""
    reply: dict[str, Any] = {"reasoning": "known"}
    for one in operations:
        named = {"memory": f"m{one.memory}"} if one.memory is not None else {}
        text = {"text": one.text} if one.text else {}
        reply.setdefault(f"f{one.fact}", []).append({"op": one.kind.value} | named | text)
    return json.dumps(reply)


def reply_to(found: ManagerEpisode, kind: OperationKind) -> str:
    return as_reply([Operation(kind=kind, fact=place) for place in range(1, len(found.facts) + 1)])


@each
async def test_the_right_reply_turns_one_oracle_bank_into_the_next(simulated: SimulatedConversation) -> None:
    places = {one.turn.id: place for place, one in enumerate(simulated.turns)}
    found = await listed(episode.simulated_episodes(simulated, EMBEDDER, RULES))
    assert len(found) >= 0.95 * sum(bool(one.facts) for one in simulated.turns)
    for one in found:
        before = await one.bank.memories()
        expected = [memory.text for memory in oracle_bank(simulated, places[one.turn.id])]
        assert [memory.text for memory in before] == expected
        done = await episode.decided(one, as_reply(one.right or ()), EMBEDDER)
        assert done.plan is not None
        assert not done.plan.rejected
        after = oracle_bank(simulated, places[one.turn.id] + 1)
        assert [memory.text for memory in await done.bank.memories()] == [memory.text for memory in after]
        assert await one.bank.memories() == before


@each
async def test_a_managers_prompt_is_the_services(simulated: SimulatedConversation) -> None:
    for one in await listed(episode.simulated_episodes(simulated, EMBEDDER, RULES)):
        assert one.prompt == manager.render(one.facts, one.shown, one.turn, RULES.manager)
        assert len(one.shown) <= RULES.manager.max_shown
        assert one.heard[-1] == one.turn
        assert all(one.turn.id in question.evidence for question in one.questions)
        assert all(question.holds_after(len(one.heard)) for question in one.questions)


async def test_rollouts_of_a_group_do_not_meet() -> None:
    found = await listed(episode.simulated_episodes(SIMULATED[0], EMBEDDER, RULES))
    known = [one for one in found if {right.kind for right in one.right or ()} == {OperationKind.NOOP}]
    # Known already, in other words: it can be added, and it can be left.
    one = [one for one in known if not {f.text for f in one.facts} & {m.text for m in await one.bank.memories()}][-1]
    before = await one.bank.memories()
    added = await episode.decided(one, reply_to(one, OperationKind.ADD), EMBEDDER)
    left = await episode.decided(one, reply_to(one, OperationKind.NOOP), EMBEDDER)
    again = await episode.decided(one, reply_to(one, OperationKind.ADD), EMBEDDER)
    assert len(await added.bank.memories()) > len(before)
    assert await left.bank.memories() == before
    assert await again.bank.memories() == await added.bank.memories()


async def test_a_reply_that_cannot_be_read_changes_nothing() -> None:
    one = (await listed(episode.simulated_episodes(SIMULATED[0], EMBEDDER, RULES)))[3]
    done = await episode.decided(one, "ADD it", EMBEDDER)
    assert (done.decision.outcome, done.plan) == (Outcome.MALFORMED, None)
    assert await done.bank.memories() == await one.bank.memories()


@each
async def test_the_oracle_bank_retrieves_the_evidence(simulated: SimulatedConversation) -> None:
    for upto in (len(simulated.turns) // 2, len(simulated.turns)):
        live = {turn for memory in oracle_bank(simulated, upto) for turn in memory.sources}
        for one in await listed(episode.oracle_answer_episodes(simulated, upto, EMBEDDER, RULES.answerer)):
            assert len(one.candidates) <= RULES.answerer.candidates
            assert one.prompt.role is Role.ANSWERER
            found = {turn for candidate in one.candidates for turn in candidate.memory.sources}
            assert {turn for turn in one.question.evidence if turn in live} <= found


async def test_an_answer_episode_is_asked_as_the_service_asks() -> None:
    simulated = SIMULATED[0]
    found = await listed(episode.oracle_answer_episodes(simulated, len(simulated.turns), EMBEDDER, RULES.answerer))
    turns = {one.turn.id: one.turn for one in simulated.turns}
    for one in found:
        sources = {i: turns[i] for candidate in one.candidates for i in candidate.memory.sources}
        assert one.prompt == answerer.render(one.question.text, one.candidates, sources, RULES.answerer)


class Knowing:
    """Answers each question as it should be answered."""

    def __init__(self, conversation: Conversation) -> None:
        self._gold = {question.text: question.answer or None for question in conversation.questions}
        self.calls = 0

    async def complete(self, prompt: Prompt) -> Completion:
        self.calls += 1
        question = question_of(prompt).rpartition("Question: ")[2]
        return Completion(text=json.dumps({"memories": [], "answer": self._gold[question]}), policy="gold")


class Failing:
    async def complete(self, prompt: Prompt) -> Completion:
        raise ModelUnreachable()


@each
async def test_a_conversation_played_right_ends_in_the_oracle_bank(simulated: SimulatedConversation) -> None:
    conversation = simulated.conversation()
    agent = FrozenAnswerer(Knowing(conversation), EMBEDDER, RULES.answerer)
    rules = Rules(manager=ManagerOptions(related=50, max_shown=200))
    played = await episode.play(conversation, *episode.known(simulated), agent, EMBEDDER, rules)
    assert not [line for plan in played.plans for line in plan.rejected]
    assert [m.text for m in await played.bank.memories()] == [m.text for m in oracle_bank(simulated)]
    for question in conversation.questions:
        answer = played.answers[question.id]
        assert answer is not None
        if question.is_unanswerable:
            assert answer.outcome is Outcome.ABSTAINED
        else:
            assert scoring.exact_match(answer.text or "", question.answer) == 1.0


async def test_a_failed_answer_agent_is_none_and_a_known_prompt_is_not_asked_again() -> None:
    conversation = SIMULATED[0].conversation()
    bank = (await listed(episode.simulated_episodes(SIMULATED[0], EMBEDDER, RULES)))[-1].bank
    question = conversation.questions[0]
    assert await FrozenAnswerer(Failing(), EMBEDDER, RULES.answerer).answer(bank, question) is None
    knowing = Knowing(conversation)
    agent = FrozenAnswerer(knowing, EMBEDDER, RULES.answerer)
    first = await agent.answer(bank, question)
    assert await agent.answer(bank.copy(), question) == first
    assert knowing.calls == 1


async def test_any_conversation_gives_episodes_with_a_keeper_and_linked_questions() -> None:
    simulated = SIMULATED[1]
    conversation = simulated.conversation()
    facts = KnownFacts.of(simulated)
    found = await listed(episode.manager_episodes(conversation, facts, AddEverything(), EMBEDDER, RULES))
    assert len(found) == sum(bool(one.facts) for one in simulated.turns)
    assert all(one.right is None for one in found)
    told = sum(len(one.facts) for one in simulated.turns[:-1])
    assert len(await found[-1].bank.memories()) <= told
    assert {question.id for one in found for question in one.questions} == {
        question.id for question in conversation.questions if question.evidence
    }


async def test_models_can_extract_and_keep() -> None:
    completer = ScriptedCompleter()
    conversation = SIMULATED[2].conversation().model_copy(update={"turns": SIMULATED[2].conversation().turns[:8]})
    extractor = ModelExtractor(completer, ExtractorOptions())
    keeper = ModelManager(completer, ManagerOptions())
    agent = FrozenAnswerer(completer, EMBEDDER, RULES.answerer)
    played = await episode.play(conversation, extractor, keeper, agent, EMBEDDER, RULES)
    assert completer.calls(Role.EXTRACTOR) == 8
    assert completer.calls(Role.MANAGER) == len(played.plans) > 0
    assert len(await played.bank.memories()) > 0
    assert set(played.answers) == {question.id for question in conversation.questions}
