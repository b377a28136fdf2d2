from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.core.ports import Completer, Embedder
from app.core.values import Role
from app.db.queries import BankKey
from app.services.service import Service
from tests.fixtures.banks import make_bank
from tests.fixtures.database import make_tenant

Remake = Callable[..., Service]


@pytest_asyncio.fixture
async def tenant(service: Service) -> UUID:
    return await make_tenant(service.sessions)


@pytest_asyncio.fixture
async def key(service: Service, tenant: UUID) -> BankKey:
    """An empty bank, "alice"."""
    return await make_bank(service.sessions, tenant)


@pytest.fixture
def remade(service: Service) -> Remake:
    """The service with another completer, embedder or other settings of the worker, on the same connections."""

    def remake(completer: Completer | None = None, embedder: Embedder | None = None, **worker: Any) -> Service:
        settings = service.settings.model_copy(
            update={"worker": service.settings.worker.model_copy(update=worker)},
        )
        completers = service.completers if completer is None else dict.fromkeys(Role, completer)
        return Service(settings, service.sessions, completers, embedder or service.embedder)

    return remake
