"""Trajectories of the manager: who is praised and blamed for what, and that rollouts are compared on equal terms."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from app.core.agents.answerer import AnswererOptions
from app.core.agents.manager import ManagerOptions
from app.core.errors import ModelUnreachable
from app.core.operations import Operation, OperationKind
from app.core.values import Completion, Fact, Prompt, Turn
from tests.fixtures.doubles import HashEmbedder, question_of
from training import config, logo, logo_task
from training.banks import CachedEmbedder
from training.config import Logo
from training.data.conversation import Conversation, Question, stable_id
from training.engine import Row, UnfitConfiguration
from training.episode import FrozenAnswerer, Rules
from training.logo import Path, Player, Reply
from training.logo_task import ManagerPosition, ManagerTrajectories, Told
from training.policies import AddEverything, KnownFacts, right_operations
from training.rewards import PRESETS, RewardConfig, Term
from training.simulator import world
from training.simulator.oracle import oracle_bank
from training.simulator.pools import Split

EMBEDDER = CachedEmbedder(HashEmbedder())
RULES = Rules(manager=ManagerOptions(related=50, max_shown=200), answerer=AnswererOptions())
EXACT = RewardConfig(weights={Term.EXACT_MATCH: 1.0})
SIMULATED = world.simulate(Split.TRAIN, 5, 0)


class Finding:
    """Answers what is right if it is written in a candidate, and abstains otherwise."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._gold = {question.text: question.answer for question in questions}
        self.asked: list[str] = []

    async def complete(self, prompt: Prompt) -> Completion:
        text, _, question = question_of(prompt).rpartition("Question: ")
        self.asked.append(question)
        gold = self._gold[question]
        found = bool(gold) and gold in text
        return Completion(text=json.dumps({"memories": [], "answer": gold if found else None}), policy="finding")


class Failing:
    async def complete(self, prompt: Prompt) -> Completion:
        raise ModelUnreachable()


def settings(**changed: Any) -> Logo:
    usual: dict[str, Any] = {"rounds": 1, "learning_rate": 1e-5, "rows": 8, "scale": "none"}
    return Logo(**usual | changed)


def two_turns() -> Conversation:
    """Four questions hang on the first turn and one on the second."""
    said = ["I moved to Oslo.", "My dog is called Rex."]
    turns = tuple(
        Turn(id=stable_id("turn", n), speaker="Ann", text=text, said_at=datetime(2024, 1, 1 + n, tzinfo=UTC))
        for n, text in enumerate(said)
    )
    asked = [*[(f"Where does Ann live, asked {n}?", "Oslo", 0) for n in range(4)], ("Who is the dog?", "Rex", 1)]
    questions = tuple(
        Question(id=text, text=text, answer=answer, category="any", evidence=(turns[turn].id,))
        for text, answer, turn in asked
    )
    return Conversation(id="two", source="test", speakers=("Ann",), turns=turns, questions=questions)


def facts_of(conversation: Conversation) -> KnownFacts:
    texts = ["Ann lives in Oslo.", "Ann has a dog called Rex."]
    return KnownFacts({turn.id: (Fact(text=text),) for turn, text in zip(conversation.turns, texts, strict=True)})


async def trajectories(conversation: Conversation, config: Logo, reward: RewardConfig = EXACT) -> ManagerTrajectories:
    told = await logo_task.told(conversation, facts_of(conversation), AddEverything(), EMBEDDER, RULES)
    agent = FrozenAnswerer(Finding(conversation.questions), EMBEDDER, RULES.answerer)
    return ManagerTrajectories([told], agent, EMBEDDER, RULES, reward, config)


UNREADABLE = "no operations"
"""A reply that keeps nothing: where one can be read, a fact whose operations are refused is added all the same."""


def says(kind: str) -> str:
    return json.dumps({"reasoning": "", "f1": [{"op": kind}]})


def played(task: ManagerTrajectories, config: Logo, replies: Sequence[str]) -> logo.Played:
    """A round in which the policy says these things, one after the other."""
    script: Iterator[str] = iter(replies)

    def sample(rows: Sequence[Row]) -> list[Reply | None]:
        return [Reply(next(script), [1], [2]) for _ in rows]

    return Player(task, config, sample, asyncio.run, 4).play([0], config.lengths[0], random.Random(0))


def test_why_whole_trajectories_are_not_enough() -> None:
    """One trajectory keeps Oslo and forgets Rex by an unreadable reply, the other forgets Oslo and keeps Rex.

    At the end the first answers four of five questions and the second one. So both decisions of the first are praised
    with 0.8 - 0.5, forgetting Rex too, and both of the second are blamed, keeping Rex too. Decided on again from one
    and the same bank, keeping Rex is worth 1, and forgetting it 0.
    """
    config = settings(trajectories=2, lengths=(2,), inner_fraction=1.0, inner_replies=2)
    task = asyncio.run(trajectories(two_turns(), config))
    keeps, forgets = says("ADD"), UNREADABLE
    first, second, again = [keeps, forgets], [forgets, keeps], [keeps, forgets, keeps, forgets]
    round_ = played(task, config, first + second + again)
    credits_ = logo.credited(round_, config)
    about_rex = {
        (credit.local, credit.decision.reply.text == keeps): credit.advantage
        for credit in credits_
        if "Rex" in credit.decision.row.prompt[-1].content  # type: ignore[union-attr]
    }
    assert about_rex == pytest.approx(
        {(False, True): -0.3, (False, False): 0.3, (True, True): 0.5, (True, False): -0.5}
    )
    # Together they say what is right.
    assert about_rex[False, True] + about_rex[True, True] > 0 > about_rex[False, False] + about_rex[True, False]
    assert [path.reward.total for path in round_.whole[0].paths if path.reward] == pytest.approx([0.8, 0.2])
    assert len(round_.local) == 2


def test_the_share_of_local_advantages_can_be_weighted() -> None:
    config = settings(trajectories=2, lengths=(2,), inner_replies=2, inner_weight=0.25)
    task = asyncio.run(trajectories(two_turns(), config))
    found = logo.credited(played(task, config, [says("ADD"), UNREADABLE] * 3), config)
    assert sorted(credit.advantage for credit in found if credit.local) == pytest.approx([-0.125, 0.125])
    kept = logo.chosen(found, 3, random.Random(1))
    assert len(kept) == 3 and all(credit in found for credit in kept)


async def stretch(task: ManagerTrajectories, decisions: int, draw: int, replies: Any) -> ManagerPosition:
    position = await task.start(0, decisions, draw)
    while position.row is not None:
        position = await task.decide(position, replies(position))
    return position


async def test_a_trajectory_of_right_decisions_ends_in_the_oracle_bank_and_earns_everything() -> None:
    turns = {one.turn.id: one for one in SIMULATED.turns}
    told = await logo_task.told_by_the_simulator(SIMULATED, EMBEDDER, RULES)
    finding = Finding(SIMULATED.questions)
    reward = RewardConfig(weights={Term.VALIDITY: 1.0, Term.BANK_GROWTH: -0.3})
    agent = FrozenAnswerer(finding, EMBEDDER, RULES.answerer)
    task = ManagerTrajectories([told], agent, EMBEDDER, RULES, reward, settings(questions=5))

    def right(position: ManagerPosition) -> str:
        assert position.episode is not None
        turn = position.episode.turn.id
        # The oracle's memories have ids of their own; what they say tells which are meant.
        ids = {memory.text: memory.id for memory in oracle_bank(SIMULATED, list(turns).index(turn))}
        shown = [memory.model_copy(update={"id": ids[memory.text]}) for memory in position.episode.shown]
        return as_reply(right_operations(turns[turn], shown))

    end = await stretch(task, 10_000, 3, right)
    assert len(end.decided) == len(told.before) == sum(bool(one.facts) for one in SIMULATED.turns)
    assert [m.text for m in await end.bank.memories()] == [m.text for m in oracle_bank(SIMULATED)]
    worth = await task.reward_at_end(end)
    assert worth is not None and worth.terms["validity"] == 1.0
    assert worth.total == pytest.approx(1.0 - 0.3 * worth.terms["bank_growth"])
    assert len(finding.asked) == 5


def as_reply(operations: Sequence[Operation]) -> str:
    reply: dict[str, Any] = {"reasoning": ""}
    for one in operations:
        named = {"memory": f"m{one.memory}"} if one.kind in (OperationKind.UPDATE, OperationKind.DELETE) else {}
        reply.setdefault(f"f{one.fact}", []).append(
            {"op": one.kind.value} | named | ({"text": one.text} if one.text else {})
        )
    return json.dumps(reply)


async def test_a_group_starts_from_one_bank_and_is_asked_the_same() -> None:
    told = await logo_task.told_by_the_simulator(SIMULATED, EMBEDDER, RULES)
    finding = Finding(SIMULATED.questions)
    agent = FrozenAnswerer(finding, EMBEDDER, RULES.answerer)
    task = ManagerTrajectories([told], agent, EMBEDDER, RULES, EXACT, settings(questions=4, inner_questions=1))
    first = [await task.start(0, 6, draw) for draw in range(12)]
    assert len({position.heard[-1].id for position in first}) > 2
    for position in first[:4]:
        before = await position.bank.memories()
        asked = []
        assert position.episode is not None
        facts = range(1, len(position.episode.facts) + 1)
        for reply in (as_reply([Operation(kind=OperationKind.ADD, fact=f) for f in facts]), UNREADABLE):
            finding.asked.clear()
            after = await task.decide(position, reply)
            await task.reward_at_end(after)
            asked.append(list(finding.asked))
            assert after.heard[: len(position.heard)] == position.heard
            assert (await task.local_reward(position, after) is not None) >= position.scored_alone
        assert asked[0] == asked[1] and len(asked[0]) <= 4
        assert await position.bank.memories() == before


async def test_what_cannot_be_read_asked_or_answered() -> None:
    conversation, reward = two_turns(), RewardConfig(weights={Term.TOKEN_F1: 1.0, Term.VALIDITY: 0.5})
    task = await trajectories(conversation, settings(), reward)
    end = await stretch(task, 2, 0, lambda position: "no operations")
    worth = await task.reward_at_end(end)
    assert worth is not None and worth.terms == {"token_f1": 0.0, "validity": 0.0}
    silent = await trajectories(conversation.model_copy(update={"questions": ()}), settings())
    start = await silent.start(0, 2, 0)
    assert not start.scored_alone
    assert await silent.reward_at_end(await stretch(silent, 2, 0, lambda position: says("ADD"))) is None
    told = await logo_task.told(conversation, facts_of(conversation), AddEverything(), EMBEDDER, RULES)
    failing = FrozenAnswerer(Failing(), EMBEDDER, RULES.answerer)
    lost = ManagerTrajectories([told], failing, EMBEDDER, RULES, EXACT, settings())
    assert await lost.reward_at_end(await stretch(lost, 2, 0, lambda position: says("ADD"))) is None
    with pytest.raises(UnfitConfiguration, match="a trajectory has no operation_match"):
        ManagerTrajectories(
            [told], failing, EMBEDDER, RULES, RewardConfig(weights={Term.OPERATION_MATCH: 1}), settings()
        )


async def test_stretches_cover_a_conversation_and_end_before_the_next() -> None:
    told = await logo_task.told_by_the_simulator(SIMULATED, EMBEDDER, RULES)
    agent = FrozenAnswerer(Finding(SIMULATED.questions), EMBEDDER, RULES.answerer)
    task = ManagerTrajectories([told, Told(two_turns(), {}, ())], agent, EMBEDDER, RULES, EXACT, settings())
    assert task.starts == [SIMULATED.id]
    places = {turn.id: n for n, turn in enumerate(told.conversation.turns)}
    seen: dict[int, int] = {}
    for draw in range(60):
        start = await task.start(0, 20, draw)
        seen[places[start.heard[-1].id]] = start.stretch.end
    begins = sorted(seen)
    assert len(begins) == -(-len(told.before) // 20)
    assert [seen[place] for place in begins] == [*begins[1:], len(told.conversation.turns)]


async def test_at_the_end_as_much_is_asked_of_before_as_of_the_stretch() -> None:
    told = await logo_task.told_by_the_simulator(SIMULATED, EMBEDDER, RULES)
    for most, expected in ((64, None), (2, 2)):
        finding = Finding(SIMULATED.questions)
        agent = FrozenAnswerer(finding, EMBEDDER, RULES.answerer)
        task = ManagerTrajectories([told], agent, EMBEDDER, RULES, EXACT, settings(questions=most))
        end = await stretch(task, 6, 5, lambda position: "nothing")
        finding.asked.clear()
        await task.reward_at_end(end)
        hanging, others = logo_task.about(end.decided, logo_task.answerable(end))
        assert hanging and len(others) > len(hanging)
        new = [text for text in finding.asked if text in {question.text for question in hanging}]
        assert len(new) == (expected or len(hanging))
        assert len(finding.asked) == (expected or 2 * len(hanging))


def test_lengths_are_a_curriculum_of_equal_shares() -> None:
    config = settings(rounds=7, lengths=(8, 16, 32))
    assert [config.length(number) for number in range(7)] == [8, 8, 8, 16, 16, 32, 32]


def test_a_reward_that_is_no_number_ends_the_run() -> None:
    config = settings(trajectories=2, lengths=(1,), inner_fraction=0.0)
    nan = RewardConfig(weights={Term.EXACT_MATCH: float("nan")})
    task = asyncio.run(trajectories(two_turns(), config, nan))
    with pytest.raises(ValueError, match="no finite number: total"):
        played(task, config, [says("ADD")] * 2)


def test_paths_that_were_never_decided_on_are_in_no_group() -> None:
    groups = [logo.Group(None, (Path(None), Path(None)))]
    assert logo.rewards_of(groups).isnan().all() and logo.mean_terms(groups) == {}


@pytest.mark.parametrize("name", ["qwen7b_lora_1gpu", "llama8b_lora_1gpu", "paper_4gpu"])
def test_the_numbers_of_memory_r2(name: str) -> None:
    found = config.load(config.CONFIGS / f"{name}.toml").logo
    assert found
    assert (found.trajectories, found.inner_replies, found.inner_fraction, found.passes) == (16, 4, 0.5, 2)
    assert (found.level, found.clip, found.kl, found.entropy) == ("turn", 0.2, 0.001, 0.001)
    assert (found.questions, found.inner_questions) == (64, 16)
    assert PRESETS["memory-r2"].weights == {Term.TOKEN_F1: 1.0, Term.BANK_GROWTH: -0.3}
