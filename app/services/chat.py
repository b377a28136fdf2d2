"""A chat with a memory: what a bank knows goes into the prompt, and the turn into the bank's inbox afterwards.

What a user says is stored under an id made from all that was said before it, so that the same history sent again
stores nothing twice.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from app.core import conversation
from app.core.conversation import Conversation, Messages
from app.core.errors import InvalidInput, MemoryServiceError, TurnConflict, UnknownBank
from app.db.engine import DATABASE_AWAY, is_busy
from app.llm.chat import ChatUpstream
from app.services import banks, ingest, memories
from app.services.callers import Caller
from app.services.ingest import NewTurn
from app.services.service import Service

log = logging.getLogger(__name__)

MAX_ASKED_CHARACTERS = 2000
MAX_PARTS = 4
"""Turns that one long message becomes; what goes beyond them is left out."""
MAX_TURN_CHARACTERS = 8000
MAX_NEW_MESSAGES = 50
"""Messages without a reply that one request stores: the last ones."""
MAX_SPEAKER_CHARACTERS = 100
FAILURES = (MemoryServiceError, TimeoutError, *DATABASE_AWAY)
"""What may go wrong with a memory."""


class Failure(NamedTuple):
    """What a memory could not do, in words that hold nothing of the user's."""

    step: str
    reason: str

    def __str__(self) -> str:
        return f"{self.step}; {self.reason}"


class Chat:
    """One chat completion on one bank."""

    def __init__(
        self,
        service: Service,
        caller: Caller,
        bank: str,
        messages: Messages,
        name: str | None,
        *,
        stores: bool,
        received: datetime | None = None,
    ) -> None:
        self._service, self._caller, self._bank, self._messages = service, caller, bank, messages
        self._name, self._stores = name, stores
        self._settings = service.settings.chat
        self._said: Conversation = conversation.read(messages, name)
        self._received = received or datetime.now(UTC)
        self.recalled = 0
        """Memories that went into the prompt."""
        self.stored = 0
        """Turns that are stored and were not before."""
        self.failures: list[Failure] = []

    async def with_memories(self) -> list[Mapping[str, Any]]:
        """The messages with what the bank knows about the last one of a user. Raises what failed, where that is
        strict.
        """
        try:
            async with asyncio.timeout(self._settings.recall_seconds):
                text = await self._recall()
        except FAILURES as error:
            self._note("recall", error)
            text = ""
        if not text:
            return list(self._messages)
        return conversation.with_notes(self._messages, text, merged=self._settings.one_system_message)

    async def store_asked(self) -> None:
        """Store what the user said; where there is a reply, `store` does it together with that."""
        await self.store("")

    async def store(self, reply: str) -> None:
        """Store what the user said and the reply to it, each once. Raises what failed, where that is strict."""
        if not self._stores:
            return
        turns, other_ids = self._turns(reply if self._settings.store_replies else "")
        if not turns:
            return
        try:
            accepted = await ingest.accept(
                self._service, self._caller.tenant_id, self._bank, turns, caller=self._caller, other_ids=other_ids
            )
            self.stored += len(turns) - accepted.duplicates
        except TurnConflict:
            # The same place of the same conversation with another reply: the first one stands.
            return
        except FAILURES as error:
            self._note("store", error)

    async def _recall(self) -> str:
        """Raises a `MemoryServiceError`, or what a database that is away raises."""
        asked = self._said.asked[-MAX_ASKED_CHARACTERS:].strip()
        if not asked or not self._settings.memories:
            return ""
        try:
            key = await banks.find_bank(
                self._service.sessions, self._caller.tenant_id, self._bank, self._service.embedder
            )
        except UnknownBank:
            # Its first turn makes it.
            return ""
        found = await memories.search(
            self._service, key, asked, self._settings.memories, use_lexical=None, per_speaker=False
        )
        text, self.recalled = conversation.notes(found, self._settings.memory_characters)
        return text

    def _turns(self, reply: str) -> tuple[list[NewTurn], dict[str, Sequence[str]]]:
        """The turns with their external ids, and under which other ids each may be stored already."""
        chosen = self._settings
        said = [(one.name or chosen.user_speaker, one.text, one.digest) for one in self._said.new[-MAX_NEW_MESSAGES:]]
        if reply:
            said.append((chosen.assistant_speaker, reply, self._said.digest))
        turns, other_ids = list[NewTurn](), dict[str, Sequence[str]]()
        for speaker, text, digest in said:
            for number, part in enumerate(conversation.parts_of(text, MAX_PARTS, MAX_TURN_CHARACTERS)):
                own, *others = self._ids(f"chat:{digest}:{number}")
                other_ids[own] = others
                named = speaker[:MAX_SPEAKER_CHARACTERS].strip()
                turns.append(NewTurn(speaker=named, text=part, session=self._name, external_id=own))
        return turns, other_ids

    def _ids(self, stem: str) -> list[str]:
        """Without a name, a conversation is told from one that began with the same words by when it was held."""
        if self._name is not None:
            return [stem]
        hour = int(self._received.timestamp() // (self._settings.same_message_hours * 3600))
        return [f"{stem}:{number}" for number in (hour, hour - 1, hour + 1)]

    def _note(self, step: str, error: BaseException) -> None:
        if self._settings.strict:
            raise error
        failure = Failure(step, _reason(error))
        log.warning("a chat goes on without its memory: %s", failure)
        self.failures.append(failure)


def served_body(upstream: ChatUpstream, body: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> str:
    """The body that is forwarded. Raises `InvalidInput` for what is no JSON, and what `ChatUpstream.served` does."""
    try:
        return json.dumps({**body, "model": upstream.served(body.get("model")), "messages": messages}, allow_nan=False)
    except (ValueError, RecursionError) as error:
        if isinstance(error, MemoryServiceError):
            raise
        raise InvalidInput("The body holds NaN or an infinity, or is nested too deep.") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryServiceError):
        name = type(error).__name__
        return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
    if isinstance(error, TimeoutError):
        return "timed-out"
    return "bank-busy" if isinstance(error, Exception) and is_busy(error) else "database-away"
