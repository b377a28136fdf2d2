"""What the settings turn on in a service that is opened as `memory-r1 serve` opens it."""

from __future__ import annotations

import asyncio
import sys
import urllib.request
from typing import Any

import pytest

from app.core.errors import InvalidInput
from app.core.telemetry import SILENT
from app.core.values import Role
from app.llm.embedder import HttpEmbedder
from app.main import open_service
from app.settings import Settings
from app.telemetry.observed import ObservedCompleter, ObservedEmbedder
from app.telemetry.opening import open_telemetry
from app.telemetry.prometheus import PrometheusMeter
from app.telemetry.tracing import OpenTelemetryTracer
from tests.fixtures.doubles import ScriptedCompleter
from tests.fixtures.model_servers import free_port
from tests.telemetry.observing import NOWHERE, observing_settings, samples_of


@pytest.fixture
def remote(settings: Settings) -> Settings:
    """Settings with an embedder that need not be loaded."""
    chosen = {"kind": "http", "base_url": NOWHERE, "dimension": 384}
    return settings.model_copy(update={"embedding": settings.embedding.model_copy(update=chosen)})


def completers() -> dict[Role, Any]:
    return dict.fromkeys(Role, ScriptedCompleter())


def asked(service_completer: Any) -> Any:
    """What a promoted completer asks."""
    return service_completer._server


def read(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        return str(response.read().decode())


async def test_by_default_nothing_stands_between_the_service_and_its_models(remote: Settings) -> None:
    async with open_service(remote, completers()) as service:
        assert service.telemetry == SILENT and service.telemetry.is_silent
        assert isinstance(service.embedder, HttpEmbedder)
        assert {type(asked(completer)) for completer in service.completers.values()} == {ScriptedCompleter}


async def test_settings_turn_on_what_they_name(remote: Settings) -> None:
    port = free_port()
    # No collector is there: the service must not mind.
    async with open_service(observing_settings(remote, metrics_port=port), completers()) as service:
        assert isinstance(service.telemetry.meter, PrometheusMeter)
        assert isinstance(service.telemetry.tracer, OpenTelemetryTracer)
        assert isinstance(service.embedder, ObservedEmbedder)
        assert {type(asked(completer)) for completer in service.completers.values()} == {ObservedCompleter}
        told = samples_of(await asyncio.to_thread(read, port))
        assert told["memory_r1_queue_turns"] == {("queued",): 0, ("retrying",): 0}
    with pytest.raises(OSError):
        await asyncio.to_thread(read, port)


async def test_traces_without_their_packages_are_refused_in_one_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "app.telemetry.tracing", None)
    with pytest.raises(InvalidInput, match=r"memory-r1\[telemetry\]"):
        async with open_telemetry(observing_settings(settings).telemetry):
            pass
