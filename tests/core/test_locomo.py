"""The loader against made-up files that hold every slip of the real one; and, where it is at hand, the real one."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.core import locomo
from app.core.locomo import Category, Conversation, LocomoError, UnknownConversation, UnreadableFile


def a_turn(dia_id: str, text: str = "Hello.", speaker: str = "Ada", **fields: object) -> dict[str, object]:
    return {"dia_id": dia_id, "speaker": speaker, "text": text, **fields}


def a_question(category: int = 4, **fields: Any) -> dict[str, object]:
    return {"question": "Who?", "answer": "Ada", "category": category, "evidence": ["D1:1"], **fields}


def a_conversation(conversation_id: str = "conv-1", **fields: Any) -> dict[str, Any]:
    conversation: dict[str, Any] = {
        "speaker_a": "Ada",
        "speaker_b": "Ben",
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [a_turn("D1:1"), a_turn("D1:2", speaker="Ben")],
    }
    return {"sample_id": conversation_id, "qa": [a_question()], "conversation": conversation | fields}


def write(folder: Path, content: object) -> Path:
    path = folder / "locomo.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def load(folder: Path, raw: dict[str, Any]) -> Conversation:
    return locomo.load(write(folder, [raw]), raw["sample_id"])


def load_with_question(folder: Path, **fields: Any) -> locomo.Question:
    return load(folder, a_conversation() | {"qa": [a_question(**fields)]}).questions[0]


def test_a_conversation_is_loaded_whole(tmp_path: Path) -> None:
    found = load(tmp_path, a_conversation())
    assert (found.id, found.speakers) == ("conv-1", ("Ada", "Ben"))
    assert [(turn.dia_id, turn.speaker, turn.text, turn.session) for turn in found.turns] == [
        ("D1:1", "Ada", "Hello.", 1),
        ("D1:2", "Ben", "Hello.", 1),
    ]
    question = found.questions[0]
    assert (question.text, question.answer, question.category) == ("Who?", "Ada", Category.SINGLE_HOP)
    assert question.evidence == ("D1:1",)


def test_turns_of_a_session_are_a_second_apart(tmp_path: Path) -> None:
    said_at = [turn.said_at for turn in load(tmp_path, a_conversation()).turns]
    assert said_at == [datetime(2023, 5, 8, 13, 56, 0, tzinfo=UTC), datetime(2023, 5, 8, 13, 56, 1, tzinfo=UTC)]


def test_sessions_come_in_numeric_order(tmp_path: Path) -> None:
    sessions: dict[str, Any] = {}
    for number in (10, 2, 9):
        sessions[f"session_{number}_date_time"] = f"9:00 am on {number} June, 2023"
        sessions[f"session_{number}"] = [a_turn(f"D{number}:1")]
    found = load(tmp_path, a_conversation(**sessions))
    assert [turn.session for turn in found.turns] == [1, 1, 2, 9, 10]


def test_a_date_without_a_session_is_passed_over(tmp_path: Path) -> None:
    found = load(tmp_path, a_conversation(session_20_date_time="1:00 pm on 1 July, 2023"))
    assert {turn.session for turn in found.turns} == {1}


def test_other_keys_of_a_session_are_no_session(tmp_path: Path) -> None:
    found = load(tmp_path, a_conversation(session_1_summary="They meet.", session_1_observation={"Ada": []}))
    assert len(found.turns) == 2


def test_a_caption_joins_the_text_and_the_query_does_not(tmp_path: Path) -> None:
    photo = a_turn(
        "D1:1", "Look!", blip_caption="a red boat", query="boat on lake Garda", img_url=["https://x.invalid"]
    )
    only_photo = a_turn("D1:2", "", blip_caption="a dog")
    found = load(tmp_path, a_conversation(session_1=[photo, only_photo]))
    assert [turn.text for turn in found.turns] == [
        "Look! [shares a photo: a red boat]",
        "[shares a photo: a dog]",
    ]


@pytest.mark.parametrize(("written", "answer"), [(2022, "2022"), (3, "3"), ("3 dogs", "3 dogs"), (1.5, "1.5")])
def test_an_answer_that_is_a_number_becomes_text(tmp_path: Path, written: object, answer: str) -> None:
    assert load_with_question(tmp_path, answer=written).answer == answer


def test_an_adversarial_question_may_lack_an_answer_and_keeps_its_category(tmp_path: Path) -> None:
    trap = {"question": "Who?", "adversarial_answer": "Ben", "category": 5, "evidence": []}
    question = load(tmp_path, a_conversation() | {"qa": [trap]}).questions[0]
    assert (question.answer, question.category) == ("", Category.ADVERSARIAL)


def test_any_other_question_may_not_lack_an_answer(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="conv-1: a question that is not adversarial has no answer"):
        load_with_question(tmp_path, answer=None)


@pytest.mark.parametrize(
    ("written", "evidence"),
    [
        (["D8:6; D9:17"], ["D8:6", "D9:17"]),
        (["D9:1 D4:4 D4:6"], ["D9:1", "D4:4", "D4:6"]),
        (["D:11:26"], ["D11:26"]),
        (["D"], []),
        ([], []),
        (["D1:3", "D1:3", " D2:05 "], ["D1:3", "D2:5"]),
        (["D1:3,D2:4"], ["D1:3", "D2:4"]),
    ],
)
def test_evidence_is_read_however_it_is_written(written: list[str], evidence: list[str]) -> None:
    assert locomo.parse_evidence(written) == evidence


def test_evidence_that_names_no_turn_is_dropped(tmp_path: Path) -> None:
    assert load_with_question(tmp_path, evidence=["D1:2; D7:1", "D"]).evidence == ("D1:2",)


def test_a_question_may_have_no_evidence_at_all(tmp_path: Path) -> None:
    raw = {"question": "Who?", "answer": "Ada", "category": 3}
    assert load(tmp_path, a_conversation() | {"qa": [raw]}).questions[0].evidence == ()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1:56 pm on 8 May, 2023", datetime(2023, 5, 8, 13, 56, tzinfo=UTC)),
        ("12:48 am on 1 February, 2023", datetime(2023, 2, 1, 0, 48, tzinfo=UTC)),
        ("12:09 pm on 13 September, 2023", datetime(2023, 9, 13, 12, 9, tzinfo=UTC)),
        ("10:37 am on 27 June 2023", datetime(2023, 6, 27, 10, 37, tzinfo=UTC)),
    ],
)
def test_session_times_are_read_as_utc(written: str, expected: datetime) -> None:
    assert locomo.parse_session_time(written) == expected
    assert locomo.parse_session_time(written).tzinfo is UTC


@pytest.mark.parametrize(
    "written", ["", "8 May, 2023", "13:56 pm on 8 May, 2023", "0:10 am on 8 May, 2023", "1:56 pm on 31 June, 2023",
                "1:56 pm on 8 Mai, 2023", "1:75 pm on 8 May, 2023"]
)  # fmt: skip
def test_what_is_no_session_time_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        locomo.parse_session_time(written)


def test_an_unknown_conversation_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path, [a_conversation("conv-1"), a_conversation("conv-2")])
    with pytest.raises(UnknownConversation, match="'conv-3'; the file holds conv-1, conv-2") as caught:
        locomo.load(path, "conv-3")
    assert caught.value.known == ("conv-1", "conv-2")
    assert locomo.conversation_ids(path) == ("conv-1", "conv-2")


def test_an_empty_file_of_conversations_holds_none(tmp_path: Path) -> None:
    with pytest.raises(UnknownConversation, match="holds none"):
        locomo.load(write(tmp_path, []), "conv-1")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "nested too deeply"),
        ({"sample_id": "conv-1"}, "the top level: Input should be a valid list"),
        ([1], "0: Input should be"),
        ([{"sample_id": "conv-1", "qa": []}], "0.conversation: Field required"),
        ([a_conversation() | {"qa": [a_question(category=9)]}], "0.qa.0.category"),
        ([a_conversation(session_1="Hello.")], "conv-1: the top level: Input should be a valid list"),
        ([a_conversation(session_1=[{"dia_id": "D1:1"}])], "conv-1: 0.speaker: Field required"),
        (
            [a_conversation(session_1_date_time=None)],
            "conv-1: conversation.session_1_date_time is missing or not a text",
        ),
        ([a_conversation(session_1_date_time="once")], "conv-1: 'once' is not a time such as"),
        ([a_conversation(speaker_b=None)], "conv-1: conversation.speaker_b is missing or not a text"),
    ],
)
def test_a_file_of_another_shape_is_refused_with_the_place(tmp_path: Path, content: object, reason: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(UnreadableFile) as caught:
        locomo.load(path, "conv-1")
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="No such file"):
        locomo.load(tmp_path / "absent.json", "conv-1")
    with pytest.raises(UnreadableFile, match="directory"):
        locomo.load(tmp_path, "conv-1")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.json"
    path.write_bytes(b'["\xe9"]')
    with pytest.raises(UnreadableFile, match="utf-8"):
        locomo.load(path, "conv-1")


def test_every_error_is_a_locomo_error() -> None:
    assert issubclass(LocomoError, ValueError)
    assert issubclass(UnreadableFile, LocomoError)
    assert issubclass(UnknownConversation, LocomoError)


@pytest.fixture(scope="module")
def real_file() -> Path:
    path = Path(os.environ.get("MEMORY_R1_LOCOMO", ""))
    if not path.is_file():
        pytest.skip("set MEMORY_R1_LOCOMO to LoCoMo's JSON file (CC BY-NC, not kept here) to run this")
    return path


@pytest.mark.parametrize(
    ("conversation", "turns", "questions"),
    [("conv-26", 419, {1: 32, 2: 37, 3: 13, 4: 70}), ("conv-30", 369, {1: 11, 2: 26, 4: 44})],
)
def test_the_real_file_has_the_counts_of_the_papers_split(
    real_file: Path, conversation: str, turns: int, questions: dict[int, int]
) -> None:
    found = locomo.load(real_file, conversation)
    counts = Counter(question.category.value for question in found.questions)
    del counts[Category.ADVERSARIAL]
    assert counts == questions
    assert len(found.turns) == turns


def test_the_real_file_is_in_order_and_its_evidence_resolves(real_file: Path) -> None:
    found = locomo.load(real_file, "conv-26")
    times = [turn.said_at for turn in found.turns]
    assert times == sorted(set(times))
    assert len({turn.dia_id for turn in found.turns}) == len(found.turns)
    without_evidence = [question.category for question in found.questions if not question.evidence]
    assert without_evidence == [Category.OPEN_DOMAIN, Category.OPEN_DOMAIN]
