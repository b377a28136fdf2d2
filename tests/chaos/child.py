"""The processes that are killed: a worker, an API, the model server. The service's own entries, with steps armed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import main, serving
from app.cli import run, start_logging
from app.settings import Settings
from tests.chaos.model_server import ModelServer
from tests.chaos.steps import Armed, Notes, Step, install
from tests.fixtures.doubles import HashEmbedder


@dataclass(frozen=True)
class Orders:
    """How a process is started."""

    role: str
    """`worker`, `api` or `model`."""
    environment: Mapping[str, str]
    log: Path
    notes: Path
    step: Step | None = None
    seed: int = 0
    port: int = 0
    faulty: bool = True


def start(orders: Orders) -> None:
    """Run until a signal, or until whoever started this process is gone."""
    os.setpgid(0, 0)
    _redirect(orders.log)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    random.seed(orders.seed)
    os.environ.update(orders.environment)
    notes = Notes(orders.notes)
    if orders.role == "model":
        run(ModelServer(orders.seed, faulty=orders.faulty, notes=notes).serve(orders.port))
        return
    install(Armed(orders.step, notes))
    vars(main)["open_embedder"] = _open_hashed
    settings = Settings(_env_file=None)
    start_logging(settings)
    run(_work(settings, notes) if orders.role == "worker" else _serve(settings, notes))


async def _work(settings: Settings, notes: Notes) -> None:
    async with main.open_service(settings) as service, main.running_worker(service):
        notes.write("ready", "worker")
        await asyncio.Event().wait()


async def _serve(settings: Settings, notes: Notes) -> None:
    def progress(step: str) -> None:
        if step.startswith("ready"):
            notes.write("ready", "api")

    await serving.serve(settings, local=False, with_worker=False, progress=progress)


async def _open_hashed(*_: Any) -> HashEmbedder:
    return HashEmbedder()


def _redirect(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
