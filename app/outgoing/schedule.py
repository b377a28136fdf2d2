"""When a webhook is tried again."""

from __future__ import annotations

from collections.abc import Callable

_MINUTE, _HOUR = 60.0, 3600.0
DELAYS = (5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
"""Seconds before the second, third, ... attempt, as the Standard Webhooks specification suggests: three days in all."""

_SPREAD = 0.2
_LONGEST = DELAYS[-1]


def next_attempt(attempts: int, retry_after: float | None, jitter: Callable[[], float]) -> float | None:
    """Seconds to wait after so many failed attempts; None to give up, which is after the tenth.

    `retry_after` (seconds, as the receiver asked; at most a day counts) lengthens a delay but never shortens one.
    `jitter` gives a number from 0 to 1, such as `random.random`; a wait grows by up to a fifth of itself. Raises
    `ValueError` before the first attempt.
    """
    if attempts < 1:
        raise ValueError("There was no attempt yet.")
    if attempts > len(DELAYS):
        return None
    delay = max(DELAYS[attempts - 1], min(retry_after or 0.0, _LONGEST))
    return delay * (1 + _SPREAD * jitter())
