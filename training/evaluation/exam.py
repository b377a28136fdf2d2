"""The conversations of an evaluation, with the questions that are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from app.core.locomo import Category
from training.data import locomo
from training.data.conversation import Conversation, Question
from training.data.files import sha256_of
from training.data.locomo import Part
from training.engine import UnfitConfiguration
from training.evaluation.config import EvalConfig, Limits, LocomoData, SimulatorData
from training.simulator import world
from training.simulator.oracle import oracle_bank
from training.simulator.values import SimulatedConversation


@dataclass(frozen=True)
class Exam:
    """What is asked; each conversation's `questions` can be answered, its `adversarial` ones cannot."""

    conversations: tuple[Conversation, ...]
    note: str
    """Which data this is, to stand beside every score."""
    is_locomo: bool
    is_papers_test: bool = False
    """Whether it is the very set of Memory-R1's tables, whole and unedited."""
    simulated: Mapping[str, SimulatedConversation] = field(default_factory=dict)
    """By the conversation's id."""


def read(config: EvalConfig) -> Exam:
    """Load or generate. Raises `LocomoError`, `DataError`, or `UnfitConfiguration` where nothing is left to ask."""
    data, limits = config.data, config.limits
    exam = _simulated(data, limits) if isinstance(data, SimulatorData) else _locomo(data, limits)
    chosen = tuple(_limited(one, limits, config.adversarial) for one in exam.conversations)
    if not any(one.questions or one.adversarial for one in chosen):
        raise UnfitConfiguration("There is no question to ask.")
    return Exam(chosen, exam.note + _note(limits), exam.is_locomo, exam.is_papers_test, exam.simulated)


def category_of(question: Question) -> Category:
    """The category by which LoCoMo's own F1 is computed; what is not LoCoMo's is scored without a special rule."""
    try:
        return locomo.category_of(question)
    except KeyError:
        return Category.SINGLE_HOP


def group_of(question: Question) -> str:
    """The row of a table that the question belongs to: a category, or what kind of question the simulator asks."""
    return question.category.partition("?")[2] or question.category


def _simulated(data: SimulatorData, limits: Limits) -> Exam:
    made = list(islice(world.conversations(data.split, data.seed), data.count))
    cut = [one.model_copy(update={"turns": one.turns[: limits.turns]}) for one in made]
    note = f"simulator, split {data.split.value}, seed {data.seed}, {data.count} conversations"
    return Exam(tuple(map(_common, cut)), note, is_locomo=False, simulated={one.id: one for one in cut})


def _common(simulated: SimulatedConversation) -> Conversation:
    """The common form; evidence are the turns that the right bank keeps, since what says the same again is ignored."""
    kept = {turn for memory in oracle_bank(simulated) for turn in memory.sources}
    conversation = simulated.conversation()
    questions = [
        question.model_copy(update={"evidence": tuple(turn for turn in question.evidence if turn in kept)})
        for question in conversation.questions
    ]
    return conversation.model_copy(update={"questions": tuple(questions)})


def _locomo(data: LocomoData, limits: Limits) -> Exam:
    if data.part is None:
        found = tuple(locomo.load_one(data.file, name) for name in data.conversations)
        digest = sha256_of(data.file)
        file = "the published file" if digest == locomo.SHA256 else f"a file with sha256 {digest}"
        return Exam(found, f"LoCoMo, {', '.join(data.conversations)} of {file}", is_locomo=True)
    loaded = locomo.load(data.file, data.part)
    missing = f"; it lacks {', '.join(loaded.missing)}" if loaded.missing else ""
    whole = loaded.is_published and not loaded.missing and limits == Limits()
    note = f"LoCoMo, {data.part.value} split of {loaded.note}{missing}"
    return Exam(loaded.conversations, note, is_locomo=True, is_papers_test=whole and data.part is Part.TEST)


def _limited(conversation: Conversation, limits: Limits, adversarial: bool) -> Conversation:
    """The beginning of a conversation; its questions sorted into those with an answer and those without."""
    turns = conversation.turns[: limits.turns]
    heard = {turn.id for turn in turns}
    asked = [*conversation.questions, *(conversation.adversarial if adversarial else ())]
    if len(turns) < len(conversation.turns):
        asked = [question for question in asked if question.evidence and heard.issuperset(question.evidence)]
    answerable = [question for question in asked if not question.is_unanswerable][: limits.questions]
    traps = [question for question in asked if question.is_unanswerable][: limits.questions]
    return conversation.model_copy(update={"turns": turns, "questions": tuple(answerable), "adversarial": tuple(traps)})


def _note(limits: Limits) -> str:
    parts = [f"{count} {what}" for what, count in limits.model_dump().items() if count is not None]
    return f"; ONLY the first {' and '.join(parts)} of each conversation" if parts else ""
