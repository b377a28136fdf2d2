"""What a fact must share with its turn, what a merge with its parts, and what counts as lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import grounding
from app.core.grounding import (
    covers,
    lost_by,
    names_and_numbers,
    says_change,
    share_subject,
    taken_from,
    why_merge_ungrounded,
    why_repetitive,
    why_ungrounded,
)

TURN = "I adopted a dog named Buddy yesterday, and my brother Piet came along."


@pytest.mark.parametrize(
    "fact",
    [
        "Alice adopted a dog named Buddy.",
        "Alice has a brother named Piet.",
        "Alice's brother Piet came along.",
        "Alice: I adopted a dog named Buddy.",
        "alice adopted buddy",
    ],
)
def test_a_fact_of_the_turn_is_supported(fact: str) -> None:
    assert why_ungrounded(fact, TURN, "Alice") is None


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        ("Tamsin adopted a dog named Buddy.", "'tamsin' is not in the dialogue"),
        ("Alice adopted a dog named Scout.", "'scout' is not in the dialogue"),
        ("Alice adopted 2 dogs.", "'2' is not in the dialogue"),
        ("Alice adopted a dog in 2023.", "'2023' is not in the dialogue"),
        ("Alice adopted a dog at 3pm.", "'3' is not in the dialogue"),
        ("Alice loves sailing across wild oceans.", "most of its words are not in the dialogue"),
        ("Alice likes tea.", "nothing of it is in the turn itself"),
        ("", "says nothing"),
        ("She is.", "says nothing"),
        ("🙂🙂", "says nothing"),
        ("...", "says nothing"),
        ("Alice adopted a dog. " * 4, "it repeats itself"),
    ],
)
def test_what_the_dialogue_does_not_say_is_rejected_with_the_reason(fact: str, reason: str) -> None:
    assert why_ungrounded(fact, TURN, "Alice likes green tea.") == reason


def test_a_short_assent_makes_the_question_before_it_a_fact() -> None:
    assert why_ungrounded("Alice likes tea.", "Yes!", "Bob: Do you like tea, Alice?") is None


@pytest.mark.parametrize("turn", ["Yes!", "Yeah, ok.", "🙂", "", "No."])
def test_an_assent_invents_nobody(turn: str) -> None:
    assert why_ungrounded("Alice knows Tamsin.", turn, "Do you know Piet, Alice?") == "'tamsin' is not in the dialogue"


@pytest.mark.parametrize(
    "said",
    [
        "Jean-Luc sails with Anne-Marie.",
        "Tom met James' wife at 3pm.",
        "Tom reads 'Charlotte's Web'.",
        "Tom’s sister reads “Emma”.",
        "O'Brien and D’Arcy play chess.",
        "Tom grew up in the 1990s and turned 30 on the 5th.",
        "Tom paid 1,000.50 for an R2-D2.",
        "Tom had COVID-19 in week 12.",
        "AC/DC played in Köln.",
        "Der Hund von Jürgen heißt Strolch und mag Äpfel.",
        "我在Berlin工作,名字叫小明。",
        "اسمي ليلى وأعيش في القاهرة منذ ٢٠١٩",
        "İpek lives in İzmir.",
        "Zoe\u0308 and Jose\u0301 dance.",
        "Мария живёт в Москве.",
        "Tom 🙂 likes C++ and C#!",
        "Tom_Smith lives here.",
        "iPhone, eBay and McDonald's are brands.",
    ],
)
def test_a_text_always_supports_itself(said: str) -> None:
    assert why_ungrounded(said, said, "") is None
    assert why_merge_ungrounded(said, [said]) is None
    assert lost_by(said, said) == set()
    assert lost_by(said, f"It is said: {said} Really.") == set()


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80), st.text(max_size=20))
def test_no_text_loses_anything_to_itself(text: str, more: str) -> None:
    assert lost_by(text, text) == set()
    assert why_ungrounded(text, text, more) in (None, "says nothing", "it repeats itself")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_every_text_can_be_judged(text: str, other: str) -> None:
    why_ungrounded(text, other, text)
    why_merge_ungrounded(text, [other])
    share_subject(text, other, "Alice")
    covers(text, other, "Alice")
    says_change(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Alice adopted a dog named Buddy.", {"alice", "buddy"}),
        ("Alice's dog is 3 years old.", {"alice", "3"}),
        ("The dog is here. Dogs are great, she says; dogs!", set()),
        ("Dogs sleep.", {"dogs"}),
        ("Jean-Luc left at 3pm.", {"jean", "luc", "3"}),
        ("I'm here. It's raining. We've met.", set()),
        ("no names at all", set()),
        ("我在Berlin工作", {"berlin"}),
        ("X is a letter", {"x"}),
        ('Tom said: "Bring milk!" and they bring milk.', {"tom"}),
        ("٢٠١٩", {"٢٠١٩"}),
    ],
)
def test_names_and_numbers_are_found(text: str, found: set[str]) -> None:
    assert names_and_numbers(text) - {"bring"} == found


def test_a_possessive_or_an_inflected_name_is_not_lost() -> None:
    assert lost_by("Alice adopted Buddy.", "Buddy's owner is Alice’s sister.") == set()
    assert lost_by("Alice met the Smiths.", "Alice met Smith.") == set()
    assert lost_by("Alice has 3 dogs and Rex.", "Alice has dogs.") == {"3", "rex"}


@pytest.mark.parametrize(
    "fact",
    [
        "Alice moved from Paris to Berlin.",
        "Alice no longer eats meat.",
        "Alice doesn't eat meat.",
        "Alice sold the canoe.",
        "Correction: the meeting is at 5.",
        "Alice used to live here.",
        "Alice prefers tea.",
        "Alice gave the old red canoe away on 3 May 2022.",
        "Alice gives her books away.",
    ],
)
def test_changes_are_heard(fact: str) -> None:
    assert says_change(fact)


@pytest.mark.parametrize(
    "fact",
    [
        "Alice adopted another dog named Scout.",
        "Alice knows Bob.",
        "Alice has a notebook.",
        "Alice bought a second canoe.",
        "Alice now also has a dog named Scout.",
        "Alice now has another dog named Scout.",
        "Alice now has a second dog, Scout.",
        "Alice actually has two dogs: she adopted Scout too.",
    ],
)
def test_one_more_of_something_is_no_change(fact: str) -> None:
    assert not says_change(fact)


def test_the_speaker_alone_is_no_common_subject() -> None:
    assert share_subject("Alice sold the canoe.", "Alice owns a canoe.", "Alice")
    assert not share_subject("Alice quit smoking.", "Alice adopted a dog named Buddy.", "Alice")
    assert not share_subject("Alice Smith quit smoking.", "Alice Smith adopted a dog.", "Alice Smith")


@pytest.mark.parametrize(
    ("memory", "fact"),
    [
        ("Alice adopted a dog named Buddy.", "alice adopted a dog named buddy"),
        ("Alice adopted two dogs named Buddy and Scout.", "Alice's dog is called Scout."),
        ("Alice has 3 dogs.", "Alice's dogs are 3."),
        ("Alice quit her job at Acme.", "Alice no longer has a job at Acme."),
        ("Alice left the bakery and works at a school now.", "Alice works at a school."),
    ],
)
def test_a_memory_covers_a_fact_in_other_words(memory: str, fact: str) -> None:
    assert covers(memory, fact, "Alice")


@pytest.mark.parametrize(
    ("memory", "fact"),
    [
        ("Alice adopted a dog named Buddy.", "Alice adopted a dog named Scout."),
        ("Alice has 2 dogs.", "Alice has 3 dogs."),
        ("Alice was born in May.", "Alice was born in May 1990."),
        ("Alice adopted a dog.", "Alice plays the cello."),
        ("Alice adopted a dog.", "Piet adopted a dog."),
        ("Alice works at Acme.", "Alice no longer works at Acme."),
        ("Alice eats meat.", "Alice doesn't eat meat."),
        ("", "Alice adopted a dog."),
        ("Alice adopted a dog.", ""),
    ],
)
def test_a_memory_covers_no_other_subject_name_number_or_change(memory: str, fact: str) -> None:
    assert not covers(memory, fact, "Alice")


def test_the_words_of_the_speakers_name_cover_nothing() -> None:
    assert not covers("Alice Smith adopted a dog.", "Alice Smith sings.", "Alice Smith")
    assert covers("Alice Smith adopted a dog.", "The dog is Alice Smith's.", "Alice Smith")


def test_a_fact_without_a_name_or_a_number_of_its_own_may_be_taken_for_known() -> None:
    """The limit of judging by words."""
    assert covers("Alice likes coffee.", "Alice likes tea.", "Alice")
    assert not covers("Alice likes coffee.", "Alice likes Darjeeling.", "Alice")


@pytest.mark.parametrize("memory", ["Alice works at Acme now.", "Alice never works at Acme."])
def test_any_change_that_a_memory_speaks_of_counts(memory: str) -> None:
    """The other limit: which change it is, is not compared."""
    assert covers(memory, "Alice no longer works at Acme.", "Alice")
    assert covers(memory, "Alice works at Acme.", "Alice")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_a_text_covers_itself_unless_it_is_about_nothing(text: str) -> None:
    assert covers(text, text, "Alice") == share_subject(text, text, "Alice")


THREE_ALIKE = (
    "Alice adopted a dog named Buddy on 3 May 2022, adopted a dog named Scout on 4 May 2022 "
    "and adopted a dog named Luna on 5 May 2022."
)


@pytest.mark.parametrize(
    "text", ["", "a b", "Alice likes tea and Alice likes milk.", "Alice saw Rome, Oslo and Bonn.", THREE_ALIKE]
)
def test_an_ordinary_sentence_is_no_loop(text: str) -> None:
    assert why_repetitive(text) is None


@pytest.mark.parametrize("text", ["dog dog dog dog dog dog", "I am fine. " * 5, "ha " * 100])
def test_loops_are_noticed(text: str) -> None:
    assert why_repetitive(text) == "it repeats itself"


@pytest.mark.parametrize("piece", ["Buddy. ", "A1 ", "'Tis ", "a-", "Zürich: ", "名", "\u0301", "x"])
def test_judging_takes_steps_in_proportion_to_the_text(piece: str) -> None:
    """Each of these once took a pass over the whole text for every word of it: minutes for such a text."""
    long = piece * (100_000 // len(piece))
    assert len(names_and_numbers(long)) <= 3
    assert lost_by(long, long) == set()
    assert why_ungrounded(f"Alice has {long}", long, "Alice") in (None, "it repeats itself", "says nothing")


@pytest.mark.parametrize(
    ("merged", "is_taken_up"),
    [
        ("Alice bought a kayak on 6 May 2022.", True),
        ("Alice bought a kayak on 5 May 2022.", False),
        ("Alice bought a kayak.", False),
    ],
)
def test_a_corrected_day_is_taken_up_by_its_number(merged: str, is_taken_up: bool) -> None:
    fact, memory = "Alice actually bought the kayak on 6 May 2022.", "Alice bought a kayak on 5 May 2022."
    assert grounding.takes_up(merged, fact, memory) is is_taken_up


def test_the_share_that_must_be_supported_is_half() -> None:
    assert grounding.MIN_SUPPORTED_SHARE == 0.5
    assert why_ungrounded("red boat swims deep", "a red boat", "") is None
    assert why_ungrounded("red boat swims very deep today", "a red boat", "") is not None


@pytest.mark.parametrize(
    ("text", "own", "taken"),
    [
        ("Alice loved the food in the Zanzibar clinic.", "Alice I loved the food there.", {"zanzibar", "clinic"}),
        ("Alice loved Zanzibar's food.", "Alice I loved the food there.", {"zanzibar"}),
        ("Alice loved the clinics.", "Alice I loved them.", {"clinics"}),
        ("Alice was there 3 times.", "Alice I was there.", {"3"}),
        ("Alice loved the food.", "Alice I loved the food there.", set()),
        ("Alice loved Zanzibar.", "Alice Zanzibar's nice, I loved it.", set()),
        ("Alice loved Paris.", "Alice I loved it.", set()),
        ("She was there.", "Alice I was there.", set()),
    ],
)
def test_words_are_taken_from_a_text_where_it_says_them_and_the_own_one_does_not(
    text: str, own: str, taken: set[str]
) -> None:
    assert taken_from(text, "I was treated in the Zanzibar clinic at 3pm.", own) == taken
