"""LongMemEval, MSC and the service's traces, from small files written by hand in the form of each."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.core.trace import Outcome, Trace
from app.core.values import Message, Role, Usage
from training.data import longmemeval, msc, traces
from training.data.files import UnreadableData
from training.data.longmemeval import Variant


def write(folder: Path, content: object) -> Path:
    path = folder / "data.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# LongMemEval


def an_instance(**fields: Any) -> dict[str, Any]:
    return {
        "question_id": "q1",
        "question_type": "knowledge-update",
        "question": "How many bikes do I own?",
        "answer": 4,
        "question_date": "2023/05/30 (Tue) 23:40",
        "haystack_session_ids": ["answer_2", "answer_1"],
        "haystack_dates": ["2023/05/21 (Sun) 09:00", "2023/05/20 (Sat) 02:21"],
        "haystack_sessions": [
            [{"role": "user", "content": "I own four bikes now.", "has_answer": True}],
            [
                {"role": "user", "content": "I own three bikes.", "has_answer": True},
                {"role": "assistant", "content": "Nice!", "has_answer": False},
            ],
        ],
        "answer_session_ids": ["answer_1", "answer_2"],
        **fields,
    }


def load(folder: Path, *instances: dict[str, Any], variant: Variant = Variant.ORACLE) -> list[Any]:
    return list(longmemeval.load(write(folder, list(instances)), variant))


def test_an_oracle_history_is_put_in_order(tmp_path: Path) -> None:
    (found,) = load(tmp_path, an_instance())
    assert (found.id, found.source, found.speakers) == ("q1", "longmemeval-oracle", ("User", "Assistant"))
    assert [(turn.speaker, turn.text, turn.external_id) for turn in found.turns] == [
        ("User", "I own three bikes.", "answer_1:1"),
        ("Assistant", "Nice!", "answer_1:2"),
        ("User", "I own four bikes now.", "answer_2:1"),
    ]
    assert found.turns[1].said_at == datetime(2023, 5, 20, 2, 21, 1, tzinfo=UTC)


def test_the_question_has_its_time_and_its_marked_turns(tmp_path: Path) -> None:
    (found,) = load(tmp_path, an_instance(), variant=Variant.S)
    (question,) = found.questions
    assert (question.answer, question.category) == ("4", "knowledge-update")
    assert question.asked_at == datetime(2023, 5, 30, 23, 40, tzinfo=UTC)
    assert question.evidence == (found.turns[0].id, found.turns[2].id)
    assert found.source == "longmemeval-s"


def test_an_evidence_session_without_marks_counts_as_a_whole(tmp_path: Path) -> None:
    plain = [[{"role": "user", "content": "Hi."}], [{"role": "user", "content": "Bye."}]]
    (found,) = load(tmp_path, an_instance(haystack_sessions=plain, answer_session_ids=["answer_2"]))
    assert found.questions[0].evidence == (found.turns[1].id,)


def test_an_abstention_question_has_no_answer(tmp_path: Path) -> None:
    (found,) = load(tmp_path, an_instance(question_id="q1_abs", answer="You never told me of a boat."))
    assert found.questions[0].is_unanswerable


def test_a_session_that_comes_twice_gives_distinct_turns(tmp_path: Path) -> None:
    (found,) = load(tmp_path, an_instance(haystack_session_ids=["same", "same"]))
    assert len({turn.id for turn in found.turns}) == 3


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"question_type": "other"}, "question_type"),
        ({"haystack_dates": []}, "zip"),
        ({"haystack_dates": ["yesterday", "2023/05/20"]}, "'yesterday' is not a time"),
        ({"haystack_sessions": [[{"role": "system", "content": "x"}], []]}, "unknown role 'system'"),
    ],
)
def test_another_shape_of_history_is_refused(tmp_path: Path, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnreadableData, match=reason):
        load(tmp_path, an_instance(**fields))


@pytest.mark.parametrize("content", ["{", "[1]", "[" * 100_000, '{"a": 1}'])
def test_what_is_not_the_data_set_is_refused(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(UnreadableData, match=str(path)):
        longmemeval.load(path, Variant.M)
    with pytest.raises(UnreadableData):
        msc.load(path)
    with pytest.raises(UnreadableData):
        longmemeval.load(tmp_path / "absent.json", Variant.S)


# MSC


def an_example(**fields: Any) -> dict[str, Any]:
    return {
        "metadata": {"initial_data_id": "valid_9", "session_id": 2},
        "init_personas": [["I train falcons."], ["I bake."]],
        "previous_dialogs": [
            {
                "dialog": [{"text": "I train falcons."}, {"text": "I bake bread."}],
                "time_num": 3,
                "time_unit": "days",
                "time_back": "3 days 2 hours ago",
            },
            {"dialog": [{"text": "Hello again."}, {"text": ""}, {"text": "Hi."}], "time_num": 2, "time_unit": "hours"},
        ],
        "dialog": [{"text": "My falcon is Ziggy.", "id": "Speaker 2"}, {"text": "Nice.", "id": "speaker 1"}],
        "self_instruct": {"B": "What do I do for a living?", "A": "You train falcons."},
        **fields,
    }


def test_msc_sessions_are_spaced_by_their_gaps(tmp_path: Path) -> None:
    path = write(tmp_path, "\n".join(json.dumps(an_example()) for _ in range(2)))
    found, other = msc.load(path)
    assert [(turn.external_id, turn.speaker, turn.text) for turn in found.turns] == [
        ("S1:1", "Speaker 1", "I train falcons."),
        ("S1:2", "Speaker 2", "I bake bread."),
        ("S2:1", "Speaker 1", "Hello again."),
        ("S2:3", "Speaker 1", "Hi."),
        ("S3:1", "Speaker 2", "My falcon is Ziggy."),
        ("S3:2", "Speaker 1", "Nice."),
    ]
    assert found.turns[2].said_at - found.turns[0].said_at == timedelta(days=3)
    assert found.turns[4].said_at - found.turns[2].said_at == timedelta(hours=2)
    assert not {turn.id for turn in found.turns} & {turn.id for turn in other.turns}


def test_msc_asks_what_b_asks(tmp_path: Path) -> None:
    (found,) = msc.load(write(tmp_path, [an_example()]))
    (question,) = found.questions
    assert (question.text, question.answer) == ("What do I do for a living?", "You train falcons.")
    assert question.evidence == ()


def test_msc_refuses_an_unknown_unit(tmp_path: Path) -> None:
    session = {"dialog": [{"text": "Hi."}], "time_num": 1, "time_unit": "moons"}
    with pytest.raises(UnreadableData, match="unknown unit of time 'moons'"):
        msc.load(write(tmp_path, [an_example(previous_dialogs=[session])]))


# Traces


def a_trace(role: Role = Role.MANAGER, outcome: Outcome = Outcome.DECIDED) -> Trace:
    return Trace(
        role=role,
        messages=(Message(role="user", content="Memories: none"),),
        reply='{"f1":[{"op":"ADD"}]}',
        outcome=outcome,
        policy="small",
        prompt_version="manager-1",
        usage=Usage(prompt_tokens=10, completion_tokens=5),
        seconds=0.5,
    )


def a_row(trace: Trace, **fields: Any) -> dict[str, Any]:
    body = trace.model_dump(mode="json", exclude={"role"})
    return {"id": str(uuid4()), "role": trace.role.value, "body": body, **fields}


def lines(folder: Path, *rows: object) -> Path:
    path = folder / "traces.ndjson"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", encoding="utf-8")
    return path


def test_traces_are_read_from_rows_exports_and_dumps(tmp_path: Path) -> None:
    trace, turn_id = a_trace(), uuid4()
    path = lines(
        tmp_path,
        {"kind": "bank", "line": 1, "format": "memory-r1 bank"},
        {"kind": "trace", "line": 2, **a_row(trace, turn_id=str(turn_id), turn_ids=[str(turn_id)], memory_ids=None)},
        a_row(trace),
        trace.model_dump(mode="json"),
        {"kind": "end", "line": 3, "lines": 2, "sha256": "0" * 64},
    )
    found = traces.load(path)
    assert [one.trace for one in found] == [trace] * 3
    assert [one.turn_id for one in found] == [turn_id, None, None]


def test_traces_of_one_role_and_of_one_prompt_can_be_chosen(tmp_path: Path) -> None:
    path = lines(tmp_path, a_row(a_trace()), a_row(a_trace(Role.EXTRACTOR)), a_row(a_trace(outcome=Outcome.MALFORMED)))
    found = traces.load(path, Role.MANAGER)
    assert len(found) == 2
    assert len(traces.usable(found, "manager-1")) == 1
    assert traces.usable(found, "manager-2") == []


@pytest.mark.parametrize("row", [{"role": "manager"}, {"role": "poet", "body": {}}, [1], "text", {"body": 1}])
def test_a_line_without_a_trace_is_named(tmp_path: Path, row: object) -> None:
    with pytest.raises(UnreadableData, match="line 2 holds no trace"):
        traces.load(lines(tmp_path, a_row(a_trace()), row))


def test_a_missing_file_of_traces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableData):
        traces.load(tmp_path / "absent.ndjson")
