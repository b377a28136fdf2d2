"""Checking a bank's file before anything of it is stored: its form, its bounds, and that it fits together."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, NamedTuple
from uuid import UUID

from pydantic import ValidationError

from app.core.errors import InvalidInput
from app.db import lanes
from app.services.transfer_lines import (
    KINDS,
    MAX_DEPTH,
    MAX_LINE_BYTES,
    MAX_OPENED,
    AnswerLine,
    BankLine,
    EndLine,
    IngestionLine,
    Line,
    MemoryLine,
    OperationLine,
    SpeakerLine,
    TraceLine,
    TurnLine,
    VersionLine,
)

_ORDER = {kind: place for place, kind in enumerate(KINDS)}
_ORDER["version"] = _ORDER["memory"]
_SKEW = timedelta(days=1)
"""A clock may be ahead by so much, and no more: later writes of a bank have later times than all earlier ones."""


class Faulty(Exception):
    """Something in a line is wrong."""


class Checked(NamedTuple):
    """What a file says of itself."""

    header: BankLine
    waiting: int
    """Turns that are still to be worked on."""


def check(file: BinaryIO) -> Checked:
    """Read a file through. Raises `InvalidInput` with the number of the line that is wrong."""
    checker = _Checker()
    digest, number = hashlib.sha256(), 0
    for number, raw in enumerate(_raw_lines(file), start=1):
        try:
            if checker.ended:
                raise Faulty("stands after the end")
            checker.take(line_of(raw, number), digest.hexdigest)
        except Faulty as fault:
            raise InvalidInput(f"Line {number}: {fault}.") from None
        digest.update(raw)
    if not checker.ended:
        raise InvalidInput(f"Line {number + 1}: the file is cut off; it has no last line.")
    return Checked(checker.header, checker.waiting)


def lines_of(file: BinaryIO) -> Iterator[tuple[Line, int]]:
    """The lines of a file that was checked, each with its length in bytes."""
    for number, raw in enumerate(_raw_lines(file), start=1):
        yield line_of(raw, number), len(raw)


def line_of(raw: bytes, number: int) -> Line:
    """One line. Raises `Faulty`."""
    if len(raw) > MAX_LINE_BYTES:
        raise Faulty(f"is longer than {MAX_LINE_BYTES} bytes")
    if not raw.endswith(b"\n"):
        raise Faulty("is cut off")
    if raw.count(b"[") + raw.count(b"{") > MAX_OPENED:
        raise Faulty("holds too many lists and objects")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise Faulty("is no JSON") from None
    if not isinstance(body, dict) or not isinstance(kind := body.get("kind"), str) or kind not in KINDS:
        raise Faulty("is none of the lines that a bank's file has")
    _check_values(body)
    try:
        line = KINDS[kind].model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise Faulty(_said(error)) from None
    if line.line != number:
        raise Faulty(f"says that it is line {line.line}: lines are missing, doubled or in another order")
    return line


def _raw_lines(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while raw := file.readline(MAX_LINE_BYTES + 1):
        yield raw


def _check_values(body: dict[str, Any]) -> None:
    """What no column can hold, wherever it stands; without a call for each level."""
    level: list[Any] = [body]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for one in level:
            inside = [*one.keys(), *one.values()] if isinstance(one, dict) else one
            for value in inside:
                if isinstance(value, dict | list):
                    inner.append(value)
                elif isinstance(value, str):
                    _check_text(value)
                elif isinstance(value, float) and not math.isfinite(value):
                    raise Faulty("holds a number that is none")
        if not inner:
            return
        level = inner
    raise Faulty(f"is nested more than {MAX_DEPTH} deep")


def _check_text(value: str) -> None:
    if "\x00" in value:
        raise Faulty("holds the character NUL")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Faulty("holds a lone surrogate") from None


def _said(error: ValidationError) -> str:
    """The first fault, without what the line says."""
    fault = error.errors(include_input=False, include_url=False)[0]
    if fault["type"] == "extra_forbidden":
        return "has an unknown field"
    place = ".".join(str(step) for step in fault["loc"][:2])
    return f"{place}: {fault['msg'][:200]}" if fault["type"] != "value_error" else f"{place}: has not the right form"


class _Checker:
    """What the lines so far have said."""

    def __init__(self) -> None:
        self.ended = False
        self.waiting = 0
        self._header: BankLine | None = None
        self._place = -1
        self._counts: Counter[str] = Counter()
        self._ids: dict[str, set[Any]] = {kind: set() for kind in KINDS}
        self._external: set[str] = set()
        self._failed: set[int] = set()
        self._undoing: dict[int, int] = {}
        """Of undone operations, by the number of their undoing, which is still to come."""
        self._position = 0
        self._memory: MemoryLine | None = None
        self._version: VersionLine | None = None

    @property
    def header(self) -> BankLine:
        if self._header is None:
            raise Faulty("stands before the header")
        return self._header

    def take(self, line: Line, digest: Callable[[], str]) -> None:
        """Raises `Faulty`."""
        kind = str(line.model_dump(include={"kind"})["kind"])
        place = _ORDER[kind]
        if (self._place < 0) != (kind == "bank") or place < self._place:
            raise Faulty("stands where it does not belong")
        if place > self._place or kind == "memory":
            self._close_memory()
        self._place = place
        self._counts[kind] += 1
        match line:
            case BankLine():
                self._take_header(line)
            case IngestionLine():
                self._new("ingestion", line.id)
            case TurnLine():
                self._take_turn(line)
            case SpeakerLine():
                self._new("speaker", line.speaker)
            case MemoryLine():
                self._new("memory", line.id)
                self._memory, self._version = line, None
            case VersionLine():
                self._take_version(line)
            case OperationLine():
                self._take_operation(line)
            case AnswerLine():
                self._take_answer(line)
            case TraceLine():
                self._take_trace(line)
            case EndLine():
                self._take_end(line, digest())

    def _new(self, kind: str, name: Any) -> None:
        if name in self._ids[kind]:
            raise Faulty("has an id that an earlier line has")
        self._ids[kind].add(name)

    def _known(self, kind: str, names: Collection[UUID | None]) -> None:
        if not self._ids[kind].issuperset(name for name in names if name is not None):
            raise Faulty(f"names a {kind} that is not in the file")

    def _take_header(self, line: BankLine) -> None:
        if line.written_at > datetime.now(UTC) + _SKEW:
            raise Faulty("was written in the future")
        self._header = line

    def _take_turn(self, line: TurnLine) -> None:
        self._new("turn", line.id)
        self._known("ingestion", [line.ingestion_id])
        if not self._position < line.position <= self.header.last_position:
            raise Faulty("has a position that is taken, out of order, or beyond the bank's last")
        self._position = line.position
        if line.external_id is not None:
            if line.external_id in self._external:
                raise Faulty("has an external_id that an earlier turn has")
            self._external.add(line.external_id)
        if line.inbox.state == "failed":
            self._failed.add(line.position)
        self.waiting += line.inbox.state in lanes.WAITING

    def _take_version(self, line: VersionLine) -> None:
        memory, before = self._memory, self._version
        if memory is None or line.memory_id != memory.id:
            raise Faulty("does not follow its memory")
        self._known("turn", line.sources)
        if len(line.embedding) != self.header.embedding_dimension:
            raise Faulty("has a vector of another dimension than the bank")
        if line.version > memory.version or (before is not None and line.version <= before.version):
            raise Faulty("has a version out of order")
        if line.restores is not None and line.restores >= line.version:
            raise Faulty("restores a later version")
        if line.valid_to is not None and line.valid_to < line.valid_from:
            raise Faulty("ends before it begins")
        if line.valid_from > self.header.written_at:
            raise Faulty("is newer than the bank")
        if before is not None and (before.valid_to is None or before.valid_to > line.valid_from):
            raise Faulty("begins before the version before it ends")
        self._version = line

    def _close_memory(self) -> None:
        memory, last = self._memory, self._version
        if memory is None:
            return
        if last is None:
            raise Faulty("follows a memory without versions")
        if memory.live != (last.valid_to is None) or (memory.live and memory.version != last.version):
            raise Faulty("follows a memory whose last version is not as it says")
        self._memory = None

    def _take_operation(self, line: OperationLine) -> None:
        if line.number != self._counts["operation"]:
            raise Faulty("has a number out of order")
        self._take_undoing(line)
        # What was erased is still named in the log.
        if line.erased_at is None:
            self._known("turn", [line.turn_id])
            self._known("ingestion", [line.ingestion_id])

    def _take_undoing(self, line: OperationLine) -> None:
        """An undoing comes later, and while it is in force itself, the two point at each other."""
        number = line.number
        if line.undoes is not None and not 1 <= line.undoes < number:
            raise Faulty("undoes an operation that is not before it")
        if line.undone_by is not None and not number < line.undone_by <= self.header.last_operation:
            raise Faulty("is undone by an operation that is not after it")
        undoes = line.undoes if line.undone_by is None else None
        if self._undoing.pop(number, None) != undoes:
            raise Faulty("does not undo the operation that says so, or undoes one that does not")
        if line.undone_by is not None:
            if line.undone_by in self._undoing:
                raise Faulty("is undone by an operation that undoes another")
            self._undoing[line.undone_by] = number

    def _take_answer(self, line: AnswerLine) -> None:
        self._new("answer", line.id)
        if line.body.get("id") != str(line.id):
            raise Faulty("holds another answer")
        if [memory["id"] for memory in line.body["memories"]] != [str(one) for one in line.distilled_ids]:
            raise Faulty("holds other memories than it names")
        self._known("turn", line.turn_ids)
        self._known("memory", [*line.memory_ids, *line.distilled_ids])

    def _take_trace(self, line: TraceLine) -> None:
        self._new("trace", line.id)
        self._known("turn", [line.turn_id, *(line.turn_ids or ())])
        self._known("memory", line.memory_ids or ())
        self._known("answer", [line.answer_id])

    def _take_end(self, line: EndLine, digest: str) -> None:
        held = {kind: self._counts[kind] for kind in KINDS if kind not in ("bank", "end")}
        if line.lines != line.line - 1 or held != self.header.counts:
            raise Faulty("counts other lines than there are")
        if digest != line.sha256:
            raise Faulty("a line before this one was changed: the digest is not that of the lines")
        if self.header.last_operation != held["operation"]:
            raise Faulty("the header counts other operations than there are")
        if self.header.blocked_by is not None and self.header.blocked_by not in self._failed:
            raise Faulty("the bank would wait for a turn that has not failed")
        self.ended = True
