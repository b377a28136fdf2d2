"""What the agents are asked, and what is made of their replies, however broken or hostile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.agents import answerer, extractor, manager
from app.core.agents.answerer import Answer, AnswererOptions
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import ManagerOptions
from app.core.operations import OperationKind
from app.core.rendering import constant_messages
from app.core.trace import Outcome
from app.core.values import Candidate, Prompt, Turn
from tests.fixtures.banks import facts_of, make_candidates, make_memory, make_turn
from tests.fixtures.doubles import question_of

MAX_CONSTANT_TOKENS = 700
BUDDY = "Alice adopted a dog named Buddy."


def _extracting(text: str = "I adopted a dog named Buddy.", *context: Turn, **options: int) -> Prompt:
    return extractor.render(make_turn(text), context, ExtractorOptions(**options))


def _deciding(facts: int = 1, memories: int = 1, **options: Any) -> Prompt:
    shown = [make_memory(f"Alice owns dog {number}.") for number in range(memories)]
    said = facts_of(*[f"Alice owns cat {number}." for number in range(facts)])
    return manager.render(said, shown, make_turn(), ManagerOptions(**options))


def _answering(*texts: str, sources: dict[UUID, Turn] | None = None, **options: Any) -> Prompt:
    return answerer.render("Which dog?", make_candidates(*texts), sources or {}, AnswererOptions(**options))


def _fits(prompt: Prompt, reply: object) -> bool:
    return jsonschema_rs.is_valid(prompt.reply_schema, reply)


PAIRS = [
    (_extracting("One."), _extracting("Two, at some length.", make_turn("Before."))),
    (_deciding(1, 0), _deciding(4, 9)),
    (_answering(), _answering(BUDDY, "Alice sails.")),
]


@pytest.mark.parametrize("pair", PAIRS, ids=["extractor", "manager", "answerer"])
def test_the_constant_part_comes_first_and_never_varies(pair: tuple[Prompt, Prompt]) -> None:
    one, other = pair
    assert one.constant == other.constant == len(one.messages) - 1
    assert one.messages[: one.constant] == other.messages[: other.constant] == constant_messages(one.role.value)
    assert one.messages[0].role == "system"
    assert one.messages[-1].role == "user"
    assert one.messages[-1] != other.messages[-1]
    assert one.version == other.version


@pytest.mark.parametrize("pair", PAIRS, ids=["extractor", "manager", "answerer"])
def test_examples_and_question_take_turns(pair: tuple[Prompt, Prompt]) -> None:
    roles = [message.role for message in pair[0].messages]
    assert roles == ["system", *["user", "assistant"] * ((len(roles) - 2) // 2), "user"]


@pytest.mark.parametrize("role", ["extractor", "manager", "answerer"])
def test_the_constant_part_is_short(role: str) -> None:
    text = "\n".join(message.content for message in constant_messages(role))
    assert len(text) / 3 < MAX_CONSTANT_TOKENS
    assert len(text.split()) * 1.5 < MAX_CONSTANT_TOKENS


@pytest.mark.parametrize("role", ["extractor", "manager", "answerer"])
def test_the_small_model_counts_the_constant_part_as_short(role: str, small_model_dir: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(small_model_dir / "tokenizer.json"))
    around_a_message = 6
    counts = [len(tokenizer.encode(m.content).ids) + around_a_message for m in constant_messages(role)]
    assert sum(counts) < MAX_CONSTANT_TOKENS


def _constant_replies(role: str) -> list[Any]:
    return [json.loads(m.content) for m in constant_messages(role) if m.role == "assistant"]


def test_the_examples_of_the_prompts_follow_their_schemas() -> None:
    speakers = ("Tamsin", "Ilse", "Piet")
    schemas = [extractor.render(make_turn(speaker=s), [], ExtractorOptions()) for s in speakers]
    assert all(any(_fits(prompt, reply) for prompt in schemas) for reply in _constant_replies("extractor"))
    assert all(
        any(_fits(_deciding(facts, 9), reply) for facts in range(1, 7)) for reply in _constant_replies("manager")
    )
    assert all(_fits(_answering(*[BUDDY] * 9), reply) for reply in _constant_replies("answerer"))


# The extractor


def test_the_turn_is_shown_with_its_day_and_what_was_said_before() -> None:
    before = [make_turn(f"Turn\n {number}.", speaker="Bob") for number in range(6)]
    asked = question_of(_extracting("I ran.", *before, context_turns=2))
    assert "8 May 2023" in asked
    assert asked.endswith("Alice: I ran.")
    assert "Bob: Turn 4.\nBob: Turn 5.\n" in asked and "Turn 3" not in asked


@pytest.mark.parametrize("said", range(7))
@pytest.mark.parametrize("shown", range(6))
def test_of_few_earlier_turns_all_are_shown(said: int, shown: int) -> None:
    before = [make_turn(f"Turn {number}.", speaker="Bob") for number in range(said)]
    assert question_of(_extracting("I ran.", *before, context_turns=shown)).count("Bob: ") == min(said, shown)


def test_relative_dates_are_absolute_in_the_prompt_and_in_the_facts() -> None:
    turn = make_turn("I adopted Buddy yesterday.")
    prompt = extractor.render(turn, [], ExtractorOptions())
    assert "on 7 May 2023" in question_of(prompt) and "yesterday" not in question_of(prompt)
    for what in ("adopted Buddy yesterday.", "adopted Buddy on 7 May 2023."):
        assert _facts(turn, what) == ["Alice adopted Buddy on 7 May 2023."]


def test_long_turns_are_cut() -> None:
    asked = question_of(_extracting("word " * 10_000, make_turn("other " * 1000, speaker="Bob")))
    assert len(asked) < extractor.MAX_TURN_CHARACTERS + extractor.MAX_CONTEXT_CHARACTERS + 200


def _reply(*facts: tuple[str, str]) -> str:
    return json.dumps({"facts": [{"who": who, "what": what} for who, what in facts]})


def _facts(turn: Turn, *said: str) -> list[str]:
    parsed = extractor.parse(_reply(*[(turn.speaker, what) for what in said]), turn, [])
    return [fact.text for fact in parsed.facts]


def test_a_fact_of_the_turn_stands_alone() -> None:
    turn = make_turn("I adopted a dog named Buddy, and my brother Piet laughed.")
    expected = [BUDDY, "Alice's brother is Piet."]
    assert _facts(turn, "adopted a dog named Buddy.", "Alice's brother is Piet.") == expected
    assert _facts(turn, *expected) == expected


def test_what_is_told_in_the_first_person_names_its_speaker() -> None:
    turn = make_turn("I adopted a dog named Buddy.")
    assert _facts(turn, "I adopted a dog named Buddy.") == ["Alice: I adopted a dog named Buddy."]
    assert _facts(turn, "Alice: I adopted a dog named Buddy.") == ["Alice: I adopted a dog named Buddy."]


def test_equal_facts_count_once() -> None:
    assert _facts(make_turn(), "adopted a dog named Buddy.", "ADOPTED a dog named Buddy!") == [BUDDY]


def test_people_of_the_examples_are_never_remembered() -> None:
    """Whoever is in the prompt and not in the dialogue was made up."""
    turn = make_turn("Yes! That was fun.")
    for reply in _constant_replies("extractor"):
        parsed = extractor.parse(json.dumps(reply), turn, [make_turn("How was it?", speaker="Bob")])
        assert parsed.facts == ()
        assert len(parsed.rejected) == len(reply["facts"])
        assert all(rejected.reason for rejected in parsed.rejected)


def test_rejected_facts_keep_their_reason() -> None:
    parsed = extractor.parse(_reply(("Alice", "adopted a dog named Rex.")), make_turn(), [])
    assert parsed.outcome is Outcome.NOTHING
    assert [(r.text, r.reason) for r in parsed.rejected] == [
        ("Alice adopted a dog named Rex.", "'rex' is not in the dialogue")
    ]


def test_only_the_speaker_may_be_told_of() -> None:
    prompt = _extracting()
    assert _fits(prompt, {"facts": [{"who": "Alice", "what": "ran."}]})
    assert _fits(prompt, {"facts": []})
    assert not _fits(prompt, {"facts": [{"who": "Bob", "what": "ran."}]})
    assert not _fits(prompt, {"facts": [{"who": "Alice", "what": "ran."}] * 7})


# The manager


def test_the_manager_sees_ordinals_and_never_ids() -> None:
    memories = [make_memory(BUDDY), make_memory("Alice sails.")]
    prompt = manager.render(facts_of("Alice ran."), memories, make_turn(), ManagerOptions())
    assert "m1 (8 May 2023): " + BUDDY in question_of(prompt)
    assert "f1: Alice ran." in question_of(prompt)
    everything = prompt.model_dump_json()
    assert not any(str(memory.id) in everything for memory in memories)


def test_without_memories_nothing_can_be_updated_or_deleted() -> None:
    prompt = _deciding(1, 0)
    why = {"reasoning": "because"}
    assert "UPDATE" not in json.dumps(prompt.reply_schema) and "DELETE" not in json.dumps(prompt.reply_schema)
    assert _fits(prompt, why | {"f1": [{"op": "ADD"}]})
    assert not _fits(prompt, why | {"f1": [{"op": "DELETE", "memory": "m1"}]})
    assert "none" in question_of(prompt)


def test_only_memories_that_were_shown_can_be_named() -> None:
    prompt = _deciding(1, 2)
    for memory, allowed in [("m1", True), ("m2", True), ("m3", False), ("m0", False), ("1", False), (1, False)]:
        reply = {"reasoning": "because", "f1": [{"op": "DELETE", "memory": memory}]}
        assert _fits(prompt, reply) is allowed


def test_each_fact_is_decided_on() -> None:
    prompt = _deciding(2, 1)
    assert not _fits(prompt, {"reasoning": "because", "f1": [{"op": "ADD"}]})
    assert not _fits(prompt, {"reasoning": "because", "f1": [], "f2": [{"op": "ADD"}]})
    assert _fits(prompt, {"reasoning": "because", "f1": [{"op": "ADD"}], "f2": [{"op": "NOOP"}]})


def test_where_no_memory_is_shown_a_fact_can_only_be_added() -> None:
    first = _deciding(1, 0)
    assert _fits(first, {"reasoning": "because", "f1": [{"op": "ADD"}]})
    assert not _fits(first, {"reasoning": "because", "f1": [{"op": "NOOP"}]})
    assert _fits(_deciding(1, 1), {"reasoning": "because", "f1": [{"op": "NOOP"}]})


def test_reasoning_can_be_switched_off() -> None:
    with_it, without = _deciding(), _deciding(reasoning=False)
    assert next(iter(with_it.reply_schema["properties"])) == "reasoning"
    assert "reasoning" not in without.reply_schema["properties"]
    assert not any("reasoning" in message.content for message in without.messages)
    assert "Reply in JSON: for each fact" in without.messages[0].content
    assert with_it.version != without.version


def test_related_memories_are_shown_once_and_best_first() -> None:
    first, second, third = make_candidates("one", "two", "three")
    again = Candidate(memory=second.memory, score=0.9)
    found = manager.shown([[first, second], [again, third], []], ManagerOptions())
    assert [memory.text for memory in found] == ["two", "one", "three"]
    assert len(manager.shown([[first, second, third]], ManagerOptions(max_shown=2))) == 2
    assert manager.shown([], ManagerOptions()) == []


def test_a_decision_is_read() -> None:
    reply = {"f1": [{"op": "UPDATE", "memory": "m2", "text": " a\x00\n b "}, {"op": "NOOP"}], "f2": [{"op": "ADD"}]}
    decision = manager.parse(json.dumps(reply), 2, 2)
    assert decision.outcome is Outcome.DECIDED
    assert [(o.kind, o.fact, o.memory, o.text) for o in decision.operations] == [
        (OperationKind.UPDATE, 1, 2, "a b"),
        (OperationKind.NOOP, 1, None, None),
        (OperationKind.ADD, 2, None, None),
    ]


def test_no_more_operations_a_fact_are_read_than_may_be_said() -> None:
    decision = manager.parse(json.dumps({"f1": [{"op": "ADD"}] * 9}), 1, 0)
    assert len(decision.operations) == manager.MAX_OPERATIONS_PER_FACT


@pytest.mark.parametrize(
    "memory", ["m0", "m3", "m99", "m-1", "m", "", "m1.0", "m٢", "m" + "9" * 5000, "mm1", "m 1", None, 1, ["m1"]]
)
def test_a_memory_that_was_not_shown_makes_a_decision_malformed(memory: object) -> None:
    for operation in ({"op": "DELETE", "memory": memory}, {"op": "UPDATE", "memory": memory, "text": "x"}):
        assert manager.parse(json.dumps({"f1": [operation]}), 1, 2).outcome is Outcome.MALFORMED


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "no",
        "null",
        "[]",
        "{}",
        "{",
        '{"f1": null}',
        '{"f1": {"op": "ADD"}}',
        '{"f1": [{"op": "add"}]}',
        '{"f1": [{"op": "MERGE"}]}',
        '{"f1": [{"op": "UPDATE", "memory": "m1"}]}',
        '{"f1": ["ADD"]}',
        '{"f2": [{"op": "ADD"}]}',
        '{"f1": [{"op": "UPDATE", "memory": "m1", "text": 7}]}',
        "\x00",
        "\ud800",
        '{"f1": [{"op": "UPDATE", "memory": "m1", "text": "\\ud800"}]}',
        "[" * 100_000,
        '```json\n{"f1": [{"op": "ADD"}]}\n```',
    ],
)
def test_broken_decisions_are_malformed(reply: str) -> None:
    assert manager.parse(reply, 1, 1).outcome is Outcome.MALFORMED


# The answer agent


def test_candidates_are_numbered_with_day_and_speaker_and_their_words_once() -> None:
    turn = make_turn("I adopted\nBuddy!")
    first, second = [
        Candidate(memory=c.memory.model_copy(update={"sources": (turn.id,)}), score=c.score)
        for c in make_candidates(BUDDY, "Alice laughed.")
    ]
    prompt = answerer.render(" Which\n dog? ", [first, second], {turn.id: turn}, AnswererOptions())
    assert question_of(prompt).splitlines()[1:] == [
        f"1. (8 May 2023, Alice) {BUDDY}",
        "> Alice: I adopted Buddy!",
        "2. (8 May 2023, Alice) Alice laughed.",
        "Question: Which dog?",
    ]
    assert str(first.memory.id) not in prompt.model_dump_json()


def test_a_best_guess_is_asked_for_by_the_replys_schema_alone() -> None:
    candidates = make_candidates(BUDDY, "Alice laughed.")
    plain, guess = [
        answerer.render("Which dog?", candidates, {}, AnswererOptions(), best_guess=best_guess)
        for best_guess in (False, True)
    ]
    assert guess.messages == plain.messages
    assert guess.version == f"{plain.version}-best-guess"
    for reply, fits in (
        ({"memories": [1], "answer": "Buddy"}, (True, True)),
        ({"memories": [], "answer": "Buddy"}, (True, False)),
        ({"memories": [1], "answer": None}, (True, False)),
        ({"memories": [1], "answer": " "}, (False, False)),
        ({"memories": [3], "answer": "Buddy"}, (False, False)),
    ):
        assert (_fits(plain, reply), _fits(guess, reply)) == fits, reply


def test_without_candidates_the_agent_is_told_so() -> None:
    assert "none" in question_of(_answering()).splitlines()


@settings(max_examples=60, deadline=None)
@given(
    budget=st.integers(1000, 6000),
    lengths=st.lists(st.integers(1, 1000), max_size=60),
    source_length=st.integers(0, 1500),
)
def test_candidates_keep_within_the_budget(budget: int, lengths: list[int], source_length: int) -> None:
    options = AnswererOptions(max_prompt_characters=budget)
    candidates = make_candidates(*["x" * length for length in lengths])
    turns = {i: make_turn("y" * source_length) for c in candidates for i in c.memory.sources}
    prompt = answerer.render("Which dog?", candidates, turns, options)
    lines = question_of(prompt).splitlines()[1:-1]
    assert sum(len(line) + 1 for line in lines) <= budget
    shown = [line for line in lines if not line.startswith(">") and line != "none"]
    assert [line.partition(".")[0] for line in shown] == [str(n) for n in range(1, len(shown) + 1)]
    assert _ordinals(prompt) == list(range(1, max(1, len(shown)) + 1))


def _ordinals(prompt: Prompt) -> list[int]:
    found: list[int] = prompt.reply_schema["properties"]["memories"]["items"]["enum"]
    return found


def test_only_candidates_that_are_shown_can_be_chosen() -> None:
    prompt = _answering(*["x" * 900] * 5, max_prompt_characters=2000)
    assert _ordinals(prompt) == [1, 2]
    assert _fits(prompt, {"memories": [2], "answer": None})
    assert not _fits(prompt, {"memories": [3], "answer": "x"})
    assert not _fits(prompt, {"memories": [1], "answer": ""})


def test_the_lowest_ranked_lose_their_sources_first() -> None:
    candidates = make_candidates("x" * 100, "y" * 100)
    turns = {i: make_turn("z" * 380, speaker="Z") for c in candidates for i in c.memory.sources}
    prompt = answerer.render("?", candidates, turns, AnswererOptions(max_prompt_characters=1000))
    assert [line[0] for line in question_of(prompt).splitlines()[1:-1]] == ["1", ">", "2"]


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ('{"memories":[2,1,2],"answer":" a\\u0000"}', Answer(outcome=Outcome.ANSWERED, text="a", distilled=(2, 1))),
        ('{"memories":[],"answer":null}', Answer(outcome=Outcome.ABSTAINED)),
        ('{"memories":[1],"answer":" \\n\\u0007"}', Answer(outcome=Outcome.ABSTAINED, distilled=(1,))),
        ('{"memories":[3],"answer":"x"}', Answer(outcome=Outcome.MALFORMED)),
        ('{"memories":[0],"answer":"x"}', Answer(outcome=Outcome.MALFORMED)),
        ('{"memories":[-1],"answer":"x"}', Answer(outcome=Outcome.MALFORMED)),
        ('{"memories":[1e999],"answer":"x"}', Answer(outcome=Outcome.MALFORMED)),
        ('{"memories":[' + "9" * 5000 + '],"answer":"x"}', Answer(outcome=Outcome.MALFORMED)),
        ('{"memories":1,"answer":"x"}', Answer(outcome=Outcome.MALFORMED)),
        ('{"memories":[]}', Answer(outcome=Outcome.MALFORMED)),
        ('{"answer":"x"}', Answer(outcome=Outcome.MALFORMED)),
        ('{"memories":[],"answer":["x"]}', Answer(outcome=Outcome.MALFORMED)),
        ("the dog is Buddy", Answer(outcome=Outcome.MALFORMED)),
    ],
)  # fmt: skip
def test_answers_are_read(reply: str, answer: Answer) -> None:
    assert answerer.parse(reply, 2) == answer
