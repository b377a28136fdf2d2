"""The numbers of an evaluation against values worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

import training
from app.core.agents import answerer
from app.core.agents.answerer import AnswererOptions
from app.core.locomo import Category
from app.core.operations import Operation, OperationKind
from app.core.trace import Outcome
from app.core.values import Completion, Prompt, Role, Turn
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from training.config import load
from training.data.conversation import Conversation, stable_id
from training.evaluation import judging, paper, turns
from training.evaluation.answering import WithoutChoice
from training.evaluation.bootstrap import estimate
from training.evaluation.config import Kind, SimulatorData, System, Team, standard_systems
from training.evaluation.losses import Loss, lost
from training.evaluation.operations import FAILED, UNREADABLE, Tally
from training.evaluation.systems import Way
from training.measuring import Measurement, Rows, systems
from training.ports import Chosen

ADD, UPDATE, DELETE, NOOP = OperationKind
A, B, C = (stable_id("turn", name) for name in "abc")
START = datetime(2023, 5, 8, 13, tzinfo=UTC)


def said(number: int, speaker: str, text: str) -> Turn:
    return Turn(id=stable_id("said", number), speaker=speaker, text=text, said_at=START + timedelta(minutes=number))


# The bootstrap


def test_two_conversations_give_four_equally_likely_samples() -> None:
    # Drawn twice out of {1 question with 1, 3 with 0}: means 1, 1/4, 1/4 and 0.
    found = estimate([[1.0], [0.0, 0.0, 0.0]], 4000, 0)
    assert found is not None
    assert (found.mean, found.low, found.high) == (0.25, 0.0, 1.0)
    assert (found.questions, found.units, found.resampled) == (4, 2, "conversations")


def test_an_interval_leaves_out_what_is_rarer_than_its_share() -> None:
    # Of ten conversations one is right: a sample holds none with 0.9^10 = 0.349, at least four with 0.0128.
    found = estimate([[1.0], *[[0.0]] * 9], 20_000, 1)
    assert found is not None
    assert (found.mean, found.low) == (0.1, 0.0)
    assert found.high == pytest.approx(0.3)


def test_one_conversation_is_resampled_by_its_questions_and_says_so() -> None:
    found = estimate([[], [1.0, 0.0], []], 4000, 0)
    assert found is not None
    assert (found.mean, found.low, found.high, found.units, found.resampled) == (0.5, 0.0, 1.0, 2, "questions")


def test_a_seed_gives_the_same_interval_and_no_question_none() -> None:
    values = [[0.1, 0.7], [0.4], [0.9, 0.2, 0.3]]
    assert estimate(values, 50, 3) == estimate(values, 50, 3) != estimate(values, 50, 4)
    assert estimate([[], []], 50, 0) is None


# Where questions are lost


@pytest.mark.parametrize(
    ("extracted", "stored", "kept", "shown", "chosen", "right", "loss"),
    [
        ("ab", "ab", "ab", "ab", "ab", True, Loss.RIGHT),
        ("", "", "", "", "", True, Loss.RIGHT),
        ("ab", "ab", "ab", "ab", "ab", None, Loss.FAILED),
        ("ab", "ab", "ab", "abc", "abc", False, Loss.ANSWERED_WRONG),
        ("ab", "ab", "ab", "ab", "a", False, Loss.NOT_DISTILLED),
        ("ab", "ab", "ab", "ab", None, False, Loss.ANSWERED_WRONG),
        ("ab", "ab", "ab", "b", "b", False, Loss.NOT_RETRIEVED),
        ("ab", "ab", "a", "a", "a", False, Loss.REMOVED),
        ("ab", "a", "a", "a", "a", False, Loss.NOT_STORED),
        ("a", "a", "a", "a", "", False, Loss.NOT_EXTRACTED),
        # One turn was never read, the other deleted: the first stage of the way counts.
        ("a", "a", "", "", "", False, Loss.NOT_EXTRACTED),
    ],
)
def test_the_first_stage_that_loses_evidence_counts(
    extracted: str, stored: str, kept: str, shown: str, chosen: str | None, right: bool | None, loss: Loss
) -> None:
    def ids(names: str) -> frozenset[UUID]:
        return frozenset(stable_id("turn", name) for name in names)

    way = Way(ids(extracted), ids(stored), ids(kept))
    assert lost([A, B], way, ids(shown), None if chosen is None else ids(chosen), right) is loss


def test_without_evidence_a_wrong_answer_is_not_traced() -> None:
    assert lost([], Way(), (), (), False) is Loss.NO_EVIDENCE
    assert lost([], Way(), (), (), True) is Loss.RIGHT


# Operations


def op(kind: OperationKind, fact: int, memory: int | None = None, text: str | None = None) -> Operation:
    return Operation(kind=kind, fact=fact, memory=memory, text=text)


def test_precision_and_recall_of_operations_by_hand() -> None:
    tally = Tally()
    # Fact 1: right. Fact 2: the right kind on another memory. Fact 3: another kind.
    right = [op(ADD, 1), op(UPDATE, 2, 1, "a b"), op(NOOP, 3)]
    tally.add(right, [op(ADD, 1), op(UPDATE, 2, 2, "a b"), op(ADD, 3)], UNREADABLE)
    # Two operations, the second of them right; its text shares 2 of 3 and 2 words: F1 0.8.
    tally.add([op(UPDATE, 1, 1, "a b")], [op(ADD, 1), op(UPDATE, 1, 1, "a b c")], UNREADABLE)
    tally.add([op(DELETE, 1, 4)], None, UNREADABLE)
    tally.add([op(DELETE, 1, 4)], None, FAILED)
    found = tally.scores()
    add, update, delete, noop = (found.kinds[kind.value] for kind in OperationKind)
    assert (add.asked, add.right, add.hits, add.recall) == (3, 1, 1, 1.0)
    assert add.precision == pytest.approx(1 / 3)
    assert (update.asked, update.right, update.hits, update.precision, update.recall) == (2, 2, 1, 0.5, 0.5)
    assert (delete.asked, delete.right, delete.precision, delete.recall) == (0, 2, None, 0.0)
    assert (noop.asked, noop.right, noop.precision, noop.recall) == (0, 1, None, 0.0)
    assert (found.facts, found.turns) == (6, 4)
    assert found.accuracy == pytest.approx(2 / 6)
    assert found.update_f1 == pytest.approx(0.8)
    cells = {(r, asked): n for r, row in found.confusion.items() for asked, n in row.items() if n}
    assert cells == {
        ("ADD", "ADD"): 1,
        ("UPDATE", "UPDATE"): 2,
        ("NOOP", "ADD"): 1,
        ("DELETE", UNREADABLE): 1,
        ("DELETE", FAILED): 1,
    }


# Turns as candidates


TALK = (
    said(1, "Ada", "I bought a red canoe at the lake."),
    said(2, "Ben", "The lake was cold."),
    said(3, "Ada", "The lake, the lake, always the lake!"),
    said(4, "Ben", "Tea is fine."),
)


def test_bm25_weighs_rare_words_and_repetition() -> None:
    index = turns.Bm25(TALK)
    # "canoe" is in one turn, "lake" in three: idf decides. Of the two with "lake" alone, the one that repeats it leads.
    found = [one.memory.id for one in index.candidates("Which canoe was on the lake?", 10)]
    assert found == [TALK[0].id, TALK[2].id, TALK[1].id]
    assert index.candidates("Zebras?", 10) == []
    assert len(index.candidates("lake", 2)) == 2


@pytest.mark.parametrize(("budget", "kept"), [(10_000, 4), (1000, 2)])
def test_the_full_context_keeps_the_newest_turns_that_fit(budget: int, kept: int) -> None:
    # A line is 29 characters ("1. (8 May 2023, Ada) " and an end), and the text.
    long = [turn.model_copy(update={"text": "x" * 400}) for turn in TALK]
    options = AnswererOptions(max_prompt_characters=budget)
    found = turns.newest_that_fit("Who?", long, options)
    assert [one.memory.id for one in found] == [turn.id for turn in long[4 - kept :]]
    prompt = answerer.render("Who?", found, {}, options)
    assert turns.shown(prompt, len(found)) == kept


async def test_recall_counts_evidence_turns_among_sources() -> None:
    conversation = Conversation(id="c", source="made", speakers=("Ada", "Ben"), turns=TALK, questions=())
    bank = await turns.bank_of_turns(conversation, HashEmbedder())
    assert [memory.text for memory in await bank.memories()] == [turn.text for turn in TALK]
    found = turns.evidence(TALK, [TALK[0].id, TALK[1].id])
    assert turns.recall([TALK[0].id, TALK[3].id], found) == 0.5
    assert turns.recall([], found) is None


# Distillation off


async def test_without_choice_the_messages_stay_and_the_schema_has_no_list() -> None:
    asked: list[Prompt] = []

    class Answering:
        async def complete(self, prompt: Prompt) -> Completion:
            asked.append(prompt)
            return Completion(text='{"answer": " Rex"}', policy="p")

    prompt = answerer.render("Who?", turns.evidence(TALK, [TALK[0].id]), {}, AnswererOptions())
    reply = (await WithoutChoice(Answering()).complete(prompt)).text
    assert asked[0].messages == prompt.messages
    assert list(asked[0].reply_schema["properties"]) == asked[0].reply_schema["required"] == ["answer"]
    assert asked[0].version != prompt.version
    given = answerer.parse(reply, 1)
    assert (given.outcome, given.text, given.distilled) == (Outcome.ANSWERED, "Rex", ())


@pytest.mark.parametrize("reply", ["Rex", "[1]", "{}"])
async def test_an_unreadable_reply_stays_unreadable_without_choice(reply: str) -> None:
    def replying(prompt: Prompt) -> str:
        return reply

    prompt = answerer.render("Who?", [], {}, AnswererOptions())
    completion = await WithoutChoice(ScriptedCompleter(answerer=replying)).complete(prompt)
    assert answerer.parse(completion.text, 0).outcome is Outcome.MALFORMED


# The judge


@pytest.mark.parametrize(
    ("marks", "mean", "deviation", "without"),
    [
        # Runs of 1/2, 1 and 1/2: mean 2/3, sample deviation sqrt(1/12).
        ([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]], 2 / 3, (1 / 12) ** 0.5, 0),
        ([[1.0], [0.0]], 0.5, None, 0),
        ([[1.0, None], [0.0, None]], 0.5, None, 2),
        ([[None]], None, None, 1),
    ],
)
def test_runs_of_a_judge(
    marks: Sequence[Sequence[float | None]], mean: float | None, deviation: float | None, without: int
) -> None:
    found = judging.summary({str(place): one for place, one in enumerate(marks)})
    assert found.mean == (None if mean is None else pytest.approx(mean))
    assert found.deviation == (None if deviation is None else pytest.approx(deviation))
    assert (found.runs, found.without_verdict) == (len(marks[0]), without)


# The paper's rows, and the rows of ours


def test_the_papers_columns_stand_under_the_categories_that_give_its_overall() -> None:
    counts = {Category.MULTI_HOP: 239, Category.TEMPORAL: 258}
    counts |= {Category.OPEN_DOMAIN: 83, Category.SINGLE_HOP: 727}
    checked = [row for row in paper.rows() if row.method not in ("A-Mem", "Mem0")]
    assert len(paper.rows()) == 19
    for row in checked:
        for place in range(3):
            weighted = sum(row.cells[category][place] * n for category, n in counts.items()) / 1307
            assert weighted == pytest.approx(row.cells[None][place], abs=0.02), (row.method, row.backbone, place)


def test_the_standard_systems_are_baselines_and_the_papers_ablations() -> None:
    plain = Team(extractor="e0", manager="m0", answerer="a0")
    assert [system.name for system in standard_systems(plain)] == [
        *(f"{kind}.a0" for kind in ("no_memory", "full_context", "bm25", "dense", "oracle")),
        "agents.e0+m0+a0",
        "agents.e0+m0+a0.no-distillation",
    ]
    systems = standard_systems(plain, Team(extractor="e1", manager="m1", answerer="a1"))
    agents = {system.name.removeprefix("agents.") for system in systems if system.kind is Kind.AGENTS}
    grid = {f"e1+{manager}+{answer}" for manager in ("m0", "m1") for answer in ("a0", "a1")}
    assert agents == grid | {f"{name}.no-distillation" for name in grid} | {"e0+m0+a0", "e0+m1+a1"}
    assert systems[-1] == System(kind=Kind.AGENTS, extractor="e0", manager="m1", answerer="a1")


@pytest.mark.parametrize(
    ("wanted", "number", "first"),
    [
        ("all", 13, "oracle_bank.untrained"),
        ("baselines", 7, "oracle_bank.untrained"),
        ("agents", 6, "agents.untrained+untrained+untrained"),
        ("teams", 2, "agents.untrained+untrained+untrained"),
    ],
)
def test_a_part_of_the_rows_may_be_measured(wanted: Rows, number: int, first: str) -> None:
    trained = {role: Chosen.read("base") for role in (Role.EXTRACTOR, Role.ANSWERER)}
    config = load(Path(training.__file__).parent / "configs" / "small_cpu.toml")
    untrained = Chosen.read("base")
    asked = Measurement(config, SimulatorData(), Path("nowhere"), untrained, trained, rows=wanted)
    names = [system.name for system in systems(asked)]
    assert (len(names), len(set(names))) == (number, number)
    assert first in names and ("agents.extractor+untrained+answerer" in names) == (wanted != "baselines")


def test_the_trained_team_may_be_asked_for_its_best_guess_too() -> None:
    trained = {role: Chosen.read("base") for role in Role}
    config = load(Path(training.__file__).parent / "configs" / "small_cpu.toml")
    asked = Measurement(
        config, SimulatorData(), Path("nowhere"), Chosen.read("base"), trained, rows="teams", best_guess=True
    )
    assert [system.name for system in systems(asked)] == [
        "agents.extractor+manager+answerer.best-guess",
        "agents.untrained+untrained+untrained",
        "agents.extractor+manager+answerer",
    ]


def test_a_budget_of_its_own_shows_in_a_systems_name() -> None:
    system = System(kind=Kind.FULL_CONTEXT, answerer="a", prompt_characters=200_000)
    assert system.name == "full_context.a.200000-characters"
    assert json.loads(system.model_dump_json())["prompt_characters"] == 200_000
