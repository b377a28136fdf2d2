"""One agent run, whole; service, training and evaluation write the same form."""

from __future__ import annotations

from enum import StrEnum

from app.core.values import Message, Role, Usage, Value


class Outcome(StrEnum):
    """What a reply amounts to; each consumer states what it makes of it."""

    FACTS = "facts"
    NOTHING = "nothing"
    """The turn holds nothing worth remembering."""
    DECIDED = "decided"
    ANSWERED = "answered"
    ABSTAINED = "abstained"
    MALFORMED = "malformed"
    """Not JSON, or not what the schema says."""


class Trace(Value):
    """What was asked of a policy, what it said and what that amounted to."""

    role: Role
    messages: tuple[Message, ...]
    reply: str
    outcome: Outcome
    policy: str
    prompt_version: str
    usage: Usage
    seconds: float
