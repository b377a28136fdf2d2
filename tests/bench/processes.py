"""The processes that are measured: the model server, the service, Postgres; and the CPU time that each has used."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.local.postgres import LocalPostgres
from tests.bench.http_client import BenchError, Connection

ROOT = Path(__file__).parents[2]
START_SECONDS = 180


@dataclass(frozen=True)
class Measured:
    """What runs."""

    url: str
    port: int
    model_port: int
    service_pid: int
    postgres_pid: int

    def cpu(self) -> tuple[float, float]:
        """CPU seconds used so far by the service and by Postgres with its backends."""
        return cpu_of(self.service_pid), cpu_of(self.postgres_pid)


@contextmanager
def running(postgres: LocalPostgres, folder: Path, embedder: str) -> Iterator[Measured]:
    """Model server and service, each in a process of its own."""
    model_port, port = free_port(), free_port()
    settings = {
        "MEMORY_R1_DATABASE__URL": postgres.url,
        "MEMORY_R1_LLM__BASE_URL": f"http://127.0.0.1:{model_port}/v1",
        "MEMORY_R1_LLM__MODEL": "scripted",
        "MEMORY_R1_SERVER__PORT": str(port),
        "MEMORY_R1_LOG__LEVEL": "WARNING",
    }
    with (
        _process("tests.bench.model_server", [str(model_port)], {}, folder / "model.log"),
        _process("tests.bench.served", [embedder], settings, folder / "service.log") as service,
    ):
        _wait_for(model_port, "POST", "/counts", folder / "model.log")
        _wait_for(port, "GET", "/v1/health/live", folder / "service.log")
        pid_file = (postgres.cluster / "postmaster.pid").read_text()
        yield Measured(postgres.url, port, model_port, service.pid, int(pid_file.splitlines()[0]))


@contextmanager
def _process(module: str, arguments: list[str], settings: dict[str, str], log: Path) -> Iterator[psutil.Popen]:
    environment = {**os.environ, **settings, "PYTHONPATH": str(ROOT)}
    with log.open("wb") as output:
        process = psutil.Popen(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            process.kill()
            process.wait(10)


def _wait_for(port: int, method: str, path: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS

    async def answered() -> None:
        connection = Connection(port)
        try:
            await connection.call(method, path)
        finally:
            connection.close()

    while True:
        try:
            return asyncio.run(answered())
        except (OSError, asyncio.IncompleteReadError) as error:
            if time.monotonic() > deadline:
                raise BenchError(f"nothing answers: {log.read_text()[-2000:]}") from error
            time.sleep(0.1)


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, of its children that live and of those that have ended."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    total = float(times.user + times.system + times.children_user + times.children_system)
    for child in process.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            own = child.cpu_times()
            total += float(own.user + own.system)
    return total


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
