"""The tense of English sentences by the verbs that give it away: enough to tell which Friday "on Friday" is.

A sentence with verbs of both tenses, or of none that is known, has no tense: a wrong date is worse than none.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from enum import Enum, auto


class Tense(Enum):
    """Whether a sentence tells or announces; the present counts as announcing."""

    PAST = auto()
    FUTURE = auto()


_SENTENCE = re.compile(r"[^.!?;\n]+")
_PAST = re.compile(
    r"\b(?:was|were|wasn['’]t|weren['’]t|had|hadn['’]t|did|didn['’]t|been|seen|gone|done|went|came|saw|got|made|took|met|bought"
    r"|brought|gave|found|told|said|ran|won|lost|left|felt|ate|sold|built|held|began|spoke|wrote|taught|threw|drove|flew"
    r"|sang|swam|fell|caught|heard|kept|knew|sent|spent|started|stood|thought|wore"
    r"|(?!(?:need|wed|red|bed|feed|seed|weed|speed|indeed|hundred)\b)[a-z]{2,20}ed)\b|['’](?:ve|d)\b",
    re.IGNORECASE,
)
_FUTURE = re.compile(
    r"\b(?:will|won['’]t|shall|going to|gonna|is|are|(?<!\b\d )(?<!\b\d\d )am|starts?|begins?|opens?|leaves?"
    r"|arrives?|see you|due|coming up|upcoming|(?:he|it|that|there)['’]s)\b|['’](?:ll|m|re)\b",
    re.IGNORECASE,
)


class Tenses:
    """The tense of each sentence, where its verbs agree on one."""

    def __init__(self, text: str) -> None:
        self._sentences = [sentence.span() for sentence in _SENTENCE.finditer(text)]
        self._text = text
        self._known: dict[int, Tense | None] = {}

    def at(self, position: int) -> Tense | None:
        """The tense of the sentence around a word that starts there; None where it has none or both."""
        index = bisect_right(self._sentences, (position, len(self._text))) - 1
        if index not in self._known:
            self._known[index] = tense_of(self._text[slice(*self._sentences[index])])
        return self._known[index]


def tense_of(sentence: str) -> Tense | None:
    """The tense of one sentence; None where no verb tells, or two disagree."""
    past, future = bool(_PAST.search(sentence)), bool(_FUTURE.search(sentence))
    return None if past == future else Tense.PAST if past else Tense.FUTURE
