"""A workplace for each test, which must be empty of processes when the test ends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import MARK, Workplace
from tests.llm.scripted import ScriptedServer


@pytest.fixture(autouse=True)
def workplace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """A folder that every user may enter, since under root Postgres runs as another; no process of it remains."""
    folder = Path(tempfile.mkdtemp(prefix="memory-r1-e2e-"))
    folder.chmod(0o755)
    workplace = Workplace(folder)
    # Also for what a test starts by other means, such as vLLM.
    monkeypatch.setenv(MARK, workplace.mark)
    yield workplace
    remaining = workplace.clear()
    shutil.rmtree(folder, ignore_errors=True)
    assert not remaining


@pytest.fixture
def scripted_server() -> Iterator[ScriptedServer]:
    """A model server that says what a test tells it to."""
    server = ScriptedServer(max_context=16_000)
    server.start()
    yield server
    server.stop()
