"""LongMemEval (Wu et al. 2024, arXiv 2410.10813): one history and one question an instance.

The form, by xiaowu0162/LongMemEval's README: a JSON array of objects with `question_id` (ending in `_abs` where the
right thing is to abstain), `question_type`, `question`, `answer`, `question_date`, `haystack_session_ids`,
`haystack_dates`, `haystack_sessions` (lists of `{"role", "content"}`, with `has_answer: true` on turns that hold
evidence) and `answer_session_ids`. Sessions are in order of time in S and M, and in no order in the oracle file. Dates
are written "2023/05/20 (Sat) 02:21".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel

from app.core.values import Turn
from training.data.conversation import Conversation, Question, stable_id
from training.data.files import UnreadableData, read_list

SPEAKERS = {"user": "User", "assistant": "Assistant"}
ABSTENTION = "_abs"
TURN_SPACING = timedelta(seconds=1)
"""Between two turns: the file dates sessions only."""


class Variant(StrEnum):
    """How much history is around the evidence. A score means nothing without it."""

    ORACLE = "oracle"
    S = "s"
    M = "m"


class QuestionType(StrEnum):
    """The kinds of question, as the file names them."""

    SINGLE_SESSION_USER = "single-session-user"
    SINGLE_SESSION_ASSISTANT = "single-session-assistant"
    SINGLE_SESSION_PREFERENCE = "single-session-preference"
    TEMPORAL_REASONING = "temporal-reasoning"
    KNOWLEDGE_UPDATE = "knowledge-update"
    MULTI_SESSION = "multi-session"


class _Turn(BaseModel):
    role: str
    content: str
    has_answer: bool | None = None


class _Instance(BaseModel):
    question_id: str
    question_type: QuestionType
    question: str
    answer: str | int | float
    question_date: str
    haystack_session_ids: list[str]
    haystack_dates: list[str]
    haystack_sessions: list[list[_Turn]]
    answer_session_ids: list[str] = []


def load(path: Path | str, variant: Variant) -> list[Conversation]:
    """One conversation an instance; the variant is what the caller knows the file to be.

    Raises `UnreadableData`.
    """
    file = Path(path)
    try:
        return [_conversation(instance, variant) for instance in read_list(file, _Instance)]
    except ValueError as error:
        raise error if isinstance(error, UnreadableData) else UnreadableData(file, str(error)) from error


def _conversation(instance: _Instance, variant: Variant) -> Conversation:
    name = f"longmemeval-{variant.value}"
    turns: list[Turn] = []
    evidence = []
    for number, (session_id, began_at, said) in enumerate(_in_order(instance), start=1):
        is_marked = any(turn.has_answer for turn in said)
        for place, one in enumerate(said, start=1):
            # A haystack may hold a session twice, so that its id alone would not tell the turns apart.
            turn_id = stable_id(name, instance.question_id, number, place)
            turn = _turn(one, turn_id, f"{session_id}:{place}", began_at + (place - 1) * TURN_SPACING)
            turns.append(turn)
            # Where no turn of an evidence session is marked, the session as a whole is the evidence.
            if one.has_answer or (session_id in instance.answer_session_ids and not is_marked):
                evidence.append(turn.id)
    is_trap = instance.question_id.endswith(ABSTENTION)
    question = Question(
        id=instance.question_id,
        text=instance.question,
        # The answer of an abstention question explains what is not known; it is no gold answer to match.
        answer="" if is_trap else str(instance.answer),
        category=instance.question_type.value,
        evidence=tuple(dict.fromkeys(evidence)),
        asked_at=parse_time(instance.question_date),
        since=len(turns),
    )
    return Conversation(
        id=instance.question_id,
        source=name,
        speakers=tuple(SPEAKERS.values()),
        turns=tuple(turns),
        questions=(question,),
    )


def _in_order(instance: _Instance) -> list[tuple[str, datetime, list[_Turn]]]:
    """Sessions by time; those of one minute keep the file's order."""
    sessions: Sequence[tuple[str, str, list[_Turn]]] = list(
        zip(instance.haystack_session_ids, instance.haystack_dates, instance.haystack_sessions, strict=True)
    )
    dated = [(session_id, parse_time(written), said) for session_id, written, said in sessions]
    return sorted(dated, key=lambda session: session[1])


def _turn(turn: _Turn, turn_id: UUID, external_id: str, said_at: datetime) -> Turn:
    if turn.role not in SPEAKERS:
        raise ValueError(f"unknown role {turn.role!r}")
    return Turn(
        id=turn_id,
        speaker=SPEAKERS[turn.role],
        text=turn.content,
        said_at=said_at,
        session=external_id.rpartition(":")[0],
        external_id=external_id,
    )


_TIME = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2})(?: \([A-Z][a-z]{2}\))?(?: ([0-9]{2}):([0-9]{2}))?")


def parse_time(written: str) -> datetime:
    """Read "2023/05/20 (Sat) 02:21", the weekday ignored, as UTC; raises `ValueError`."""
    found = _TIME.fullmatch(written.strip())
    if not found:
        raise ValueError(f"{written!r} is not a time such as '2023/05/20 (Sat) 02:21'")
    year, month, day, hour, minute = (int(part or 0) for part in found.groups())
    return datetime(year, month, day, hour, minute, tzinfo=UTC)
