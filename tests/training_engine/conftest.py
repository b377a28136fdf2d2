from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import app.main
from tests.fixtures.doubles import HashEmbedder
from tests.llm.scripted import ScriptedServer
from tests.training_engine import tiny, toy


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.build(tmp_path_factory.mktemp("toy-model"))


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Several threads slow down matrices this small, and the order of their sums would be left to chance."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def architectures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny model of each."""
    return {name: tiny.build(tmp_path_factory.mktemp(name), name) for name in tiny.ARCHITECTURES}


@pytest.fixture
def answering_server() -> Iterator[ScriptedServer]:
    """Stands for the models that do not learn."""
    server = ScriptedServer(max_context=32_768)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def hashed_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the embedding model."""

    async def opened(settings: object) -> HashEmbedder:
        return HashEmbedder()

    monkeypatch.setattr(app.main, "open_embedder", opened)
