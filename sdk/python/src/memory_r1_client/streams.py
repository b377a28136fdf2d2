"""The events of streams, as values."""

from __future__ import annotations

import json
from typing import Any, Protocol, TypeVar

from memory_r1_client.errors import StreamBroken, problem_error
from memory_r1_client.generated.models.candidates_event import CandidatesEvent
from memory_r1_client.generated.models.distilled_event import DistilledEvent
from memory_r1_client.generated.models.done_event import DoneEvent
from memory_r1_client.generated.models.end_event import EndEvent
from memory_r1_client.generated.models.reset_event import ResetEvent
from memory_r1_client.generated.models.token_event import TokenEvent
from memory_r1_client.generated.models.turn_event import TurnEvent

AnswerEvent = CandidatesEvent | DistilledEvent | TokenEvent | ResetEvent | DoneEvent
IngestionEvent = TurnEvent | EndEvent
ANSWER: dict[str, type[AnswerEvent]] = {
    "candidates": CandidatesEvent,
    "distilled": DistilledEvent,
    "token": TokenEvent,
    "reset": ResetEvent,
    "done": DoneEvent,
}
INGESTION: dict[str, type[IngestionEvent]] = {"turn": TurnEvent, "end": EndEvent}
E = TypeVar("E")


class Sent(Protocol):
    """One server-sent event."""

    @property
    def event(self) -> str: ...

    @property
    def data(self) -> str: ...

    @property
    def id(self) -> str: ...


def read_event(sent: Sent, kinds: dict[str, type[E]]) -> E | None:
    """The event; None of a kind that this version does not know. Raises `ProblemError` for `error`, `StreamBroken`."""
    if sent.event not in (*kinds, "error"):
        return None
    try:
        data: dict[str, Any] = json.loads(sent.data)
    except ValueError as error:
        raise StreamBroken("An event holds no JSON.") from error
    if sent.event == "error":
        raise problem_error(int(data.get("status", 500)), data)
    kind: Any = kinds[sent.event]
    read: E = kind.from_dict({"event": sent.event, "data": data, "id": sent.id})
    return read
