"""Every engine can be asked what the agents ask, and what it replies can be parsed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import jsonschema_rs

from app.core.agents import answerer, extractor, manager
from app.core.trace import Outcome
from app.core.values import Candidate, Fact, Memory, Prompt, Turn
from tests.llm.conftest import Engine

SAID_AT = datetime(2023, 5, 7, 12, tzinfo=UTC)
TURN = Turn(id=UUID(int=1), speaker="Zoë", text="I moved to Žilina yesterday 🙂", said_at=SAID_AT)
FACTS = [Fact(text="Zoë moved to Žilina."), Fact(text="Zoë likes trams.")]


def a_memory(number: int) -> Memory:
    return Memory(
        id=UUID(int=100 + number),
        version=1,
        text=f"Zoë painted picture {number}.",
        speaker="Zoë",
        said_at=SAID_AT,
        sources=(TURN.id,),
        created_at=SAID_AT,
        updated_at=SAID_AT,
    )


MEMORIES = [a_memory(number) for number in range(12)]


async def reply_to(engine: Engine, prompt: Prompt) -> str:
    completion = await engine.complete(prompt)
    jsonschema_rs.validate(prompt.reply_schema, json.loads(completion.text))
    return completion.text


async def test_facts_can_be_extracted(engine: Engine) -> None:
    options = extractor.ExtractorOptions(max_facts=2, max_fact_characters=60)
    reply = await reply_to(engine, extractor.render(TURN, [TURN], options))
    assert extractor.parse(reply, TURN, [TURN]).outcome in (Outcome.FACTS, Outcome.NOTHING)


async def test_operations_can_be_decided(engine: Engine) -> None:
    options = manager.ManagerOptions(max_text_characters=60)
    reply = await reply_to(engine, manager.render(FACTS, MEMORIES, TURN, options))
    assert manager.parse(reply, len(FACTS), len(MEMORIES)).outcome is Outcome.DECIDED


async def test_operations_on_an_empty_bank_can_be_decided(engine: Engine) -> None:
    reply = await reply_to(engine, manager.render(FACTS, [], TURN, manager.ManagerOptions(reasoning=False)))
    assert manager.parse(reply, len(FACTS), 0).outcome is Outcome.DECIDED


async def test_questions_can_be_answered(engine: Engine) -> None:
    options = answerer.AnswererOptions(max_distilled=2, max_answer_characters=20)
    candidates = [Candidate(memory=memory, score=1.0) for memory in MEMORIES]
    asked = ("Where does Zoë live?", candidates, {TURN.id: TURN}, options)
    reply = await reply_to(engine, answerer.render(*asked))
    assert answerer.parse(reply, len(MEMORIES)).outcome in (Outcome.ANSWERED, Outcome.ABSTAINED)
    guess = answerer.parse(await reply_to(engine, answerer.render(*asked, best_guess=True)), len(MEMORIES))
    assert guess.outcome is Outcome.ANSWERED and guess.distilled
