"""By default nothing is kept, nothing is sent, and neither library is loaded, whatever the environment invites to."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from tests.fixtures.worker_process import ROOT
from tests.outgoing.receivers import receiving, replies


async def test_nothing_is_loaded_and_nobody_is_called_until_a_setting_asks(database_url: str) -> None:
    async with receiving(replies()) as receiver:
        collector = f"http://127.0.0.1:{receiver.port}"
        invited = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "tests.telemetry.quiet_process", database_url, f"{collector}/asked"]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env={**os.environ, **invited}, stdout=asyncio.subprocess.PIPE
        )
        written, _ = await process.communicate()
        assert process.returncode == 0
        said = json.loads(written.splitlines()[-1])
        # Just what the setting names; and so the test would have seen what was called without being asked.
        assert {call.line.split()[1] for call in receiver.calls} == {"/asked/v1/traces"}
    assert said["by default"] == {"loaded": [], "called": []}
    assert set(said["asked for"]["called"]) == {"127.0.0.1"}
    loaded = set(said["asked for"]["loaded"])
    assert {"opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http"} <= loaded
    assert not any(name.startswith("prometheus_client") for name in loaded)
