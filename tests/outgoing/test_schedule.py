"""When a webhook is tried again, and when it is given up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.outgoing.schedule import DELAYS, next_attempt


def at(attempts: int, retry_after: float | None = None, jitter: float = 0.0) -> float | None:
    return next_attempt(attempts, retry_after, lambda: jitter)


def test_the_delays_are_those_of_the_specification() -> None:
    hours = 3600.0
    expected = [5.0, 300.0, 1800.0, 2 * hours, 5 * hours, 10 * hours, 14 * hours, 20 * hours, 24 * hours]
    assert [at(attempts) for attempts in range(1, 10)] == expected


@pytest.mark.parametrize("attempts", [10, 11, 10_000])
@pytest.mark.parametrize("retry_after", [None, 5.0])
def test_it_is_given_up_after_the_tenth(attempts: int, retry_after: float | None) -> None:
    assert at(attempts, retry_after) is None


def test_a_receiver_can_ask_for_a_longer_wait_but_not_for_a_shorter_or_endless_one() -> None:
    assert at(1, 60.0) == 60.0
    assert at(2, 1.0) == 300.0
    assert at(2, 0.0) == 300.0
    assert at(1, 1e9) == 86_400.0


@pytest.mark.parametrize("attempts", [0, -1])
def test_there_is_no_next_before_a_first(attempts: int) -> None:
    with pytest.raises(ValueError, match="no attempt"):
        at(attempts)


@given(st.integers(1, 9), st.none() | st.floats(0, 1e12), st.floats(0, 1))
def test_jitter_adds_a_fifth_at_the_most(attempts: int, retry_after: float | None, jitter: float) -> None:
    plain, spread = at(attempts, retry_after), at(attempts, retry_after, jitter)
    assert plain is not None and spread is not None
    assert DELAYS[attempts - 1] <= plain <= spread <= plain * 1.2 <= 86_400 * 1.2
