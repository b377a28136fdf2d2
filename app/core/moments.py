"""Days, weeks, months and years near a day: the calendar behind `app.core.dates`, with the English name of each.

A direction is -1 for the past and 1 for the future. Every function raises `OverflowError` or `ValueError` outside the
years 1 to 9999.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

from app.core.rendering import MONTHS


@dataclass(frozen=True)
class Moment:
    """The days that a dating means, the last one included, and how to name them."""

    name: str
    preposition: str
    """What goes before the name in a sentence; empty where the name stands alone."""
    start: date
    end: date


def on_day(day: date, part: str = "") -> Moment:
    """A day, or a part of it such as "evening"."""
    return Moment(f"the {part} of {written(day)}" if part else written(day), "on", day, day)


def around_day(day: date, days: int) -> Moment:
    """A day, give or take some."""
    return Moment(f"around {written(day)}", "", day - timedelta(days=days), day + timedelta(days=days))


def in_month(day: date) -> Moment:
    """The month that holds the day."""
    last = monthrange(day.year, day.month)[1]
    return Moment(f"{MONTHS[day.month - 1]} {day.year:04d}", "in", day.replace(day=1), day.replace(day=last))


def in_year(year: int) -> Moment:
    """A calendar year."""
    return Moment(f"{year:04d}", "in", date(year, 1, 1), date(year, 12, 31))


def week_before(today: date) -> Moment:
    """ "Last week", told loosely: from the Monday of the week before to the eve of the day."""
    return Moment(f"the week before {written(today)}", "in", monday(today, -1), today - timedelta(days=1))


def week_of(today: date) -> Moment:
    """Monday to Sunday around the day."""
    return Moment(f"the week of {written(today)}", "in", monday(today), monday(today) + timedelta(days=6))


def week_after(today: date) -> Moment:
    """ "Next week", told loosely: from the morrow to the Sunday of the next week."""
    return Moment(
        f"the week after {written(today)}", "in", today + timedelta(days=1), monday(today, 2) - timedelta(days=1)
    )


def weekend_away(today: date, weekends: int) -> Moment:
    """The weekend so many weekends away: 0 ends the day's own week, 1 is the first that begins after the day."""
    is_weekend = today.weekday() >= 5
    weeks = weekends if weekends <= 0 or is_weekend else weekends - 1
    saturday = monday(today, weeks) + timedelta(days=5)
    sunday = saturday + timedelta(days=1)
    first = str(saturday.day) if saturday.month == sunday.month else written(saturday)
    return Moment(f"the weekend of {first}-{written(sunday)}", "on", saturday, sunday)


def away(today: date, count: int, unit: str) -> Moment:
    """So many weeks, months or years away: one is told to the next smaller unit, several only to their own.

    "A year ago" is a month, "three years ago" a year, "a month ago" some days.
    """
    day = moved(today, count, unit)
    if unit == "week" or (unit == "month" and abs(count) == 1):
        return around_day(day, 3)
    whole = in_year(day.year) if unit == "year" and abs(count) > 1 else in_month(day)
    return Moment(f"around {whole.name}", "", whole.start, whole.end)


def some(today: date, quantity: str, unit: str, direction: int) -> Moment:
    """ "A few" or "several" units away: from two to six of them, with nothing in the name made more exact."""
    near, far = sorted((moved(today, 2 * direction, unit), moved(today, 6 * direction, unit)))
    side = "before" if direction < 0 else "after"
    return Moment(f"{quantity} {unit}s {side} {written(today)}", "", near, far)


def moved(day: date, count: int, unit: str) -> date:
    """The day some days, weeks, months or years away; in a shorter month, that month's last day."""
    if unit in ("day", "week"):
        return day + timedelta(days=count * (7 if unit == "week" else 1))
    return months_later(day, count * (12 if unit == "year" else 1))


def months_later(day: date, months: int) -> date:
    """The same day of another month, or the month's last: 31 March less one month is 28 February."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def monday(day: date, weeks: int = 0) -> date:
    """The Monday of the day's week, or of another week."""
    return day - timedelta(days=day.weekday() - 7 * weeks)


def last_weekday(today: date, weekday: int) -> date:
    """The most recent such weekday before the day (0 is Monday)."""
    return today - timedelta(days=(today.weekday() - weekday - 1) % 7 + 1)


def next_weekday(today: date, weekday: int) -> date:
    """The first such weekday after the day."""
    return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)


def written(day: date) -> str:
    """ "7 May 2023", whatever the locale; the year always has four digits, so that it is never read as a count."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year:04d}"
