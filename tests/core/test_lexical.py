"""Words, stems and hashed weights, worked out by hand."""

from __future__ import annotations

import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.lexical import DIMENSION, MAX_TERMS, content_words, document_terms, query_terms, stems, term_id, tokens


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("Alice's dog, Buddy!", ["alice's", "dog", "buddy"]),
        ("Alice’s dog", ["alice's", "dog"]),
        ("Jean-Luc at 3pm", ["jean", "luc", "at", "3pm"]),
        ("don't 'quote' it''s", ["don't", "quote", "it", "s"]),
        ("我在Berlin工作", ["我", "在", "berlin", "工", "作"]),
        ("東京タワー 한국", ["東", "京", "タ", "ワ", "ー", "한", "국"]),
        ("Straße ÖL", ["straße", "öl"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("snake_case", ["snake", "case"]),
        ("🙂 — …", []),
        ("Jose\u0301", ["josé"]),
    ],
)
def test_texts_fall_into_words(text: str, found: list[str]) -> None:
    assert tokens(text) == found


def test_words_without_meaning_are_left_out_and_the_rest_is_stemmed() -> None:
    assert content_words("She was adopting the two dogs") == ["adopting", "two", "dogs"]
    assert stems("She was adopting the two dogs; Alice's too") == ["adopt", "two", "dog", "alic"]


def test_a_term_is_a_checksum_within_the_dimension() -> None:
    assert term_id("dog") == zlib.crc32(b"dog") % DIMENSION
    assert all(0 <= term_id(f"word{number}") < DIMENSION for number in range(10_000))


def test_a_weight_is_the_saturated_frequency_worked_out_by_hand() -> None:
    # Three words, one of them twice: length = 0.75 * 3/12 + 0.25 = 0.4375; 1.2 * 0.4375 = 0.525.
    # Twice: 2 * 2.2 / 2.525 = 1.74257; once: 1 * 2.2 / 1.525 = 1.44262; in thousandths.
    assert document_terms("dog and cat and dog") == {term_id("dog"): 1743.0, term_id("cat"): 1443.0}


def test_a_text_of_the_expected_length_gives_each_word_one() -> None:
    weights = document_terms(" ".join(f"w{number}" for number in range(12)))
    assert set(weights.values()) == {1000.0}


def test_a_question_counts_each_word_once() -> None:
    assert query_terms("dog dog DOGS, and the cat?") == {term_id("dog"): 1.0, term_id("cat"): 1.0}
    assert query_terms("Who is it?") == {}
    assert document_terms("and the 🙂") == {}


def test_words_that_share_a_dimension_add_up() -> None:
    by_id: dict[int, str] = {}
    pair = None
    for number in range(100_000):
        word = f"{number}q{number * number}"
        if (other := by_id.setdefault(term_id(word), word)) != word:
            pair = (other, word)
            break
    assert pair is not None
    alone = document_terms(f"{pair[0]} x")
    assert document_terms(f"{pair[0]} {pair[1]}") == {term_id(pair[0]): 2 * alone[term_id(pair[0])]}
    assert query_terms(" ".join(pair)) == {term_id(pair[0]): 1.0}


def test_the_most_frequent_words_of_a_long_text_are_kept() -> None:
    text = " ".join(f"w{number}" for number in range(4 * MAX_TERMS)) + " dog dog"
    weights = document_terms(text)
    assert len(weights) <= MAX_TERMS
    assert weights[term_id("dog")] == max(weights.values())
    assert len(query_terms(text)) <= MAX_TERMS


def test_no_weight_vanishes_however_long_the_text_is() -> None:
    weights = document_terms("dog " * 100_000 + "cat")
    assert min(weights.values()) >= 1.0


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_weights_are_whole_numbers_within_the_dimension(text: str) -> None:
    weights = document_terms(text)
    assert all(0 <= term < DIMENSION for term in weights)
    assert all(weight == int(weight) and weight >= 1 for weight in weights.values())
    assert set(query_terms(text)) == set(weights)


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_every_word_of_a_text_is_lower_case_and_not_empty(text: str) -> None:
    assert all(token and not token.isspace() and "’" not in token for token in tokens(text))


def test_terms_are_the_same_in_every_process() -> None:
    text = "Alice adopted two dogs named Buddy and Scout in Köln; 名前 too."
    program = f"from app.core.lexical import document_terms; print(list(document_terms({text!r}).items()))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(path for path in sys.path if path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for seed in ("0", "1", "4711")
    }
    assert printed == {str(list(document_terms(text).items()))}
