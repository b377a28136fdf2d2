"""Every metric of the project, once: the reward, the evaluation and the tests call these functions.

"F1" means three things in the literature, and "BLEU-1" two; each is here under the name of its source.
Scores are floats in [0, 1]. A judge's reply that cannot be read raises `UnreadableVerdict`; it never scores zero.
"""

from __future__ import annotations

import json
import math
import re
import string
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from statistics import fmean
from typing import Any, Final

from nltk.stem.porter import PorterStemmer
from nltk.tokenize import word_tokenize
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from app.core.errors import BrokenReply
from app.core.locomo import Category
from app.core.rendering import MONTHS, constant_messages, object_schema, prompt_version, text_schema
from app.core.values import Message, Value


class Scores(Value):
    """One answer under every convention."""

    exact_match: float
    squad_exact_match: float
    mem0_f1: float
    locomo_f1: float
    memory_r2_f1: float
    mem0_bleu1: float
    memory_r2_bleu1: float
    date_normalised_exact_match: float
    date_normalised_f1: float
    """Mem0's F1 after `normalise_dates`; stands beside the raw score, never instead of it."""


def score(answer: str, gold: str, category: Category) -> Scores:
    """Score an answer under every convention; the category matters to LoCoMo's own F1 alone."""
    return Scores(
        exact_match=exact_match(answer, gold),
        squad_exact_match=squad_exact_match(answer, gold),
        mem0_f1=mem0_f1(answer, gold),
        locomo_f1=locomo_f1(answer, gold, category),
        memory_r2_f1=memory_r2_f1(answer, gold),
        mem0_bleu1=mem0_bleu1(answer, gold),
        memory_r2_bleu1=memory_r2_bleu1(answer, gold),
        date_normalised_exact_match=date_normalised_exact_match(answer, gold),
        date_normalised_f1=date_normalised_f1(answer, gold),
    )


# Exact match


def exact_match(answer: str, gold: str) -> float:
    """1 where both are the same but for case and white space (mem0ai/mem0, evaluation); an empty one scores 0."""
    return _same(" ".join(answer.lower().split()), " ".join(gold.lower().split()))


def squad_exact_match(answer: str, gold: str) -> float:
    """1 where both are the same after `squad_normalise`; one with nothing left scores 0."""
    return _same(squad_normalise(answer), squad_normalise(gold))


def _same(answer: str, gold: str) -> float:
    return float(bool(gold) and answer == gold)


_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_normalise(text: str) -> str:
    """Lower case, without punctuation, articles and repeated white space (Rajpurkar et al. 2016)."""
    return _without_words(text, r"\b(?:a|an|the)\b")


def _without_words(text: str, words: str) -> str:
    return " ".join(re.sub(words, " ", text.lower().translate(_PUNCTUATION)).split())


# Token F1


def mem0_f1(answer: str, gold: str) -> float:
    """F1 over SETS of lower-case tokens, with . , ! ? as spaces (mem0ai/mem0, evaluation/metrics)."""
    answer_tokens, gold_tokens = _mem0_tokens(answer), _mem0_tokens(gold)
    return _f1(len(answer_tokens & gold_tokens), len(answer_tokens), len(gold_tokens))


def _mem0_tokens(text: str) -> set[str]:
    return set(re.sub("[.,!?]", " ", text.lower()).split())


def memory_r2_f1(answer: str, gold: str) -> float:
    """F1 over SQuAD-normalised tokens: distinct shared ones over FULL lengths, so that a repeated token costs.

    Source: ahmedehabb/Memory-R2. Two that are both empty after normalisation score 1 there, and here.
    """
    answer_tokens, gold_tokens = squad_normalise(answer).split(), squad_normalise(gold).split()
    if not answer_tokens or not gold_tokens:
        return float(answer_tokens == gold_tokens)
    return _f1(len(set(answer_tokens) & set(gold_tokens)), len(answer_tokens), len(gold_tokens))


_REFUSALS = ("no information available", "not mentioned")


def locomo_f1(answer: str, gold: str, category: Category) -> float:
    """LoCoMo's official score: stemmed multiset F1, with a rule for categories 1, 3 and 5.

    Category 1 averages each gold part's best match over the answer's parts (parts are split at commas); category 3
    drops the gold's reason after ';'; category 5 is 1 for a refusal. Source: snap-research/locomo, task_eval.
    """
    if category is Category.ADVERSARIAL:
        return float(any(refusal in answer.lower() for refusal in _REFUSALS))
    if category is Category.MULTI_HOP:
        return fmean(max(stemmed_f1(a, part) for a in answer.split(",")) for part in gold.split(","))
    return stemmed_f1(answer, gold.split(";")[0] if category is Category.OPEN_DOMAIN else gold)


def stemmed_f1(answer: str, gold: str) -> float:
    """F1 over multisets of Porter stems, without punctuation, articles and "and" (snap-research/locomo)."""
    answer_stems, gold_stems = _stems(answer), _stems(gold)
    return _f1((answer_stems & gold_stems).total(), answer_stems.total(), gold_stems.total())


_STEMMER = PorterStemmer()


def _stems(text: str) -> Counter[str]:
    return Counter(_STEMMER.stem(word) for word in _without_words(text, r"\b(?:a|an|the|and)\b").split())


def _f1(shared: int, answer_length: int, gold_length: int) -> float:
    """The harmonic mean of shared/answer_length and shared/gold_length; 0 where nothing is shared."""
    return 2 * shared / (answer_length + gold_length) if shared else 0.0


# BLEU-1


def mem0_bleu1(answer: str, gold: str) -> float:
    """NLTK's sentence BLEU with weight on unigrams alone and method 1 smoothing (mem0ai/mem0, evaluation/metrics).

    Texts are taken as one line, where Mem0 splits sentences first: that needs NLTK's downloaded models, and differs
    only in a full stop inside a text, which here stays on its word.
    """
    answer_tokens = word_tokenize(answer.lower(), preserve_line=True)
    gold_tokens = word_tokenize(gold.lower(), preserve_line=True)
    if not answer_tokens or not gold_tokens:
        return 0.0
    smoothing = SmoothingFunction().method1
    return float(sentence_bleu([gold_tokens], answer_tokens, weights=(1, 0, 0, 0), smoothing_function=smoothing))


def memory_r2_bleu1(answer: str, gold: str) -> float:
    """Clipped unigram precision times the brevity penalty, over SQuAD-normalised tokens, without smoothing."""
    return clipped_precision_bleu1(squad_normalise(answer).split(), squad_normalise(gold).split())


def clipped_precision_bleu1(answer_tokens: Sequence[str], gold_tokens: Sequence[str]) -> float:
    """BLEU-1 of Papineni et al. 2002 for one reference; 0 where either is empty."""
    if not answer_tokens or not gold_tokens:
        return 0.0
    precision = (Counter(answer_tokens) & Counter(gold_tokens)).total() / len(answer_tokens)
    return precision * min(1.0, math.exp(1 - len(gold_tokens) / len(answer_tokens)))


# Scores that forgive the way a date is written

_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|" \
         r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"  # fmt: skip
_DAY = r"\d{1,2}"
_WRITTEN_DATE = re.compile(
    rf"\b(?P<iso_year>\d{{4}})-(?P<iso_month>\d\d)-(?P<iso_day>\d\d)\b"
    rf"|\b(?P<day_first>{_DAY})(?:st|nd|rd|th)?\s{{1,3}}(?:of\s{{1,3}})?(?P<month_second>{_MONTH})\b"
    rf"(?:[.,]{{0,2}}\s{{0,3}}(?P<year_after_month>\d{{4}})\b)?"
    rf"|\b(?P<month_first>{_MONTH})\b\.?\s{{1,3}}(?:the\s{{1,3}})?(?P<day_second>{_DAY})(?:st|nd|rd|th)?\b"
    rf"(?:,?\s{{1,3}}(?P<year_after_day>\d{{4}})\b)?"
    rf"|\b(?P<month_alone>{_MONTH})\b[.,]{{0,2}}\s{{0,3}}(?P<year_alone>\d{{4}})\b",
    re.IGNORECASE | re.ASCII,
)


def normalise_dates(text: str) -> str:
    """Write dates as "7 May 2023", "7 May" or "May 2023"; leave "5/7/2023", which names two days."""
    return _WRITTEN_DATE.sub(_in_one_form, text)


def _in_one_form(found: re.Match[str]) -> str:
    part = {name: value for name, value in found.groupdict().items() if value}
    day = part.get("iso_day") or part.get("day_first") or part.get("day_second")
    month = _month_name(part)
    year = next((value for name, value in part.items() if "year" in name), None)
    if month is None or (day and not 1 <= int(day) <= 31):
        return found.group()
    return " ".join(piece for piece in (day and str(int(day)), month, year) if piece)


def _month_name(part: dict[str, str]) -> str | None:
    if number := part.get("iso_month"):
        return MONTHS[int(number) - 1] if 1 <= int(number) <= 12 else None
    spelled = next(value for name, value in part.items() if name.startswith("month"))
    return next(month for month in MONTHS if month[:3].lower() == spelled[:3].lower())


def date_normalised_exact_match(answer: str, gold: str) -> float:
    """`exact_match` after `normalise_dates` on both."""
    return _with_dates_normalised(exact_match, answer, gold)


def date_normalised_f1(answer: str, gold: str) -> float:
    """`mem0_f1` after `normalise_dates` on both."""
    return _with_dates_normalised(mem0_f1, answer, gold)


def _with_dates_normalised(metric: Callable[[str, str], float], answer: str, gold: str) -> float:
    return metric(normalise_dates(answer), normalise_dates(gold))


# Retrieval, and how sure a proportion is


def evidence_recall(evidence_ids: Collection[str], retrieved_ids: Collection[str]) -> float | None:
    """The share of the distinct evidence ids that were retrieved; None where a question has no evidence."""
    evidence = set(evidence_ids)
    return len(evidence & set(retrieved_ids)) / len(evidence) if evidence else None


class Interval(Value):
    """A confidence interval of a proportion."""

    low: float
    high: float


_Z_95: Final = 1.959963984540054


def wilson_interval(successes: int, trials: int, z: float = _Z_95) -> Interval:
    """Wilson's score interval, by default at 95%; without trials it is all of [0, 1] (Wilson 1927)."""
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials")
    if not trials:
        return Interval(low=0.0, high=1.0)
    share, spread = successes / trials, z * z / trials
    centre = (share + spread / 2) / (1 + spread)
    half_width = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return Interval(low=max(0.0, centre - half_width), high=min(1.0, centre + half_width))


# The judge


class Verdict(StrEnum):
    """What a judge says about an answer."""

    CORRECT = "CORRECT"
    WRONG = "WRONG"


class UnreadableVerdict(BrokenReply):
    """The judge's reply holds no verdict."""

    def __init__(self, reply: str) -> None:
        self.reply = reply
        super().__init__(f"The judge's reply holds no verdict: {reply[:200]!r}")


VERDICT_SCHEMA: Final[dict[str, Any]] = object_schema(
    {
        "reason": text_schema(400),
        "label": {"type": "string", "enum": [verdict.value for verdict in Verdict]},
    }
)


def render_judge(question: str, gold: str, answer: str, *, strict: bool = False) -> tuple[Message, ...]:
    """The messages that ask a judge for a verdict; the texts go as JSON, so that none can end its own quotation."""
    asked = json.dumps({"question": question, "gold_answer": gold, "answer": answer}, ensure_ascii=False, indent=2)
    return *constant_messages(_judge_prompt(strict)), Message(role="user", content=asked)


def judge_version(*, strict: bool = False) -> str:
    """A hash of the judge's prompt and schema: scores of two versions are not comparable."""
    return prompt_version(_judge_prompt(strict), json.dumps(VERDICT_SCHEMA, sort_keys=True))


def _judge_prompt(strict: bool) -> str:
    return "judge_strict" if strict else "judge"


_FENCED = re.compile(r"```(?:json)?\s(.*)```", re.DOTALL)


def parse_verdict(reply: str) -> Verdict:
    """Read a judge's reply: one JSON object, fenced or bare, whose one label is a verdict; else `UnreadableVerdict`."""
    bare = reply.strip()
    fenced = _FENCED.fullmatch(bare)
    try:
        found = json.loads(fenced.group(1) if fenced else bare, object_pairs_hook=_object_without_repeats)
        return Verdict(found["label"].strip().upper())
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableVerdict(reply) from error


def _object_without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)
