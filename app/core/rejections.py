"""Classes of the reasons for which an operation is rejected: few, and without the words that a reason may quote."""

from __future__ import annotations

import re

_CLASSES = (
    ("not_shown", r"no such memory was shown"),
    ("nothing_known", r"no memory that was shown says it"),
    ("changed_twice", r"the memory was changed by this turn already"),
    ("no_change_told", r"the fact does not speak of a change"),
    ("other_subject", r"the fact speaks of something else"),
    ("empty", r"the text is empty"),
    ("too_long", r"the text is longer than \d+ characters"),
    ("repeats_itself", r"it repeats itself"),
    ("invented", r".* is neither in the memory nor in the fact|most of its words are neither in .*"),
    ("loses", r"it would lose .*"),
    ("nothing_new", r"it says nothing of what is new in the fact"),
)
_PATTERNS = [(name, re.compile(pattern, re.DOTALL)) for name, pattern in _CLASSES]
OTHER = "other"
CLASSES = (*(name for name, _ in _CLASSES), OTHER)


def reason_class(reason: str | None) -> str:
    """One of `CLASSES`."""
    return next((name for name, pattern in _PATTERNS if pattern.fullmatch(reason or "")), OTHER)
