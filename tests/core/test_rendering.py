"""Prompt files, days, lines and schemas."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import rendering

ROLES = ["extractor", "manager", "answerer"]


@pytest.mark.parametrize("name", [*ROLES, "judge", "judge_strict"])
def test_a_prompt_file_falls_into_its_sections(name: str) -> None:
    messages = rendering.constant_messages(name)
    assert messages[0].role == "system"
    assert all(message.content and message.content == message.content.strip() for message in messages)
    written = rendering.prompt_text(name)
    assert sum(written.count(f"[{role}]\n") for role in ("system", "user", "assistant")) == len(messages)
    assert all(message.content in written for message in messages)


@pytest.mark.parametrize("name", ROLES)
def test_a_prompts_version_changes_with_its_options_alone(name: str) -> None:
    assert rendering.prompt_version(name, "a") == rendering.prompt_version(name, "a")
    assert rendering.prompt_version(name, "a") != rendering.prompt_version(name, "b")
    assert rendering.prompt_version(name, "a").startswith(f"{name}-")


def test_prompts_have_different_versions() -> None:
    assert len({rendering.prompt_version(name, "").partition("-")[2] for name in ROLES}) == 3


def test_an_unknown_prompt_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        rendering.constant_messages("nobody")


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (datetime(2023, 5, 7, 23, 59, tzinfo=UTC), "7 May 2023"),
        (datetime(2023, 5, 7, 23, 59, tzinfo=timezone(timedelta(hours=-8))), "7 May 2023"),
        (date(2024, 2, 29), "29 February 2024"),
        (date(1, 1, 1), "1 January 1"),
        (date(9999, 12, 31), "31 December 9999"),
    ],
)
def test_days_are_written_out(moment: datetime | date, said: str) -> None:
    assert rendering.day(moment) == said


@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_line_within_its_limit(text: str, limit: int) -> None:
    line = rendering.one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert line == " ".join(text.split()) or line.endswith("…")


def test_schemas_bound_everything() -> None:
    schema = rendering.object_schema(
        {"a": rendering.text_schema(3), "b": rendering.list_schema({"type": "integer"}, 2, least=1)}
    )
    assert jsonschema_rs.is_valid(schema, {"a": "xyz", "b": [1]})
    wrong: list[object] = [
        {"a": "", "b": [1]},
        {"a": "wxyz", "b": [1]},
        {"a": "x ", "b": [1]},
        {"a": "\n", "b": [1]},
        {"a": "x", "b": []},
        {"a": "x", "b": [1, 2, 3]},
        {"a": "x"},
        {"a": "x", "b": [1], "c": 1},
        [],
    ]
    assert not any(jsonschema_rs.is_valid(schema, one) for one in wrong)
