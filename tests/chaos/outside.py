"""Faults from outside of the processes: kills and freezes at any moment, of Postgres too."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Mapping, Sequence

import psycopg

from tests.chaos.options import Options
from tests.chaos.processes import Database, Slot, Tally

KINDS = {
    "worker": 5.0,
    "API": 3.0,
    "model server": 1.0,
    "Postgres backend": 1.5,
    "Postgres server": 0.7,
    "connections ended": 1.0,
    "worker frozen": 1.0,
    "API frozen": 0.7,
}
"""How often each is drawn, among the others."""
ROLE = {"worker": "worker", "API": "api", "model server": "model", "worker frozen": "worker", "API frozen": "api"}


class Faults:
    """Does each kind once, in an order drawn by seed, and then draws."""

    def __init__(
        self,
        slots: Mapping[str, Sequence[Slot]],
        database: Database,
        tally: Tally,
        draw: random.Random,
        options: Options,
    ) -> None:
        self._slots, self._database, self._tally = slots, database, tally
        self._draw, self._options = draw, options
        kinds = list(KINDS)
        draw.shuffle(kinds)
        self._once = deque(kinds)
        self.open = set(kinds)
        """Not done yet."""

    async def run(self) -> None:
        """One after the other until cancelled."""
        while True:
            await asyncio.sleep(self._draw.uniform(0.5, 1.5) * self._options.fault_seconds)
            (drawn,) = self._draw.choices(list(KINDS), list(KINDS.values()))
            kind = self._once.popleft() if self._once else drawn
            if await self._do(kind):
                self.open.discard(kind)
            elif kind in self.open:
                self._once.append(kind)

    async def _do(self, kind: str) -> bool:
        """Whether there was something to hit."""
        await asyncio.to_thread(self._database.start)
        match kind:
            case "Postgres backend":
                is_done = self._database.kill_backend(self._draw)
            case "Postgres server":
                await asyncio.to_thread(self._database.kill_server)
                is_done = True
            case "connections ended":
                return await self._end_connections()
            case "worker frozen" | "API frozen":
                slot = self._any(kind)
                is_done = slot.pid is not None
                await slot.freeze(kind, 2 * self._options.lease_seconds)
                return is_done
            case _:
                return self._any(kind).strike(f"{kind}, at random")
        self._tally.kills[kind] += is_done
        return is_done

    async def _end_connections(self) -> bool:
        # A server that recovers takes no connection.
        with contextlib.suppress(psycopg.OperationalError):
            if await asyncio.to_thread(self._database.end_connections):
                self._tally.others["connections ended"] += 1
                return True
        return False

    def _any(self, kind: str) -> Slot:
        return self._draw.choice(self._slots[ROLE[kind]])
