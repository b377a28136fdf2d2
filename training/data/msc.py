"""MSC as MemGPT questions it (MemGPT/MSC-Self-Instruct): five sessions of two, and one question that recalls them.

The form: one JSON object a line. `previous_dialogs` are the earlier sessions, oldest first, each with `dialog` (turns
that hold `text` alone; the two speakers take turns, "Speaker 1" first) and `time_num` with `time_unit`, the gap between
that session and the next, as ParlAI's `tasks/msc/agents.py` reads them. `dialog` is the last session, whose turns also
name their speaker as `id`. `self_instruct` holds the question, `B`, and the answer, `A`. No session has a date, so the
first is set on a fixed day and the gaps are added up: the order is right, and no date is to be asked for.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel

from app.core.values import Turn
from training.data.conversation import Conversation, Question, stable_id
from training.data.files import UnreadableData, read_list

SPEAKERS = ("Speaker 1", "Speaker 2")
CATEGORY = "recall"
FIRST_SESSION = datetime(2023, 1, 2, 9, 0, tzinfo=UTC)
TURN_SPACING = timedelta(seconds=1)
_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_DEFAULT_GAP = timedelta(days=1)


class _Turn(BaseModel):
    text: str
    id: str | None = None


class _Session(BaseModel):
    dialog: list[_Turn]
    time_num: float | None = None
    time_unit: str | None = None


class _Pair(BaseModel):
    A: str
    B: str


class _Example(BaseModel):
    previous_dialogs: list[_Session]
    dialog: list[_Turn] = []
    self_instruct: _Pair


def load(path: Path | str) -> list[Conversation]:
    """One conversation an example; raises `UnreadableData`."""
    file = Path(path)
    try:
        return [_conversation(place, example) for place, example in enumerate(read_list(file, _Example), start=1)]
    except ValueError as error:
        raise error if isinstance(error, UnreadableData) else UnreadableData(file, str(error)) from error


def _conversation(place: int, example: _Example) -> Conversation:
    name = f"msc-{place}"
    turns: list[Turn] = []
    began_at = FIRST_SESSION
    for number, session in enumerate([*example.previous_dialogs, _Session(dialog=example.dialog)], start=1):
        turns += _turns(name, number, session.dialog, began_at)
        began_at += _gap(session)
    question = Question(
        id=f"{name}-q1",
        text=example.self_instruct.B,
        answer=example.self_instruct.A,
        category=CATEGORY,
        # Upstream does not say which turns the answer stands on.
        evidence=(),
        since=len(turns),
    )
    return Conversation(
        id=name, source="msc-self-instruct", speakers=SPEAKERS, turns=tuple(turns), questions=(question,)
    )


def _turns(name: str, session: int, dialog: list[_Turn], began_at: datetime) -> list[Turn]:
    return [
        Turn(
            id=stable_id("msc", name, session, place),
            speaker=_speaker(turn, place),
            text=turn.text,
            said_at=began_at + (place - 1) * TURN_SPACING,
            session=str(session),
            external_id=f"S{session}:{place}",
        )
        for place, turn in enumerate(dialog, start=1)
        if turn.text.strip()
    ]


def _speaker(turn: _Turn, place: int) -> str:
    named = " ".join((turn.id or "").split()).capitalize()
    return named if named in SPEAKERS else SPEAKERS[(place - 1) % 2]


def _gap(session: _Session) -> timedelta:
    """The time to the next session; a day where the file does not tell. Raises ValueError for an unknown unit."""
    if session.time_num is None or session.time_unit is None:
        return _DEFAULT_GAP
    unit = session.time_unit.strip().lower().removesuffix("s")
    if unit not in _UNITS:
        raise ValueError(f"unknown unit of time {session.time_unit!r}")
    return max(session.time_num * _UNITS[unit], timedelta(minutes=1))
