"""Policies at run time: which trained model replies for a role, from one call to the next.

They belong to the deployment. The service reads them; who changes them is the owner of the tables, by the command line.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Row, delete, func, insert, select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import Conflict, InvalidInput, ModelUnreachable, UnfitPolicy, UnknownPolicy
from app.core.policies import PolicyStamp, Served, check
from app.core.ports import Listener, PolicyServer
from app.core.values import Completion, Prompt, Role, Value
from app.db import tables
from app.db.engine import DATABASE_AWAY, Sessions
from app.settings import Settings

log = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
"""For how long a process goes by what it has read: a promotion is followed within so much."""


class Policy(Served):
    """A policy that can be promoted."""

    added_at: datetime
    promoted: bool
    """Whether it replies for its role now."""


class Promotion(Value):
    """A change of what replies for a role."""

    number: int
    role: Role
    policy: str | None
    """Name of the policy; null: the configured model."""
    promoted_at: datetime


async def list_policies(sessions: Sessions) -> list[Policy]:
    """By role and name."""
    table = tables.policies
    async with sessions.dispatch() as session:
        current = {row.policy for row in await _current(session)}
        rows = (await session.execute(select(table).order_by(table.c.role, table.c.name))).all()
    return [Policy(**_served(row), added_at=row.added_at, promoted=row.name in current) for row in rows]


async def history(sessions: Sessions, limit: int = 100) -> list[Promotion]:
    """Newest first."""
    table = tables.promotions
    async with sessions.dispatch() as session:
        rows = (await session.execute(select(table).order_by(table.c.number.desc()).limit(limit))).all()
    return [Promotion.model_validate({n: getattr(row, n) for n in Promotion.model_fields}) for row in rows]


async def find(sessions: Sessions, name: str) -> Served:
    """Raises `UnknownPolicy`."""
    async with sessions.dispatch() as session:
        return Served(**_served(await _one(session, name)))


async def add(sessions: Sessions, policy: Served) -> None:
    """Make a policy known; doing so again changes nothing. Raises `Conflict` where its name stands for another."""
    table, stamp = tables.policies, policy.stamp
    row = {"model": policy.model, "folder": policy.folder, "stamp": stamp.model_dump(mode="json")}
    async with _changing(sessions) as session:
        known = (await session.execute(select(table).where(table.c.name == stamp.name))).one_or_none()
        if known is None:
            await session.execute(insert(table).values(name=stamp.name, role=stamp.role.value, **row))
        elif Served(**_served(known)) != policy:
            raise Conflict(f"There is another policy {stamp.name!r}: remove that one, or export this under a new name.")


async def remove(sessions: Sessions, name: str) -> None:
    """Forget a policy; its files stay. Raises `UnknownPolicy`, and `Conflict` where it replies for its role."""
    async with _changing(sessions) as session:
        await _one(session, name)
        if name in {row.policy for row in await _current(session)}:
            raise Conflict(f"The policy {name!r} is promoted: promote another, or roll back, first.")
        await session.execute(delete(tables.policies).where(tables.policies.c.name == name))


async def promote(sessions: Sessions, name: str) -> Role:
    """Have a policy reply for its role from the next call on. Raises `UnknownPolicy`."""
    async with _changing(sessions) as session:
        role = Role((await _one(session, name)).role)
        before = await _last(session, role)
        if before is None or before.policy != name:
            await _promote(session, role, name, before.number if before else None)
    return role


async def rollback(sessions: Sessions, role: Role) -> str | None:
    """Undo the last promotion that still holds; the policy that replies now, None for the configured model.

    Rolling back again goes further back; policies that were removed are passed over. Raises `InvalidInput` where the
    configured model replies already.
    """
    table = tables.promotions
    async with _changing(sessions) as session:
        last = await _last(session, role)
        if last is None or last.policy is None:
            raise InvalidInput(f"No policy is promoted for the {role.value}: the configured model replies.")
        place = last.returns_to
        while place is not None:
            earlier = (await session.execute(select(table).where(table.c.number == place))).one()
            if earlier.policy is not None and await _is_known(session, earlier.policy):
                await _promote(session, role, earlier.policy, earlier.returns_to)
                return str(earlier.policy)
            place = earlier.returns_to
        await _promote(session, role, None, None)
    return None


class Promoted:
    """What replies for each role, as the database says; read anew where that is older than `FRESH_SECONDS`."""

    def __init__(self, sessions: Sessions, settings: Settings) -> None:
        self._sessions, self._settings = sessions, settings
        self._known: dict[Role, Served] = {}
        self._read_at = -FRESH_SECONDS
        self._reading = asyncio.Lock()
        self._told: set[str] = set()

    async def check(self) -> None:
        """At start: raises `UnfitPolicy` where a promoted policy is asked otherwise than it was trained."""
        await self._refresh()
        for role, policy in self._known.items():
            try:
                self._check(role, policy)
            except UnfitPolicy as error:
                remedy = f"`memory-r1 policies rollback {role.value}`"
                raise UnfitPolicy(f"{error} Promote another policy, or run {remedy}.") from error

    async def of(self, role: Role) -> Served | None:
        """None: the configured model. Raises `ModelUnreachable` for a policy that must not be asked as this one asks.

        It can be tried again: another process, of the version that the policy was promoted for, may take the call.
        """
        await self._refresh()
        policy = self._known.get(role)
        if policy is not None:
            try:
                self._check(role, policy)
            except UnfitPolicy as error:
                raise ModelUnreachable(str(error)) from error
        return policy

    async def _refresh(self) -> None:
        async with self._reading:
            if time.monotonic() - self._read_at < FRESH_SECONDS:
                return
            try:
                async with self._sessions.dispatch() as session:
                    rows = [row for row in await _current(session) if row.stamp is not None]
            except DATABASE_AWAY as error:
                # What was promoted last still is: a call must not change its model because the database is away.
                log.warning("cannot see which policies are promoted: %s", type(error).__name__)
            else:
                self._known = {Role(row.role): Served(**_served(row)) for row in rows}
            self._read_at = time.monotonic()

    def _check(self, role: Role, policy: Served) -> None:
        differing = check(policy.stamp, role, getattr(self._settings, role.value))
        if differing and policy.label not in self._told:
            self._told.add(policy.label)
            log.warning("the policy %s is not asked quite as it was trained: %s", policy.label, "; ".join(differing))


class PromotedCompleter:
    """Implements `app.core.ports.StreamingCompleter`: each call goes to the policy that is promoted when it begins."""

    def __init__(self, server: PolicyServer, promoted: Promoted) -> None:
        self._server, self._promoted = server, promoted

    async def complete(self, prompt: Prompt) -> Completion:
        policy = await self._promoted.of(prompt.role)
        return await (self._server.complete(prompt, policy) if policy else self._server.complete(prompt))

    async def stream(self, prompt: Prompt, listener: Listener) -> Completion:
        policy = await self._promoted.of(prompt.role)
        if policy is None:
            return await self._server.stream(prompt, listener)
        return await self._server.stream(prompt, listener, policy)


@asynccontextmanager
async def _changing(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """A transaction of whoever the database's user is, one at a time. Raises `InvalidInput` where that is no owner."""
    try:
        async with sessions.dispatch() as session:
            await session.execute(text("SET LOCAL ROLE NONE"))
            await session.execute(text("LOCK TABLE policies, promotions IN SHARE ROW EXCLUSIVE MODE"))
            yield session
    except ProgrammingError as error:
        if isinstance(error.orig, InsufficientPrivilege):
            raise InvalidInput(
                "Policies are changed by the owner of the tables: set MEMORY_R1_DATABASE__OWNER_URL."
            ) from error
        raise


async def _current(session: AsyncSession) -> Sequence[Row[Any]]:
    """The last promotion of each role, with its policy's row where it has one."""
    promotions, policies = tables.promotions, tables.policies
    last = select(func.max(promotions.c.number)).group_by(promotions.c.role)
    columns = (promotions.c.role, promotions.c.policy, policies.c.model, policies.c.folder, policies.c.stamp)
    joined = promotions.outerjoin(policies, policies.c.name == promotions.c.policy)
    found = await session.execute(select(*columns).select_from(joined).where(promotions.c.number.in_(last)))
    rows: Sequence[Any] = found.all()
    return rows


async def _last(session: AsyncSession, role: Role) -> Row[Any] | None:
    table = tables.promotions
    of_role = select(table).where(table.c.role == role.value)
    return (await session.execute(of_role.order_by(table.c.number.desc()).limit(1))).one_or_none()


async def _promote(session: AsyncSession, role: Role, name: str | None, returns_to: int | None) -> None:
    row = {"role": role.value, "policy": name, "returns_to": returns_to}
    await session.execute(insert(tables.promotions).values(row))


async def _is_known(session: AsyncSession, name: str) -> bool:
    return bool(await session.scalar(select(tables.policies.c.name).where(tables.policies.c.name == name)))


async def _one(session: AsyncSession, name: str) -> Row[Any]:
    row = (await session.execute(select(tables.policies).where(tables.policies.c.name == name))).one_or_none()
    if row is None:
        raise UnknownPolicy(name)
    return row


def _served(row: Row[Any]) -> dict[str, Any]:
    return {"stamp": PolicyStamp.model_validate(row.stamp), "model": row.model, "folder": row.folder}
