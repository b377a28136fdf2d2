"""What every use case needs: sessions, models and settings, made once by whoever starts the service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.core.ports import Completer, Embedder
from app.core.telemetry import SILENT, Telemetry
from app.core.values import Role
from app.db import lanes
from app.db.bank import PostgresBank
from app.db.engine import Sessions
from app.db.notices import Notices
from app.db.queries import BankKey
from app.settings import Settings


@dataclass(frozen=True)
class Service:
    """The service's parts."""

    settings: Settings
    sessions: Sessions
    completers: Mapping[Role, Completer]
    embedder: Embedder
    answering: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(64))
    transferring: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is about to end: who waits for something is answered as things stand."""

    telemetry: Telemetry = SILENT

    ended: Notices = field(default_factory=lambda: Notices(lanes.ENDED_CHANNEL))
    """Wakes who follows an ingestion, by its id, when a turn of it ends."""

    def bank(self, key: BankKey, as_of: datetime | None = None) -> PostgresBank:
        return PostgresBank(self.sessions, key, as_of, self.telemetry)
