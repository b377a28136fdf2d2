"""Policies on a model server: called by name, loaded where they are gone, and never taken for something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.core import errors
from app.llm.completer import HttpCompleter
from tests.fixtures.policies import a_policy
from tests.llm import scripted
from tests.llm.scripted import ScriptedServer
from tests.llm.test_http_completer import a_prompt

POLICY = a_policy()


@pytest.fixture
async def completer(scripted_server: ScriptedServer) -> AsyncIterator[HttpCompleter]:
    scripted_server.adapters = {}
    completer = HttpCompleter(scripted_server.base_url, scripted_server.model, max_retries=0, timeout=10)
    yield completer
    await completer.aclose()


async def test_a_policy_is_called_by_its_name_and_named_in_the_completion(
    completer: HttpCompleter, scripted_server: ScriptedServer
) -> None:
    await completer.prepare(POLICY)
    assert scripted_server.adapters == {POLICY.label: "/policies"}
    with_policy, without = await completer.complete(a_prompt(), POLICY), await completer.complete(a_prompt())
    assert (with_policy.policy, without.policy) == (POLICY.label, "scripted")
    assert [call.body["model"] for call in scripted_server.calls] == [POLICY.label, "scripted"]


async def test_preparing_twice_loads_once(completer: HttpCompleter, scripted_server: ScriptedServer) -> None:
    await asyncio.gather(completer.prepare(POLICY), completer.prepare(POLICY))
    await completer.prepare(POLICY)
    assert scripted_server.adapters == {POLICY.label: "/policies"}


async def test_an_adapter_that_the_server_has_forgotten_is_loaded_again(
    completer: HttpCompleter, scripted_server: ScriptedServer
) -> None:
    completions = await asyncio.gather(*[completer.complete(a_prompt(), POLICY) for _ in range(4)])
    assert {completion.policy for completion in completions} == {POLICY.label}
    assert scripted_server.adapters == {POLICY.label: "/policies"}


async def test_a_policy_that_cannot_be_loaded_is_unreachable_and_nothing_else_replies(
    completer: HttpCompleter, scripted_server: ScriptedServer
) -> None:
    for policy in (a_policy(folder=None), a_policy(folder="not/there")):
        with pytest.raises(errors.ModelUnreachable, match=policy.label):
            await completer.complete(a_prompt(), policy)
    # The server's word for an adapter that is not there, and for one that it does not serve.
    with pytest.raises(errors.ModelRefused, match="No adapter found"):
        await completer.prepare(a_policy(folder="not/there"))
    with pytest.raises(errors.ModelRefused, match="does not serve 'small-1'"):
        await completer.prepare(a_policy(folder=None))
    scripted_server.adapters = None
    with pytest.raises(errors.ModelRefused, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
        await completer.prepare(POLICY)


async def test_other_failures_are_what_they_are_without_a_policy(
    completer: HttpCompleter, scripted_server: ScriptedServer
) -> None:
    await completer.prepare(POLICY)
    scripted_server.on(scripted.fails(503))
    with pytest.raises(errors.ModelOverloaded):
        await completer.complete(a_prompt(), POLICY)
    scripted_server.on(scripted.garbage())
    with pytest.raises(errors.BrokenReply):
        await completer.complete(a_prompt(), POLICY)
