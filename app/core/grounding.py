"""Whether a text is supported by other texts, judged by its words: names, numbers and stems.

Deliberately simple and strict on names and numbers: other services stored the people of their own prompt examples.
"""

from __future__ import annotations

import re

from app.core.lexical import STOP_WORDS, content_words, stem, stems, tokens

MIN_SUPPORTED_SHARE = 0.5
"""Share of a fact's content words that the dialogue must hold."""
COUNTABLE = {str(number) for number in range(1, 11)}
"""A merge may count what it merges ("2 dogs")."""

_WORD = re.compile(r"[^\W\d_][\w'’-]*|\d+")
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|\"\s*)$")
_CHANGE = re.compile(
    r"\b(no longer|not|never|n't|any ?more|instead|actually|correction|corrected|changed?|switch(?:ed)?|mov(?:ed|ing)"
    r"|replac(?:ed|es)|used to|former(?:ly)?|quit|left|stopp?(?:ed|s)?|gave up|gave away|sold|lost|died|passed away"
    r"|broke up|divorced|cancell?ed|postponed|rescheduled|renamed|now|prefers?|wrong|mistaken|meant|retired|finished"
    r"|ended|returned|resigned)\b|n't\b",
    re.IGNORECASE,
)


def names_and_numbers(text: str) -> set[str]:
    """Lower-case names and numbers of a text: what must not be invented and must not get lost."""
    found = set()
    for match in _WORD.finditer(text):
        word = match.group().replace("’", "'")
        lower = word.lower().removesuffix("'s")
        starts_sentence = bool(_SENTENCE_START.search(text[: match.start()][-4:])) or match.start() == 0
        common = lower in STOP_WORDS or (starts_sentence and word[1:].islower() and not _looks_like_name(text, word))
        if word.isdigit() or (word[0].isupper() and not common):
            found.add(lower)
    return found


def _looks_like_name(text: str, word: str) -> bool:
    """A capitalised first word is taken for a name unless the text also has it in lower case."""
    return word.lower() not in _WORD.findall(text)


def why_ungrounded(text: str, turn: str, context: str) -> str | None:
    """The reason why a fact is not supported by its turn (with its context), or None where it is."""
    support = set(tokens(turn)) | set(tokens(context))
    support_stems = {stem(token) for token in support}
    for name in sorted(names_and_numbers(text)):
        if name not in support and stem(name) not in support_stems:
            return f"{name!r} is not in the dialogue"
    fact_stems = set(stems(text))
    if not fact_stems:
        return "says nothing"
    supported = fact_stems & support_stems
    if len(supported) < MIN_SUPPORTED_SHARE * len(fact_stems):
        return "most of its words are not in the dialogue"
    if content_words(turn) and not fact_stems & set(stems(turn)):
        return "nothing of it is in the turn itself"
    return None


def why_merge_ungrounded(text: str, parts: list[str]) -> str | None:
    """The reason why a merged text says something that none of its parts says, or None."""
    support = {token for part in parts for token in tokens(part)}
    support_stems = {stem(token) for token in support}
    for name in sorted(names_and_numbers(text) - COUNTABLE):
        if name not in support and stem(name) not in support_stems:
            return f"{name!r} is neither in the memory nor in the fact"
    merged = set(stems(text))
    if merged and len(merged & support_stems) < MIN_SUPPORTED_SHARE * len(merged):
        return "most of its words are neither in the memory nor in the fact"
    return None


def says_change(fact: str) -> bool:
    """True where a fact speaks of an end, a replacement or a correction, so that something old may go."""
    return bool(_CHANGE.search(fact))


def lost_by(old: str, new: str) -> set[str]:
    """Names and numbers of the old text that the new one lacks."""
    kept = set(tokens(new))
    kept_stems = {stem(token) for token in kept}
    return {name for name in names_and_numbers(old) if name not in kept and stem(name) not in kept_stems}
