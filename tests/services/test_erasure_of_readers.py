"""Erasing a turn that later ones were read with: nothing of its text survives in what was made of those."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from sqlalchemy import delete, select, text, update

from app.core import errors
from app.core.values import Prompt, Role
from app.db import tables
from app.db.queries import BankKey
from app.services import answer, erasure_of_readers, erasure_of_turns, ingest
from app.services.erasure import Derived
from app.services.ingest import Accepted, NewTurn, State
from app.services.service import Service
from tests.fixtures.doubles import ScriptedCompleter, question_of
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import FailingCompleter, ended, memory_texts, post, said, working
from tests.services.conftest import Remake
from tests.services.test_erasure_of_turns import adding, erase, heard, holds, write

CLINIC = "I was treated in the Zanzibar clinic."
FOOD = "Alice loved the food in the Zanzibar clinic."


def telling(**facts: str) -> ScriptedCompleter:
    """One fact for the turn that holds a word, none for the others."""

    def extractor(prompt: Prompt) -> str:
        last = question_of(prompt).rpartition("Last turn, on ")[2]
        told = [{"who": "Alice", "what": fact} for word, fact in facts.items() if word in last]
        return json.dumps({"facts": told})

    return ScriptedCompleter(extractor=extractor)


async def worked(service: Service, tenant: UUID, *turns: NewTurn) -> tuple[BankKey, Accepted]:
    key, accepted = await post(service, tenant, "one", turns)
    async with working(service):
        assert (await ended(service, key, accepted.ingestion_id)).state is State.DONE
    return key, accepted


@pytest.mark.parametrize("derived", list(Derived))
@pytest.mark.parametrize("traced", [True, False])
async def test_a_rejected_fact_of_a_later_turn_does_not_quote_the_erased_one(
    tenant: UUID, remade: Remake, traced: bool, derived: Derived
) -> None:
    service = remade(telling(Hello="Alice was treated in Zanzibar."))
    key, accepted = await worked(service, tenant, said(CLINIC), said("Hello again, dear friend."))
    assert "inbox" in await holds(service, "was treated in Zanzibar")
    if not traced:
        async with everything(service.sessions) as session:
            await session.execute(delete(tables.traces))
    receipt = await erase(service, tenant, accepted.turn_ids[0], derived)
    assert receipt.removed["inbox"] == 2
    assert await holds(service, "Zanzibar") == []
    (left,) = (await ingest.read(service.sessions, key, accepted.ingestion_id)).turns
    assert (left.state, left.facts, left.rejected_facts) == (State.DONE, (), ())


async def test_a_memory_of_a_later_turn_goes_that_names_what_only_the_erased_one_said(
    tenant: UUID, remade: Remake
) -> None:
    service = remade(telling(food=FOOD, chess="Alice likes chess.", clinic="Alice was treated."))
    turns = [said(CLINIC), said("I loved the food there."), said("I like chess.")]
    key, accepted = await worked(service, tenant, *turns)
    await answer.ask(service, key, "Where was the food good?")
    receipt = await erase(service, tenant, accepted.turn_ids[0], Derived.ALL)
    assert await holds(service, "Zanzibar") == []
    assert (receipt.removed["memories"], receipt.kept) == (2, ())
    assert await memory_texts(service, key) == ["Alice likes chess."]
    read = (await ingest.read(service.sessions, key, accepted.ingestion_id)).turns
    assert [turn.facts for turn in read] == [(), ("Alice likes chess.",)]


async def test_a_memory_of_a_later_turn_is_kept_and_named_where_only_its_own_go(tenant: UUID, remade: Remake) -> None:
    service = remade(telling(food=FOOD))
    key, accepted = await worked(service, tenant, said(CLINIC), said("I loved the food there."))
    (memory,) = await service.bank(key).memories()
    receipt = await erase(service, tenant, accepted.turn_ids[0])
    assert (receipt.kept, receipt.removed["memory_versions"]) == ((memory.id,), 0)
    assert await memory_texts(service, key) == [FOOD]
    assert set(await holds(service, "Zanzibar")) == {"memories", "memory_versions", "operations"}
    async with everything(service.sessions) as session:
        (line,) = (await session.execute(select(tables.operations))).all()
    assert (line.fact, line.text_after, line.reasoning) == (None, FOOD, None)


async def test_what_later_turns_say_themselves_stays(tenant: UUID, remade: Remake) -> None:
    service = remade(telling(food=FOOD))
    own = said("I loved the food in the Zanzibar clinic.")
    key, accepted = await worked(service, tenant, said(CLINIC), own)
    async with everything(service.sessions) as session:
        before = (await session.execute(select(tables.operations))).all()
    receipt = await erase(service, tenant, accepted.turn_ids[0], Derived.ALL)
    assert (receipt.removed["operations"], receipt.removed["inbox"]) == (0, 1)
    assert await memory_texts(service, key) == [FOOD]
    async with everything(service.sessions) as session:
        assert (await session.execute(select(tables.operations))).all() == before


async def test_a_turn_that_was_not_read_with_the_erased_one_keeps_what_it_has(tenant: UUID, remade: Remake) -> None:
    """Its fact shares a word with a turn that is near; the trace tells that it was not shown."""
    service = remade(telling(food=FOOD))
    key, accepted = await worked(service, tenant, said(CLINIC), said("I loved the food there."))
    async with everything(service.sessions) as session:
        own = tables.traces.c.turn_id == accepted.turn_ids[1]
        await session.execute(update(tables.traces).where(own).values(turn_ids=[accepted.turn_ids[1]]))
    await erase(service, tenant, accepted.turn_ids[0], Derived.ALL)
    assert await memory_texts(service, key) == [FOOD]


async def test_only_the_turns_within_reach_of_the_context_are_looked_at(service: Service, tenant: UUID) -> None:
    key, turn_ids = await heard(service, tenant, erasure_of_readers.MAX_CONTEXT_TURNS + 2)
    near, far = adding("Alice bought one at number 0.", turn_ids[-2]), adding("Alice bought 0.", turn_ids[-1])
    await write(service, key, turn_ids[-2], near)
    await write(service, key, turn_ids[-1], far)
    await erase(service, tenant, turn_ids[0], Derived.ALL)
    assert await memory_texts(service, key) == [far.text]


async def test_what_a_memory_has_from_another_turn_does_not_make_it_go(service: Service, tenant: UUID) -> None:
    """A merge of a later turn with one that names the same."""
    posted = [said(CLINIC), said("The Zanzibar clinic is cheap.", "Bob"), said("I loved the food there.")]
    key, accepted = await post(service, tenant, "one", posted)
    merged = adding("Alice loved the food in the cheap Zanzibar clinic.", *accepted.turn_ids[1:])
    await write(service, key, accepted.turn_ids[2], merged)
    await erase(service, tenant, accepted.turn_ids[0], Derived.ALL)
    assert await memory_texts(service, key) == [merged.text]


async def test_a_speaker_who_said_nothing_else_is_not_named_either(tenant: UUID, remade: Remake) -> None:
    service = remade(telling(food="Alice loved Carol's food."))
    _, accepted = await worked(service, tenant, said("I cook.", "Carol"), said("I loved that food."))
    await erase(service, tenant, accepted.turn_ids[0], Derived.ALL)
    assert await holds(service, "Carol") == []


async def test_the_reason_of_a_failure_does_not_quote_what_an_earlier_turn_said(tenant: UUID, remade: Remake) -> None:
    """As releases before kept it: in the model server's words."""
    refused = errors.ModelRefused("Status 400: prompt too long: 'Earlier: Alice: I was in Zanzibar.'")
    key, first = await post(remade(), tenant, "one", [said("I was in Zanzibar.")])
    async with working(remade(ScriptedCompleter())):
        await ended(remade(), key, first.ingestion_id)
    broken = remade(FailingCompleter(refused, Role.EXTRACTOR))
    _, second = await post(broken, tenant, "one", [said("Hello again.")])
    async with working(broken):
        assert (await ended(broken, key, second.ingestion_id)).state is State.FAILED
    assert (await erase(broken, tenant, first.turn_ids[0])).removed["inbox"] == 2
    assert await holds(broken, "Zanzibar") == []
    (failed,) = (await ingest.read(broken.sessions, key, second.ingestion_id)).turns
    assert failed.error is not None
    assert (failed.error.type, failed.error.detail) == ("ModelRefused", erasure_of_turns.DETAIL_ERASED)


async def test_a_fault_inside_is_kept_without_its_words(tenant: UUID, remade: Remake) -> None:
    service = remade(FailingCompleter(ValueError("cannot parse 'I keep SECRET cats.'"), Role.EXTRACTOR), max_attempts=1)
    key, accepted = await post(service, tenant, "one", [said("I keep cats.")])
    async with working(service):
        assert (await ended(service, key, accepted.ingestion_id)).state is State.FAILED
    assert await holds(service, "SECRET") == []
    async with everything(service.sessions) as session:
        assert await session.scalar(text("SELECT error_type FROM inbox")) == "ValueError"
