"""A service at work, and what it loaded and called, before traces are asked for and after.

`python -m tests.telemetry.quiet_process DATABASE COLLECTOR`
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx
from asgi_lifespan import LifespanManager
from pydantic import SecretStr

LIBRARIES = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.instrumentation", "prometheus_client")
called: list[str] = []


def note(name: str, arguments: tuple[Any, ...]) -> None:
    """Whom this process calls, by an audit hook: no library gets round it that is written in Python."""
    if name == "socket.connect":
        called.append(str(arguments[1][0]))
    elif name == "socket.getaddrinfo":
        called.append(str(arguments[0]))


def seen() -> dict[str, list[str]]:
    return {"loaded": sorted(name for name in sys.modules if name.startswith(LIBRARIES)), "called": list(called)}


async def work(url: str) -> None:
    """Remember a turn and answer a question, by default settings, through the whole ASGI stack."""
    from app.main import create_app
    from app.settings import Settings
    from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
    from tests.fixtures.service import opened

    base = Settings(_env_file=None)
    settings = base.model_copy(update={"database": base.database.model_copy(update={"url": SecretStr(url)})})
    app = create_app(settings, lambda: opened(settings, ScriptedCompleter(), HashEmbedder()), with_worker=True)
    async with LifespanManager(app, startup_timeout=None, shutdown_timeout=None) as manager:
        transport = httpx.ASGITransport(app=manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", timeout=None) as client:
            turns = [{"speaker": "Alice", "text": "I have a dog."}]
            receipt = (await client.post("/v1/banks/alice/turns", json={"turns": turns})).json()
            path = f"/v1/banks/alice/ingestions/{receipt['ingestion_id']}"
            while (await client.get(path, headers={"prefer": "wait=10"})).json()["state"] != "done":
                pass
            assert (await client.post("/v1/banks/alice/answer", json={"question": "What?"})).status_code == 200


async def trace(endpoint: str) -> None:
    """One step, sent to a collector."""
    from app.settings import TelemetrySettings
    from app.telemetry.opening import open_telemetry

    async with open_telemetry(TelemetrySettings(otlp_endpoint=endpoint)) as telemetry:
        with telemetry.tracer.span("step"):
            pass


async def compare(url: str, endpoint: str) -> None:
    await work(url)
    before = seen()
    await trace(endpoint)
    print(json.dumps({"by default": before, "asked for": seen()}))


if __name__ == "__main__":
    sys.addaudithook(note)
    asyncio.run(compare(*sys.argv[1:]))
