"""The lines of a split, ready to be filled in; names and phrasings of one split never occur in another."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from training.simulator import (
    doings_exam,
    doings_train,
    doings_validation,
    questions_train,
    talk_exam,
    talk_train,
    talk_validation,
    wording_exam,
    wording_train,
    wording_validation,
)
from training.simulator.pools import Split

_LINES = {
    Split.TRAIN: wording_train.LINES | questions_train.LINES | doings_train.LINES | talk_train.LINES,
    Split.VALIDATION: wording_validation.LINES | doings_validation.LINES | talk_validation.LINES,
    Split.EXAM: wording_exam.LINES | doings_exam.LINES | talk_exam.LINES,
}
_CONTINUED = re.compile(r"\n\s*\|\|")


class Line(NamedTuple):
    """One way to say something, with `{slots}`."""

    say: str
    what: str
    """The fact, told of the speaker; empty where a line holds none."""
    kept: str
    """What a memory says after a change, or what a detail adds to it; empty where that follows from the fact."""

    @property
    def is_dated(self) -> bool:
        return "{when}" in self.say or "{When}" in self.say


@cache
def lines(split: Split, key: str) -> tuple[Line, ...]:
    """All ways to say a thing in a split."""
    text = _CONTINUED.sub(" ||", _LINES[split][key])
    return tuple(_line(row) for row in text.splitlines() if row.strip())


def phrase(split: Split, key: str) -> str:
    """A text of which a split has one form only, such as the past of a state."""
    return _LINES[split][key]


def has(split: Split, key: str) -> bool:
    return key in _LINES[split]


def keys(split: Split) -> tuple[str, ...]:
    return tuple(_LINES[split])


def _line(row: str) -> Line:
    parts = [part.strip() for part in row.split("||")]
    say, what, kept = [*parts, "", ""][:3]
    return Line(say, what, kept)


def fill(form: str, slots: dict[str, str]) -> str:
    """A line with its slots filled; `{When}` is `{when}` at the start of a sentence."""
    return form.format_map(_Slots(slots))


class _Slots(dict[str, str]):
    def __missing__(self, key: str) -> str:
        if key[:1].isupper() and key.lower() in self:
            value = self[key.lower()]
            return value[:1].upper() + value[1:]
        raise KeyError(key)


def joined(subject: str, predicate: str) -> str:
    """A subject and what is told of it: "Alice adopted a dog", "Alice's dog died"."""
    return f"{subject}{predicate}" if predicate.startswith("'s ") else f"{subject} {predicate}"


def with_article(noun: str) -> str:
    is_vowel = noun[0] in "aeiou" and not noun.startswith("uni")
    return f"{'an' if is_vowel else 'a'} {noun}"
