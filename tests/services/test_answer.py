from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from app.core import errors
from app.core.values import Prompt, Role, Vector
from app.db.queries import BankKey
from app.services import answer, erasure
from app.services.callers import Caller
from app.services.service import Service
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter, abstains_where_it_may
from tests.fixtures.ingesting import (
    FailingCompleter,
    RawCompleter,
    WatchingCompleter,
    checked_out,
    ended,
    numbered,
    post,
    rows_of,
    working,
)
from tests.services.conftest import Remake


async def filled(service: Service, tenant: UUID, count: int = 3) -> BankKey:
    key, accepted = await post(service, tenant, "one", numbered(count))
    async with working(service):
        await ended(service, key, accepted.ingestion_id)
    return key


async def test_an_answer_takes_one_embedding_and_one_model_call_with_no_connection_held(
    remade: Remake, tenant: UUID
) -> None:
    held: list[int] = []

    async def watch(prompt: Prompt) -> None:
        held.append(checked_out(service))

    class WatchingEmbedder(HashEmbedder):
        async def embed(self, texts: Any) -> list[Vector]:
            held.append(checked_out(service))
            return await super().embed(texts)

    key = await filled(remade(ScriptedCompleter()), tenant)
    completer, embedder = WatchingCompleter(watch), WatchingEmbedder()
    service = remade(completer, embedder)
    answered = await answer.ask(service, key, "What is item number 1?")
    assert held == [0, 0]
    assert (completer.calls(Role.ANSWERER), embedder.calls) == (1, 1)
    assert answered.answer == "Alice bought item number 1."
    assert await answer.read(service.sessions, key, answered.id) == answered


async def test_a_bank_that_is_deleted_while_it_is_asked_is_not_there(remade: Remake, tenant: UUID) -> None:
    key = await filled(remade(ScriptedCompleter()), tenant)

    async def delete_meanwhile(prompt: Prompt) -> None:
        await erasure.erase_bank(service.sessions, Caller(tenant_id=tenant), "one")

    service = remade(WatchingCompleter(delete_meanwhile), HashEmbedder())
    with pytest.raises(errors.UnknownBank):
        await answer.ask(service, key, "What is item number 1?")


@pytest.mark.parametrize("best_guess", [False, True])
async def test_an_empty_bank_abstains_without_asking_a_model(remade: Remake, tenant: UUID, best_guess: bool) -> None:
    completer = ScriptedCompleter()
    service = remade(completer)
    key, _ = await post(service, tenant, "one", numbered(1))
    answered = await answer.ask(service, key, "Who?", best_guess=best_guess)
    assert (answered.abstained, answered.answer, answered.policy) == (True, None, None)
    assert answered.best_guess == best_guess
    assert completer.prompts == []


async def test_a_best_guess_is_told_apart_from_what_the_bank_tells(remade: Remake, tenant: UUID) -> None:
    key = await filled(remade(ScriptedCompleter()), tenant)
    service = remade(ScriptedCompleter(answerer=abstains_where_it_may))
    plain = await answer.ask(service, key, "Who sold item number 1?")
    assert (plain.abstained, plain.answer, plain.best_guess) == (True, None, False)
    guess = await answer.ask(service, key, "Who sold item number 1?", best_guess=True)
    assert (guess.abstained, guess.answer, guess.best_guess) == (False, "Alice", True)
    assert len(guess.memories) == 1
    assert await answer.read(service.sessions, key, guess.id) == guess
    assert guess.prompt_version == f"{plain.prompt_version}-best-guess"


@pytest.mark.parametrize(
    "error", [errors.ModelUnreachable(), errors.ModelTimedOut(), errors.ModelRefused(), errors.ReplyCutOff()]
)
async def test_a_model_that_fails_is_no_answer(remade: Remake, tenant: UUID, error: errors.ModelError) -> None:
    key = await filled(remade(ScriptedCompleter()), tenant)
    service = remade(FailingCompleter(error))
    with pytest.raises(type(error)):
        await answer.ask(service, key, "Who?")
    assert (await rows_of(service.sessions, key))["answers"] == 0


@pytest.mark.parametrize("reply", ["{}", "[]", "", "I do not know.", '{"memories": [99], "answer": "x"}'])
async def test_a_malformed_reply_is_an_error_and_never_an_abstention(remade: Remake, tenant: UUID, reply: str) -> None:
    key = await filled(remade(ScriptedCompleter()), tenant)
    service = remade(RawCompleter(Role.ANSWERER, reply))
    with pytest.raises(errors.BrokenReply):
        await answer.ask(service, key, "Who?")
    assert (await rows_of(service.sessions, key))["answers"] == 0


async def test_more_questions_than_can_be_answered_at_once_are_turned_away(remade: Remake, tenant: UUID) -> None:
    key = await filled(remade(ScriptedCompleter()), tenant)
    both_asked = asyncio.Barrier(3)
    go_on = asyncio.Event()

    async def hold(prompt: Prompt) -> None:
        await both_asked.wait()
        await go_on.wait()

    service = replace(remade(WatchingCompleter(hold)), answering=asyncio.Semaphore(2))
    asked = [asyncio.create_task(answer.ask(service, key, "Who?")) for _ in range(2)]
    await both_asked.wait()
    with pytest.raises(errors.Overloaded):
        await answer.ask(service, key, "Who?")
    go_on.set()
    assert [one.abstained for one in await asyncio.gather(*asked)] == [False, False]
    go_on.set()
    quick = replace(remade(ScriptedCompleter()), answering=service.answering)
    assert not (await answer.ask(quick, key, "Who?")).abstained


async def test_a_cancelled_question_gives_its_place_and_its_connections_back(remade: Remake, tenant: UUID) -> None:
    key = await filled(remade(ScriptedCompleter()), tenant)
    asked = asyncio.Event()

    async def hold(prompt: Prompt) -> None:
        asked.set()
        await asyncio.Event().wait()

    service = replace(remade(WatchingCompleter(hold)), answering=asyncio.Semaphore(1))
    asking = asyncio.create_task(answer.ask(service, key, "Who?"))
    await asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not service.answering.locked()
    assert checked_out(service) == 0
