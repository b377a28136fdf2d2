"""What a check found, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

from app.core.values import Value


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It works, and may not for long or not as meant."""
    FAIL = "fail"
    """The service cannot work so."""
    SKIP = "skip"
    """Not checked, since something before it failed or is not there yet."""


class Finding(Value):
    """One line of the report."""

    check: str
    level: Level
    found: str
    to_do: str | None = None


def ok(check: str, found: str) -> Finding:
    return Finding(check=check, level=Level.OK, found=found)


def warn(check: str, found: str, to_do: str) -> Finding:
    return Finding(check=check, level=Level.WARN, found=found, to_do=to_do)


def fail(check: str, found: str, to_do: str) -> Finding:
    return Finding(check=check, level=Level.FAIL, found=found, to_do=to_do)


def skip(check: str, found: str) -> Finding:
    return Finding(check=check, level=Level.SKIP, found=found)
