"""The events of each stream: the name, and what its data holds as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.json_schema import models_json_schema

from app.api.problems import Problem
from app.core.values import Value
from app.services.answer import Answered
from app.services.answer_events import AnswerCandidates, AnswerDistilled, AnswerReset, AnswerToken
from app.services.following import IngestionEnd
from app.services.ingest import TurnProgress


class Event(Protocol):
    """One event of a stream."""

    @property
    def event(self) -> str: ...

    @property
    def data(self) -> BaseModel: ...


class _Told(Value):
    model_config = ConfigDict(use_attribute_docstrings=True, json_schema_serialization_defaults_required=True)


class CandidatesEvent(_Told):
    """The first event of an answer: what was retrieved."""

    event: Literal["candidates"] = "candidates"
    data: AnswerCandidates


class DistilledEvent(_Told):
    """What was chosen of it."""

    event: Literal["distilled"] = "distilled"
    data: AnswerDistilled


class TokenEvent(_Told):
    """A piece of the answer's text."""

    event: Literal["token"] = "token"
    data: AnswerToken


class ResetEvent(_Told):
    """The memories and the text that were told do not hold; both come anew."""

    event: Literal["reset"] = "reset"
    data: AnswerReset


class DoneEvent(_Told):
    """The last event of a question that was answered."""

    event: Literal["done"] = "done"
    data: Answered


class ErrorEvent(_Told):
    """The last event where something fails after the first; what was told before it is void."""

    event: Literal["error"] = "error"
    data: Problem


class TurnEvent(_Told):
    """A turn that is done or has failed."""

    event: Literal["turn"] = "turn"
    id: str
    """Its place; sent as `Last-Event-ID` it goes on after it."""
    data: TurnProgress


class EndEvent(_Told):
    """The last event of an ingestion that has ended."""

    event: Literal["end"] = "end"
    data: IngestionEnd


class AnswerEvent(
    RootModel[
        Annotated[
            CandidatesEvent | DistilledEvent | TokenEvent | ResetEvent | DoneEvent | ErrorEvent,
            Field(discriminator="event"),
        ]
    ]
):
    """One event of a streamed answer."""


class IngestionEvent(RootModel[Annotated[TurnEvent | EndEvent | ErrorEvent, Field(discriminator="event")]]):
    """One event of an ingestion that is followed."""


def event_schemas() -> dict[str, Any]:
    """JSON schemas of the events, by name, for the OpenAPI document."""
    models = [(model, "serialization") for model in (AnswerEvent, IngestionEvent)]
    _, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    found: dict[str, Any] = schemas["$defs"]
    return found
