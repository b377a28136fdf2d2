"""LoCoMo (Maharana et al. 2024) as values, from the upstream JSON file; its slips are mended here and nowhere else.

The data set is CC BY-NC: it is read where the user keeps it, never copied.

LocomoError
├── UnreadableFile         missing, not JSON, or not of LoCoMo's shape
└── UnknownConversation    the file holds no conversation of that id
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from app.core.rendering import MONTHS
from app.core.values import Value

TURN_SPACING = timedelta(seconds=1)
"""Between two turns of a session: the file dates sessions only, and a second keeps the order and the day."""


class Category(IntEnum):
    """LoCoMo's question categories by their number in the file (snap-research/locomo, task_eval/evaluation.py)."""

    MULTI_HOP = 1
    TEMPORAL = 2
    OPEN_DOMAIN = 3
    SINGLE_HOP = 4
    ADVERSARIAL = 5

    @property
    def true_name(self) -> str:
        """What the category holds, as the data set's authors name it."""
        return _TRUE_NAMES[self]

    @property
    def mem0_name(self) -> str:
        """The column head over this category in the tables of Mem0 and Memory-R1, which swapped three names."""
        return _MEM0_NAMES[self]


_TRUE_NAMES = {
    Category.MULTI_HOP: "multi-hop",
    Category.TEMPORAL: "temporal",
    Category.OPEN_DOMAIN: "open-domain",
    Category.SINGLE_HOP: "single-hop",
    Category.ADVERSARIAL: "adversarial",
}
_MEM0_NAMES = {
    Category.MULTI_HOP: "Single Hop",
    Category.TEMPORAL: "Temporal",
    Category.OPEN_DOMAIN: "Multi-Hop",
    Category.SINGLE_HOP: "Open Domain",
    Category.ADVERSARIAL: "Adversarial",
}


class LocomoTurn(Value):
    """One dialogue turn."""

    dia_id: str
    """"D3:7": the seventh turn of the third session."""
    speaker: str
    text: str
    """What was said, then the caption of a shared photo; never the photo's search query, which leaks answers."""
    said_at: datetime
    """The session's time, plus `TURN_SPACING` for each turn before; the file names no zone, UTC stands in."""
    session: int


class Question(Value):
    """One question with its gold answer."""

    text: str
    answer: str
    """Empty where the file has none, which only an adversarial question may lack."""
    category: Category
    evidence: tuple[str, ...]
    """The distinct turns that the answer stands on, by dia id; ids that name no turn are dropped."""


class Conversation(Value):
    """One conversation with everything that is asked about it, adversarial questions included."""

    id: str
    speakers: tuple[str, str]
    turns: tuple[LocomoTurn, ...]
    """In the order of sessions, and of turns in each."""
    questions: tuple[Question, ...]


class LocomoError(ValueError):
    """The conversation cannot be loaded."""


class UnreadableFile(LocomoError):
    """The file is missing, not JSON, or not of LoCoMo's shape."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} is no LoCoMo file: {reason}")


class UnknownConversation(LocomoError):
    """The file holds no conversation of that id."""

    def __init__(self, conversation: str, known: Sequence[str]) -> None:
        self.conversation, self.known = conversation, tuple(known)
        super().__init__(f"There is no conversation {conversation!r}; the file holds {', '.join(known) or 'none'}.")


class _RawQuestion(BaseModel):
    question: str
    answer: str | int | float | None = None
    category: Category
    evidence: list[str] = []


class _RawTurn(BaseModel):
    dia_id: str
    speaker: str
    text: str
    blip_caption: str | None = None


class _RawConversation(BaseModel):
    sample_id: str
    conversation: dict[str, Any]
    qa: list[_RawQuestion]


_FILE = TypeAdapter(list[_RawConversation])
_TURNS = TypeAdapter(list[_RawTurn])


def load(path: Path | str, conversation: str) -> Conversation:
    """The conversation of that id, such as "conv-26"; raises `LocomoError`."""
    raws = {raw.sample_id: raw for raw in _read(Path(path))}
    if conversation not in raws:
        raise UnknownConversation(conversation, tuple(raws))
    try:
        return _conversation(raws[conversation])
    except ValueError as error:
        raise UnreadableFile(Path(path), f"{conversation}: {_reason(error)}") from error


def conversation_ids(path: Path | str) -> tuple[str, ...]:
    """The ids in the file's order; raises `UnreadableFile`."""
    return tuple(raw.sample_id for raw in _read(Path(path)))


def _read(path: Path) -> list[_RawConversation]:
    try:
        return _FILE.validate_python(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UnreadableFile(path, error.strerror or "it cannot be read") from error
    except RecursionError as error:
        raise UnreadableFile(path, "it is nested too deeply") from error
    except ValueError as error:
        raise UnreadableFile(path, _reason(error)) from error


def _reason(error: ValueError) -> str:
    """What is wrong, without the file's own text where pydantic would quote it."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the top level'}: {first['msg']}"


def _conversation(raw: _RawConversation) -> Conversation:
    turns = tuple(turn for number in _session_numbers(raw) for turn in _session(raw, number))
    dia_ids = {turn.dia_id for turn in turns}
    return Conversation(
        id=raw.sample_id,
        speakers=(_text(raw, "speaker_a"), _text(raw, "speaker_b")),
        turns=turns,
        questions=tuple(_question(question, dia_ids) for question in raw.qa),
    )


_SESSION_KEY = re.compile(r"session_([1-9][0-9]{0,5})")


def _session_numbers(raw: _RawConversation) -> list[int]:
    """The sessions that have turns, as numbers in order; the file also dates sessions that never took place."""
    return sorted(int(key[1]) for name in raw.conversation if (key := _SESSION_KEY.fullmatch(name)))


def _session(raw: _RawConversation, number: int) -> list[LocomoTurn]:
    began_at = parse_session_time(_text(raw, f"session_{number}_date_time"))
    return [
        LocomoTurn(
            dia_id=turn.dia_id,
            speaker=turn.speaker,
            text=_with_caption(turn),
            said_at=began_at + position * TURN_SPACING,
            session=number,
        )
        for position, turn in enumerate(_TURNS.validate_python(raw.conversation[f"session_{number}"]))
    ]


def _with_caption(turn: _RawTurn) -> str:
    photo = f"[shares a photo: {turn.blip_caption}]" if turn.blip_caption else ""
    return f"{turn.text} {photo}".strip()


def _question(raw: _RawQuestion, dia_ids: set[str]) -> Question:
    if raw.answer is None and raw.category is not Category.ADVERSARIAL:
        raise ValueError("a question that is not adversarial has no answer")
    return Question(
        text=raw.question,
        answer="" if raw.answer is None else str(raw.answer),
        category=raw.category,
        evidence=tuple(dia_id for dia_id in parse_evidence(raw.evidence) if dia_id in dia_ids),
    )


def _text(raw: _RawConversation, key: str) -> str:
    value = raw.conversation.get(key)
    if not isinstance(value, str):
        raise ValueError(f"conversation.{key} is missing or not a text")
    return value


_DIA_ID = re.compile(r"D:?([0-9]{1,9}):([0-9]{1,9})")


def parse_evidence(written: Sequence[str]) -> list[str]:
    """Distinct dia ids in order, also from "D8:6; D9:17", "D9:1 D4:4" and "D:11:26"; a bare "D" names none."""
    found = [f"D{int(session)}:{int(turn)}" for text in written for session, turn in _DIA_ID.findall(text)]
    return list(dict.fromkeys(found))


_SESSION_TIME = re.compile(
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}) ?(?P<half>[ap])m on "
    r"(?P<day>[0-9]{1,2}) (?P<month>[a-z]+),? (?P<year>[0-9]{4})"
)


def parse_session_time(written: str) -> datetime:
    """Read "1:56 pm on 8 May, 2023", whatever the locale, as UTC; raises `ValueError`."""
    found = _SESSION_TIME.fullmatch(written.strip().lower())
    months = [month.lower() for month in MONTHS]
    if not found or found["month"] not in months or not 1 <= int(found["hour"]) <= 12:
        raise ValueError(f"{written!r} is not a time such as '1:56 pm on 8 May, 2023'")
    hour = int(found["hour"]) % 12 + (12 if found["half"] == "p" else 0)
    month = months.index(found["month"]) + 1
    return datetime(int(found["year"]), month, int(found["day"]), hour, int(found["minute"]), tzinfo=UTC)
