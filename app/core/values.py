"""The values that the service, the trainer and the evaluation pass around. All frozen."""

from __future__ import annotations

import math
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Vector = NDArray[np.float32]
"""One unit-length embedding, shape (dimension,)."""

SparseVector = dict[int, float]
"""Weights by hashed term; see `app.core.lexical`."""


class Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Message(Value):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


class Role(StrEnum):
    """What a model call is for; a policy serves one role."""

    EXTRACTOR = "extractor"
    MANAGER = "manager"
    ANSWERER = "answerer"


class Prompt(Value):
    """A rendered model call: the constant part first, the schema that constrains the reply."""

    role: Role
    messages: tuple[Message, ...]
    constant: int = 1
    """How many of the first messages are the same in every call of the role, so that their cache can be kept."""
    reply_schema: dict[str, Any]
    """JSON schema; every string and array in it is bounded, so that a reply ends."""
    version: str
    """Hash of the prompt's constant text and of the schema's shape."""


class Usage(Value):
    """Tokens of one call, as the server counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Completion(Value):
    """A model's reply to a prompt, before parsing."""

    text: str
    policy: str
    """The served model's name."""
    usage: Usage = Usage()
    seconds: float = 0.0


class Turn(Value):
    """One dialogue turn; never changed once stored."""

    id: UUID
    speaker: str
    text: str
    said_at: datetime
    session: str | None = None
    external_id: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class Fact(Value):
    """A sentence that stands alone, read out of one turn."""

    text: str


class RejectedFact(Value):
    """A fact that the turn does not support."""

    text: str
    reason: str


class Memory(Value):
    """One entry of a bank, in one version."""

    id: UUID
    version: int
    text: str
    speaker: str
    """Who said the turn that it was first added from: the owner, not necessarily the subject."""
    said_at: datetime
    """When the newest of its source turns was said."""
    sources: tuple[UUID, ...]
    """The turns that it came from, oldest first."""
    created_at: datetime
    updated_at: datetime


class Query(Value):
    """What a bank is asked for: a dense vector, and hashed terms for the lexical arm (empty: dense alone)."""

    dense: Vector
    terms: SparseVector = Field(default_factory=dict)


class Candidate(Value):
    """A memory that recall found, with its fused score."""

    memory: Memory
    score: float


class Embedded(Value):
    """A text's two index forms."""

    dense: Vector
    terms: SparseVector


def is_unit(vector: Vector) -> bool:
    """True where the vector has length one within rounding of half precision."""
    return math.isclose(float(np.linalg.norm(vector)), 1.0, abs_tol=1e-2)
