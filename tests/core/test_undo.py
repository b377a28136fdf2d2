"""Undoing, against a model that knows nothing of versions: contents come and go, and are the same or not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import undo
from app.core.changes import Changes, Verdict
from app.core.errors import NothingToUndo, UndoConflict
from app.core.operations import OperationKind
from app.core.undo import Recorded, Standing

MEMORIES = [UUID(int=number) for number in range(1, 4)]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Life:
    """Memories with their versions and their log, as a bank keeps them; beside it what each says in the model."""

    standings: dict[UUID, Standing] = field(default_factory=dict)
    log: list[Recorded] = field(default_factory=list)
    said: dict[UUID, str] = field(default_factory=dict)
    texts: int = 0

    def write(self, memory_id: UUID) -> None:
        """The memory says something new; it is added where it is not there."""
        standing = self.standings.get(memory_id)
        self.texts += 1
        text = f"text {self.texts}"
        if standing is not None and not standing.live:
            return
        version = standing.version + 1 if standing else 1
        contents = {**(standing.contents if standing else {}), version: version}
        kind = OperationKind.UPDATE if standing else OperationKind.ADD
        self._log(kind, memory_id, standing.version if standing else None, version, text)
        self.standings[memory_id] = Standing(version, True, contents)
        self.said[memory_id] = text

    def remove(self, memory_id: UUID) -> None:
        standing = self.standings.get(memory_id)
        if standing is not None and standing.live:
            self._log(OperationKind.DELETE, memory_id, standing.version, None, None)
            self.standings[memory_id] = standing._replace(live=False)
            del self.said[memory_id]

    def undo(self, *numbers: int) -> list[int]:
        """The numbers of the new operations."""
        targets = [self.log[number - 1] for number in numbers]
        steps, skipped = undo.plan(targets, self.standings, self.log)
        assert skipped == ()
        for changes in undo.waves(steps):
            self._apply(changes)
        new = []
        for step in steps:
            number = len(self.log) + 1
            self.log.append(Recorded(**step.line.model_dump(exclude={"number"}), number=number))
            new.append(number)
            text = step.line.text_after
            memory_id = step.change.memory_id
            if text is None:
                del self.said[memory_id]
            else:
                self.said[memory_id] = text
        self._mark()
        return new

    def in_force(self) -> set[int]:
        """What counts, from the newest down: an operation does unless one that counts undoes it."""
        counted: set[int] = set()
        undone: set[int | None] = set()
        for operation in reversed(self.log):
            if operation.number not in undone:
                counted.add(operation.number)
                undone.add(operation.undoes)
        return counted

    def _log(
        self, kind: OperationKind, memory_id: UUID, before: int | None, after: int | None, text: str | None
    ) -> None:
        line = Recorded(
            number=len(self.log) + 1,
            kind=kind,
            verdict=Verdict.APPLIED,
            memory_id=memory_id,
            version_before=before,
            version_after=after,
            text_before=self.said.get(memory_id),
            text_after=text,
        )
        self.log.append(line)

    def _apply(self, changes: Changes) -> None:
        assert changes.changed_twice is None
        for removal in changes.removals:
            standing = self.standings[removal.memory_id]
            assert standing.live and standing.version == removal.version
            self.standings[removal.memory_id] = standing._replace(live=False)
        for restoration in changes.restorations:
            standing = self.standings[restoration.memory_id]
            assert standing.version == restoration.version and standing.live is not restoration.removed
            assert standing.contents[restoration.restores] == restoration.restores
            version = standing.version + 1
            contents = {**standing.contents, version: restoration.restores}
            self.standings[restoration.memory_id] = Standing(version, True, contents)

    def _mark(self) -> None:
        counted = self.in_force()
        undone_by = {line.undoes: line.number for line in self.log if line.number in counted}
        self.log = [line.model_copy(update={"undone_by": undone_by.get(line.number)}) for line in self.log]


def text_of(life: Life, memory_id: UUID, version: int | None) -> str | None:
    """What a memory said in a version, by the operation that made it."""
    made = [line for line in life.log if line.memory_id == memory_id and line.version_after == version]
    return made[0].text_after if version is not None else None


STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "write", "remove", "undo", "undo", "undo"]), st.integers(0, 30)), max_size=40
)


@given(STEPS)
def test_an_undo_takes_the_memory_back_or_says_what_is_in_the_way(steps: list[tuple[str, int]]) -> None:
    life = Life()
    for what, which in steps:
        memory_id = MEMORIES[which % len(MEMORIES)]
        if what == "write":
            life.write(memory_id)
        elif what == "remove":
            life.remove(memory_id)
        elif life.log:
            _undo_and_check(life, which % len(life.log) + 1)
    for number in range(len(life.log), 0, -1):
        assert (life.log[number - 1].undone_by is None) is (number in life.in_force())
    for memory_id, standing in life.standings.items():
        last = text_of(life, memory_id, standing.version)
        assert life.said.get(memory_id) == (last if standing.live else None)


def _undo_and_check(life: Life, number: int) -> None:
    target, before = life.log[number - 1], dict(life.said)
    assert target.memory_id is not None
    try:
        (new,) = life.undo(number)
    except NothingToUndo:
        assert number not in life.in_force()
    except UndoConflict as conflict:
        assert life.said == before and before.get(target.memory_id) != target.text_after
        assert conflict.operations == sorted(set(conflict.operations)) and conflict.operations
        for other in (life.log[one - 1] for one in conflict.operations):
            assert other.number > number and other.memory_id == target.memory_id
            assert other.number in life.in_force()
    else:
        assert before.get(target.memory_id) == target.text_after
        assert life.said.get(target.memory_id) == target.text_before
        assert life.log[new - 1].undoes == number
        rest = {memory_id: text for memory_id, text in before.items() if memory_id != target.memory_id}
        assert {i: text for i, text in life.said.items() if i != target.memory_id} == rest


@given(STEPS, st.integers(0, 30))
def test_undoing_what_is_in_the_way_first_always_helps(steps: list[tuple[str, int]], which: int) -> None:
    life = Life()
    for what, n in steps:
        memory_id = MEMORIES[n % len(MEMORIES)]
        if what == "write":
            life.write(memory_id)
        elif what == "remove":
            life.remove(memory_id)
        elif life.log:
            with contextlib.suppress(NothingToUndo, UndoConflict):
                life.undo(n % len(life.log) + 1)
    counted = sorted(life.in_force())
    if not counted:
        return
    number = counted[which % len(counted)]
    for _ in range(len(life.log) + 1):
        try:
            life.undo(number)
            return
        except UndoConflict as conflict:
            life.undo(max(conflict.operations))
    raise AssertionError("what was named was undone, and still something is in the way")


@given(STEPS, st.sets(st.integers(1, 40)))
def test_undoing_many_is_undoing_each_from_the_newest(steps: list[tuple[str, int]], chosen: set[int]) -> None:
    def lived() -> Life:
        life = Life()
        for what, n in steps:
            if what != "undo":
                (life.write if what == "write" else life.remove)(MEMORIES[n % len(MEMORIES)])
        return life

    life, other = lived(), lived()
    numbers = [number for number in chosen if number <= len(life.log)]
    if not numbers:
        return
    try:
        new = life.undo(*numbers)
    except UndoConflict as conflict:
        assert not set(conflict.operations) & set(numbers)
        assert life.log == other.log
        with pytest.raises(UndoConflict):
            for number in sorted(numbers, reverse=True):
                other.undo(number)
        return
    for number in sorted(numbers, reverse=True):
        other.undo(number)
    assert (life.said, life.standings, life.log) == (other.said, other.standings, other.log)
    assert [life.log[one - 1].undoes for one in new] == sorted(numbers, reverse=True)


def test_undoing_toggles_for_ever_and_never_overwrites() -> None:
    life, (memory, *_) = Life(), MEMORIES
    life.write(memory)
    life.write(memory)
    number = 2
    for turn in range(6):
        (number,) = life.undo(number)
        assert life.said[memory] == ("text 1" if turn % 2 == 0 else "text 2")
    assert life.standings[memory] == Standing(8, True, {1: 1, 2: 2, 3: 1, 4: 2, 5: 1, 6: 2, 7: 1, 8: 2})
    assert [line.kind for line in life.log[2:]] == [OperationKind.UPDATE] * 6


def test_a_removed_memory_comes_back_and_goes_again() -> None:
    life, (memory, *_) = Life(), MEMORIES
    life.write(memory)
    life.remove(memory)
    assert life.undo(2) == [3]
    assert life.log[2].kind is OperationKind.ADD and life.standings[memory].content == 1
    assert life.undo(1) == [4]
    assert life.log[3].kind is OperationKind.DELETE and memory not in life.said
    with pytest.raises(NothingToUndo, match="undone by operation 3"):
        life.undo(2)


def test_what_was_undone_later_is_in_nobodys_way() -> None:
    life, (memory, *_) = Life(), MEMORIES
    for _ in range(3):
        life.write(memory)
    with pytest.raises(UndoConflict) as conflict:
        life.undo(1)
    assert conflict.value.operations == [2, 3]
    life.undo(3)
    with pytest.raises(UndoConflict) as conflict:
        life.undo(1)
    assert conflict.value.operations == [2]
    life.undo(2)
    assert life.undo(1) == [6]


def test_an_undoing_of_something_earlier_is_in_the_way_like_any_change() -> None:
    life, (memory, *_) = Life(), MEMORIES
    for _ in range(3):
        life.write(memory)
    assert (life.undo(3), life.undo(2)) == ([4], [5])
    life.write(memory)
    with pytest.raises(UndoConflict) as conflict:
        life.undo(4)
    assert conflict.value.operations == [5, 6]
    with pytest.raises(UndoConflict) as conflict:
        life.undo(1)
    assert conflict.value.operations == [6]


def _line(**fields: object) -> Recorded:
    line = {"number": 1, "kind": "ADD", "verdict": "applied", "memory_id": MEMORIES[0], "version_after": 1}
    return Recorded.model_validate({**line, "text_after": "text", **fields})


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (_line(verdict="rejected"), "changed nothing"),
        (_line(verdict="unchanged"), "changed nothing"),
        (_line(memory_id=None), "changed nothing"),
        (_line(undone_by=7), "undone by operation 7"),
        (_line(version_after=None), "changed nothing"),
    ],
)
def test_what_has_no_effect_cannot_be_undone(operation: Recorded, why: str) -> None:
    with pytest.raises(NothingToUndo, match=why):
        undo.plan([operation], {MEMORIES[0]: Standing(1, True, {1: 1})}, [operation])


@pytest.mark.parametrize("text", ["text", None])
def test_a_line_that_lost_its_words_can_be_undone_while_the_versions_are_kept(text: str | None) -> None:
    operation = _line(erased_at=NOW, text_after=text)
    (step,), _ = undo.plan([operation], {MEMORIES[0]: Standing(1, True, {1: 1}, {1: "text"})}, [operation])
    assert (step.line.kind, step.line.text_before, step.line.text_after) == (OperationKind.DELETE, "text", None)


def _update(number: int, before: int, after: int) -> Recorded:
    return _line(number=number, kind="UPDATE", version_before=before, version_after=after, text_before="text")


def test_what_is_gone_for_good_is_skipped_with_all_that_it_blocks() -> None:
    """Of one memory the second version is gone: what led to it and from it stays, and what was before it too."""
    other = _line(number=4, memory_id=MEMORIES[1])
    log = [_line(), _update(2, 1, 2), _update(3, 2, 3), other]
    standings = {MEMORIES[0]: Standing(3, True, {1: 1, 3: 3}), MEMORIES[1]: Standing(1, True, {1: 1})}
    steps, skipped = undo.plan(log, standings, log)
    assert [step.line.undoes for step in steps] == [4] and skipped == (1, 2, 3)
    for operation in log[:3]:
        with pytest.raises(NothingToUndo, match="erased"):
            undo.plan([operation], standings, log)


def test_what_can_be_undone_is_named_though_something_between_is_gone() -> None:
    """The third version brought the first back when the second was erased."""
    log = [_line(), _update(2, 1, 2), _update(3, 2, 3), _update(4, 3, 4)]
    standings = {MEMORIES[0]: Standing(4, True, {1: 1, 3: 1, 4: 4})}
    with pytest.raises(UndoConflict) as conflict:
        undo.plan(log[:3], standings, log)
    assert conflict.value.operations == [4]
    steps, skipped = undo.plan([log[0], log[3]], standings, log)
    assert [step.line.undoes for step in steps] == [4, 1] and skipped == ()


def test_thousands_of_changed_memories_are_looked_at_once_each() -> None:
    ids = [uuid4() for _ in range(3000)]
    adds = [_line(number=number, memory_id=one) for number, one in enumerate(ids, 1)]
    later = [_update(3000 + add.number, 1, 2).model_copy(update={"memory_id": add.memory_id}) for add in adds]
    looked = 0

    class History(list[Recorded]):
        def __iter__(self) -> Iterator[Recorded]:
            nonlocal looked
            looked += 1
            return super().__iter__()

    standings = {one: Standing(2, True, {1: 1, 2: 2}) for one in ids}
    with pytest.raises(UndoConflict) as conflict:
        undo.plan(adds, standings, History(adds + later))
    assert len(conflict.value.operations) == 3000 and looked == 1
    steps, _ = undo.plan(adds + later, standings, adds + later)
    assert len(steps) == 6000


@pytest.mark.parametrize(
    "standings",
    [
        {},
        {MEMORIES[0]: Standing(2, True, {2: 2})},
        {MEMORIES[0]: Standing(2, False, {2: 2})},
        {MEMORIES[0]: Standing(3, True, {2: 2, 3: 3})},
    ],
)
def test_what_was_erased_does_not_come_back(standings: dict[UUID, Standing]) -> None:
    operation = _line(kind="UPDATE", version_before=1, version_after=2, text_before="earlier")
    with pytest.raises(NothingToUndo, match="erased"):
        undo.plan([operation], standings, [operation])


def test_nothing_is_nothing_to_undo() -> None:
    with pytest.raises(NothingToUndo):
        undo.plan([], {}, [])
