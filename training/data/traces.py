"""Agent runs that the service kept: rows of its `traces` table, or the trace lines of an exported bank."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError

from app.core.trace import Outcome, Trace
from app.core.values import Role, Value
from training.data.files import UnreadableData

KIND = "trace"
"""Of the lines of an export; lines of other kinds are passed over."""


class StoredTrace(Value):
    """One run, with what it was made for."""

    trace: Trace
    turn_id: UUID | None = None
    """Of an extractor's or a manager's run."""
    answer_id: UUID | None = None
    """Of an Answer Agent's run."""


class _Row(BaseModel):
    role: Role
    body: dict[str, Any]
    turn_id: UUID | None = None
    answer_id: UUID | None = None


def load(path: Path | str, role: Role | None = None) -> list[StoredTrace]:
    """The traces of a file of JSON lines, of one role if given.

    A line is a row of the table, a line of an export, or a dump of `app.core.trace.Trace`. Raises `UnreadableData` for
    any other, with its number.
    """
    file = Path(path)
    try:
        found = list(_traces(file))
    except OSError as error:
        raise UnreadableData(file, error.strerror or "it cannot be read") from error
    except UnicodeDecodeError as error:
        raise UnreadableData(file, str(error)) from error
    return [one for one in found if role is None or one.trace.role is role]


def usable(traces: Iterable[StoredTrace], prompt_version: str) -> list[StoredTrace]:
    """Those whose reply had the right form, and whose prompt is one that is still served."""
    return [
        one
        for one in traces
        if one.trace.outcome is not Outcome.MALFORMED and one.trace.prompt_version == prompt_version
    ]


def of_row(row: Mapping[str, Any]) -> StoredTrace:
    """A trace from a row as a mapping; raises a pydantic `ValidationError`."""
    if "body" not in row:
        return StoredTrace(trace=Trace.model_validate_json(json.dumps(row)))
    read = _Row.model_validate(row)
    trace = Trace.model_validate_json(json.dumps({**read.body, "role": read.role.value}))
    return StoredTrace(trace=trace, turn_id=read.turn_id, answer_id=read.answer_id)


def _traces(file: Path) -> Iterator[StoredTrace]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if row.get("kind", KIND) == KIND:
                    yield of_row(row)
            except (ValidationError, ValueError, AttributeError, RecursionError) as error:
                raise UnreadableData(file, f"line {number} holds no trace") from error
