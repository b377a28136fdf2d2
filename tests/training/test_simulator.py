"""The simulator: what it says is right is right by the service's own parsers, checks and dates, in every split."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from functools import cache
from itertools import combinations, islice
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import dates, grounding, lexical, rendering
from app.core.agents import extractor, manager
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import ManagerOptions
from app.core.changes import Verdict, plan
from app.core.operations import OperationKind
from app.core.trace import Outcome
from app.core.values import Memory
from tests.fixtures.banks import MONDAY
from training.data.conversation import Question
from training.policies import right_operations
from training.simulator import doings, pools, storage, when, wording, world
from training.simulator.oracle import apply_right, oracle_bank
from training.simulator.pools import FRAMES, POOLS, PROPER, Split
from training.simulator.values import SimulatedConversation

CONVERSATIONS = {split: list(islice(world.conversations(split, 11), 6)) for split in Split}
EVERY = [conversation for made in CONVERSATIONS.values() for conversation in made]
ids = pytest.mark.parametrize("conversation", EVERY, ids=lambda conversation: conversation.id)
splits = pytest.mark.parametrize("split", Split)


@cache
def many(split: Split) -> tuple[SimulatedConversation, ...]:
    return (*CONVERSATIONS[split], *islice(world.conversations(split, 12), 14))


@ids
def test_the_extractor_would_pass_every_right_fact(conversation: SimulatedConversation) -> None:
    options = ExtractorOptions()
    turns = [one.turn for one in conversation.turns]
    for place, one in enumerate(conversation.turns):
        reply = json.dumps({"facts": [{"who": fact.who, "what": f" {fact.what}"} for fact in one.facts]})
        read = extractor.parse(reply, one.turn, turns[max(0, place - options.context_turns) : place])
        assert not read.rejected
        assert [fact.text for fact in read.facts] == [fact.text for fact in one.facts]
        assert all(len(fact.text) <= options.max_fact_characters for fact in one.facts)


@ids
def test_every_right_operation_is_applied_and_none_is_refused(conversation: SimulatedConversation) -> None:
    memories: dict[object, Memory] = {}
    for one in conversation.turns:
        shown = list(memories.values())
        facts = [fact.fact for fact in one.facts]
        made = plan(right_operations(one, shown), facts, shown, one.turn, uuid4)
        for line, right in zip(made.log, one.operations, strict=True):
            expected = Verdict.UNCHANGED if right.kind is OperationKind.NOOP else Verdict.APPLIED
            assert (line.kind, line.verdict, line.fallback) == (right.kind, expected, False), line
        for right in one.operations:
            apply_right(memories, right, one.facts[right.fact - 1], one.turn)  # type: ignore[arg-type]
            assert len(right.text or "") <= ManagerOptions().max_text_characters


@ids
def test_right_operations_can_be_said_in_the_managers_reply(conversation: SimulatedConversation) -> None:
    for place, one in enumerate(conversation.turns):
        shown = oracle_bank(conversation, place) if one.operations else []
        right = right_operations(one, shown)
        reply = {f"f{o.fact}": [_as_reply(o.kind, o.memory, o.text)] for o in right}
        read = manager.parse(json.dumps({"reasoning": "known", **reply}), len(one.facts), len(shown))
        assert (read.outcome, read.operations) == (Outcome.DECIDED, right)


def _as_reply(kind: OperationKind, memory: int | None, text: str | None) -> dict[str, str]:
    named = {"memory": f"m{memory}"} if memory is not None else {}
    return {"op": kind.value} | named | ({"text": text} if text else {})


@ids
def test_dates_of_facts_are_those_that_the_turn_means(conversation: SimulatedConversation) -> None:
    """Every number of a fact is in the turn once its dates are absolute, or was said shortly before."""
    heard: list[str] = []
    for one in conversation.turns:
        heard.append(dates.make_dates_absolute(one.turn.text, one.turn.said_at))
        said = set(lexical.tokens(" ".join(heard[-5:])))
        numbers = {name for fact in one.facts for name in lexical.tokens(fact.text) if name.isdigit()}
        assert numbers <= said
        assert not any(dates.find_relative_dates(fact.text, one.turn.said_at) for fact in one.facts)


@given(seed=st.integers(0, 10_000), days=st.integers(0, 800))
@settings(max_examples=200)
def test_a_dating_is_what_the_service_makes_of_its_words(seed: int, days: int) -> None:
    said_at = MONDAY + timedelta(days=days)
    for dating in (when.past(Random(seed), said_at.date()), when.future(Random(seed), said_at.date())):
        is_past = dating.moment.start <= said_at.date()
        sentence = f"I {'went' if is_past else 'am going'} there {dating.said}."
        assert dates.make_dates_absolute(sentence, said_at).removesuffix(".").endswith(dating.on)


@given(seed=st.integers(0, 10_000), back=st.integers(0, 60))
def test_a_correction_dates_nothing_after_it_was_told_and_a_loss_nothing_before(seed: int, back: int) -> None:
    today = MONDAY.date()
    told_on = today - timedelta(days=back)
    told = when.past(Random(seed), told_on, exact=True)
    corrected = when.past_day(Random(seed), today, until=told_on, other_than=told)
    assert corrected.moment.end <= told_on
    assert corrected.on != told.on
    assert told_on <= when.past(Random(seed), today, since=told_on).moment.end <= today


def _turns_of(conversation: SimulatedConversation, question: Question) -> str:
    facts = {one.turn.id: " ".join(fact.text for fact in one.facts) for one in conversation.turns}
    return " ".join(facts[turn] for turn in question.evidence)


TOLD_BY_COUNTING = ("count", "yes", "still")
WHEN_IT_WAS_SAID = "said"


@ids
def test_answers_are_in_the_oracle_bank_and_in_the_evidence(conversation: SimulatedConversation) -> None:
    for question in conversation.questions:
        family, kind = question.category.split("?")
        upto = question.since
        bank = " ".join(memory.text for memory in oracle_bank(conversation, upto))
        assert question.holds_after(upto)
        if question.answer and kind not in (*TOLD_BY_COUNTING, WHEN_IT_WAS_SAID):
            wanted = set(lexical.tokens(question.answer))
            assert wanted <= set(lexical.tokens(bank)), (question, bank)
            if (family, kind) != ("pet", "which"):
                assert wanted <= set(lexical.tokens(_turns_of(conversation, question))), question
        assert bool(question.evidence) is (kind != "untold")


@splits
def test_what_was_told_without_a_date_is_dated_by_when_it_was_said(split: Split) -> None:
    asked = 0
    for conversation in many(split):
        for question in conversation.questions:
            if not question.category.endswith(WHEN_IT_WAS_SAID):
                continue
            asked += 1
            (told_in,) = question.evidence
            told = [one for one in oracle_bank(conversation, question.since) if told_in in one.sources]
            undated = [memory for memory in told if not re.search(r"\b20\d\d\b", memory.text)]
            shown = {rendering.day(memory.said_at) for memory in undated}
            assert question.answer in shown, "the date that the Answer Agent is shown with it"
    assert asked > 20


@splits
def test_titles_are_answered_without_quotation_marks(split: Split) -> None:
    asked = [question for conversation in many(split) for question in conversation.questions]
    quoted = [memory.text for conversation in many(split) for memory in oracle_bank(conversation) if '"' in memory.text]
    assert quoted
    assert not [question for question in asked if '"' in question.answer]


@ids
def test_evidence_was_said_before_the_question_holds(conversation: SimulatedConversation) -> None:
    places = {one.turn.id: place for place, one in enumerate(conversation.turns, start=1)}
    for question in conversation.questions:
        assert all(places[turn] <= question.since for turn in question.evidence)
        assert all(conversation.turns[places[turn] - 1].facts for turn in question.evidence)


@ids
def test_counts_and_lists_agree(conversation: SimulatedConversation) -> None:
    counted = [q for q in conversation.questions if q.category.endswith("?count")]
    for question in counted:
        family = question.category.split("?")[0]
        (beside,) = [
            other
            for other in conversation.questions
            if other.category == f"{family}?list"
            and (other.since, other.evidence) == (question.since, question.evidence)
        ]
        assert question.answer == str(len(beside.answer.split(", ")))


@ids
def test_what_was_withdrawn_is_not_in_the_bank(conversation: SimulatedConversation) -> None:
    for place, one in enumerate(conversation.turns, start=1):
        for operation in one.operations:
            live = {memory.id for memory in oracle_bank(conversation, place)}
            assert (operation.memory in live) is (operation.kind is not OperationKind.DELETE)


@ids
def test_turns_are_in_order_and_ids_are_distinct(conversation: SimulatedConversation) -> None:
    times = [one.turn.said_at for one in conversation.turns]
    assert times == sorted(set(times))
    assert len({one.turn.id for one in conversation.turns}) == len(conversation.turns)
    assert len({one.turn.external_id for one in conversation.turns}) == len(conversation.turns)
    assert {one.turn.speaker for one in conversation.turns} == set(conversation.speakers)


@splits
def test_every_way_to_tell_a_fact_is_used(split: Split) -> None:
    made = [*many(split), *islice(world.conversations(split, 13, world.WorldOptions(doings=2)), 60)]
    told = " ".join(fact.what for one in made for turn in one.turns for fact in turn.facts)
    unused = []
    for key in wording.keys(split):
        if "?" in key or key.startswith("talk.") or key.endswith((".past", ".history", ".moved")):
            continue
        for line in wording.lines(split, key):
            pieces = [piece.strip(" .,") for piece in _fixed_pieces(line.what)]
            if not all(piece in told for piece in pieces):
                unused.append((key, line.what))
    assert unused == []


def _fixed_pieces(form: str) -> list[str]:
    return [piece for part in form.split("{") if (piece := part.rpartition("}")[2]).strip(" .,")]


@splits
def test_all_operations_and_kinds_of_question_occur(split: Split) -> None:
    made = many(split)
    operations = Counter(o.kind for c in made for one in c.turns for o in one.operations)
    total = operations.total()
    assert all(operations[kind] > 0.02 * total for kind in OperationKind)
    kinds = {q.category.split("?")[1] for c in made for q in c.questions}
    assert kinds - {"plan_where"} == {
        "list", "count", "date", "which", "still", "yes", "current", "previous", "person", "untold",
        "what", "who", "where", "feeling", "several", "planned", "plan_who", "said",
    }  # fmt: skip
    silent = [not one.facts for c in made for one in c.turns]
    assert 0.3 < sum(silent) / len(silent) < 0.7


def test_splits_share_no_proper_name() -> None:
    names = {
        split: {word for pool in PROPER for name in POOLS[split][pool] for word in name.split()} for split in Split
    }
    things = {split: {name for pool in POOLS[split].values() for name in pool} for split in Split}
    for one, other in combinations(Split, 2):
        assert not names[one] & names[other]
        assert not things[one] & things[other]
    assert set(PROPER) <= set(POOLS[Split.TRAIN])


def test_splits_share_no_phrasing() -> None:
    lines = {split: [line for key in wording.keys(split) for line in wording.lines(split, key)] for split in Split}
    said = {split: {line.say for line in lines[split]} for split in Split}
    # What a deed's fact says is the deed itself, and those are other ones in each split.
    worded = {split: [line for line in lines[split] if _fixed_pieces(line.what)] for split in Split}
    facts = {split: {line.what for line in worded[split] if not line.what.startswith("{did}")} for split in Split}
    kept = {split: {line.kept for line in lines[split]} - {""} for split in Split}
    for one, other in combinations(Split, 2):
        assert not said[one] & said[other]
        assert not facts[one] & facts[other]
        assert not kept[one] & kept[other]
        assert set(wording.keys(one)) == set(wording.keys(other))


LEAST_FRAMES = {Split.TRAIN: 120, Split.VALIDATION: 50, Split.EXAM: 50}


@splits
def test_frames_are_many_and_can_be_told_apart(split: Split) -> None:
    frames = [doings.frame(line) for line in FRAMES[split]]
    assert len({(frame.verb, frame.text) for frame in frames}) >= LEAST_FRAMES[split]
    asked = Counter(question for frame in frames for question, _ in frame.questions)
    assert [question for question, count in asked.items() if count > 1] == []
    for frame in frames:
        assert frame.other and frame.noun
        assert all(f"{{{slot}}}" in frame.text for _, slot in frame.questions)
        assert all(question.endswith("?") and re.search(r"\bX\b", question) for question, _ in frame.questions)
        assert set(frame.flags) <= set("wpfsx ")


def test_splits_share_no_frame_and_no_question_about_one() -> None:
    for one, other in combinations(Split, 2):
        mine, yours = ([doings.frame(line) for line in FRAMES[split]] for split in (one, other))
        assert not set(FRAMES[one]) & set(FRAMES[other])
        assert not {q for f in mine for q, _ in f.questions} & {q for f in yours for q, _ in f.questions}
        assert not _names_of_things(mine) & _names_of_things(yours)


def _names_of_things(frames: list[doings.Frame]) -> set[str]:
    """Choices of more than one word; a lone "six" or "childhood" belongs to nobody."""
    return {choice for frame in frames for choices in frame.choices for choice in choices if " " in choice}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("took my kids to the zoo", "took their kids to the zoo"),
        (
            "moved because I was tired and my aunt told me to",
            "moved because they were tired and their aunt told them to",
        ),
        ("told everybody that I am gay", "told everybody that they are gay"),
        ("protested against a coal mine", "protested against a coal mine"),
    ],
)
def test_what_one_says_of_oneself_is_told_of_somebody(said: str, told: str) -> None:
    assert doings.third(said) == told


@ids
def test_facts_of_doings_are_short_and_in_the_words_of_their_turn(conversation: SimulatedConversation) -> None:
    added = {o.memory for one in conversation.turns for o in one.operations if o.kind is OperationKind.ADD}
    for one in conversation.turns:
        for fact, operation in zip(one.facts, one.operations, strict=True):
            assert len(fact.text) <= doings.MOST_CHARACTERS
            assert "  " not in fact.text and " ." not in fact.text and not re.search(r"\b(I|my|me)\b", fact.what)
            assert operation.memory in added


@splits
def test_turns_without_facts_are_not_known_by_their_length(split: Split) -> None:
    words: dict[bool, list[int]] = {True: [], False: []}
    for conversation in many(split):
        for one in conversation.turns:
            words[bool(one.facts)].append(len(one.turn.text.split()))
    for told in words.values():
        assert 8 < sum(told) / len(told) < 40
        assert sum(count > 20 for count in told) > 0.1 * len(told)
        assert sum(count < 10 for count in told) > 0.05 * len(told)


def test_the_weight_of_doings_can_be_set() -> None:
    options = world.WorldOptions(doings=0.0)
    told = [q.category for c in islice(world.conversations(Split.TRAIN, 5, options), 3) for q in c.questions]
    assert {category for category in told if category.startswith("doing?")} <= {"doing?untold"}


def test_no_turn_of_the_exam_is_said_in_training() -> None:
    texts = {split: {one.turn.text for c in CONVERSATIONS[split] for one in c.turns} for split in Split}
    assert not texts[Split.EXAM] & (texts[Split.TRAIN] | texts[Split.VALIDATION])


def test_no_speaker_is_a_word_of_another_memory() -> None:
    """Names that are words too would blur what is lost by an update."""
    for split in Split:
        proper = {name.lower() for pool in ("speaker", "person", "sister", "brother") for name in POOLS[split][pool]}
        assert not proper & lexical.STOP_WORDS
        assert all(grounding.names_and_numbers(f"There is {name.title()}") for name in proper)


def _digest(hash_seed: str) -> str:
    code = (
        "from training.simulator import world; from training.simulator.pools import Split; "
        "print(world.simulate(Split.EXAM, 3, 2).model_dump_json())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    return hashlib.sha256(run.stdout).hexdigest()


def test_a_seed_gives_the_same_in_every_process() -> None:
    here = world.simulate(Split.EXAM, 3, 2).model_dump_json() + "\n"
    assert {_digest("0"), _digest("4242")} == {hashlib.sha256(here.encode()).hexdigest()}


def test_seeds_and_numbers_differ() -> None:
    texts = {
        " ".join(one.turn.text for one in world.simulate(Split.TRAIN, seed, number).turns)
        for seed in (1, 2)
        for number in (0, 1)
    }
    assert len(texts) == 4


def test_lines_come_back_as_they_were_written(tmp_path: Path) -> None:
    made = CONVERSATIONS[Split.EXAM][:2]
    assert storage.write_jsonl(tmp_path / "exam.jsonl", made) == 2
    assert list(storage.read_jsonl(tmp_path / "exam.jsonl")) == made


def test_a_world_can_be_made_small() -> None:
    options = world.WorldOptions(sessions=(1, 1), turns=(3, 3), telling=1.0, twofold=0.0, unanswerable=0)
    made = world.simulate(Split.TRAIN, 1, 0, options)
    assert len(made.turns) <= 6
    assert {one.turn.session for one in made.turns} == {"1"}
    assert pools.Split(made.split) is Split.TRAIN
