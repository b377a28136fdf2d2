"""Engines and sessions. A transaction is `async with sessions.begin(tenant_id)`; none is open while a model is called.

The service works in a role that owns nothing. Postgres shows it the rows of the tenant that a transaction was begun
for, and no row where there is none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

from psycopg.errors import IdleInTransactionSessionTimeout, LockNotAvailable
from sqlalchemy import event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.core.errors import InvalidInput
from app.core.telemetry import SILENT, SpanKind, Telemetry
from app.db import committed
from app.settings import DatabaseSettings

DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout, OSError)
"""What a database that is down, restarting or out of connections raises; anything else is about the statement."""

_DATABASE = {"db.system.name": "postgresql"}
_SET_TENANT = text("SELECT set_config('memory_r1.tenant', :tenant, true)")
_SET_IDLE = text("SELECT set_config('idle_in_transaction_session_timeout', :milliseconds, true)")
_BOUND_ROLE = text(
    """
    SELECT NOT (rolsuper OR rolbypassrls) AND NOT EXISTS (SELECT FROM pg_tables WHERE tableowner = current_user)
        AND NOT pg_has_role(current_user, 'memory_r1_dispatch', 'MEMBER')
    FROM pg_roles WHERE rolname = current_user
    """
)


class Sessions:
    """Short transactions on one engine."""

    def __init__(self, engine: AsyncEngine, telemetry: Telemetry = SILENT) -> None:
        self.engine = engine
        self._telemetry = telemetry
        self._make = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def begin(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """A transaction that sees and writes one tenant's rows."""
        if self._telemetry.is_silent:
            async with self._make.begin() as session:
                await session.execute(_SET_TENANT, {"tenant": str(tenant_id)})
                yield session
            return
        with self._telemetry.tracer.span("transaction", _DATABASE, kind=SpanKind.CLIENT, is_root=False):
            async with self._make.begin() as session:
                committed.begin_noting(session)
                await session.execute(_SET_TENANT, {"tenant": str(tenant_id)})
                yield session
            committed.tell(session, self._telemetry.meter)

    @asynccontextmanager
    async def snapshot(self, tenant_id: UUID, idle_seconds: float) -> AsyncIterator[AsyncSession]:
        """A transaction that reads one tenant's rows as they all are at its start, however long that takes; it ends
        where nothing is asked of it for so many seconds.
        """
        async with self._make.begin() as session:
            await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            await session.execute(_SET_TENANT, {"tenant": str(tenant_id)})
            await session.execute(_SET_IDLE, {"milliseconds": str(int(idle_seconds * 1000))})
            yield session

    def dispatch(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A transaction of no tenant: it sees no row, and may call the functions that look across tenants."""
        return self._make.begin()


def make_engine(settings: DatabaseSettings) -> AsyncEngine:
    """An engine whose plans are made for the actual parameters: a generic plan would not use a bank's partial index."""
    engine = create_async_engine(
        settings.url.get_secret_value(),
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout,
        pool_pre_ping=True,
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in _options(settings).items()),
            "application_name": "memory-r1",
        },
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "handle_error", _name_the_cut_off)
    return engine


def _options(settings: DatabaseSettings) -> dict[str, str]:
    return {
        "role": settings.role,
        "timezone": "UTC",
        "plan_cache_mode": "force_custom_plan",
        # A process that stops in the middle of a transaction, frozen or cut off, must not keep its row locks for ever.
        "idle_in_transaction_session_timeout": "30s",
        # Who waits for a bank that another holds keeps a connection from all the other tenants.
        "lock_timeout": f"{settings.lock_timeout * 1000:.0f}ms",
        "statement_timeout": f"{settings.statement_timeout * 1000:.0f}ms",
    }


def _name_the_cut_off(context: ExceptionContext) -> None:
    """A connection that Postgres ended because its process had stopped is away, though the driver has another word."""
    original = context.original_exception
    if isinstance(original, IdleInTransactionSessionTimeout):
        context.is_disconnect = True
        raise OperationalError(context.statement, None, original, hide_parameters=True, connection_invalidated=True)


def is_busy(error: Exception) -> bool:
    """Whether a wait for what another transaction holds was given up."""
    return isinstance(getattr(error, "orig", None), LockNotAvailable)


async def check_role(sessions: Sessions) -> None:
    """At start: raises `InvalidInput` where row-level security would not bind the service."""
    async with sessions.dispatch() as session:
        if not await session.scalar(_BOUND_ROLE):
            raise InvalidInput(
                "The service's database role is a superuser, may look across tenants or owns tables: "
                "set MEMORY_R1_DATABASE__ROLE to a member of memory_r1_service that does not."
            )


def driver_url(settings: DatabaseSettings) -> str:
    """The URL in the form that libpq takes, for LISTEN."""
    return settings.url.get_secret_value().replace("postgresql+psycopg://", "postgresql://", 1)
