"""Engines and sessions. A transaction is `async with sessions.begin()`, and none is open while a model is called."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.settings import DatabaseSettings

DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout, OSError)
"""What a database that is down, restarting or out of connections raises; anything else is about the statement."""

_ABANDONED = "-c idle_in_transaction_session_timeout=30s"
"""A process that stops in the middle of a transaction, frozen or cut off, must not keep its row locks for ever."""

Sessions = async_sessionmaker[AsyncSession]


def make_engine(settings: DatabaseSettings) -> AsyncEngine:
    """An engine whose plans are made for the actual parameters: a generic plan would not use a bank's partial index."""
    return create_async_engine(
        settings.url.get_secret_value(),
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout,
        pool_pre_ping=True,
        connect_args={
            "options": f"-c plan_cache_mode=force_custom_plan -c timezone=UTC {_ABANDONED}",
            "application_name": "memory-r1",
        },
        hide_parameters=True,
    )


def make_sessions(engine: AsyncEngine) -> Sessions:
    """The factory of short transactions."""
    return async_sessionmaker(engine, expire_on_commit=False)


def driver_url(settings: DatabaseSettings) -> str:
    """The URL in the form that libpq takes, for LISTEN."""
    return settings.url.get_secret_value().replace("postgresql+psycopg://", "postgresql://", 1)
