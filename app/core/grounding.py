"""Whether a text is supported by other texts, judged by its words: names, numbers and stems.

Deliberately simple and strict on names and numbers: other services stored the people of their own prompt examples.
"""

from __future__ import annotations

import re

from app.core.lexical import STOP_WORDS, content_words, stem, stems, tokens, words

MIN_SUPPORTED_SHARE = 0.5
"""Share of a fact's content words that the dialogue must hold."""
MAX_REPEATED_TRIPLES = 2
"""Sequences of three words that may occur again in any text."""
MAX_REPEATED_SHARE = 1 / 3
"""Share of a longer text's sequences that may occur again: a list of three like things is no loop."""
COUNTABLE = {str(number) for number in range(1, 11)}
"""A merge may count what it merges ("2 dogs")."""

_DIGITS = re.compile(r"\d+")
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|\"\s*)$")
_CHANGE = re.compile(
    r"\b(no longer|not|never|n't|any ?more|instead|actually|correction|corrected|changed?|switch(?:ed)?|mov(?:ed|ing)"
    r"|replac(?:ed|es)|used to|former(?:ly)?|quit|left|stopp?(?:ed|s)?|gave up|given away"
    r"|g[ai]ves? (?:[\w'-]+ ){0,4}away|sold|lost|died|passed away|broke up|divorced|cancell?ed"
    r"|postponed|rescheduled|renamed|now|prefers?|wrong|mistaken|meant|retired|finished|ended|returned|resigned)\b|n't\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;]|\b(?:and|but)\b", re.IGNORECASE)
_ONE_MORE = re.compile(r"\b(another|also|too|as well|second|third|additional(?:ly)?|besides)\b", re.IGNORECASE)
_NO_CHANGE_OF_ONE_MORE = {"now", "actually"}
"""In "now has another dog" nothing ends."""


def names_and_numbers(text: str) -> set[str]:
    """Lower-case names and numbers of a text: what must not be invented and must not get lost."""
    found: set[str] = set()
    written = words(text)
    everywhere = {word.text for word in written}
    for word, before in written:
        lower = word.lower().removesuffix("'s")
        # A capitalised first word is taken for a name unless the text also has it in lower case.
        is_plain = bool(_SENTENCE_START.search(before)) and word[1:].islower() and word.lower() in everywhere
        if word[0].isdigit():
            found.update(_DIGITS.findall(word))
        elif word[0].isupper() and lower not in STOP_WORDS and not is_plain:
            found.add(lower)
    return found


def _heard(*texts: str) -> set[str]:
    """What texts say: their words, the stems of these, and the numbers in them ("3" of "3pm")."""
    said = {token for text in texts for token in tokens(text)}
    numbers = {number for token in said for number in _DIGITS.findall(token)}
    return said | {stem(token) for token in said} | numbers


def _missing(names: set[str], heard: set[str]) -> set[str]:
    return {name for name in names if name not in heard and stem(name) not in heard}


def why_ungrounded(text: str, turn: str, context: str) -> str | None:
    """The reason why a fact is not supported by its turn (with its context), or None where it is."""
    if loop := why_repetitive(text):
        return loop
    heard = _heard(turn, context)
    if missing := _missing(names_and_numbers(text), heard):
        return f"{min(missing)!r} is not in the dialogue"
    fact_stems = set(stems(text))
    if not fact_stems:
        return "says nothing"
    if len(fact_stems & heard) < MIN_SUPPORTED_SHARE * len(fact_stems):
        return "most of its words are not in the dialogue"
    if content_words(turn) and not fact_stems & set(stems(turn)):
        return "nothing of it is in the turn itself"
    return None


def why_repetitive(text: str) -> str | None:
    """The reason why a text is a loop rather than a sentence, or None: small models fall into them."""
    words = tokens(text)
    triples = list(zip(words, words[1:], words[2:], strict=False))
    if len(triples) - len(set(triples)) > max(MAX_REPEATED_TRIPLES, MAX_REPEATED_SHARE * len(triples)):
        return "it repeats itself"
    return None


def why_merge_ungrounded(text: str, parts: list[str]) -> str | None:
    """The reason why a merged text says something that none of its parts says, or None."""
    if loop := why_repetitive(text):
        return loop
    heard = _heard(*parts)
    if missing := _missing(names_and_numbers(text) - COUNTABLE, heard):
        return f"{min(missing)!r} is neither in the memory nor in the fact"
    merged = set(stems(text))
    if merged and len(merged & heard) < MIN_SUPPORTED_SHARE * len(merged):
        return "most of its words are neither in the memory nor in the fact"
    return None


def taken_from(text: str, other: str, own: str) -> set[str]:
    """Words of a text (content words, names, numbers) that another text says and its own source does not."""
    written = {word.removesuffix("'s") for word in content_words(text)} | names_and_numbers(text)
    return _missing(written, _heard(own)) - _missing(written, _heard(other))


def says_change(fact: str) -> bool:
    """True where a fact speaks of an end, a replacement or a correction, so that something old may go."""
    said = _changes(fact)
    return bool(said - _NO_CHANGE_OF_ONE_MORE if _ONE_MORE.search(fact) else said)


def _changes(text: str) -> set[str]:
    return {match.group().lower() for match in _CHANGE.finditer(text)}


def share_subject(fact: str, memory: str, speaker: str) -> bool:
    """True where both speak of the same thing, not merely of the same speaker."""
    return bool((set(stems(fact)) & set(stems(memory))) - set(stems(speaker)))


def covers(memory: str, fact: str, speaker: str) -> bool:
    """True where a memory may say what a fact says: it is of the same thing, with its names, numbers and changes."""
    misses_a_change = says_change(fact) and not says_change(memory)
    return share_subject(fact, memory, speaker) and not lost_by(fact, memory) and not misses_a_change


def takes_up(merged: str, fact: str, memory: str) -> bool:
    """True where a merged text says something of what the fact has and the memory has not: words, or a change."""
    new = _missing(set(stems(fact)) | names_and_numbers(fact), _heard(memory))
    if new:
        return bool(new - _missing(new, _heard(merged)))
    return says_change(merged) or says_change(memory) or not says_change(fact)


def keeps_most(merged: str, memory: str) -> bool:
    """True where a merged text has at least half of the words of a memory."""
    said = set(stems(memory))
    return 2 * len(_missing(said, _heard(merged))) <= len(said)


def news(fact: str, memory: str) -> set[str]:
    """What a fact of an end tells beside it: names and numbers that a memory lacks, and words of other clauses."""
    beside = [clause for clause in _CLAUSE.split(fact) if not _changes(clause) - _NO_CHANGE_OF_ONE_MORE]
    said = {one for clause in beside for one in stems(clause)} | names_and_numbers(fact)
    return _missing(said, _heard(memory) | _heard(*_changes(fact)))


def tells_the_same_change(memory: str, fact: str) -> bool:
    """True where a memory has every word of a fact, those of its change too."""
    changes = _heard(*_changes(fact))
    return not _missing(set(stems(fact)) | names_and_numbers(fact) | changes, _heard(memory))


def lost_by(old: str, new: str) -> set[str]:
    """Names and numbers of the old text that the new one lacks."""
    return _missing(names_and_numbers(old), _heard(new))
