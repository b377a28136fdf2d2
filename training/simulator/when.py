"""Datings: a relative expression as it is said, and the days that it means against the day on which it was said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from app.core import moments
from app.core.moments import Moment

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class When:
    """A dating in the two forms that a dialogue and a memory need."""

    said: str
    """"last Friday", "on 7 May"."""
    moment: Moment

    @property
    def on(self) -> str:
        """ "on 7 May 2023", "in the week before 9 June 2023"."""
        return f"{self.moment.preposition} {self.moment.name}".strip()

    @property
    def name(self) -> str:
        """ "7 May 2023": what a question is answered with."""
        return self.moment.name

    @property
    def is_day(self) -> bool:
        return self.moment.start == self.moment.end


Dating = Callable[[Random, date], When]


def _yesterday(random: Random, today: date) -> When:
    return When("yesterday", moments.on_day(today - timedelta(days=1)))


def on_the_day(day: date) -> When:
    """The day itself."""
    return When("today", moments.on_day(day))


def _today(random: Random, day: date) -> When:
    return on_the_day(day)


def _days_ago(random: Random, today: date) -> When:
    count = random.randint(2, 6)
    words = ("two", "three", "four", "five", "six")
    return When(f"{words[count - 2]} days ago", moments.on_day(today - timedelta(days=count)))


def _last_weekday(random: Random, today: date) -> When:
    weekday = random.randrange(7)
    return When(f"last {WEEKDAYS[weekday]}", moments.on_day(moments.last_weekday(today, weekday)))


def _last_week(random: Random, today: date) -> When:
    return When("last week", moments.week_before(today))


def _last_weekend(random: Random, today: date) -> When:
    return When("last weekend", moments.weekend_away(today, -1))


def _last_month(random: Random, today: date) -> When:
    return When("last month", moments.in_month(moments.months_later(today, -1)))


def _weeks_ago(random: Random, today: date) -> When:
    return When("two weeks ago", moments.away(today, -2, "week"))


def _last_year(random: Random, today: date) -> When:
    return When("last year", moments.in_year(today.year - 1))


def _past_day(random: Random, today: date) -> When:
    return _written(today - timedelta(days=random.randint(3, 40)))


def _written(day: date) -> When:
    return When(f"on {moments.written(day)}", moments.on_day(day))


def _tomorrow(random: Random, today: date) -> When:
    return When("tomorrow", moments.on_day(today + timedelta(days=1)))


def _next_weekday(random: Random, today: date) -> When:
    weekday = random.randrange(7)
    return When(f"next {WEEKDAYS[weekday]}", moments.on_day(moments.next_weekday(today, weekday)))


def _next_week(random: Random, today: date) -> When:
    return When("next week", moments.week_after(today))


def _next_weekend(random: Random, today: date) -> When:
    return When("next weekend", moments.weekend_away(today, 1))


def _next_month(random: Random, today: date) -> When:
    return When("next month", moments.in_month(moments.months_later(today, 1)))


def _coming_day(random: Random, today: date) -> When:
    return _written(today + timedelta(days=random.randint(3, 40)))


_PAST: tuple[Dating, ...] = (
    _yesterday,
    _today,
    _days_ago,
    _last_weekday,
    _last_weekday,
    _last_week,
    _last_weekend,
    _last_month,
    _weeks_ago,
    _last_year,
    _past_day,
    _past_day,
)
_PAST_DAYS: tuple[Dating, ...] = (_yesterday, _days_ago, _last_weekday, _past_day)
_FUTURE: tuple[Dating, ...] = (
    _tomorrow,
    _next_weekday,
    _next_weekday,
    _next_week,
    _next_weekend,
    _next_month,
    _coming_day,
)
_FUTURE_DAYS: tuple[Dating, ...] = (_tomorrow, _next_weekday, _coming_day)


_TRIES = 6


def past(random: Random, today: date, *, exact: bool = False, since: date | None = None) -> When:
    """Something that has happened, on an exact day if asked; not over before `since`, a day that is no later."""
    for _ in range(_TRIES):
        found = random.choice(_PAST_DAYS if exact else _PAST)(random, today)
        if since is None or found.moment.end >= since:
            return found
    return on_the_day(today)


def past_day(random: Random, today: date, *, until: date, other_than: When | None) -> When:
    """An exact day in the past, not after `until` and not one that was said before."""
    for _ in range(_TRIES):
        found = random.choice(_PAST_DAYS)(random, today)
        if found.moment.end <= until and (other_than is None or found.on != other_than.on):
            return found
    days = random.sample(range(1, 40), 2)
    choices = [_written(until - timedelta(days=back)) for back in days]
    return next(one for one in choices if other_than is None or one.on != other_than.on)


def future(random: Random, today: date, *, exact: bool = False) -> When:
    """Something that is to come, on an exact day if asked."""
    return random.choice(_FUTURE_DAYS if exact else _FUTURE)(random, today)
