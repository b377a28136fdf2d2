"""Forms of webhooks and of the log of their deliveries."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, StringConstraints

from app.api.schemas import Body, Line
from app.core.values import Value
from app.outgoing.addresses import MAX_URL
from app.services.callers import BANK_NAME
from app.services.events import CHOICES, EventType
from app.services.webhooks import Delivery, WebhookSummary

MAX_BANKS = 100
DEFAULT_OVERLAP_SECONDS = 86_400
MAX_OVERLAP_SECONDS = 30 * 86_400
Choice = Literal["memory.changed", "ingestion.done", "ingestion.failed", "turn.erased", "bank.erased"]
Url = Annotated[Line, Field(max_length=MAX_URL)]
Choices = Annotated[list[Choice], Field(min_length=1, max_length=len(CHOICES))]
Banks = Annotated[list[Annotated[str, StringConstraints(pattern=BANK_NAME)]], Field(min_length=1, max_length=MAX_BANKS)]


class CreateWebhook(Body):
    """A webhook to make."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": "https://hooks.example.com/memory", "events": ["memory.changed"], "banks": ["alice"]}]
        }
    )

    url: Url = Field(examples=["https://hooks.example.com/memory"])
    """Where events are posted: `https`, at a public address."""
    events: Choices = Field(default_factory=lambda: list(get_args(Choice)))
    """What it is told of; everything if left out."""
    banks: Banks | None = None
    """Names of the only banks that it is told of, which need not exist yet; all if left out."""

    def chosen(self) -> list[EventType]:
        return [EventType(one) for one in self.events]


class ChangeWebhook(Body):
    """What to change; the rest stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": True}]})

    # What is left out is told by `given` alone; these defaults are never used.
    url: Url = Field(default_factory=str, examples=["https://hooks.example.com/memory"])
    """Where events are posted."""
    events: Choices = Field(default_factory=list)
    """What it is told of."""
    banks: Banks | None = None
    """Names of the only banks that it is told of; null for all."""
    enabled: bool = Field(default_factory=bool)
    """Whether anything is sent. Enabling forgets why it was disabled."""

    def given(self) -> dict[str, Any]:
        """What the client named."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class RotateSecret(Body):
    """How to change to a new secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 86400}]})

    overlap_seconds: int = Field(DEFAULT_OVERLAP_SECONDS, ge=0, le=MAX_OVERLAP_SECONDS)
    """For how long the old secret signs beside the new one."""


class WebhookList(Value):
    """A tenant's webhooks, oldest first."""

    webhooks: tuple[WebhookSummary, ...]


class DeliveryList(Value):
    """A page of deliveries, the newest events first."""

    deliveries: tuple[Delivery, ...]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last."""
