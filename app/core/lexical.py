"""Words: tokens, stems and hashed term weights, computed alike for Postgres and for memory.

The weights are BM25's saturated term frequency with a fixed expected length, so that a row's weights never depend on
other rows: Postgres stores them as a sparsevec, and one inner product gives the lexical score in either bank.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import snowballstemmer

from app.core.values import SparseVector

DIMENSION = 1 << 20
EXPECTED_LENGTH = 12.0
"""Content words of a typical memory, in place of BM25's corpus average."""
SATURATION, LENGTH_WEIGHT = 1.2, 0.75
WEIGHT_STEPS = 1000
"""Weights are whole numbers of one part in so many, so that their sums are exact in single precision too."""
MAX_TERMS = 256
"""Terms kept of one text: above any usual memory, and a covering index holds them with the longest speaker's name."""

STOP_WORDS = frozenset(
    """a about after again all also am an and another any are aren't as at be because been before being both but by can
    can't could couldn't did didn't do does doesn't doing don't down during each else ever few for from further had
    hadn't has hasn't have haven't having he he'd he'll he's her here hers herself him himself his how i i'd i'll i'm
    i've if in into is isn't it it's its itself just let's like me more most much my myself no nor not now of off oh ok
    okay on once one only or other our ours ourselves out over own really same she she'd she'll she's should so some
    still such than that that's the their theirs them themselves then there there's these they they'd they'll they're
    they've this those through to too under until up us very was wasn't we we'd we'll we're we've well were weren't
    what what's when where which while who whom why will with won't would wouldn't yeah yes yet you you'd you'll you're
    you've your yours yourself yourselves""".split()
)

_IDEOGRAPH = "぀-ヿ㐀-䶿一-鿿豈-﫿가-힯"
_LETTERS = rf"(?:(?![{_IDEOGRAPH}])[^\W_])+"
_WORD = re.compile(rf"[{_IDEOGRAPH}]|{_LETTERS}(?:['’]{_LETTERS})*")
_stemmer = snowballstemmer.stemmer("english")


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The English stem of a lower-case word; other scripts pass unchanged."""
    return str(_stemmer.stemWord(word.removesuffix("'s")))


class Word(NamedTuple):
    """A word as it is written, with a straight apostrophe."""

    text: str
    before: str
    """The few characters in front of it."""


def words(text: str) -> list[Word]:
    """The words of a text; Chinese, Japanese and Korean characters stand for themselves."""
    composed = unicodedata.normalize("NFC", text)
    return [
        Word(match.group().replace("’", "'"), composed[max(0, match.start() - 4) : match.start()])
        for match in _WORD.finditer(composed)
    ]


def tokens(text: str) -> list[str]:
    """The words in lower case."""
    return [word.text.lower() for word in words(text)]


def content_words(text: str) -> list[str]:
    """Tokens that carry meaning, unstemmed."""
    return [token for token in tokens(text) if token not in STOP_WORDS]


def stems(text: str) -> list[str]:
    """Stems of the content words, in order."""
    return [stem(word) for word in content_words(text)]


def term_id(term: str) -> int:
    """The term's dimension, from 0 to `DIMENSION` - 1; stable across machines and versions of Python."""
    return zlib.crc32(term.encode()) % DIMENSION


def document_terms(text: str) -> SparseVector:
    """Term weights of a stored text: saturated frequency, normalised for length (Robertson's BM25 without idf)."""
    counts = Counter(stems(text))
    length = LENGTH_WEIGHT * sum(counts.values()) / EXPECTED_LENGTH + 1 - LENGTH_WEIGHT
    weights: SparseVector = {}
    for term, count in counts.most_common(MAX_TERMS):
        weight = count * (SATURATION + 1) / (count + SATURATION * length)
        weights[term_id(term)] = weights.get(term_id(term), 0.0) + max(1.0, round(weight * WEIGHT_STEPS))
    return weights


def query_terms(text: str) -> SparseVector:
    """Term weights of a question: each distinct content word counts once."""
    return {term_id(term): 1.0 for term in dict.fromkeys(stems(text)[:MAX_TERMS])}
