"""LoCoMo in the common form: the split, the check of the file, and the traps; the real file where it is at hand."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.core.locomo import Category, LocomoError
from training.data import locomo
from training.data.conversation import hanging_on
from training.data.files import OtherFile
from training.data.locomo import Part


def a_conversation(name: str) -> dict[str, Any]:
    return {
        "sample_id": name,
        "qa": [
            {"question": "Where?", "answer": 2022, "category": 2, "evidence": ["D1:1; D1:2", "D"]},
            {"question": "Who?", "adversarial_answer": "Ben", "answer": "Ben", "category": 5, "evidence": ["D1:1"]},
        ],
        "conversation": {
            "speaker_a": "Ada",
            "speaker_b": "Ben",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"dia_id": "D1:1", "speaker": "Ada", "text": "Look!", "blip_caption": "a boat", "query": "lake Garda"},
                {"dia_id": "D1:2", "speaker": "Ben", "text": "Nice."},
            ],
        },
    }


def write(folder: Path, *names: str) -> Path:
    path = folder / "locomo.json"
    path.write_text(json.dumps([a_conversation(name) for name in names]), encoding="utf-8")
    return path


def test_a_part_holds_its_conversations_and_names_the_missing_ones(tmp_path: Path) -> None:
    path = write(tmp_path, "conv-30", "conv-26", "conv-44")
    assert [c.id for c in locomo.load(path, Part.TRAIN).conversations] == ["conv-26"]
    test = locomo.load(path, Part.TEST)
    assert [c.id for c in test.conversations] == ["conv-44"]
    assert test.missing == ("conv-41", "conv-42", "conv-43", "conv-47", "conv-48", "conv-49", "conv-50")
    assert not test.is_published
    assert test.note.startswith("a partial file, sha256 ")
    assert test.note.endswith(" of conv-30, conv-26, conv-44")


def test_a_whole_file_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, *(name for part in Part for name in locomo.SPLIT[part]))
    with pytest.raises(OtherFile) as caught:
        locomo.load(path, Part.TRAIN)
    assert caught.value.sha256 != locomo.SHA256


def test_what_is_no_locomo_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "locomo.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(LocomoError):
        locomo.load(path, Part.TRAIN)


def test_the_split_is_ten_conversations_and_1540_questions() -> None:
    names = [name for part in Part for name in locomo.SPLIT[part]]
    assert len(names) == len(set(names)) == 10
    assert sum(locomo.QUESTIONS.values()) == 1540


def test_turns_keep_captions_without_queries_and_questions_their_turns(tmp_path: Path) -> None:
    found = locomo.load_one(write(tmp_path, "conv-26"), "conv-26")
    assert [(turn.external_id, turn.speaker, turn.text, turn.session) for turn in found.turns] == [
        ("D1:1", "Ada", "Look! [shares a photo: a boat]", "1"),
        ("D1:2", "Ben", "Nice.", "1"),
    ]
    (question,) = found.questions
    assert (question.answer, question.category) == ("2022", "temporal")
    assert question.evidence == tuple(turn.id for turn in found.turns)
    assert locomo.category_of(question) is Category.TEMPORAL
    assert question.holds_after(2)
    assert not question.holds_after(1)
    assert hanging_on(found, found.turns[0].id) == [question]


def test_adversarial_questions_are_kept_apart_and_their_bait_is_no_answer(tmp_path: Path) -> None:
    found = locomo.load_one(write(tmp_path, "conv-26"), "conv-26")
    (trap,) = found.adversarial
    assert trap.is_unanswerable
    assert trap.text == "Who?"


def test_ids_are_the_same_each_time_and_differ_between_conversations(tmp_path: Path) -> None:
    path = write(tmp_path, "conv-26", "conv-30")
    first, again, other = (locomo.load_one(path, name) for name in ("conv-26", "conv-26", "conv-30"))
    assert first == again
    assert not {turn.id for turn in first.turns} & {turn.id for turn in other.turns}


@pytest.fixture(scope="module")
def real_file() -> Path:
    path = Path(os.environ.get("MEMORY_R1_LOCOMO", ""))
    if not path.is_file():
        pytest.skip("set MEMORY_R1_LOCOMO to LoCoMo's JSON file (CC BY-NC, not kept here) to run this")
    return path


@pytest.mark.parametrize("part", Part)
def test_the_real_file_has_the_papers_counts(real_file: Path, part: Part) -> None:
    loaded = locomo.load(real_file, part)
    if loaded.missing:
        pytest.skip(loaded.note)
    assert sum(len(c.questions) for c in loaded.conversations) == locomo.QUESTIONS[part]


def test_the_training_conversation_has_the_known_links(real_file: Path) -> None:
    found = locomo.load_one(real_file, "conv-26")
    assert len(found.turns) == 419
    links = [turn for question in found.questions for turn in question.evidence]
    assert len(set(links)) > 100
    assert max(Counter(links).values()) <= 6
    assert {question.category for question in found.adversarial} == {"adversarial"}
