"""Policies at run time: promoted and rolled back under a service that goes on, each call told by what replied."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.agents.manager import ManagerOptions
from app.core.errors import Conflict, InvalidInput, ModelUnreachable, UnfitPolicy, UnknownPolicy
from app.core.policies import PromptStamp, Served
from app.core.ports import Listener
from app.core.values import Completion, Prompt, Role
from app.db.engine import Sessions
from app.main import open_service
from app.services import answer, policies
from app.services.policies import Promoted, PromotedCompleter
from app.services.service import Service
from tests.fixtures.doubles import ScriptedCompleter
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import ended, numbered, post, working
from tests.fixtures.policies import a_policy

ONE, TWO = a_policy("one", weights="1"), a_policy("two", weights="2")
WRITER = a_policy("writer", Role.ANSWERER, weights="3")
OTHERWISE = PromptStamp.of(Role.MANAGER, ManagerOptions(reasoning=False))
UNFIT = a_policy("unfit", weights="4", prompt=OTHERWISE)


class ScriptedServer(ScriptedCompleter):
    """Replies by any policy as without, and names it."""

    async def complete(self, prompt: Prompt, policy: Served | None = None) -> Completion:
        completion = await super().complete(prompt)
        return completion.model_copy(update={"policy": policy.label}) if policy else completion

    async def stream(self, prompt: Prompt, listener: Listener, policy: Served | None = None) -> Completion:
        completion = await self.complete(prompt, policy)
        listener.text(completion.text)
        return completion


@pytest.fixture
def promoting(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service, which looks at every call what is promoted."""
    monkeypatch.setattr(policies, "FRESH_SECONDS", 0.0)
    promoted = Promoted(service.sessions, service.settings)
    return replace(service, completers=dict.fromkeys(Role, PromotedCompleter(ScriptedServer(), promoted)))


async def known(sessions: Sessions, *added: Served) -> None:
    for policy in added:
        await policies.add(sessions, policy)


async def replying(sessions: Sessions) -> dict[str, str]:
    """Role by name of the policy that replies."""
    return {one.stamp.name: one.stamp.role.value for one in await policies.list_policies(sessions) if one.promoted}


async def test_promotions_are_undone_one_by_one(service: Service) -> None:
    sessions = service.sessions
    await known(sessions, ONE, TWO, WRITER)
    await policies.promote(sessions, "writer")
    for name in ("one", "two", "two", "one"):
        assert await policies.promote(sessions, name) is Role.MANAGER
        assert await replying(sessions) == {name: "manager", "writer": "answerer"}
    assert [await policies.rollback(sessions, Role.MANAGER) for _ in range(3)] == ["two", "one", None]
    assert await replying(sessions) == {"writer": "answerer"}
    with pytest.raises(InvalidInput, match="No policy is promoted for the manager"):
        await policies.rollback(sessions, Role.MANAGER)
    made = [one.policy for one in await policies.history(sessions) if one.role is Role.MANAGER]
    assert made == [None, "one", "two", "one", "two", "one"]


async def test_a_rollback_passes_over_what_was_removed(service: Service) -> None:
    sessions = service.sessions
    await known(sessions, ONE, TWO)
    for name in ("one", "two"):
        await policies.promote(sessions, name)
    with pytest.raises(Conflict, match="promoted"):
        await policies.remove(sessions, "two")
    await policies.remove(sessions, "one")
    assert await policies.rollback(sessions, Role.MANAGER) is None
    for act in (policies.promote, policies.remove, policies.find):
        with pytest.raises(UnknownPolicy):
            await act(sessions, "one")


async def test_one_name_stands_for_one_policy(service: Service) -> None:
    await known(service.sessions, ONE, ONE)
    assert await policies.find(service.sessions, "one") == ONE
    for other in (a_policy("one", weights="9"), a_policy("one", weights="1", folder="/elsewhere")):
        with pytest.raises(Conflict, match="another policy 'one'"):
            await policies.add(service.sessions, other)


async def test_promotions_at_once_are_one_after_the_other(service: Service) -> None:
    sessions = service.sessions
    await known(sessions, ONE, TWO)
    await asyncio.gather(*[policies.promote(sessions, name) for name in ("one", "two") * 5])
    depth = len(await policies.history(sessions))
    for _ in range(depth):
        await policies.rollback(sessions, Role.MANAGER)
    assert await replying(sessions) == {}


async def test_a_running_service_follows_promotions_and_traces_say_what_replied(
    promoting: Service, tenant: UUID
) -> None:
    sessions = promoting.sessions
    await known(sessions, ONE, WRITER)
    async with working(promoting):
        for first, name in enumerate((None, "one", None)):
            if name:
                await policies.promote(sessions, name)
            elif first:
                await policies.rollback(sessions, Role.MANAGER)
            key, accepted = await post(promoting, tenant, "alice", numbered(1, first=first))
            assert (await ended(promoting, key, accepted.ingestion_id)).state.value == "done"
    await policies.promote(sessions, "writer")
    assert (await answer.ask(promoting, key, "What was bought?")).policy == WRITER.label
    statement = "SELECT role, body->>'policy' FROM traces JOIN turns ON turns.id = turn_id ORDER BY position, role"
    async with everything(sessions) as session:
        traced = [tuple(row) for row in await session.execute(text(statement))]
        logged = list(await session.scalars(text("SELECT policy FROM operations ORDER BY number")))
    named = ["scripted", ONE.label, "scripted"]
    assert traced == [(role, name) for by in named for role, name in (("extractor", "scripted"), ("manager", by))]
    assert logged == named


async def test_a_policy_that_must_not_be_asked_is_not(promoting: Service) -> None:
    await known(promoting.sessions, UNFIT)
    await policies.promote(promoting.sessions, "unfit")
    promoted = Promoted(promoting.sessions, promoting.settings)
    with pytest.raises(ModelUnreachable, match="reasoning was False and is True") as refused:
        await promoted.of(Role.MANAGER)
    assert refused.value.retryable
    assert await promoted.of(Role.EXTRACTOR) is None
    with pytest.raises(UnfitPolicy, match=f"{OTHERWISE.version}.*memory-r1 policies rollback manager"):
        async with open_service(promoting.settings, completers={}):
            pytest.fail("it started")


async def test_a_database_that_is_away_changes_no_policy(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "FRESH_SECONDS", 0.0)
    await known(service.sessions, ONE)
    await policies.promote(service.sessions, "one")
    promoted = Promoted(service.sessions, service.settings)
    assert await promoted.of(Role.MANAGER) == ONE

    def away() -> None:
        raise OSError

    monkeypatch.setattr(service.sessions, "dispatch", away)
    assert await promoted.of(Role.MANAGER) == ONE


async def test_what_is_promoted_is_read_once_for_many_calls(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "FRESH_SECONDS", 60.0)
    promoted = Promoted(service.sessions, service.settings)
    reads, dispatch = 0, service.sessions.dispatch

    def counted() -> AbstractAsyncContextManager[AsyncSession]:
        nonlocal reads
        reads += 1
        return dispatch()

    monkeypatch.setattr(service.sessions, "dispatch", counted)
    assert await asyncio.gather(*[promoted.of(Role.MANAGER) for _ in range(20)]) == [None] * 20
    assert reads == 1
