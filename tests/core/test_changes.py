"""What `plan` lets a manager do: whatever it decides, nothing that is remembered is lost without a reason."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import grounding
from app.core.changes import MAX_MEMORY_LENGTH, Changes, Plan, Verdict, normalise, plan
from app.core.operations import Operation, OperationKind
from app.core.values import Fact, Memory
from tests.fixtures.banks import embedded, facts_of, make_memory, make_turn

ADD, UPDATE, DELETE, NOOP = OperationKind
BUDDY, SCOUT = "Alice adopted a dog named Buddy.", "Alice adopted another dog named Scout."
BOTH = "Alice adopted two dogs named Buddy and Scout."


def _op(kind: OperationKind, memory: int | None = None, text: str | None = None, fact: int = 1) -> Operation:
    return Operation(kind=kind, fact=fact, memory=memory, text=text)


def _planned(memories: list[str], facts: list[str], *operations: Operation) -> tuple[Plan, list[Memory]]:
    shown = [make_memory(text, version=number) for number, text in enumerate(memories, start=3)]
    return plan(operations, facts_of(*facts), shown, make_turn(), uuid4), shown


def _after(planned: Plan, shown: list[Memory]) -> list[str]:
    """The texts of the bank once the changes are applied."""
    texts = {memory.id: memory.text for memory in shown}
    for removal in planned.changes.removals:
        del texts[removal.memory_id]
    texts.update({revision.memory_id: revision.text for revision in planned.changes.revisions})
    return [*texts.values(), *(add.text for add in planned.changes.adds)]


def test_a_second_dog_is_merged_into_the_first_ones_memory() -> None:
    planned, shown = _planned([BUDDY], [SCOUT], _op(UPDATE, 1, BOTH))
    assert _after(planned, shown) == [BOTH]
    (line,) = planned.log
    assert (line.verdict, line.text_before, line.text_after) == (Verdict.APPLIED, BUDDY, BOTH)
    assert (line.memory_id, line.version_before, line.version_after) == (shown[0].id, 3, 4)


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (_op(UPDATE, 1, SCOUT), "it would lose buddy"),
        (_op(UPDATE, 1, "Alice adopted a dog."), "it would lose buddy, scout"),
        (_op(UPDATE, 1, BUDDY), "it would lose scout"),
        (_op(DELETE, 1), "the fact does not speak of a change"),
    ],
)
def test_a_second_dog_never_replaces_the_first(operation: Operation, reason: str) -> None:
    planned, shown = _planned([BUDDY], [SCOUT], operation)
    assert _after(planned, shown) == [BUDDY, SCOUT]
    rejected, added = planned.log
    assert (rejected.verdict, rejected.reason, rejected.memory_id) == (Verdict.REJECTED, reason, shown[0].id)
    assert (added.kind, added.verdict, added.fallback, added.text_after) == (ADD, Verdict.APPLIED, True, SCOUT)
    assert planned.rejected == [rejected]


@pytest.mark.parametrize(
    ("memory", "fact", "merged"),
    [
        ("Alice lives in Paris.", "Alice moved from Paris to Berlin.", "Alice lives in Berlin."),
        ("Alice works at Acme.", "Alice left Acme and works at Globex now.", "Alice works at Globex."),
        ("Alice is 30 years old.", "Alice is 31 years old, not 30.", "Alice is 31 years old."),
        ("Alice's trip starts on 3 May.", "Alice's trip was postponed to 9 June.", "Alice's trip starts on 9 June."),
    ],
)
def test_a_fact_that_speaks_of_a_change_may_replace_what_was(memory: str, fact: str, merged: str) -> None:
    planned, shown = _planned([memory], [fact], _op(UPDATE, 1, merged))
    assert _after(planned, shown) == [merged]


def test_a_correction_must_still_say_what_is_new() -> None:
    fact = "Alice moved from Paris to Berlin."
    planned, shown = _planned(["Alice lives in Paris."], [fact], _op(UPDATE, 1, "Alice lives in a city."))
    assert _after(planned, shown) == ["Alice lives in Paris.", fact]


@pytest.mark.parametrize(
    "operation", [_op(DELETE, 1), _op(UPDATE, 1, "Alice quit smoking."), _op(UPDATE, 1, "Quit smoking.")]
)
def test_a_change_of_something_else_destroys_nothing(operation: Operation) -> None:
    planned, shown = _planned([BUDDY], ["Alice quit smoking."], operation)
    assert _after(planned, shown) == [BUDDY, "Alice quit smoking."]


def test_a_delete_keeps_the_fact_that_says_something_new() -> None:
    fact = "Alice sold the red canoe to Piet."
    planned, shown = _planned(["Alice owns a red canoe."], [fact], _op(DELETE, 1))
    assert _after(planned, shown) == [fact]
    assert [(line.kind, line.verdict) for line in planned.log] == [(DELETE, Verdict.APPLIED), (ADD, Verdict.APPLIED)]
    assert planned.changes.removals[0].version == 3


def test_a_delete_by_a_fact_that_says_nothing_new_leaves_nothing() -> None:
    planned, shown = _planned(["Alice plans a boat trip."], ["Alice no longer plans a boat trip."], _op(DELETE, 1))
    assert _after(planned, shown) == []


def test_a_noop_beside_a_delete_does_not_swallow_the_fact() -> None:
    fact = "Alice moved from Paris to Berlin."
    planned, shown = _planned(["Alice lives in Paris."], [fact], _op(DELETE, 1), _op(NOOP))
    assert _after(planned, shown) == [fact]


def test_a_noop_beside_a_refused_operation_does_not_swallow_the_fact() -> None:
    planned, shown = _planned([BUDDY], [SCOUT], _op(UPDATE, 1, SCOUT), _op(NOOP))
    assert _after(planned, shown) == [BUDDY, SCOUT]


@pytest.mark.parametrize(
    ("memory", "fact"),
    [
        (BUDDY, "Alice has a dog."),
        (BUDDY, "alice adopted a dog named buddy"),
        (BUDDY, "Buddy is Alice's dog."),
        (BOTH, SCOUT),
        ("Alice has 3 dogs.", "There are 3 dogs at Alice's."),
        ("Alice left Acme in 2019.", "Alice no longer works at Acme."),
    ],
)
def test_a_noop_for_what_a_memory_may_say_changes_nothing(memory: str, fact: str) -> None:
    planned, _ = _planned(["Piet sails.", memory], [fact], _op(NOOP))
    assert planned.changes == Changes()
    assert [(line.kind, line.verdict, line.fact) for line in planned.log] == [(NOOP, Verdict.UNCHANGED, fact)]


@pytest.mark.parametrize(
    ("memories", "fact"),
    [
        ([], SCOUT),
        ([BUDDY], SCOUT),
        ([BUDDY], "Alice plays the cello."),
        (["Alice has 2 dogs."], "Alice has 3 dogs."),
        (["Alice works at Acme."], "Alice no longer works at Acme."),
        (["Alice drinks tea."], "Alice does not drink tea."),
        # No single one of them says it.
        (["Alice adopted a dog.", "Buddy sleeps."], BUDDY),
    ],
)
def test_a_noop_for_what_no_memory_says_is_refused_and_the_fact_is_kept(memories: list[str], fact: str) -> None:
    planned, shown = _planned(memories, [fact], _op(NOOP))
    assert _after(planned, shown) == [*memories, fact]
    assert [(line.kind, line.verdict, line.fallback, line.reason) for line in planned.log] == [
        (NOOP, Verdict.REJECTED, False, "no memory that was shown says it"),
        (ADD, Verdict.APPLIED, True, None),
    ]


@pytest.mark.parametrize(("kind", "merged"), [(DELETE, None), (UPDATE, "Alice no longer has a dog.")])
def test_a_memory_that_this_turn_took_away_says_nothing_any_more(kind: OperationKind, merged: str | None) -> None:
    gone, again = "Alice no longer has a dog, Buddy.", "Alice has a dog named Buddy."
    planned, shown = _planned([BUDDY], [gone, again], _op(kind, 1, merged), _op(NOOP, fact=2))
    assert [line.kind for line in planned.rejected] == [NOOP]
    assert _after(planned, shown) == ([merged, again] if merged else [again])


@pytest.mark.parametrize("first", [_op(UPDATE, 1, BOTH), _op(ADD)])
def test_what_this_turn_stored_is_known(first: Operation) -> None:
    planned, shown = _planned([BUDDY], [SCOUT, "Alice has a dog named Scout."], first, _op(NOOP, fact=2))
    assert not planned.rejected
    assert _after(planned, shown) == ([BOTH] if first.kind is UPDATE else [BUDDY, SCOUT])


@pytest.mark.parametrize(("first", "second", "refused"), [(ADD, NOOP, []), (NOOP, ADD, [NOOP])])
def test_a_noop_beside_an_add_adds_once(first: OperationKind, second: OperationKind, refused: list[str]) -> None:
    planned, shown = _planned([BUDDY], [SCOUT], _op(first), _op(second))
    assert _after(planned, shown) == [BUDDY, SCOUT]
    assert [line.kind for line in planned.rejected] == refused
    assert not any(line.fallback for line in planned.log)


def test_a_fact_without_any_operation_is_added() -> None:
    planned, shown = _planned([BUDDY], [SCOUT, "Alice's dog is called Buddy."], _op(NOOP, fact=2))
    assert _after(planned, shown) == [BUDDY, SCOUT]
    assert [(line.kind, line.fallback) for line in planned.log] == [(ADD, True), (NOOP, False)]


def test_operations_for_facts_that_do_not_exist_do_nothing() -> None:
    planned, shown = _planned([BUDDY], [SCOUT], _op(ADD), _op(DELETE, 1, fact=7), _op(ADD, fact=0), _op(ADD, fact=-1))
    assert _after(planned, shown) == [BUDDY, SCOUT]


def test_an_added_fact_carries_its_turn() -> None:
    turn, new_id = make_turn(speaker="Bob"), uuid4()
    (add,) = plan([_op(ADD)], facts_of("Bob sails."), [], turn, lambda: new_id).changes.adds
    assert (add.memory_id, add.text, add.speaker, add.said_at) == (new_id, "Bob sails.", "Bob", turn.said_at)
    assert (add.sources, add.embedded) == ((turn.id,), None)


def test_a_revision_takes_the_turn_into_its_sources_once() -> None:
    turn = make_turn()
    memory = make_memory(BUDDY).model_copy(update={"sources": (uuid4(), turn.id)})
    (revision,) = plan([_op(UPDATE, 1, BOTH)], facts_of(SCOUT), [memory], turn, uuid4).changes.revisions
    assert revision.sources == memory.sources


def test_a_revision_is_never_older_than_the_memory() -> None:
    memory = make_memory(BUDDY).model_copy(update={"said_at": make_turn().said_at.replace(year=2030)})
    (revision,) = plan([_op(UPDATE, 1, BOTH)], facts_of(SCOUT), [memory], make_turn(), uuid4).changes.revisions
    assert revision.said_at == memory.said_at


@pytest.mark.parametrize(
    ("memory", "text", "reason"),
    [
        (1, None, "the text is empty"),
        (1, " \n\t ", "the text is empty"),
        (1, BOTH + " dog" * 300, f"the text is longer than {MAX_MEMORY_LENGTH} characters"),
        (0, BOTH, "no such memory was shown"),
        (2, BOTH, "no such memory was shown"),
        (-1, BOTH, "no such memory was shown"),
        (10**9, BOTH, "no such memory was shown"),
        (None, BOTH, "no such memory was shown"),
        (1, "Alice adopted dogs named Buddy, Scout and Rex.", "'rex' is neither in the memory nor in the fact"),
        (1, "Alice adopted Buddy and Scout in 2019.", "'2019' is neither in the memory nor in the fact"),
        (1, "Buddy Scout hate vacuum cleaners during thunderstorms.", "most of its words are neither"),
        (1, "Buddy and Scout, " * 9, "it repeats itself"),
    ],
)
def test_updates_that_make_no_sense_are_refused_and_the_fact_is_kept(
    memory: int | None, text: str | None, reason: str
) -> None:
    planned, shown = _planned([BUDDY], [SCOUT], _op(UPDATE, memory, text))
    assert _after(planned, shown) == [BUDDY, SCOUT]
    assert (planned.log[0].reason or "").startswith(reason)


@pytest.mark.parametrize("memory", [None, 0, 2, -1])
def test_a_delete_of_a_memory_that_was_not_shown_is_refused(memory: int | None) -> None:
    planned, shown = _planned([BUDDY], ["Alice no longer has the dog Buddy."], _op(DELETE, memory))
    assert planned.rejected[0].reason == "no such memory was shown"
    assert len(_after(planned, shown)) == 2


@pytest.mark.parametrize(
    "second", [_op(UPDATE, 1, "Alice no longer has Buddy.", fact=2), _op(DELETE, 1, fact=2), _op(DELETE, 1)]
)
def test_a_memory_is_changed_once_a_turn(second: Operation) -> None:
    gone = "Alice no longer has the dog Buddy."
    planned, shown = _planned([BUDDY], [SCOUT, gone], _op(UPDATE, 1, BOTH), second)
    assert [line.reason for line in planned.rejected] == ["the memory was changed by this turn already"]
    assert _after(planned, shown) == [BOTH, gone]


def test_a_merge_may_count_what_it_merges() -> None:
    planned, _ = _planned([BUDDY], [SCOUT], _op(UPDATE, 1, "Alice adopted 2 dogs named Buddy and Scout."))
    assert not planned.rejected


def test_the_text_of_an_update_is_stored_on_one_line() -> None:
    planned, shown = _planned([BUDDY], [SCOUT], _op(UPDATE, 1, BOTH.replace(" ", " \n ")))
    assert _after(planned, shown) == [BOTH]


@pytest.mark.parametrize("fact", [BUDDY, "alice adopted a dog  named buddy", "ALICE adopted a dog named Buddy!!"])
def test_what_is_known_already_is_not_added_again(fact: str) -> None:
    planned, _ = _planned([BUDDY], [fact, fact], _op(ADD))
    assert planned.changes == Changes()
    assert [(line.verdict, line.reason) for line in planned.log] == [(Verdict.UNCHANGED, "already known")] * 2


def test_two_equal_facts_are_added_once() -> None:
    planned, shown = _planned([], [SCOUT, SCOUT.upper()], _op(ADD), _op(ADD, fact=2))
    assert _after(planned, shown) == [SCOUT]


def test_an_update_that_says_the_same_changes_nothing() -> None:
    planned, _ = _planned([BUDDY], ["Alice's dog is Buddy."], _op(UPDATE, 1, BUDDY.upper()))
    assert planned.changes == Changes()
    assert planned.log[0].reason == "says the same"


@pytest.mark.parametrize("merged", ["Alice loves the beach.", "Alice loves the beach very much."])
def test_an_update_that_says_nothing_of_the_fact_does_not_swallow_it(merged: str) -> None:
    planned, shown = _planned(
        ["Alice loves the beach."], ["Alice loves hiking."], _op(OperationKind.UPDATE, memory=1, text=merged)
    )
    assert [line.reason for line in planned.rejected] == ["it says nothing of what is new in the fact"]
    assert _after(planned, shown) == ["Alice loves the beach.", "Alice loves hiking."]


def test_what_a_turn_removed_it_may_add_again() -> None:
    old, gone = "Alice plans a boat trip.", "Alice no longer plans a boat trip."
    planned, shown = _planned([old], [gone, old], _op(DELETE, 1), _op(ADD, fact=2))
    assert _after(planned, shown) == [old]


def test_what_a_turn_merged_it_does_not_add_again() -> None:
    planned, shown = _planned([BUDDY], [SCOUT, BOTH], _op(UPDATE, 1, BOTH), _op(ADD, fact=2))
    assert _after(planned, shown) == [BOTH]


def test_embeddings_go_to_adds_first_and_then_to_revisions() -> None:
    planned, _ = _planned([BUDDY], [SCOUT, "Alice sails."], _op(UPDATE, 1, BOTH), _op(ADD, fact=2))
    changes = planned.changes
    assert changes.texts == ["Alice sails.", BOTH]
    done = changes.with_embedded([embedded(text) for text in changes.texts])
    assert done.adds[0].embedded is not None and done.revisions[0].embedded is not None
    assert done.revisions[0].embedded.terms == embedded(BOTH).terms
    assert Changes().with_embedded([]) == Changes()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_wrong_number_of_embeddings_is_an_error(count: int) -> None:
    planned, _ = _planned([BUDDY], [SCOUT, "Alice sails."], _op(UPDATE, 1, BOTH), _op(ADD, fact=2))
    with pytest.raises(ValueError):
        planned.changes.with_embedded([embedded("x")] * count)


_NOUNS = ["Buddy", "Scout", "Paris", "Berlin", "Jean-Luc", "Acme's", "3pm", "1990s", "2019", "Öl", "O'Brien"]
_WORDS = [
    *_NOUNS,
    "Alice",
    "dog",
    "lives in",
    "and",
    "no longer",
    "now",
    "moved",
    "a",
    "has",
    "名前",
    "\n",
    "🙂",
]
_texts = st.lists(st.sampled_from(_WORDS), max_size=8).map(" ".join) | st.text(max_size=30)
_operations = st.lists(
    st.builds(
        Operation,
        kind=st.sampled_from(OperationKind),
        fact=st.integers(-1, 4),
        memory=st.none() | st.integers(-1, 5),
        text=st.none() | _texts,
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(operations=_operations, facts=st.lists(_texts, max_size=4), memories=st.lists(_texts, max_size=4))
def test_nothing_gets_lost_whatever_is_decided(
    operations: list[Operation], facts: list[str], memories: list[str]
) -> None:
    planned, shown = _planned(memories, facts, *operations)
    _check_touched(planned, {memory.id: memory.version for memory in shown})
    assert {line.fact for line in planned.log} == set(facts)
    if any(grounding.says_change(fact) for fact in facts):
        return
    after = " . ".join(_after(planned, shown))
    for memory in shown:
        assert not grounding.lost_by(memory.text, after)
    known = {line.fact for line in planned.log if line.kind is NOOP and line.verdict is Verdict.UNCHANGED}
    for fact in set(facts) - known:
        assert not grounding.lost_by(fact, after) or normalise(fact) in map(normalise, _after(planned, shown))


@settings(max_examples=300, deadline=None)
@given(operations=_operations, facts=st.lists(_texts, max_size=4), memories=st.lists(_texts, max_size=4))
def test_every_fact_ends_in_the_bank_or_is_known_whatever_is_decided(
    operations: list[Operation], facts: list[str], memories: list[str]
) -> None:
    """Where a fact led to an UPDATE or a DELETE, its names and numbers are in the bank or in what it changed.

    A memory that said it may be changed by the same turn later: it counts as it was.
    """
    planned, shown = _planned(memories, facts, *operations)
    for fact in facts:
        own = [place for place, line in enumerate(planned.log) if line.fact == fact]
        changing = [planned.log[place] for place in own if planned.log[place].kind in (UPDATE, DELETE)]
        merged = any(line.verdict is not Verdict.REJECTED for line in changing)
        later = planned.log[own[0] if merged else own[-1] :]
        applied = [line for line in later if line.verdict is Verdict.APPLIED]
        changed = [line.text_before for line in applied if line.text_before is not None]
        known = [*_after(planned, shown), *changed]
        names_are_there = not grounding.lost_by(fact, " . ".join(known))
        said = names_are_there if merged else any(grounding.covers(text, fact, "Alice") for text in known)
        assert said or normalise(fact) in map(normalise, known)


def _check_touched(planned: Plan, versions: dict[UUID, int]) -> None:
    touched = [(revision.memory_id, revision.version) for revision in planned.changes.revisions]
    touched += [(removal.memory_id, removal.version) for removal in planned.changes.removals]
    assert all(versions[memory_id] == version for memory_id, version in touched)
    assert len(dict(touched)) == len(touched)
    assert all(0 < len(revision.text) <= MAX_MEMORY_LENGTH for revision in planned.changes.revisions)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=3))
def test_without_a_decision_every_fact_is_kept(facts: list[str]) -> None:
    planned = plan([], [Fact(text=fact) for fact in facts], [], make_turn(), uuid4)
    assert {normalise(add.text) for add in planned.changes.adds} == {normalise(fact) for fact in facts}
    assert len(planned.log) == len(facts)
