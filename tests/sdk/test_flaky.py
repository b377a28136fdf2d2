"""The Python client behind a proxy that fails: tried again where that helps, and every effect just once."""

from __future__ import annotations

import socket

import pytest
from memory_r1_client import (
    AsyncMemoryR1,
    MemoryR1,
    ProblemError,
    Retries,
    ServiceUnreachable,
    StreamBroken,
    TimedOut,
    problems,
)
from memory_r1_client.generated.models import DoneEvent

from tests.sdk.conftest import QUICK
from tests.sdk.flaky import FlakyProxy


@pytest.mark.parametrize("word", ["refuse", "cut", "half"])
def test_a_connection_that_breaks_costs_no_turn_and_doubles_none(
    memory: MemoryR1, proxy: FlakyProxy, word: str
) -> None:
    proxy.script.extend([word, word])
    receipt = memory.bank("alice").remember("I have a cat.")
    assert len(proxy.asked) == 3
    assert len({asked.once for asked in proxy.asked}) == 1 and proxy.asked[0].once
    assert [turn.turn_id for turn in memory.bank("alice").turns()] == receipt.turn_ids


@pytest.mark.parametrize("word", ["refuse", "cut", "half"])
async def test_the_other_client_keeps_the_same_promise(
    async_memory: AsyncMemoryR1, proxy: FlakyProxy, word: str
) -> None:
    proxy.script.extend([word, word])
    receipt = await async_memory.bank("alice").remember("I have a cat.")
    assert len({asked.once for asked in proxy.asked}) == 1
    assert [turn.turn_id async for turn in async_memory.bank("alice").turns()] == receipt.turn_ids


def test_two_writes_have_two_names(memory: MemoryR1, proxy: FlakyProxy) -> None:
    alice = memory.bank("alice")
    assert alice.remember("I have a cat.").turn_ids != alice.remember("I have a cat.").turn_ids
    assert len({asked.once for asked in proxy.asked}) == 2


@pytest.mark.parametrize(("word", "seconds"), [("busy:1", 1.0), ("date", 0.9)])
def test_it_waits_as_long_as_the_service_says(memory: MemoryR1, proxy: FlakyProxy, word: str, seconds: float) -> None:
    proxy.script.append(word)
    memory.bank("alice").remember("I have a cat.")
    first, second = proxy.asked
    assert second.at - first.at >= seconds and second.once == first.once


def test_too_long_a_wait_is_handed_to_the_caller(memory: MemoryR1, proxy: FlakyProxy) -> None:
    proxy.script.append("busy:3600")
    with pytest.raises(problems.BankBusy) as busy:
        memory.bank("alice").remember("I have a cat.")
    assert busy.value.retry_after == 3600 and len(proxy.asked) == 1


def test_attempts_are_counted(proxy: FlakyProxy, key: str) -> None:
    proxy.script.extend(["cut"] * 9)
    with MemoryR1(proxy.url, key, retries=Retries(attempts=3, first_wait=0.01)) as memory:
        with pytest.raises(ServiceUnreachable):
            memory.bank("alice").remember("I have a cat.")
        assert len(proxy.asked) == 3
        proxy.script.clear()
        assert len(list(memory.bank("alice").turns())) == 1


def test_a_page_of_a_proxy_is_no_answer_and_not_tried_again(memory: MemoryR1, proxy: FlakyProxy) -> None:
    proxy.script.append("html")
    with pytest.raises(ProblemError, match="502") as refused:
        memory.bank("alice").remember("I have a cat.")
    assert type(refused.value) is ProblemError and len(proxy.asked) == 1


def test_a_service_that_is_not_there_is_told_as_such() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with MemoryR1(url, retries=Retries(attempts=2, first_wait=0.01)) as memory, pytest.raises(ServiceUnreachable):
            memory.bank("alice").answer("Who?")


def test_a_service_that_hangs_is_given_up(key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with MemoryR1(url, key, timeout=0.2, retries=QUICK) as memory, pytest.raises(TimedOut):
            memory.bank("alice").answer("Who?")
        # One attempt: what may still be worked on is not asked for again.
        silent.accept()[0].close()
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_an_answer_that_breaks_off_is_no_answer(memory: MemoryR1, proxy: FlakyProxy) -> None:
    alice = memory.bank("alice")
    alice.remember("I have a cat.", wait=True)
    proxy.script.append("events:2")
    told = alice.stream_answer("Which pet?")
    assert [next(told).event, next(told).event] == ["candidates", "distilled"]
    with pytest.raises(StreamBroken):
        next(told)
    proxy.script.extend(["refuse", "busy:1"])
    assert isinstance(list(alice.stream_answer("Which pet?"))[-1], DoneEvent)


async def test_an_ingestion_is_followed_across_breaks(url: str, async_memory: AsyncMemoryR1, proxy: FlakyProxy) -> None:
    alice = async_memory.bank("alice")
    receipt = await alice.remember("I have a cat. You have a dog.", wait=True)
    await alice.remember("They have a bird.", wait=True)
    proxy.asked.clear()
    proxy.script.extend(["events:0", "events:1", "refuse"])
    assert [turn.turn_id async for turn in alice.follow(receipt.ingestion_id)] == receipt.turn_ids
    assert [bool(asked.last_event_id) for asked in proxy.asked] == [False, False, True, True]


def test_a_stream_that_only_breaks_ends(memory: MemoryR1, proxy: FlakyProxy) -> None:
    receipt = memory.bank("alice").remember("I have a cat.", wait=True)
    proxy.script.extend(["events:0"] * 20)
    with pytest.raises(StreamBroken):
        list(memory.bank("alice").follow(receipt.ingestion_id))
    assert QUICK.attempts == 5 and len(proxy.script) == 15
