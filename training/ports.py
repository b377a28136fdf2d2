"""The embedder of a run, and the models in it that do not learn, behind the service's ports.

They live on an event loop of their own, in a thread: trainers call rewards on another loop than the one that the rows
were made on, and the connections to a server belong to one loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from app import main
from app.core import policies
from app.core.errors import UnfitPolicy
from app.core.policies import Base, PolicyStamp, PromptStamp, Served
from app.core.ports import Embedder
from app.core.values import Completion, Prompt, Role, Value, Vector
from app.llm.completer import HttpCompleter
from app.local.engine import LocalCompleter, visible_cores
from app.local.model import source_sha256
from app.settings import Settings
from training import run_record
from training.config import Model
from training.episode import Rules
from training.models import folder_or_name

T = TypeVar("T")
BASE = "base"
"""The model of the configuration as it is, in this process."""
AT_ONCE = 16
"""Replies in the making in this process; nobody waits for a single one, as a service's user does."""
REPLY_TOKENS = 1024
"""Of a server's reply at most; the reply's schema bounds it further."""


class Chosen(Value):
    """Who replies in a role: a model on a server, or the model in this process with an adapter or without."""

    model: str
    """Name on the server, or an adapter's folder, or `base`."""
    url: str | None = None

    @property
    def folder(self) -> Path | None:
        """Where the adapter lies, if it is one; a run's folder has it among its own."""
        folders = (Path(self.model), Path(self.model) / "model")
        return next((folder for folder in folders if (folder / policies.ADAPTER_FILE).is_file()), None)

    @classmethod
    def read(cls, text: str) -> Chosen:
        """From `base`, a folder, `MODEL@URL`, or `FOLDER@URL`."""
        model, _, url = text.rpartition("@http")
        return cls(model=model, url=f"http{url}") if model else cls(model=text)

    def __str__(self) -> str:
        return f"{self.model}@{self.url}" if self.url else self.model


class Ports:
    """Opens what is asked for, and closes it at the end of the block."""

    def __init__(self, model: Model, rules: Rules) -> None:
        self._model, self._rules = model, rules
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ports", daemon=True)
        self._stack = AsyncExitStack()
        self._engine: LocalCompleter | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def embedder(self) -> Embedder:
        """The one that the service's settings name. Raises `InvalidInput`, `PackagedModelMissing`."""
        return _EmbedderElsewhere(self._wait(self._open_embedder()), self._loop)

    def completer(self, chosen: Chosen, role: Role) -> FrozenModel:
        """Who replies in a role; all in this process share one model, and a vLLM is given the adapters that it lacks.

        Raises `UnfitPolicy`, a `ModelError`, and what loading a model raises.
        """
        base = folder_or_name(self._model) if not chosen.url or chosen.folder else chosen.model
        adapter = None if chosen.model == BASE else chosen.folder
        policy = self._served(adapter, role, base) if adapter else None
        if chosen.url:
            server = self._on_server(chosen.url, base)
            if policy:
                self._wait(server.prepare(policy))
            return FrozenModel(server, self._loop, policy, policy.label if policy else str(chosen))
        if policy is None and chosen.model != BASE:
            raise UnfitPolicy(f"{chosen.model} is no folder with an adapter; another model is named as MODEL@URL.")
        if self._engine is None:
            self._engine = self._started(base)
        return FrozenModel(self._engine, self._loop, policy, policy.label if policy else Path(base).name)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open_embedder(self) -> Embedder:
        embedder = await main.open_embedder(Settings().embedding)
        self._stack.push_async_callback(embedder.aclose)
        return embedder

    def _on_server(self, url: str, model: str) -> HttpCompleter:
        async def opened() -> HttpCompleter:
            llm = Settings().llm
            made = HttpCompleter(
                url,
                model,
                api_key=llm.api_key,
                timeout=llm.timeout,
                max_retries=llm.max_retries,
                concurrency=llm.concurrency,
                max_tokens=REPLY_TOKENS,
            )
            self._stack.push_async_callback(made.aclose)
            return made

        return self._wait(opened())

    def _started(self, base: str) -> LocalCompleter:
        made = LocalCompleter(
            base,
            name=Path(base).name,
            threads=visible_cores(),
            max_batch=AT_ONCE,
            max_tokens=Settings().local.max_tokens,
        )
        self._stack.push_async_callback(made.aclose)
        self._wait(made.start())
        return made

    def _served(self, folder: Path, role: Role, base: str) -> Served:
        """An exported policy, or the model of a run that was not exported."""
        options = getattr(self._rules, role.value)
        exported = (folder / policies.STAMP_FILE).is_file()
        stamp = policies.read_policy(folder) if exported else _stamp_of_run(folder, role, base, options)
        policies.check(stamp, role, options)
        if stamp.form != "adapter":
            raise UnfitPolicy(f"{folder} holds no adapter: serve it, and name it as MODEL@URL.")
        if stamp.base.sha256 and Path(base).is_dir() and source_sha256(Path(base)) != stamp.base.sha256:
            raise UnfitPolicy(f"The adapter in {folder} was made for {stamp.base.name}, not for the model in {base}.")
        return Served(stamp=stamp, model=stamp.label, folder=str(folder.resolve()))


def _stamp_of_run(folder: Path, role: Role, base: str, options: Any) -> PolicyStamp:
    """What can be told of an adapter without a stamp; of its prompt, what its run recorded."""
    record = run_record.of_model(folder)
    return PolicyStamp(
        name=role.value,
        role=record.role if record else role,
        form="adapter",
        base=record.base if record else Base(name=base),
        weights_sha256=policies.weights_sha256(folder),
        prompt=record.prompt if record else PromptStamp.of(role, options),
        method=policies.THEN.join(record.methods) if record else "unknown",
        steps=record.rounds if record else 0,
        licence="unknown",
        created=run_record.now(),
    )


@dataclass(frozen=True)
class FrozenModel:
    """A completer on the loop of the ports."""

    completer: LocalCompleter | HttpCompleter
    loop: asyncio.AbstractEventLoop
    policy: Served | None
    label: str
    """Who replies: an adapter with its weights, or a model."""

    async def complete(self, prompt: Prompt) -> Completion:
        asked = self.completer.complete(prompt, self.policy)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked, self.loop))


class _EmbedderElsewhere:
    def __init__(self, embedder: Embedder, loop: asyncio.AbstractEventLoop) -> None:
        self.model, self.dimension = embedder.model, embedder.dimension
        self._embedder, self._loop = embedder, loop

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._embedder.embed(texts), self._loop))
