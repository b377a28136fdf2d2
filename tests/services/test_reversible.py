"""Random lives of a bank, held against a model that is a plain dictionary: what it says now, and what it ever said."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

import hypothesis
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import select

from app.core import errors
from app.core.values import Memory
from app.db import tables
from app.db.queries import BankKey, in_bank
from app.services.edits import Edit, Edited
from app.services.once import Once
from app.services.operations import Undone, undo_ingestion, undo_one
from app.services.service import Service
from tests.fixtures.banks import make_bank
from tests.fixtures.database import make_tenant
from tests.fixtures.everything import everything
from tests.fixtures.ingesting import ended, post, said, until, working
from tests.fixtures.logbook import Digests, check_bank, check_only_ended, digests_of, log_of

Said = dict[UUID, str]
ACTIONS = ["add", "add", "revise", "revise", "remove", "undo", "undo", "undo", "undo last", "stale", "same"]
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 99)), min_size=5, max_size=30)


@dataclass
class Model:
    """What a bank says, and what it said after each step."""

    now: Said = field(default_factory=dict)
    effects: list[tuple[UUID, str | None, str | None]] = field(default_factory=list)
    """Of each operation: the memory, and what it said before and after. Texts are never written twice."""
    undoes: list[int | None] = field(default_factory=list)
    past: list[tuple[datetime, Said]] = field(default_factory=list)

    def note(self, memory_id: UUID, text: str | None, undoes: int | None = None) -> None:
        self.effects.append((memory_id, self.now.get(memory_id), text))
        self.undoes.append(undoes)
        self.now = {i: t for i, t in self.now.items() if i != memory_id} | ({memory_id: text} if text else {})

    def in_force(self, number: int) -> bool:
        return not any(self.in_force(n) for n, undone in enumerate(self.undoes, 1) if undone == number)

    def can_undo(self, number: int) -> bool:
        memory_id, before, after = self.effects[number - 1]
        return before != after and self.in_force(number) and self.now.get(memory_id) == after


class Living:
    """One bank in a random life."""

    def __init__(self, service: Service, key: BankKey) -> None:
        self.service, self.key, self.model = service, key, Model()
        self.digests: Digests = {}
        self.count = 0

    async def step(self, action: str, which: int) -> None:
        """Do something, in the bank and in the model, and look at what it says."""
        live = list(self.model.now)
        self.count += 1
        edit = Edit(self.service, self.key)
        text = f"Alice owns item {self.count}."
        if action == "add" or (not live and action in ("revise", "remove", "stale", "same")):
            self._note(await edit.add(text, "Alice"), text)
        elif action == "revise":
            self._note(await edit.revise(live[which % len(live)], text, None), text)
        elif action == "remove":
            self._note(await edit.remove(live[which % len(live)]), None)
        elif action == "stale":
            await self._refused(live[which % len(live)], text)
        elif action == "same":
            same = live[which % len(live)]
            self._note(await edit.revise(same, self.model.now[same], None), self.model.now[same])
        elif self.model.effects:
            count = len(self.model.effects)
            await self._undo(count if action == "undo last" else which % count + 1)
        await self._look()

    async def check(self) -> None:
        """The past is still what it was."""
        await check_bank(self.service, self.key)
        for moment, expected in self.model.past:
            assert said_by(await self.service.bank(self.key, moment).memories()) == expected

    def _note(self, edited: Edited, text: str | None) -> None:
        self.model.note(edited.memory.id, text)
        assert edited.operation == len(self.model.effects)

    async def _refused(self, memory_id: UUID, text: str) -> None:
        version = (await self.service.bank(self.key).get(memory_id)).version
        for expected in (frozenset[int](), {version + 1}, {version - 1}):
            try:
                await Edit(self.service, self.key).revise(memory_id, text, None, expected)
                raise AssertionError("a stale version was taken")
            except errors.PreconditionFailed:
                pass

    async def _undo(self, number: int) -> None:
        can = self.model.can_undo(number)
        try:
            undone = await undo_one(self.service.sessions, self.key, number, Once())
        except (errors.NothingToUndo, errors.UndoConflict):
            assert not can
            return
        assert can
        memory_id, before, _ = self.model.effects[number - 1]
        self.model.note(memory_id, before, undoes=number)
        assert [line.number for line in undone.operations] == [len(self.model.effects)]

    async def _look(self) -> None:
        memories = await self.service.bank(self.key).memories()
        assert said_by(memories) == self.model.now
        digests = await digests_of(self.service.sessions, self.key)
        check_only_ended(self.digests, digests)
        self.digests = digests
        async with everything(self.service.sessions) as session:
            written = await session.scalar(select(tables.lanes.c.written_at).where(in_bank(tables.lanes, self.key)))
        assert written is not None
        self.model.past.append((written, self.model.now))


def said_by(memories: list[Memory]) -> Said:
    return {memory.id: memory.text for memory in memories}


async def test_a_random_life_is_what_a_dictionary_says_it_is(service: Service) -> None:
    tenant = await make_tenant(service.sessions)

    async def live(steps: list[tuple[str, int]]) -> None:
        living = Living(service, await make_bank(service.sessions, tenant, f"bank-{uuid4().hex}"))
        for action, which in steps:
            await living.step(action, which)
        await living.check()

    loop = asyncio.get_running_loop()

    @hypothesis.settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def lives(steps: list[tuple[str, int]]) -> None:
        asyncio.run_coroutine_threadsafe(live(steps), loop).result()

    await asyncio.to_thread(lives)


REFUSED = (errors.PreconditionFailed, errors.UndoConflict, errors.NothingToUndo, errors.UnknownMemory)


async def test_clients_race_the_worker_and_nothing_is_lost(service: Service) -> None:
    """Everything ends as done, with its line in the log, or as refused, with none."""
    tenant = await make_tenant(service.sessions)
    turns = [said(f"I bought item number {n}.") for n in range(25)]
    key, accepted = await post(service, tenant, "one", turns)
    outcomes: list[Edited | Undone | Exception] = []

    async def race(number: int) -> None:
        for turn in range(6):
            try:
                outcomes.append(await _something(service, key, number * 6 + turn))
            except REFUSED as refused:
                outcomes.append(refused)

    async with working(service):
        await until(lambda: _has_lines(service, key))
        await asyncio.gather(*(race(number) for number in range(8)))
        done = await ended(service, key, accepted.ingestion_id)
    assert done.state == "done"
    log = await check_bank(service, key)
    by_client = [line.number for line in log if line.origin != "worker"]
    told = [one.operation for one in outcomes if isinstance(one, Edited)]
    told += [line.number for one in outcomes if isinstance(one, Undone) for line in one.operations]
    assert sorted(told) == by_client
    assert len(outcomes) == 48
    added = [line.text_after for line in log if line.origin == "worker" and line.kind == "ADD"]
    assert added == [f"Alice bought item number {n}." for n in range(25)]
    try:
        await undo_ingestion(service.sessions, key, accepted.ingestion_id, Once())
    except errors.UndoConflict as conflict:
        in_force = {line.number for line in log if line.undone_by is None}
        assert set(conflict.operations) <= in_force - {line.number for line in log if line.origin == "worker"}
    await check_bank(service, key)


async def _has_lines(service: Service, key: BankKey) -> bool:
    return bool(await log_of(service.sessions, key))


async def _something(service: Service, key: BankKey, number: int) -> Edited | Undone:
    """A write whose outcome depends on who came before."""
    memories = await service.bank(key).memories()
    memory, edit = memories[number * 7 % len(memories)], Edit(service, key)
    match number % 5:
        case 0:
            return await edit.add(f"Bob owns thing {number}.", "Bob")
        case 1:
            return await edit.revise(memory.id, f"Alice sold item {number}.", None)
        case 2:
            return await edit.revise(memory.id, f"Alice lost item {number}.", None, {memory.version})
        case 3:
            return await edit.remove(memory.id, {memory.version})
        case _:
            log = await log_of(service.sessions, key)
            return await undo_one(service.sessions, key, log[number * 5 % len(log)].number, Once())
