"""Look-ups and connections under a test's control."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import httpcore


def answers(*addresses: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A look-up that always gives these."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


class Rebinding:
    """A look-up that gives another answer each time, as a name server under attack."""

    def __init__(self, *turns: Sequence[str]) -> None:
        self.turns = turns
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.turns[min(len(self.asked), len(self.turns)) - 1]


class LoopbackBackend(httpcore.AnyIOBackend):
    """Notes the address that it is asked for, and connects to loopback instead."""

    def __init__(self, fails: Sequence[str] = ()) -> None:
        self.fails = set(fails)
        self.asked: list[tuple[str, float | None]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.asked.append((host, timeout))
        if host in self.fails:
            raise httpcore.ConnectTimeout("scripted")
        return await super().connect_tcp("127.0.0.1", port, timeout, local_address, socket_options)
