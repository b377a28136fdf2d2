"""Forms of keys and of the audit log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from app.api.schemas import Body, Line, SaidAt
from app.core.values import Value
from app.services.audit import AuditEvent
from app.services.callers import BANK_NAME, DEFAULT_OVERLAP_SECONDS, MAX_OVERLAP_SECONDS, Limits, Rights, Scope
from app.services.keys import MAX_BANKS, MAX_NAME_CHARACTERS, KeySummary

MAX_REQUESTS_PER_MINUTE = 100_000
MAX_PER_DAY = 1_000_000_000
BankName = Annotated[str, StringConstraints(pattern=BANK_NAME)]
_PER_DAY = Field(None, ge=1, le=MAX_PER_DAY)


class CreateKey(Body):
    """A key to make; it may do no more than the one that makes it, and has its end and limits where it names none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "the chat widget", "scope": "write", "banks": ["alice"], "requests_per_minute": 60}]
        }
    )

    name: Line = Field(max_length=MAX_NAME_CHARACTERS, examples=["the chat widget"])
    """What the key is for, in printable characters."""
    scope: Literal["read", "write", "admin"]
    """What it may do; each scope holds those before it."""
    banks: list[BankName] | None = Field(None, min_length=1, max_length=MAX_BANKS)
    """Names of the only banks that it is for, which need not exist yet; all if left out."""
    expires_at: SaidAt | None = Field(None, examples=["2099-01-01T00:00:00Z"])
    """From when on it is worthless; if left out, with the key that makes it, or never."""
    requests_per_minute: int | None = Field(None, ge=1, le=MAX_REQUESTS_PER_MINUTE)
    """Requests that it may make in a minute; so many at once after a pause."""
    turns_per_day: int | None = _PER_DAY
    """Turns that it may store in a day of UTC."""
    questions_per_day: int | None = _PER_DAY
    """Questions that it may have answered in a day of UTC."""

    def rights(self) -> Rights:
        """The rights of the key."""
        limits = Limits(**{name: getattr(self, name) for name in Limits.model_fields})
        banks = None if self.banks is None else tuple(self.banks)
        return Rights(scope=Scope(self.scope), banks=banks, expires_at=self.expires_at, limits=limits)


class RotateKey(Body):
    """How to take a key out of use."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 3600}]})

    overlap_seconds: int = Field(DEFAULT_OVERLAP_SECONDS, ge=0, le=MAX_OVERLAP_SECONDS)
    """For how long the old key stays valid beside the new one."""


class KeyList(Value):
    """A page of keys, oldest first."""

    keys: tuple[KeySummary, ...]
    next_cursor: str | None


class AuditList(Value):
    """A page of the audit log, newest first."""

    events: tuple[AuditEvent, ...]
    next_cursor: str | None
