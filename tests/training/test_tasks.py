"""The three roles' lessons: what is right is read as right by the service's parsers, and earns the most."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from statistics import fmean
from typing import Any, TypeVar
from uuid import uuid4

import jsonschema_rs
import pytest

from app.core import lexical
from app.core.agents import answerer, extractor, manager
from app.core.agents.answerer import Answer, AnswererOptions
from app.core.agents.extractor import Extraction, ExtractorOptions
from app.core.agents.manager import ManagerOptions
from app.core.errors import ModelUnreachable
from app.core.operations import OperationKind
from app.core.trace import Outcome
from app.core.values import Completion, Fact, Prompt, RejectedFact, Role
from tests.fixtures.banks import make_candidates, make_turn
from tests.fixtures.doubles import HashEmbedder
from training import rewards, tasks
from training.banks import CachedEmbedder, TrainingBank
from training.data.conversation import Question
from training.engine import Row
from training.episode import AnswerEpisode, FrozenAnswerer, Rules
from training.rewards import RewardConfig, Term
from training.runs import reward_of
from training.simulator import world
from training.simulator.pools import Split

EMBEDDER = CachedEmbedder(HashEmbedder())
RULES = Rules(
    extractor=ExtractorOptions(context_turns=1, max_facts=3),
    manager=ManagerOptions(related=6, max_shown=10, reasoning=False),
    answerer=AnswererOptions(attach_sources=False),
)
CONVERSATIONS = [world.simulate(split, 5, 0) for split in Split]
T = TypeVar("T")


async def listed(items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]


class Says:
    """A model that always says one thing, or is away."""

    policy = "says"

    def __init__(self, text: str | None) -> None:
        self._text = text
        self.asked = 0

    async def complete(self, prompt: Prompt) -> Completion:
        self.asked += 1
        await asyncio.sleep(0)
        if self._text is None:
            raise ModelUnreachable("away")
        return Completion(text=self._text, policy=self.policy, seconds=0.0)


def agent(text: str | None) -> FrozenAnswerer:
    return FrozenAnswerer(Says(text), EMBEDDER, RULES.answerer)


def config(**weights: float) -> RewardConfig:
    return RewardConfig(weights={Term(name): weight for name, weight in weights.items()})


async def earned(lesson: tasks.Lesson, row: Row, reply: str | None = None) -> float:
    reward = await lesson.reward(row.target or "" if reply is None else reply, row)
    assert reward is not None
    return reward.total


async def test_the_right_operations_are_the_managers_target() -> None:
    rows = await listed(tasks.manager_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1))
    lesson = tasks.manager_lesson(rows, agent(None), EMBEDDER, config(operation_match=1.0, validity=1.0))
    for row in rows:
        one = row.columns[tasks.EPISODE]
        _check_form(one.prompt, row)
        assert manager.parse(row.target or "", len(one.facts), len(one.shown)).operations == one.right
    answered = [row for row in rows if not row.columns[tasks.EPISODE].questions]
    assert [await earned(lesson, row) for row in answered] == [2.0] * len(answered)
    assert await earned(lesson, answered[0], "ADD") == 0.0


async def test_a_share_of_the_turns_that_only_add_is_enough() -> None:
    def of_adds_alone(rows: list[Row]) -> int:
        right = [row.columns[tasks.EPISODE].right for row in rows]
        return sum(all(operation.kind is OperationKind.ADD for operation in one) for one in right)

    whole = await listed(tasks.manager_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1, adding=1.0))
    half = await listed(tasks.manager_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1, adding=0.5))
    assert all(row.columns[tasks.EPISODE].shown for row in whole)
    assert 0.3 * of_adds_alone(whole) < of_adds_alone(half) < 0.7 * of_adds_alone(whole)
    assert len(whole) - of_adds_alone(whole) == len(half) - of_adds_alone(half) > 0


async def test_a_manager_is_not_scored_where_the_frozen_agent_is_away() -> None:
    rows = await listed(tasks.manager_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1))
    asked = next(row for row in rows if row.columns[tasks.EPISODE].questions)
    answer = asked.columns[tasks.EPISODE].questions[0].answer
    there = tasks.manager_lesson(rows, agent(f'{{"memories":[],"answer":"{answer}"}}'), EMBEDDER, config(token_f1=1.0))
    away = tasks.manager_lesson(rows, agent(None), EMBEDDER, config(token_f1=1.0))
    assert await earned(there, asked) > 0
    assert await away.reward(asked.target or "", asked) is None


class Reading(FrozenAnswerer):
    """Knows what stands in the bank, and nothing else."""

    async def answer(self, bank: TrainingBank, question: Question) -> Answer:
        found = any(question.answer in memory.text for memory in await bank.memories())
        if not question.answer or not found:
            return Answer(outcome=Outcome.ABSTAINED)
        return Answer(outcome=Outcome.ANSWERED, text=question.answer)


def said_of_each_fact(row: Row, operation: dict[str, str]) -> str:
    return json.dumps({f"f{n}": [operation] for n in range(1, len(row.columns[tasks.EPISODE].facts) + 1)})


async def test_the_right_operations_earn_more_than_what_would_be_easier() -> None:
    rows = await listed(tasks.manager_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1, adding=1))
    rows = [row for row in rows if row.columns[tasks.EPISODE].questions]
    reader = Reading(Says(None), EMBEDDER, RULES.answerer)
    lesson = tasks.manager_lesson(rows, reader, EMBEDDER, reward_of("small", Role.MANAGER, "grpo"))

    async def mean(reply: Callable[[Row], str]) -> float:
        return fmean([await earned(lesson, row, reply(row)) for row in rows])

    right = await mean(lambda row: row.target or "")
    assert right > await mean(lambda row: said_of_each_fact(row, {"op": "ADD"})) + 0.02
    assert right > await mean(lambda row: said_of_each_fact(row, {"op": "NOOP"})) + 0.2
    assert right > await mean(lambda row: said_of_each_fact(row, {"op": "DELETE", "memory": "m1"})) + 0.2

    def over_the_first(row: Row) -> str:
        return said_of_each_fact(
            row, {"op": "UPDATE", "memory": "m1", "text": row.columns[tasks.EPISODE].facts[0].text}
        )

    assert right > await mean(over_the_first) + 0.2


async def test_the_frozen_agent_is_asked_once_for_replies_that_leave_the_same_bank() -> None:
    rows = await listed(tasks.manager_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1))
    row = next(row for row in rows if row.columns[tasks.EPISODE].questions)
    said = Says('{"memories":[],"answer":null}')
    lesson = tasks.manager_lesson(rows, FrozenAnswerer(said, EMBEDDER, RULES.answerer), EMBEDDER, config(token_f1=1))
    rewards_of_group = await asyncio.gather(*(lesson.reward(row.target or "", row) for _ in range(8)))
    assert len(set(map(repr, rewards_of_group))) == 1
    assert said.asked == len(row.columns[tasks.EPISODE].questions)


async def test_a_frozen_agent_that_was_away_is_asked_again() -> None:
    rows = await listed(tasks.manager_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1))
    row = next(row for row in rows if row.columns[tasks.EPISODE].questions)
    away = Says(None)
    lesson = tasks.manager_lesson(rows, FrozenAnswerer(away, EMBEDDER, RULES.answerer), EMBEDDER, config(token_f1=1))
    for times in (1, 2):
        given = await asyncio.gather(*(lesson.reward(row.target or "", row) for _ in range(8)))
        assert given == [None] * 8
        assert away.asked == times * len(row.columns[tasks.EPISODE].questions)


async def test_without_a_target_where_reasoning_is_asked_for() -> None:
    rules = RULES.model_copy(update={"manager": ManagerOptions()})
    rows = await listed(tasks.manager_rows(CONVERSATIONS[:1], EMBEDDER, rules, seed=1))
    assert rows
    assert all(row.target is None for row in rows)


async def test_the_right_facts_are_the_extractors_target() -> None:
    rows = await listed(tasks.extractor_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1, silent=0.5))
    lesson = tasks.extractor_lesson(rows, agent(None), EMBEDDER, config(fact_match=1.0, validity=1.0))
    for row in rows:
        one = row.columns[tasks.EPISODE]
        _check_form(one.prompt, row)
        assert extractor.parse(row.target or "", one.turn, one.context).facts == one.right
        if not one.questions:
            assert await earned(lesson, row) == 2.0
    silent = [row for row in rows if not row.columns[tasks.EPISODE].right]
    turns = sum(not turn.facts for one in CONVERSATIONS for turn in one.turns)
    assert 0.3 * turns < len(silent) < 0.7 * turns
    assert await earned(lesson, silent[0], "nothing") == 0.0 + 1.0


async def test_a_fact_that_was_read_can_be_answered_from() -> None:
    rows = await listed(tasks.extractor_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1))
    row = next(row for row in rows if any(q.answer for q in row.columns[tasks.EPISODE].questions))
    question = row.columns[tasks.EPISODE].questions[0]
    answering = agent(f'{{"memories":[],"answer":"{question.answer}"}}')
    lesson = tasks.extractor_lesson(rows, answering, EMBEDDER, config(token_f1=1.0))
    assert await earned(lesson, row) > 0
    assert await tasks.extractor_lesson(rows, agent(None), EMBEDDER, config(token_f1=1.0)).reward("{}", row) is None


async def test_where_a_turn_holds_nothing_each_fact_costs_what_it_adds() -> None:
    rows = await listed(tasks.extractor_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1))
    lesson = tasks.extractor_lesson(rows, agent(None), EMBEDDER, config(token_f1=1.0, validity=0.25, turn_growth=-0.3))
    facts = 0
    for row in rows:
        episode = row.columns[tasks.EPISODE]
        if not episode.is_silent:
            continue
        assert await earned(lesson, row) == 1.0 + 0.25
        what = " ".join(episode.turn.text.split()[:4])
        said = json.dumps({"facts": [{"who": episode.turn.speaker, "what": f" {what}"}]})
        for fact in extractor.parse(said, episode.turn, episode.context).facts:
            facts += 1
            grown = len(lexical.tokens(fact.text)) / len(lexical.tokens(episode.turn.text))
            assert await earned(lesson, row, said) == pytest.approx(1.25 - 0.3 * min(1.0, grown))
    assert facts > 5


async def test_the_gold_answer_is_the_answerers_target() -> None:
    rows = await listed(tasks.answerer_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1))
    lesson = tasks.answerer_lesson(rows, config(exact_match=1.0, validity=1.0))
    outcomes = set()
    for row in rows:
        one = row.columns[tasks.EPISODE]
        _check_form(one.prompt, row)
        given = answerer.parse(row.target or "", len(one.candidates))
        assert (given.text or "") == one.question.answer
        chosen = {turn for n in given.distilled for turn in one.candidates[n - 1].memory.sources}
        assert given.text is None or set(one.question.evidence) <= chosen
        assert await earned(lesson, row) == 2.0
        outcomes.add(given.outcome)
    assert outcomes == {Outcome.ANSWERED, Outcome.ABSTAINED}


async def test_a_share_of_what_was_never_told_is_enough() -> None:
    async def abstained(share: float) -> list[str]:
        rows = await listed(tasks.answerer_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1, unanswerable=share))
        answered = [row.id for row in rows if row.columns[tasks.EPISODE].question.answer]
        assert answered == every_answered
        return [row.id for row in rows if row.id not in answered]

    every = await listed(tasks.answerer_rows(CONVERSATIONS, EMBEDDER, RULES, seed=1, unanswerable=1.0))
    every_answered = [row.id for row in every if row.columns[tasks.EPISODE].question.answer]
    whole = await abstained(1.0)
    assert len(whole) > 20
    assert await abstained(0.0) == []
    assert 0.2 * len(whole) < len(await abstained(0.5)) < 0.8 * len(whole)


def _check_form(prompt: Prompt, row: Row) -> None:
    assert row.prompt == prompt.messages
    assert jsonschema_rs.is_valid(dict(prompt.reply_schema), json.loads(row.target or ""))
    assert ": " not in (row.target or "").split('"text"')[0].split('"what"')[0]


def _asked(evidence: tuple[Any, ...], *texts: str) -> AnswerEpisode:
    question = Question(
        id="q", text="Where does Alice live?", answer="Oslo", category="home?current", evidence=evidence
    )
    found = [
        one.model_copy(update={"memory": one.memory.model_copy(update={"sources": evidence[:1]})})
        for one in make_candidates(*texts)
    ]
    return AnswerEpisode(question, tuple(found), answerer.render(question.text, found, {}, RULES.answerer))


def test_of_two_facts_of_one_turn_the_one_that_speaks_of_the_question_is_chosen() -> None:
    asked = _asked((uuid4(),), "Alice drives a Fiat.", "Alice lives in Oslo.")
    assert tasks.right_answer(asked, 3) == '{"memories":[2],"answer":" Oslo"}'


@pytest.mark.parametrize(("turns", "most"), [(2, 3), (1, 0)])
def test_no_reply_is_right_where_evidence_is_missing_or_too_much(turns: int, most: int) -> None:
    assert tasks.right_answer(_asked(tuple(uuid4() for _ in range(turns)), "Alice lives in Oslo."), most) is None


@pytest.mark.parametrize(
    ("facts", "right", "match"),
    [
        ([], [], 1.0),
        (["Alice sings."], [], 0.0),
        ([], ["Alice sings."], 0.0),
        (["Alice sings."], ["Alice sings."], 1.0),
        # Precision (1 + 0) / 2, recall 1: 2 * 0.5 / 1.5.
        (["Alice sings.", "Bob runs fast."], ["Alice sings."], 2 / 3),
        # Words {alice, sings} and {alice, dances}: F1 1/2 both ways.
        (["Alice sings."], ["Alice dances."], 0.5),
    ],
)
def test_how_far_facts_are_right(facts: list[str], right: list[str], match: float) -> None:
    assert rewards.fact_match(facts, right) == pytest.approx(match)


def test_how_many_facts_stand_up() -> None:
    refused = RejectedFact(text="Bob sings.", reason="no")
    half = Extraction(outcome=Outcome.FACTS, facts=(Fact(text="Alice sings."),), rejected=(refused,))
    assert rewards.extraction_validity(half) == 0.5
    assert rewards.extraction_validity(Extraction(outcome=Outcome.NOTHING)) == 1.0
    assert rewards.extraction_validity(Extraction(outcome=Outcome.MALFORMED)) == 0.0
    assert make_turn("x").text == "x"


async def test_each_row_has_the_schema_of_its_prompt() -> None:
    for made in (
        tasks.manager_rows(CONVERSATIONS[:1], EMBEDDER, RULES, seed=1),
        tasks.answerer_rows(CONVERSATIONS[:1], EMBEDDER, RULES, seed=1),
        tasks.extractor_rows(CONVERSATIONS[:1], EMBEDDER, RULES, seed=1),
    ):
        rows = await listed(made)
        assert rows
        for row in rows:
            assert row.reply_schema == row.columns[tasks.EPISODE].prompt.reply_schema
            jsonschema_rs.validate(dict(row.reply_schema or {}), json.loads(row.target or ""))
