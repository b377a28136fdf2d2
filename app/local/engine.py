"""A language model in the service's own process: one thread generates for all calls that wait.

torch is imported by that thread when it starts, never by importing this module.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from app.core.errors import ModelError, ModelOverloaded, ModelUnreachable, UnfitPolicy
from app.core.policies import Served
from app.core.ports import Listener
from app.core.values import Completion, Prompt, Role, Usage
from app.local.model import source_sha256

if TYPE_CHECKING:
    from app.local.decoding import Decoder, Row

# Read once, when OpenMP is loaded with torch: threads that wait must sleep, since the cores are shared.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

logger = logging.getLogger(__name__)


class Hearing:
    """Passes a reply on to who listens, from the model's thread into the listener's loop."""

    def __init__(self, listener: Listener) -> None:
        self._listener, self._loop = listener, asyncio.get_running_loop()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._told = 0

    def tell(self, row: Row) -> None:
        """Pass on what the row has got since the last time."""
        tokens = row.reply[self._told :]
        self._told += len(tokens)
        if piece := self._decoder.decode(row.grammar.bytes_of(tokens)):
            # A loop that has ended has nobody who listens.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._listener.text, piece)


@dataclass(eq=False)
class _Call:
    """One `complete` that waits for its reply."""

    prompt: Prompt
    policy: Served | None = None
    hearing: Hearing | None = None
    began: float = field(default_factory=time.perf_counter)
    done: Future[Completion] = field(default_factory=Future)
    abandoned: bool = False


class LocalCompleter:
    """The `PolicyServer` port on a model folder or a model's name; `start` before the first call.

    Calls join the running batch between two tokens and leave it when they are complete: none waits for a batch to end.
    Policies are adapters, and rows of several are in one batch; a role without a policy has the model as it is.
    """

    def __init__(
        self,
        model: Path | str,
        *,
        name: str = "smollm2-135m-instruct",
        max_batch: int = 8,
        threads: int | None = None,
        max_tokens: int | Mapping[Role, int] = 384,
        max_context: int = 8192,
        temperature: float = 0.0,
        seed: int = 0,
        keep_prefixes: bool = True,
        policies: Mapping[Role, Served] | None = None,
    ) -> None:
        self.name = name
        self._policies = policies or {}
        self._model = model
        self._max_batch = max_batch
        self._threads = threads or max(1, visible_cores() // 2)
        self._max_tokens = max_tokens if isinstance(max_tokens, Mapping) else dict.fromkeys(Role, max_tokens)
        self._max_context = max_context
        self._temperature, self._seed, self._keep_prefixes = temperature, seed, keep_prefixes
        self._waiting: SimpleQueue[_Call | None] = SimpleQueue()
        self._running: dict[Row, _Call] = {}
        self._loaded: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, name="local-completer", daemon=True)
        self._open = self._stopping = False

    async def start(self) -> None:
        """Load the model and its policies. Raises what loading raises, `UnfitPolicy` for one of another model."""
        self._thread.start()
        await asyncio.wrap_future(self._loaded)
        self._open = True

    async def aclose(self) -> None:
        """Fail the calls that wait or run, and end the thread."""
        self._open, self._stopping = False, True
        if self._thread.ident is not None:
            self._waiting.put(None)
            await asyncio.to_thread(self._thread.join)

    async def complete(self, prompt: Prompt, policy: Served | None = None) -> Completion:
        return await self._complete(prompt, policy, None)

    async def stream(self, prompt: Prompt, listener: Listener, policy: Served | None = None) -> Completion:
        return await self._complete(prompt, policy, Hearing(listener))

    async def _complete(self, prompt: Prompt, policy: Served | None, hearing: Hearing | None) -> Completion:
        if not self._open:
            raise ModelUnreachable("The local model is not running.")
        call = _Call(prompt, policy or self._policies.get(prompt.role), hearing)
        self._waiting.put(call)
        try:
            return await asyncio.wrap_future(call.done)
        except asyncio.CancelledError:
            call.abandoned = True
            raise

    def _work(self) -> None:
        """The thread's whole life."""
        try:
            decoder = self._load()
        except BaseException as error:
            self._loaded.set_exception(error)
            return
        self._loaded.set_result(None)
        while not self._stopping:
            try:
                self._take_calls(decoder)
                self._drop_abandoned(decoder)
                if decoder.rows:
                    decoder.step()
                self._tell_listeners()
                self._deliver_finished(decoder)
            except Exception:
                logger.exception("the local model failed")
                self._fail_running(decoder, ModelOverloaded("The local model failed inside."))
        self._fail_running(decoder, ModelUnreachable("The local model was stopped."))
        self._fail_waiting()

    def _load(self) -> Decoder:
        import torch

        from app.local.decoding import Decoder

        torch.set_num_threads(self._threads)
        decoder = Decoder(
            self._model,
            max_batch=self._max_batch,
            max_context=self._max_context,
            temperature=self._temperature,
            seed=self._seed,
            keep_prefixes=self._keep_prefixes,
        )
        for policy in self._policies.values():
            self._load_policy(decoder, policy)
        return decoder

    def _load_policy(self, decoder: Decoder, policy: Served) -> None:
        """Take in a policy, unless it is there. Raises `UnfitPolicy` for one that is no adapter of this model."""
        if policy.label in decoder.adapters:
            return
        made_from, folder = policy.stamp.base, Path(self._model)
        if policy.stamp.form != "adapter" or policy.folder is None:
            raise UnfitPolicy(f"The policy {policy.label} is no adapter; the model in process serves nothing else.")
        if made_from.sha256 and folder.is_dir() and (own := source_sha256(folder)) != made_from.sha256:
            raise UnfitPolicy(
                f"The policy {policy.label} was made from {made_from.name} ({made_from.sha256[:12]}), "
                f"but the model here is another ({own[:12]})."
            )
        decoder.adapters.add(policy.label, Path(policy.folder))

    def _take_calls(self, decoder: Decoder) -> None:
        """Let waiting calls join while there is room; where nothing runs, wait for one."""
        while not self._stopping and len(decoder.rows) < self._max_batch:
            try:
                call = self._waiting.get(block=not decoder.rows)
            except Empty:
                return
            if call is not None:
                self._join(decoder, call)

    def _join(self, decoder: Decoder, call: _Call) -> None:
        if not call.done.set_running_or_notify_cancel():
            return
        try:
            if call.policy:
                self._load_policy(decoder, call.policy)
            name = call.policy.label if call.policy else None
            row = decoder.join(call.prompt, self._max_tokens[call.prompt.role], name)
        except ModelError as error:
            call.done.set_exception(error)
        except UnfitPolicy as error:
            call.done.set_exception(ModelUnreachable(str(error)))
        except Exception:
            logger.exception("the local model failed")
            call.done.set_exception(ModelOverloaded("The local model failed inside."))
        else:
            self._running[row] = call
            self._tell_listeners()
            self._deliver_finished(decoder)

    def _drop_abandoned(self, decoder: Decoder) -> None:
        for row in [row for row, call in self._running.items() if call.abandoned]:
            decoder.leave(row)
            del self._running[row]

    def _tell_listeners(self) -> None:
        for row, call in self._running.items():
            if call.hearing is not None and not call.abandoned:
                call.hearing.tell(row)

    def _deliver_finished(self, decoder: Decoder) -> None:
        for row in [row for row in decoder.rows if row.finished]:
            decoder.leave(row)
            call = self._running.pop(row)
            try:
                call.done.set_result(self._completion(row, call))
            except ModelError as error:
                call.done.set_exception(error)

    def _completion(self, row: Row, call: _Call) -> Completion:
        usage = Usage(prompt_tokens=row.prompt_tokens, completion_tokens=len(row.reply))
        seconds = round(time.perf_counter() - call.began, 4)
        return Completion(text=row.text(), policy=row.adapter or self.name, usage=usage, seconds=seconds)

    def _fail_running(self, decoder: Decoder, error: ModelError) -> None:
        for call in self._running.values():
            call.done.set_exception(error)
        self._running.clear()
        decoder.rows.clear()

    def _fail_waiting(self) -> None:
        while not self._waiting.empty():
            call = self._waiting.get()
            if call is not None and call.done.set_running_or_notify_cancel():
                call.done.set_exception(ModelUnreachable("The local model was stopped."))


def visible_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
