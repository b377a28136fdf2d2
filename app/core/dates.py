"""Relative dates ("yesterday", "two weeks ago", "last June") made absolute against when they were said, never now.

Only what is plainly relative is touched, and no date is made more exact than what was said: "last week" becomes "the
week before 9 June 2023", and "a few days ago" stays a few. "Last" is the most recent one before the day it was said,
"next" the first one after it. Left alone are seasons, bare weekdays, "recently", and "on Friday" or "in two weeks" in a
sentence that does not tell its tense. Nothing here raises: near the years 1 and 9999 an expression stays as it is.

dateparser was weighed and left out: it reads dates of any form in many languages, so that its search takes ordinary
words such as "may" and "sun" for dates; it resolves against the present unless told otherwise; and it returns one
moment, not the span that "last week" is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import pairwise

from app.core import moments
from app.core.moments import Moment
from app.core.rendering import MONTHS
from app.core.tenses import Tense, Tenses
from app.core.values import Value


class RelativeDate(Value):
    """A relative date found in a text, with the days that it means."""

    expression: str
    """As it stands in the text."""
    position: int
    """Where it starts in the text, in characters."""
    start: date
    end: date
    """The last day, included; an approximate date spans the days around it."""
    absolute: str
    """What to say in its place there, with a preposition where the text does not have one."""


def find_relative_dates(text: str, said_at: datetime) -> list[RelativeDate]:
    """The relative dates of a text, in order, resolved against the day on which it was said."""
    found, tenses = [], Tenses(text)
    for match in _lone_expressions(text):
        place = _Place(text, match, said_at.date(), tenses)
        if moment := _moment(place):
            found.append(
                RelativeDate(
                    expression=match.group(),
                    position=match.start(),
                    start=moment.start,
                    end=moment.end,
                    absolute=_wording(moment, place),
                )
            )
    return found


def make_dates_absolute(text: str, said_at: datetime) -> str:
    """The text with its relative dates replaced; doing it again changes nothing."""
    pieces, copied = [], 0
    for found in find_relative_dates(text, said_at):
        pieces += [text[copied : found.position], found.absolute]
        copied = found.position + len(found.expression)
    return "".join([*pieces, text[copied:]])


# What is looked for. Every repetition is bounded, so that the search takes linear time.

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
}  # fmt: skip

_GAP = r"\s{1,3}"
_HEDGE = rf"(?:about|around|roughly|approximately|almost|nearly|maybe){_GAP}"
_COUNT = rf"\d{{1,3}}|(?:a{_GAP})?(?:couple(?:{_GAP}of)?|few)|several|an?|{'|'.join(_NUMBERS)}"
_SPAN = rf"(?:{_HEDGE})?(?:{_COUNT}){_GAP}(?:day|week|weekend|month|year)s?"
_MONTH, _WEEKDAY = "|".join(MONTHS), "|".join(_WEEKDAYS)
_PART = rf"(?:{_GAP}(?:morning|afternoon|evening|night))?+"

_EXPRESSION = re.compile(
    r"(?<![\w/-])(?<!\w['’])(?<!\d[.,])(?a:"
    rf"(?P<day>(?:the{_GAP}day{_GAP}(?:before{_GAP}yesterday|after{_GAP}tomorrow)|yesterday|today|tomorrow){_PART})"
    rf"|(?P<part>tonight|this{_GAP}(?:morning|afternoon|evening)|last{_GAP}(?:night|evening))"
    rf"|(?P<away>{_SPAN}{_GAP}(?:ago(?:{_GAP}today)?+|from{_GAP}(?:now|today)))"
    rf"|(?P<within>in{_GAP}{_SPAN}(?:{_GAP}from{_GAP}(?:now|today))?+)"
    rf"|(?P<weekday>(?:on|(?:last|next|this(?:{_GAP}(?:past|last|coming))?)){_GAP}(?:{_WEEKDAY}){_PART})"
    rf"|(?P<short_weekday>(?:last|next){_GAP}(?:mon|tues?|wed|thu(?:rs?)?|fri|sat|sun))"
    rf"|(?P<period>(?:last|next|this(?:{_GAP}(?:past|last|coming))?){_GAP}(?:weekend|week|month|year|{_MONTH}))"
    r")(?![\w/-])(?!['’]\w)",
    re.IGNORECASE,
)

_REACHES_ON = re.compile(r"(?:ago|ago\s{1,3}today|from\s{1,3}(?:now|today))$", re.IGNORECASE)


def _lone_expressions(text: str) -> list[re.Match[str]]:
    """The expressions, less those such as "a year ago yesterday" that are two in one and mean a third day."""
    matches = list(_EXPRESSION.finditer(text))
    coupled: set[int] = set()
    for index, (first, second) in enumerate(pairwise(matches)):
        if text[first.end() : second.start()].isspace() and _REACHES_ON.search(first.group()):
            coupled |= {index, index + 1}
    return [match for index, match in enumerate(matches) if index not in coupled]


# What stands beside an expression and makes it mean something else.


def _pattern(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


_UNIT = "(?:days?|weeks?|weekends?|months?|years?)"
_AFTER_AGO = _pattern(r"\bago\s+$")
_AFTER_QUOTE, _BEFORE_QUOTE = _pattern(r"[\"'“‘]$"), _pattern(r"[\"'”’]")
_AFTER_IDIOM = _pattern(
    r"\b(?:like(?: just| only| it was(?: just| only)?)?|no|better|brighter)\s+$", r"(?<!\bas) of\s+$"
)
_AFTER_DETERMINER = _pattern(
    r"\b(?:the|a|an|my|your|his|its|our|their|every|each|whose)\s+$",
    r"(?<!\bit)(?<!he)(?<!re)(?<!what|that|when)(?<!who|let)['’]s\s+$",
)
_AFTER_PART_OF_A_NUMBER = _pattern(
    r"\b(?:or|than|over|under|least|most|half|hundred|thousand|more|less)\s+$",
    rf"\b(?:(?:{_COUNT})\s+{_UNIT}|half) and\s+$",
    rf"\b(?:\d+|{'|'.join(_NUMBERS)})(?: to)?\s+$",
)
_AFTER_OCCASION = _pattern(r"\b(?:times?|once|twice|hours|minutes)\s+$")
_BEFORE_OF = _pattern(r"\s+of\b")
_BEFORE_SIDE = _pattern(r"['’]", r"\s+(?:ago|before|after|later|earlier|of|from|or|and|to|time)\b")
_BEFORE_NUMBER = _pattern(rf"\s*,?\s*(?:the\s+)?\d+(?:st|nd|rd|th)?\b(?!\s+{_UNIT})")
_BEFORE_DATE = _pattern(
    r"\s*,?\s*(?:the\s+)?\d{1,2}(?:st|nd|rd|th)\b",
    rf"\s*,?\s*(?:{_MONTH})\s+\d",
    rf"\s+(?:and|or|to|through|till|until)\s+(?:{_WEEKDAY})",
    r"\s+(?:last|next|this)\s",
    rf"\s+(?:in|on|around)\s+(?:the\s+(?:week|morning|afternoon|evening|night)|(?:\d{{1,2}}\s+)?(?:{_MONTH})\s+\d|\d{{4}}\b)",
)


class _Place:
    """An expression where it stands."""

    def __init__(self, text: str, match: re.Match[str], said_on: date, tenses: Tenses) -> None:
        self.words = match.group().lower().split()
        self.expression = match.group()
        self.kind = match.lastgroup
        self.said_on = said_on
        self.before = text[max(0, match.start() - 60) : match.start()]
        self.after = text[match.end() : match.end() + 80]
        self._position, self._tenses = match.start(), tenses

    @property
    def tense(self) -> Tense | None:
        return self._tenses.at(self._position)

    def follows(self, *patterns: re.Pattern[str]) -> bool:
        return any(pattern.search(self.before) for pattern in patterns)

    def precedes(self, *patterns: re.Pattern[str]) -> bool:
        return any(pattern.match(self.after) for pattern in patterns)


# From words to days.


def _moment(place: _Place) -> Moment | None:
    """The days that the expression means; None where it is not plainly relative, or outside the calendar."""
    is_quoted = place.follows(_AFTER_QUOTE) and place.precedes(_BEFORE_QUOTE)
    if place.follows(_AFTER_AGO) or is_quoted or place.kind is None:
        return None
    try:
        return _READERS[place.kind](place)
    except (OverflowError, ValueError):
        return None


_DAYS_AWAY = {"yesterday": -1, "today": 0, "tomorrow": 1}


def _day(place: _Place) -> Moment | None:
    if place.follows(_AFTER_IDIOM):
        return None
    words, part = _split_part(place.words)
    step = 2 if words[0] == "the" else 1
    return moments.on_day(place.said_on + timedelta(days=step * _DAYS_AWAY[words[-1]]), part)


def _part(place: _Place) -> Moment | None:
    if place.words == ["tonight"]:
        return moments.on_day(place.said_on, "evening")
    which, part = place.words
    if which == "this":
        return moments.on_day(place.said_on, part)
    if place.follows(_AFTER_DETERMINER) or place.precedes(_BEFORE_OF):
        return None
    return moments.on_day(place.said_on - timedelta(days=1), part)


def _away(place: _Place) -> Moment | None:
    if place.follows(_AFTER_PART_OF_A_NUMBER):
        return None
    if place.words[-2:] == ["ago", "today"]:
        return _counted(place.words[:-2], place.said_on, -1, to_the_day=True)
    if place.words[-1] == "ago":
        return _counted(place.words[:-1], place.said_on, -1)
    return _counted(place.words[:-2], place.said_on, +1)


def _within(place: _Place) -> Moment | None:
    if place.tense is not Tense.FUTURE or place.follows(_AFTER_OCCASION) or place.precedes(_BEFORE_SIDE):
        return None
    end = place.words.index("from") if "from" in place.words else None
    return _counted(place.words[1:end], place.said_on, +1)


def _weekday(place: _Place) -> Moment | None:
    words, part = _split_part(place.words)
    if place.precedes(_BEFORE_OF, _BEFORE_DATE) or (words[0] != "on" and place.follows(_AFTER_DETERMINER)):
        return None
    weekday = next(number for number, name in enumerate(_WEEKDAYS) if name.startswith(words[-1][:3]))
    day = _nearest(words[-2], weekday, place)
    return moments.on_day(day, part) if day else None


def _short_weekday(place: _Place) -> Moment | None:
    """ "last Sat" is a Saturday, "last sat" is not."""
    name = place.expression.split()[-1]
    return None if name in ("mon", "wed", "sat", "sun") else _weekday(place)


def _nearest(which: str, weekday: int, place: _Place) -> date | None:
    """The day meant by "last", "next", "this" or "on" with a weekday (0 is Monday); None where the tense must tell."""
    today = place.said_on
    is_past = which in ("last", "past") or (which in ("this", "on") and place.tense is Tense.PAST)
    is_coming = which in ("next", "coming") or (which in ("this", "on") and place.tense is Tense.FUTURE)
    if which == "this" and weekday == today.weekday():
        return today
    if which == "this" and weekday > today.weekday() and not is_past:
        is_coming = True
    if is_past:
        return moments.last_weekday(today, weekday)
    return moments.next_weekday(today, weekday) if is_coming else None


def _period(place: _Place) -> Moment | None:
    which, what = place.words[-2:]
    if place.precedes(_BEFORE_OF) or (place.words[0] != "this" and place.follows(_AFTER_DETERMINER)):
        return None
    direction = {"last": -1, "past": -1, "this": 0, "next": 1, "coming": 1}[which]
    if what == "week":
        return {-1: moments.week_before, 0: moments.week_of, 1: moments.week_after}[direction](place.said_on)
    if what == "weekend":
        return _weekend(place, direction)
    if what not in ("month", "year"):
        return _named_month(place, direction)
    if which == "past":  # the days before, not the last calendar month or year
        return None
    if what == "year":
        return moments.in_year(place.said_on.year + direction)
    return moments.in_month(moments.months_later(place.said_on, direction))


def _weekend(place: _Place, direction: int) -> Moment:
    """On a working day "this weekend" is the coming one, unless the sentence is told in the past."""
    is_over = place.said_on.weekday() < 5 and place.tense is Tense.PAST
    if direction > 0:
        return moments.weekend_away(place.said_on, 1)
    return moments.weekend_away(place.said_on, -1 if direction < 0 or is_over else 0)


def _named_month(place: _Place, direction: int) -> Moment | None:
    name = place.expression.split()[-1]
    if place.precedes(_BEFORE_NUMBER) or name in ("may", "march", "august"):
        return None
    month, today = MONTHS.index(name.capitalize()) + 1, place.said_on
    is_this_year = direction == 0 or (month < today.month if direction < 0 else month > today.month)
    return moments.in_month(date(today.year + (0 if is_this_year else direction), month, 1))


def _split_part(words: list[str]) -> tuple[list[str], str]:
    """The words before a part of the day, and that part, which may be empty."""
    return (words[:-1], words[-1]) if words[-1] in ("morning", "afternoon", "evening", "night") else (words, "")


def _counted(words: list[str], today: date, direction: int, *, to_the_day: bool = False) -> Moment | None:
    """Some days, weeks, weekends, months or years away from a day: words such as "about", "two", "weeks"."""
    unit = words[-1].removesuffix("s")
    quantity = "several" if "several" in words else "a few"
    if quantity == "several" or "few" in words:
        return None if unit == "weekend" else moments.some(today, quantity, unit, direction)
    count = 2 if "couple" in words else 1 if words[-2] in ("a", "an") else _NUMBERS.get(words[-2]) or int(words[-2])
    if not count:
        return None
    if unit == "weekend":
        return moments.weekend_away(today, direction * count)
    if to_the_day:
        return moments.on_day(moments.moved(today, direction * count, unit))
    if unit == "day":
        day = moments.moved(today, direction * count, unit)
        is_exact = len(words) == 2 and "couple" not in words
        return moments.on_day(day) if is_exact else moments.around_day(day, 1)
    return moments.away(today, direction * count, unit)


_READERS: dict[str, Callable[[_Place], Moment | None]] = {
    "day": _day,
    "part": _part,
    "away": _away,
    "within": _within,
    "weekday": _weekday,
    "short_weekday": _short_weekday,
    "period": _period,
}


# From days back to words.

_AFTER_PREPOSITION = _pattern(
    r"\b(?:since|until|till|by|before|after|from|for|during|throughout|between|within|of|all)\s+$",
    r"\b(?:compared|forward|up|prior|back|closer|moved(?: it)?|postponed|rescheduled|pushed|delayed|changed) to\s+$",
    r"\b(?:excited|nervous|worried|anxious|how|what) about\s+$",
    r"\b(?:from|between)\s[^.!?]{1,30}\s(?:to|and)\s+$",
)
_AFTER_ON, _AFTER_IN, _AFTER_OVER = _pattern(r"\bon\s+$"), _pattern(r"\bin\s+$"), _pattern(r"\b(?:over|through)\s+$")
_AFTER_PHRASAL_VERB = _pattern(
    r"\b(?:mov|com|cam|check|turn|settl|drop|stop|swung|swing|pass|go|went|join|log|walk|get|got|fly|flew|driv|drov|stay)"
    r"[a-z]{0,6} (?:by|in|over|through)\s+$"
)
_CLAUSE_START = _pattern(
    r"^\s*$", r"[.!?,;:(\"“—]\s*$", r"\b(?:and|but|that|so|because|if|think|guess|hope|know|said|though)\s+$"
)
_SENTENCE_START = _pattern(r"^\s*$", r"[.!?:\n\"“(*•-]\s*$")
_BEFORE_VERB = _pattern(
    r"\s+(?:was|is|were|are|will|has|had|would|can|could|might|works?|feels?|felt|looks?|seems?|marks?|marked|sounds?)\b"
)


def _wording(moment: Moment, place: _Place) -> str:
    """The moment with its preposition, unless the text has one or the expression is a sentence's subject."""
    is_subject = place.follows(_CLAUSE_START) and place.precedes(_BEFORE_VERB)
    is_bare = not moment.preposition or is_subject or _has_preposition(moment, place)
    words = moment.name if is_bare else f"{moment.preposition} {moment.name}"
    starts_sentence = place.expression[0].isupper() and place.follows(_SENTENCE_START)
    return words[0].upper() + words[1:] if starts_sentence else words


def _has_preposition(moment: Moment, place: _Place) -> bool:
    """True after a preposition that goes with the moment; the "in" of "moved in last week" belongs to its verb."""
    if moment.preposition == "on" and place.follows(_AFTER_ON):
        return True
    if place.follows(_AFTER_PHRASAL_VERB):
        return False
    return (
        place.follows(_AFTER_PREPOSITION)
        or (moment.preposition == "in" and place.follows(_AFTER_IN))
        or (moment.start != moment.end and place.follows(_AFTER_OVER))
    )
