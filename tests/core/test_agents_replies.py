"""Any reply at all is read or malformed, never an exception; and a run leaves its trace."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.agents import answerer, extractor, manager, run
from app.core.agents.answerer import AnswererOptions
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import ManagerOptions
from app.core.trace import Outcome
from app.core.values import Candidate, Role
from tests.fixtures.banks import MONDAY, make_candidates, make_memory, make_turn
from tests.fixtures.doubles import ScriptedCompleter, question_of

BUDDY = "Alice adopted a dog named Buddy."
_keys = st.sampled_from(["facts", "who", "what", "f1", "f2", "op", "memory", "text", "memories", "answer"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys | st.text(), inner, max_size=5),
    max_leaves=12,
)
_operation = st.fixed_dictionaries(
    {"op": st.sampled_from(["ADD", "UPDATE", "DELETE", "NOOP", "X"])},
    optional={"memory": st.sampled_from(["m1", "m0", "m99"]) | _json, "text": st.text() | _json},
)
_near = st.fixed_dictionaries(
    {},
    optional={
        "facts": st.lists(st.fixed_dictionaries({"who": st.text() | _json, "what": st.text() | _json})) | _json,
        "f1": st.lists(_operation) | _json,
        "f2": st.lists(_operation) | _json,
        "memories": st.lists(st.integers(-1, 3) | _json) | _json,
        "answer": st.none() | st.text() | _json,
    },
)
_replies = st.text() | (_json | _near).map(json.dumps)


@settings(max_examples=200, deadline=None)
@given(_replies)
def test_any_reply_is_read_or_malformed(reply: str) -> None:
    _read_everything(reply)


@pytest.mark.parametrize("filling", ["x", "Alice ", "🙂", "\\u0000", "\x00"])
def test_replies_of_a_megabyte_are_read_or_malformed(filling: str) -> None:
    long = filling * (1_000_000 // len(filling))
    _read_everything(long)
    _read_everything(f'{{"facts":[{{"who":"Alice","what":"{long}"}}]}}')
    _read_everything(f'{{"f1":[{{"op":"UPDATE","memory":"m1","text":"{long}"}}],"f2":[{{"op":"ADD"}}]}}')
    _read_everything(f'{{"memories":[1],"answer":"{long}"}}')


def _read_everything(reply: str) -> None:
    extraction = extractor.parse(reply, make_turn(), [make_turn("Hello?", speaker="Bob")])
    decision, answer = manager.parse(reply, 2, 2), answerer.parse(reply, 2)
    texts = [fact.text for fact in extraction.facts] + [o.text for o in decision.operations if o.text]
    assert all(text.isprintable() for text in [*texts, answer.text or ""])
    assert all(o.memory in (None, 1, 2) and o.fact in (1, 2) for o in decision.operations)
    assert set(answer.distilled) <= {1, 2}
    assert (answer.outcome is Outcome.ANSWERED) == bool(answer.text)
    assert (extraction.outcome is Outcome.FACTS) == bool(extraction.facts)


async def test_a_run_leaves_a_whole_trace() -> None:
    completer = ScriptedCompleter()
    turn = make_turn()
    extraction, trace = await run.extract(turn, [], completer, ExtractorOptions())
    assert extraction.outcome is trace.outcome is Outcome.FACTS
    decision, decided = await run.decide(extraction.facts, [], turn, completer, ManagerOptions())
    assert decision.outcome is decided.outcome is Outcome.DECIDED
    answer, answered = await run.answer("Which?", make_candidates(BUDDY), {}, completer, AnswererOptions())
    assert answer.outcome is answered.outcome is Outcome.ANSWERED
    assert [one.role for one in (trace, decided, answered)] == [Role.EXTRACTOR, Role.MANAGER, Role.ANSWERER]
    for one, prompt in zip((trace, decided, answered), completer.prompts, strict=True):
        assert (one.messages, one.prompt_version, one.policy) == (prompt.messages, prompt.version, "scripted")
        assert type(one).model_validate_json(one.model_dump_json()) == one


def test_days_are_those_of_the_moment_said() -> None:
    memory = make_memory(BUDDY, said_at=MONDAY - timedelta(days=30))
    prompt = answerer.render("?", [Candidate(memory=memory, score=1.0)], {uuid4(): make_turn()}, AnswererOptions())
    assert "8 April 2023" in question_of(prompt)
