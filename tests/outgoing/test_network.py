"""The name is looked up once, and only a checked address is connected to."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence

import httpcore
import pytest

from app.outgoing.network import MAX_TRIED, GuardedBackend, RefusedAddress, SystemResolver
from tests.outgoing.connections import LoopbackBackend, Rebinding, answers
from tests.outgoing.receivers import receiving, replies

ONE, TWO, SIX = "93.184.216.34", "1.1.1.1", "2606:4700:4700::1111"


async def connected(backend: GuardedBackend, host: str, port: int = 443, timeout: float | None = None) -> None:
    stream = await backend.connect_tcp(host, port, timeout)
    await stream.aclose()


async def test_the_checked_address_is_connected_to_and_not_the_name() -> None:
    inner, names = LoopbackBackend(), Rebinding([ONE], ["127.0.0.1"])
    async with receiving(replies()) as receiver:
        await connected(GuardedBackend(names, inner=inner), "hooks.example.com", receiver.port)
    assert names.asked == ["hooks.example.com"]
    assert inner.asked == [(ONE, None)]


async def test_a_name_that_rebinds_is_refused_the_next_time() -> None:
    inner, names = LoopbackBackend(), Rebinding([ONE], ["127.0.0.1"])
    backend = GuardedBackend(names, inner=inner)
    async with receiving(replies()) as receiver:
        await connected(backend, "hooks.example.com", receiver.port)
        with pytest.raises(RefusedAddress):
            await connected(backend, "hooks.example.com", receiver.port)
    assert [host for host, _ in inner.asked] == [ONE]


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        [ONE, "127.0.0.1"],
        ["10.0.0.1", ONE],
        [SIX, "::1"],
        ["::ffff:127.0.0.1"],
        [ONE] * 50 + ["169.254.169.254"],
        ["fe80::1%eth0"],
        ["64:ff9b::7f00:1"],
    ],
)
async def test_one_refused_address_refuses_the_host(found: Sequence[str]) -> None:
    inner = LoopbackBackend()
    with pytest.raises(RefusedAddress):
        await connected(GuardedBackend(answers(*found), inner=inner), "hooks.example.com")
    assert inner.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1", "fe80::1%eth0"])
async def test_an_address_in_place_of_a_name_is_checked_without_a_look_up(host: str) -> None:
    inner, names = LoopbackBackend(), Rebinding([ONE])
    with pytest.raises(RefusedAddress):
        await connected(GuardedBackend(names, inner=inner), host)
    assert names.asked == [] and inner.asked == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1"])
async def test_odd_forms_of_an_address_are_checked_as_the_system_reads_them(host: str) -> None:
    resolver, inner = SystemResolver(1), LoopbackBackend()
    with pytest.raises(RefusedAddress):
        await connected(GuardedBackend(resolver, inner=inner), host)
    resolver.close()
    assert inner.asked == []


async def test_with_private_addresses_allowed_loopback_is_reached_but_not_metadata() -> None:
    async with receiving(replies()) as receiver:
        await connected(GuardedBackend(answers("127.0.0.1"), allow_private=True), "web", receiver.port)
    with pytest.raises(RefusedAddress):
        await connected(GuardedBackend(answers("169.254.169.254"), allow_private=True), "web")


async def test_the_next_address_is_tried_with_its_share_of_the_time() -> None:
    inner = LoopbackBackend(fails=[ONE])
    async with receiving(replies()) as receiver:
        await connected(GuardedBackend(answers(ONE, ONE, TWO), inner=inner), "a.example", receiver.port, timeout=8)
    assert inner.asked == [(ONE, 4), (TWO, 4)]


async def test_of_many_addresses_a_few_of_both_families_are_tried() -> None:
    many = [*(f"2606:4700::{n}" for n in range(1, 300)), ONE, TWO]
    inner = LoopbackBackend(fails=many)
    with pytest.raises(httpcore.ConnectTimeout):
        await connected(GuardedBackend(answers(*many), inner=inner), "a.example")
    assert [host for host, _ in inner.asked] == ["2606:4700::1", ONE, "2606:4700::2", TWO]
    assert len(inner.asked) == MAX_TRIED


@pytest.mark.parametrize("found", [[], ["not an address"], [ONE, ""]])
async def test_a_name_without_addresses_is_unreachable(found: Sequence[str]) -> None:
    inner = LoopbackBackend()
    with pytest.raises(httpcore.ConnectError) as caught:
        await connected(GuardedBackend(answers(*found), inner=inner), "a.example")
    assert not isinstance(caught.value, RefusedAddress) and inner.asked == []


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long"), OSError("no")])
async def test_a_look_up_that_fails_is_unreachable(error: Exception) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise error

    with pytest.raises(httpcore.ConnectError):
        await connected(GuardedBackend(resolve), "a.example")


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b", ".a", "a\x00b"])
async def test_names_that_the_system_cannot_take_are_unreachable(host: str) -> None:
    resolver = SystemResolver(1)
    with pytest.raises(httpcore.ConnectError):
        await connected(GuardedBackend(resolver), host)
    resolver.close()


async def test_unix_sockets_are_refused() -> None:
    with pytest.raises(RefusedAddress):
        await GuardedBackend(answers(ONE)).connect_unix_socket("/run/docker.sock")


async def test_the_system_looks_up_in_threads_of_its_own() -> None:
    resolver = SystemResolver(2)
    found = await resolver("localhost", 80)
    running = threading.enumerate()
    resolver.close()
    assert found and {"127.0.0.1", "::1"}.issuperset(found)
    assert any(thread.name.startswith("webhook-names") for thread in running)


async def test_a_look_up_can_be_left() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await connected(GuardedBackend(resolve), "a.example")
