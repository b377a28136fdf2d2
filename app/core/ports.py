"""The three narrow ports around the pure core: completing, embedding, and the bank."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

from app.core.changes import Changes
from app.core.policies import Served
from app.core.values import Candidate, Completion, Memory, Prompt, Query, Turn, Vector


class Completer(Protocol):
    """A language model behind a chat interface."""

    async def complete(self, prompt: Prompt) -> Completion:
        """The reply, a JSON text that follows `prompt.reply_schema`.

        Raises a `ModelError`: `ModelUnreachable`, `ModelTimedOut`, `ModelOverloaded`, `ModelRefused`, `ReplyCutOff`
        or `BrokenReply`.
        """
        ...


class Listener(Protocol):
    """Hears a reply while it is made. Both calls return at once and raise nothing."""

    def text(self, piece: str) -> None:
        """The next characters of the reply."""
        ...

    def restart(self) -> None:
        """What was heard so far is void: the reply begins anew."""
        ...


@runtime_checkable
class StreamingCompleter(Completer, Protocol):
    """A completer whose replies can be heard while they are made."""

    async def stream(self, prompt: Prompt, listener: Listener) -> Completion:
        """As `complete`, and the same completion; the listener hears the text before. What it has heard is nothing to
        rely on until this returns.
        """
        ...


class PolicyServer(Completer, Protocol):
    """A completer that can call another policy than the one that it is configured for."""

    async def complete(self, prompt: Prompt, policy: Served | None = None) -> Completion:
        """As `Completer.complete`; by `policy` if given. `Completion.policy` names what replied."""
        ...

    async def stream(self, prompt: Prompt, listener: Listener, policy: Served | None = None) -> Completion:
        """As `StreamingCompleter.stream`; by `policy` if given."""
        ...


class Embedder(Protocol):
    """A sentence embedder."""

    model: str
    dimension: int

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One unit-length vector for each text, in order. Raises a `ModelError`."""
        ...


class Bank(Protocol):
    """One memory bank. It takes vectors, never texts to embed: no call of it reaches a model."""

    async def recall(self, queries: Sequence[Query], limit: int, speaker: str | None = None) -> list[list[Candidate]]:
        """For each query its `limit` best memories, by fused score, then creation, then id; of one speaker if given."""
        ...

    async def memories(self) -> list[Memory]:
        """All live memories, oldest first."""
        ...

    async def get(self, memory_id: UUID) -> Memory:
        """A live memory in its newest version. Raises `UnknownMemory`."""
        ...

    async def history(self, memory_id: UUID) -> list[Memory]:
        """All versions of a memory, oldest first, also of one that was deleted. Raises `UnknownMemory`."""
        ...

    async def speakers(self) -> list[str]:
        """Who has spoken in this bank, in order of first turn."""
        ...

    async def turns(self, turn_ids: Sequence[UUID]) -> list[Turn]:
        """The turns that exist among these, in order of arrival."""
        ...

    async def apply(self, changes: Changes) -> list[Memory]:
        """Apply all changes or none; the memories as they stand after, deleted ones left out.

        Raises `StaleMemory` where a memory is not at the version that the changes were planned against, or where two
        changes are about one memory.
        """
        ...

    def as_of(self, moment: datetime) -> Bank:
        """The bank as it was at a moment, to read: whatever is written later, it stays what it is.

        It, or the first read of it, raises `InvalidInput` for a moment that is still to come. Its `apply` raises
        ValueError.
        """
        ...
