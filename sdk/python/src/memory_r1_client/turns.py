"""Turns as they are posted, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from memory_r1_client.generated.models.ingestion import Ingestion
from memory_r1_client.generated.models.posted_turn import PostedTurn
from memory_r1_client.generated.models.posted_turn_metadata import PostedTurnMetadata
from memory_r1_client.generated.types import UNSET

LONGEST_WAIT = 30
"""Seconds that the service is asked to wait at once: shorter than the timeouts of most proxies."""


def turn_of(
    text: str,
    speaker: str,
    *,
    said_at: datetime | None = None,
    session: str | None = None,
    external_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> PostedTurn:
    """A turn to post. Raises `ValueError` for a moment without its offset."""
    if said_at is not None and said_at.tzinfo is None:
        raise ValueError("said_at must have an offset, such as datetime.now(UTC) has.")
    return PostedTurn(
        speaker=speaker,
        text=text,
        said_at=said_at or UNSET,
        session=session or UNSET,
        external_id=external_id or UNSET,
        metadata=UNSET if metadata is None else PostedTurnMetadata.from_dict(metadata),
    )


def failure_of(ingestion: Ingestion) -> str:
    """Why an ingestion failed."""
    return "; ".join(turn.error.detail for turn in ingestion.turns if turn.error) or "no turn says why"
