from __future__ import annotations

from tests.fixtures.one_database import one_database_url, sessions, sessions_of_one_database

__all__ = ["one_database_url", "sessions", "sessions_of_one_database"]
