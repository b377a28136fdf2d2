"""Relative dates, each worked out by hand with a calendar at hand; and what must hold of every text.

The calendar, Monday to Sunday: 24-30 April, 1-7 May, 8-14 May, 15-21 May 2023.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import moments
from app.core.dates import find_relative_dates, make_dates_absolute
from app.core.tenses import Tense, tense_of

MONDAY = datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
SATURDAY = datetime(2023, 5, 13, 9, 0, tzinfo=UTC)
FRIDAY_IN_JUNE = datetime(2023, 6, 9, 19, 55, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Caroline went to a support group yesterday.", "Caroline went to a support group on 7 May 2023."),
        ("I ran today.", "I ran on 8 May 2023."),
        ("See you tomorrow!", "See you on 9 May 2023!"),
        ("I saw it the day before yesterday.", "I saw it on 6 May 2023."),
        ("We leave the day after tomorrow.", "We leave on 10 May 2023."),
        ("I'm free tonight.", "I'm free on the evening of 8 May 2023."),
        ("I ran this morning.", "I ran on the morning of 8 May 2023."),
        ("Call me this afternoon.", "Call me on the afternoon of 8 May 2023."),
        ("Call me this evening.", "Call me on the evening of 8 May 2023."),
        ("We talked last night.", "We talked on the night of 7 May 2023."),
        ("It rained yesterday evening.", "It rained on the evening of 7 May 2023."),
        ("Early tomorrow morning we go.", "Early on the morning of 9 May 2023 we go."),
        ("Yesterday, I ran.", "On 7 May 2023, I ran."),
        ("TODAY I ran.", "On 8 May 2023 I ran."),
    ],
)
def test_days(said: str, meant: str) -> None:
    assert make_dates_absolute(said, MONDAY) == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("We met two days ago.", "We met on 6 May 2023."),
        ("We met 10 days ago.", "We met on 28 April 2023."),
        ("We met a couple of days ago.", "We met around 6 May 2023."),
        ("We met about three days ago.", "We met around 5 May 2023."),
        ("We met a few days ago.", "We met a few days before 8 May 2023."),
        ("Several years ago we met.", "Several years before 8 May 2023 we met."),
        ("We met a week ago.", "We met around 1 May 2023."),
        ("We met two weeks ago.", "We met around 24 April 2023."),
        ("We met two weeks ago today.", "We met on 24 April 2023."),
        ("We met a month ago.", "We met around 8 April 2023."),
        ("We met three months ago.", "We met around February 2023."),
        ("We met 18 months ago.", "We met around November 2021."),
        ("We met a year ago.", "We met around May 2022."),
        ("We met ten years ago.", "We met around 2013."),
        ("We met two weekends ago.", "We met on the weekend of 29-30 April 2023."),
        ("We meet three days from now.", "We meet on 11 May 2023."),
        ("The recital is in two days.", "The recital is on 10 May 2023."),
        ("She'll be back in a month.", "She'll be back around 8 June 2023."),
        ("We are moving in a few weeks.", "We are moving a few weeks after 8 May 2023."),
    ],
)
def test_spans_away(said: str, meant: str) -> None:
    assert make_dates_absolute(said, MONDAY) == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("I ran last week.", "I ran in the week before 8 May 2023."),
        ("What I did this week!", "What I did in the week of 8 May 2023!"),
        ("I travel next week.", "I travel in the week after 8 May 2023."),
        ("I moved last month.", "I moved in April 2023."),
        ("I lost my job this month.", "I lost my job in May 2023."),
        ("We camp next month.", "We camp in June 2023."),
        ("I painted it last year.", "I painted it in 2022."),
        ("I want to paint this year.", "I want to paint in 2023."),
        ("Next year I paint.", "In 2024 I paint."),
        ("We hiked last weekend.", "We hiked on the weekend of 6-7 May 2023."),
        ("That trip this past weekend!", "That trip on the weekend of 6-7 May 2023!"),
        ("We hike this weekend.", "We hike on the weekend of 13-14 May 2023."),
        ("We hiked this weekend.", "We hiked on the weekend of 6-7 May 2023."),
        ("We hike next weekend.", "We hike on the weekend of 13-14 May 2023."),
        ("We hiked last June.", "We hiked in June 2022."),
        ("We hiked last April.", "We hiked in April 2023."),
        ("We hiked last May.", "We hiked in May 2022."),
        ("We hike next May.", "We hike in May 2024."),
        ("We hike this June.", "We hike in June 2023."),
        ("We hike next April.", "We hike in April 2024."),
    ],
)
def test_weeks_months_and_years(said: str, meant: str) -> None:
    assert make_dates_absolute(said, MONDAY) == meant


@pytest.mark.parametrize(
    ("said", "said_at", "meant"),
    [
        ("We met last Friday.", MONDAY, "We met on 5 May 2023."),
        ("We met last Monday.", MONDAY, "We met on 1 May 2023."),
        ("We met last Fri.", MONDAY, "We met on 5 May 2023."),
        ("We met last Tues.", MONDAY, "We met on 2 May 2023."),
        ("We met last Friday night.", MONDAY, "We met on the night of 5 May 2023."),
        ("See you next Friday.", MONDAY, "See you on 12 May 2023."),
        ("See you next Monday.", MONDAY, "See you on 15 May 2023."),
        ("See you this Friday.", MONDAY, "See you on 12 May 2023."),
        ("We met this past Friday.", MONDAY, "We met on 5 May 2023."),
        ("See you this coming Sunday.", MONDAY, "See you on 14 May 2023."),
        ("We met this Wednesday.", SATURDAY, "We met on 10 May 2023."),
        ("Maybe this Wednesday.", SATURDAY, "Maybe this Wednesday."),
        ("We met on Friday.", MONDAY, "We met on 5 May 2023."),
        ("We will meet on Friday.", MONDAY, "We will meet on 12 May 2023."),
        ("The show is on Friday night.", MONDAY, "The show is on the night of 12 May 2023."),
        ("We meet on Friday.", MONDAY, "We meet on Friday."),
        ("We met and will meet on Friday.", MONDAY, "We met and will meet on Friday."),
        ("We hiked last weekend.", SATURDAY, "We hiked on the weekend of 6-7 May 2023."),
        ("We hike this weekend.", SATURDAY, "We hike on the weekend of 13-14 May 2023."),
        ("We hike next weekend.", SATURDAY, "We hike on the weekend of 20-21 May 2023."),
        ("We met last week.", FRIDAY_IN_JUNE, "We met in the week before 9 June 2023."),
    ],
)
def test_weekdays_and_weekends_depend_on_the_day_and_the_tense(said: str, said_at: datetime, meant: str) -> None:
    assert make_dates_absolute(said, said_at) == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("We met on last Friday.", "We met on 5 May 2023."),
        ("I know her since yesterday.", "I know her since 7 May 2023."),
        ("I need it by tomorrow.", "I need it by 9 May 2023."),
        ("I need it before next month.", "I need it before June 2023."),
        ("It went on until last year.", "It went on until 2022."),
        ("in last year", "in 2022"),
        ("the end of last year", "the end of 2022"),
        ("late last year", "late in 2022"),
        ("as of today", "as of 8 May 2023"),
        ("from two weeks ago", "from around 24 April 2023"),
        ("over last weekend", "over the weekend of 6-7 May 2023"),
        ("compared to last year", "compared to 2022"),
        ("I moved in last week.", "I moved in in the week before 8 May 2023."),
        ("She stopped by yesterday.", "She stopped by on 7 May 2023."),
        ("The place I went to yesterday.", "The place I went to on 7 May 2023."),
        ("Yesterday was fun.", "7 May 2023 was fun."),
        ("I think last week was hard.", "I think the week before 8 May 2023 was hard."),
        ("Last week was hard.", "The week before 8 May 2023 was hard."),
        ("The party yesterday was fun.", "The party on 7 May 2023 was fun."),
        ("Ran today. Last week too.", "Ran on 8 May 2023. In the week before 8 May 2023 too."),
        ("between yesterday and tomorrow", "between 7 May 2023 and 9 May 2023"),
    ],
)
def test_the_sentence_stays_english(said: str, meant: str) -> None:
    assert make_dates_absolute(said, MONDAY) == meant


@pytest.mark.parametrize(
    "said",
    [
        "",
        "this year's plan",
        "today's news and yesterday's",
        "She may march in a second, the sun sat low.",
        "my last name, the next door, the last one, last time",
        "the last week of the course",
        "last week of the course",
        "my last week at work",
        "Caroline's last week at work",
        "every Friday and on Fridays",
        "this may take a while",
        "last sat down",
        "It feels like yesterday.",
        "as if there were no tomorrow",
        "the leaders of tomorrow",
        '"Yesterday" by them',
        "over two years ago",
        "two or three weeks ago",
        "2-3 weeks ago and 2.5 years ago",
        "half a year ago",
        "a year and two months ago",
        "twenty five years ago",
        "a year ago yesterday",
        "three years ago this month",
        "years ago",
        "two weeks later",
        "the week before last",
        "last summer",
        "last June 3",
        "on Friday, June 9, I ran",
        "We ran on Friday and Saturday.",
        "I read it in two weeks.",
        "I'm seeing her for the first time in two years.",
        "Will you be there in two weeks or three?",
        "June 5th",
        "on 7 May 2023",
        "this past month",
        "0 weeks ago",
        "pre-today today-ish next week-long",
        "ye\u017fterday, on Fr\u0131day, last wee\u212a, last Augu\u017ft",
    ],
)
def test_what_is_not_plainly_relative_stays(said: str) -> None:
    assert make_dates_absolute(said, MONDAY) == said
    assert find_relative_dates(said, MONDAY) == []


@pytest.mark.parametrize(
    ("said", "start", "end"),
    [
        ("yesterday", date(2023, 5, 7), date(2023, 5, 7)),
        ("last week", date(2023, 5, 1), date(2023, 5, 7)),
        ("this week", date(2023, 5, 8), date(2023, 5, 14)),
        ("next week", date(2023, 5, 9), date(2023, 5, 21)),
        ("last month", date(2023, 4, 1), date(2023, 4, 30)),
        ("last year", date(2022, 1, 1), date(2022, 12, 31)),
        ("last weekend", date(2023, 5, 6), date(2023, 5, 7)),
        ("a week ago", date(2023, 4, 28), date(2023, 5, 4)),
        ("a few days ago", date(2023, 5, 2), date(2023, 5, 6)),
        ("a couple of days ago", date(2023, 5, 5), date(2023, 5, 7)),
        ("three years ago", date(2020, 1, 1), date(2020, 12, 31)),
    ],
)
def test_an_expression_names_the_days_that_it_may_mean(said: str, start: date, end: date) -> None:
    (found,) = find_relative_dates(said, MONDAY)
    assert (found.start, found.end) == (start, end)


def test_found_dates_say_where_they_stand() -> None:
    text = "We ran yesterday, and we run tomorrow."
    found = find_relative_dates(text, MONDAY)
    assert [(each.expression, each.absolute) for each in found] == [
        ("yesterday", "on 7 May 2023"),
        ("tomorrow", "on 9 May 2023"),
    ]
    assert [text[each.position :].startswith(each.expression) for each in found] == [True, True]


@pytest.mark.parametrize(
    ("said", "said_at", "meant"),
    [
        ("a month ago", datetime(2023, 3, 31), "around 28 February 2023"),
        ("a month ago", datetime(2024, 3, 31), "around 29 February 2024"),
        ("a year ago today", datetime(2024, 2, 29), "on 28 February 2023"),
        ("last month", datetime(2023, 1, 31), "in December 2022"),
        ("next month", datetime(2023, 12, 31), "in January 2024"),
        ("yesterday", datetime(2024, 3, 1), "on 29 February 2024"),
        ("this weekend", datetime(2023, 9, 27), "on the weekend of 30 September 2023-1 October 2023"),
        ("this weekend", datetime(2022, 12, 30), "on the weekend of 31 December 2022-1 January 2023"),
    ],
)
def test_the_calendars_corners(said: str, said_at: datetime, meant: str) -> None:
    assert make_dates_absolute(said, said_at) == meant


def test_the_day_is_the_speakers_own_whatever_the_zone() -> None:
    late_in_tokyo = datetime(2023, 5, 8, 0, 30, tzinfo=timezone(timedelta(hours=9)))
    assert make_dates_absolute("yesterday", late_in_tokyo) == "on 7 May 2023"


@pytest.mark.parametrize(
    "said", ["yesterday", "last year", "999 years ago", "last weekend", "last Friday", "last January"]
)
def test_nothing_before_the_year_one_is_named(said: str) -> None:
    assert make_dates_absolute(said, datetime(1, 1, 1)) == said


@pytest.mark.parametrize("said", ["tomorrow", "next year", "999 years from now", "next weekend", "next Friday"])
def test_nothing_after_the_year_9999_is_named(said: str) -> None:
    assert make_dates_absolute(said, datetime(9999, 12, 31)) == said


@pytest.mark.parametrize(
    ("sentence", "tense"),
    [
        ("She met him", Tense.PAST),
        ("She painted it", Tense.PAST),
        ("I've seen it", Tense.PAST),
        ("She will go", Tense.FUTURE),
        ("It's on Friday", Tense.FUTURE),
        ("The show is on Friday", Tense.FUTURE),
        ("She is glad that they met", None),
        ("I run on Friday at 10 am", None),
        ("I need a red bed", None),
        ("Ann's party", None),
        ("", None),
    ],
)
def test_a_sentence_has_a_tense_only_where_its_verbs_agree(sentence: str, tense: Tense | None) -> None:
    assert tense_of(sentence) is tense


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(-600, 600))
def test_months_later_keeps_the_day_or_takes_the_months_last(day: date, months: int) -> None:
    later = moments.months_later(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later.day < day.day and (later + timedelta(days=1)).day == 1)


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 6))
def test_last_and_next_weekdays_are_within_a_week_and_never_today(day: date, weekday: int) -> None:
    last, following = moments.last_weekday(day, weekday), moments.next_weekday(day, weekday)
    assert last.weekday() == following.weekday() == weekday
    assert timedelta(days=1) <= day - last <= timedelta(days=7)
    assert timedelta(days=1) <= following - day <= timedelta(days=7)


PIECES = """yesterday|today|tomorrow|tonight|the day before yesterday|last night|this morning|last week|next week
this week|last weekend|this weekend|two weekends ago|last month|next year|this year|last June|next May|on Friday
this Friday|next Friday|last Fri|last Wed|on Monday night|in two weeks|in a month|in a few days|a few weeks ago
two weeks ago|about three months ago|a year ago|a year ago today|two days from now|from today|is|was|will|went|am|and
or|of|the|my|to|from|by|in|on|In|On|over|than|no|like|it's|Bob's|,|.|?|'|3|10|2023|3rd|June|May|two|before|after|weeks
ago|time|now|half|last|Last|next|this|few|since|about|moved|a|compared to|all|between|she"""
SALAD = st.lists(st.sampled_from(re.split(r"[|\n]", PIECES)), max_size=9).map(" ".join)
MOMENTS = st.datetimes()


@settings(max_examples=1500, deadline=None)
@given(text=SALAD, said_at=MOMENTS)
def test_doing_it_twice_changes_nothing_more(text: str, said_at: datetime) -> None:
    once = make_dates_absolute(text, said_at)
    assert make_dates_absolute(once, said_at) == once


@given(text=st.text() | SALAD, said_at=st.datetimes(timezones=st.none() | st.timezones()))
def test_nothing_raises_and_every_span_is_in_order(text: str, said_at: datetime) -> None:
    for found in find_relative_dates(text, said_at):
        assert found.start <= found.end
        assert text[found.position :].startswith(found.expression)
        assert found.absolute


@given(text=st.text(), said_at=MOMENTS)
def test_a_text_without_a_word_of_time_stays_as_it_is(text: str, said_at: datetime) -> None:
    if not re.search(r"day|tonight|ago|from|last|next|this|\bin|\bon", text, re.IGNORECASE):
        assert make_dates_absolute(text, said_at) == text


@pytest.mark.parametrize(
    "piece",
    ["today ", "a few weeks ago ", "the day before ", "last ", "in two weeks ", "on Friday ", " ", "a", "was ", "1",
     "about ", "the day  after  ", "last week.", "'s ", "from yesterday to ", "like just "],
)  # fmt: skip
def test_long_texts_take_linear_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    began = time.process_time()
    make_dates_absolute(text, MONDAY)
    assert time.process_time() - began < 10, "a quadratic search takes minutes of the processor"
