"""Decisions that would leave a bank without something that was said, and what `plan` makes of them."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.core.changes import Plan, plan
from app.core.operations import Operation, OperationKind
from tests.fixtures.banks import facts_of, make_memory, make_turn

ADD, UPDATE, DELETE, NOOP = OperationKind


def _bank(memories: list[str], facts: list[str], *operations: Operation) -> tuple[list[str], Plan]:
    shown = [make_memory(text) for text in memories]
    planned = plan(operations, facts_of(*facts), shown, make_turn(), uuid4)
    texts = {memory.id: memory.text for memory in shown}
    for removal in planned.changes.removals:
        del texts[removal.memory_id]
    texts.update({revision.memory_id: revision.text for revision in planned.changes.revisions})
    return [*texts.values(), *(add.text for add in planned.changes.adds)], planned


def _op(kind: OperationKind, memory: int | None = None, text: str | None = None, fact: int = 1) -> Operation:
    return Operation(kind=kind, fact=fact, memory=memory, text=text)


@pytest.mark.parametrize("before", [(), (_op(NOOP),)])
def test_a_change_does_not_delete_the_memory_that_tells_of_it(before: tuple[Operation, ...]) -> None:
    vegetarian = "Alice no longer eats meat."
    bank, planned = _bank([vegetarian], [vegetarian], *before, _op(DELETE, 1))
    assert bank == [vegetarian]
    assert [line.reason for line in planned.rejected] == ["the memory says the same"]


@pytest.mark.parametrize(
    ("memory", "fact", "left"),
    [
        (
            "Alice works at a bakery.",
            "Alice left the bakery and works at a school now.",
            ["Alice left the bakery and works at a school now."],
        ),
        ("Alice eats meat.", "Alice no longer eats meat.", []),
        ("Alice has a dog named Buddy.", "Alice gave Buddy away.", []),
    ],
)
def test_what_a_change_tells_beside_the_end_is_kept(memory: str, fact: str, left: list[str]) -> None:
    bank, _ = _bank([memory], [fact], _op(DELETE, 1))
    assert bank == left


@pytest.mark.parametrize("merged", ["Alice drinks tea.", "Alice often drinks tea."])
def test_a_merge_does_not_drop_a_not(merged: str) -> None:
    memory, fact = "Alice drinks tea.", "Alice does not drink tea."
    bank, planned = _bank([memory], [fact], _op(UPDATE, 1, merged))
    assert bank == [memory, fact]
    assert [line.reason for line in planned.rejected] == ["it says nothing of what is new in the fact"]


def test_a_merge_may_take_up_a_not() -> None:
    bank, _ = _bank(["Alice drinks tea."], ["Alice does not drink tea."], _op(UPDATE, 1, "Alice does not drink tea."))
    assert bank == ["Alice does not drink tea."]


@pytest.mark.parametrize("known", [NOOP, ADD])
def test_a_memory_that_a_fact_of_the_turn_stands_on_keeps_it(known: OperationKind) -> None:
    dog, changed = "Alice has a dog.", "Alice has a cat named Tom now, no longer one that barks."
    bank, planned = _bank([dog], [dog, changed], _op(known), _op(UPDATE, 1, "Alice has a cat named Tom.", fact=2))
    assert bank == [dog, changed]
    assert [line.reason for line in planned.rejected] == ["it would lose another fact of this turn"]


def test_a_memory_that_a_fact_of_the_turn_stands_on_may_grow() -> None:
    merged = "Alice has a dog named Rex."
    bank, _ = _bank(
        ["Alice has a dog."], ["Alice has a dog.", "The dog is Rex."], _op(NOOP), _op(UPDATE, 1, merged, fact=2)
    )
    assert bank == [merged]


def test_a_merge_without_a_change_keeps_most_of_the_memory() -> None:
    memory, fact = "Alice paints on most evenings.", "Alice likes cats named Tom."
    bank, planned = _bank([memory], [fact], _op(UPDATE, 1, fact))
    assert bank == [memory, fact]
    assert [line.reason for line in planned.rejected] == ["it would lose most of what the memory says"]


def test_a_noop_stands_beside_the_very_same_text_however_short() -> None:
    bank, planned = _bank(["She is."], ["She is."], _op(NOOP))
    assert (bank, planned.rejected) == (["She is."], [])
