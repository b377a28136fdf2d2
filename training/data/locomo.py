"""LoCoMo in the common form, with Memory-R1's split by conversation; `app.core.locomo` reads the file itself."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from uuid import UUID

from app.core import locomo
from app.core.locomo import Category, LocomoTurn
from app.core.values import Turn, Value
from training.data.conversation import Conversation, Question, stable_id
from training.data.files import OtherFile, sha256_of

SHA256 = "79fa87e90f04081343b8c8debecb80a9a6842b76a7aa537dc9fdf651ea698ff4"
"""Of upstream's locomo10.json with all ten conversations; there are copies with edited answers."""


class Part(StrEnum):
    """The parts of Memory-R1's split."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


SPLIT = {
    Part.TRAIN: ("conv-26",),
    Part.VALIDATION: ("conv-30",),
    Part.TEST: ("conv-41", "conv-42", "conv-43", "conv-44", "conv-47", "conv-48", "conv-49", "conv-50"),
}
"""By conversation: 152, 81 and 1307 questions without the adversarial ones (arXiv 2508.19828, section 4.1)."""
QUESTIONS = {Part.TRAIN: 152, Part.VALIDATION: 81, Part.TEST: 1307}
_ALL = tuple(name for part in Part for name in SPLIT[part])


class Loaded(Value):
    """What a file gives for a part of the split."""

    conversations: tuple[Conversation, ...]
    is_published: bool
    """Whether the file is the published one, byte by byte."""
    missing: tuple[str, ...]
    """Conversations of the part that the file lacks."""
    note: str
    """What the file holds, to be written beside every score."""


def load(path: Path | str, part: Part) -> Loaded:
    """The conversations of a part.

    A file that holds all ten conversations must be the published one, else `OtherFile` is raised; a partial file is
    taken as it is. Raises `LocomoError` for what is no LoCoMo file.
    """
    file = Path(path)
    held = locomo.conversation_ids(file)
    digest = sha256_of(file)
    if set(_ALL) <= set(held) and digest != SHA256:
        raise OtherFile(file, digest)
    found = [name for name in SPLIT[part] if name in held]
    missing = tuple(name for name in SPLIT[part] if name not in held)
    note = "the published file" if digest == SHA256 else f"a partial file, sha256 {digest}, of {', '.join(held)}"
    return Loaded(
        conversations=tuple(load_one(file, name) for name in found),
        is_published=digest == SHA256,
        missing=missing,
        note=note,
    )


def load_one(path: Path | str, conversation: str) -> Conversation:
    """One conversation by its id, from whatever file holds it; raises `LocomoError`."""
    read = locomo.load(path, conversation)
    turns = tuple(_turn(read.id, turn) for turn in read.turns)
    ids = {str(turn.external_id): turn.id for turn in turns}
    questions = [_question(read.id, place, one, ids, len(turns)) for place, one in enumerate(read.questions, start=1)]
    adversarial = Category.ADVERSARIAL.true_name
    return Conversation(
        id=read.id,
        source="locomo",
        speakers=read.speakers,
        turns=turns,
        questions=tuple(question for question in questions if question.category != adversarial),
        adversarial=tuple(question for question in questions if question.category == adversarial),
    )


def category_of(question: Question) -> Category:
    """The category by its number, as the official score asks for it; raises KeyError for another source's."""
    return {category.true_name: category for category in Category}[question.category]


def _turn(conversation: str, turn: LocomoTurn) -> Turn:
    return Turn(
        id=stable_id("locomo", conversation, turn.dia_id),
        speaker=turn.speaker,
        text=turn.text,
        said_at=turn.said_at,
        session=str(turn.session),
        external_id=turn.dia_id,
    )


def _question(conversation: str, place: int, question: locomo.Question, ids: dict[str, UUID], turns: int) -> Question:
    is_trap = question.category is Category.ADVERSARIAL
    return Question(
        id=f"{conversation}-q{place}",
        text=question.text,
        # What the file gives for an adversarial one is the wrong answer that it leads to.
        answer="" if is_trap else question.answer,
        category=question.category.true_name,
        evidence=tuple(ids[dia_id] for dia_id in question.evidence),
        since=turns,
    )
