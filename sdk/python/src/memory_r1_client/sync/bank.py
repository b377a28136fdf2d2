"""What a chatbot does with a bank; everything else is in the functions of `memory_r1_client.api`.

Made by sdk/generate.py from openapi/openapi.json; do not edit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import attrs
from memory_r1_client.errors import IngestionFailed, StillWaiting, StreamBroken
from memory_r1_client.generated.api.answers import answer_question
from memory_r1_client.generated.api.memories import (
    list_memories,
    remove_memory,
    search_memories,
)
from memory_r1_client.generated.api.operations import list_operations, undo_operation
from memory_r1_client.generated.api.turns import (
    follow_ingestion,
    get_ingestion,
    list_turns,
    post_turns,
)
from memory_r1_client.generated.models.answered import Answered
from memory_r1_client.generated.models.candidate import Candidate
from memory_r1_client.generated.models.done_event import DoneEvent
from memory_r1_client.generated.models.edited import Edited
from memory_r1_client.generated.models.end_event import EndEvent
from memory_r1_client.generated.models.ingestion import Ingestion
from memory_r1_client.generated.models.memory import Memory
from memory_r1_client.generated.models.operation_record import OperationRecord
from memory_r1_client.generated.models.post_turns import PostTurns
from memory_r1_client.generated.models.posted_receipt import PostedReceipt
from memory_r1_client.generated.models.posted_turn import PostedTurn
from memory_r1_client.generated.models.question import Question
from memory_r1_client.generated.models.search import Search
from memory_r1_client.generated.models.state import State
from memory_r1_client.generated.models.turn_progress import TurnProgress
from memory_r1_client.generated.models.undone import Undone
from memory_r1_client.generated.types import UNSET, Unset
from memory_r1_client.streams import ANSWER, INGESTION, AnswerEvent, read_event
from memory_r1_client.sync.paging import pages
from memory_r1_client.sync.streaming import events_of
from memory_r1_client.turns import LONGEST_WAIT, failure_of, turn_of

if TYPE_CHECKING:
    from memory_r1_client.sync.client import MemoryR1

PATIENCE = 600.0
"""Seconds."""
MOST_BREAKS = 5
"""Of a stream, one after another without an event in between."""


class Bank:
    """A bank of a service, by its name."""

    def __init__(self, client: MemoryR1, name: str) -> None:
        self.client, self.name = client, name

    def remember(
        self, text: str, *, speaker: str = "User", wait: bool = False, patience: float = PATIENCE, **details: Any
    ) -> PostedReceipt:
        """Post a turn; see `remember_all`. `details`: `said_at`, `session`, `external_id`, `metadata`."""
        return self.remember_all([turn_of(text, speaker, **details)], wait=wait, patience=patience)

    def remember_all(
        self, turns: Sequence[PostedTurn], *, wait: bool = False, patience: float = PATIENCE
    ) -> PostedReceipt:
        """Post turns, in the order in which they were said. They are durable once this returns; with `wait`, what they
        say is remembered as well.

        Raises `IngestionFailed`, `StillWaiting`.
        """
        receipt = post_turns.sync(self.name, client=self.client, body=PostTurns(turns=list(turns)))
        if wait:
            ids = [*receipt.earlier_ingestion_ids, receipt.ingestion_id]
            states = [(self.wait_for(one, patience)).state for one in ids]
            receipt = attrs.evolve(receipt, state=states[-1])
        return receipt

    def wait_for(self, ingestion_id: UUID, patience: float = PATIENCE) -> Ingestion:
        """An ingestion once it has ended. Raises `IngestionFailed`, `StillWaiting` after so many seconds."""
        until = time.monotonic() + patience
        while True:
            seconds = max(0, min(LONGEST_WAIT, int(until - time.monotonic())))
            prefer = f"wait={seconds}" if seconds else UNSET
            ingestion = get_ingestion.sync(self.name, ingestion_id, client=self.client, prefer=prefer)
            if ingestion.state == State.DONE:
                return ingestion
            if ingestion.state == State.FAILED:
                raise IngestionFailed(ingestion_id, failure_of(ingestion))
            if not seconds:
                raise StillWaiting(ingestion_id, ingestion.state.value)

    def answer(self, question: str, *, as_of: datetime | None = None, best_guess: bool = False) -> Answered:
        """Answer from what the bank remembers; `answer` is None where it cannot tell, unless asked for a best guess."""
        body = Question(question=question, as_of=as_of or UNSET, best_guess=best_guess or UNSET)
        return answer_question.sync(self.name, client=self.client, body=body)

    def stream_answer(
        self, question: str, *, as_of: datetime | None = None, best_guess: bool = False
    ) -> Iterator[AnswerEvent]:
        """What an answer comes to while it is made: `candidates`, `distilled`, a `token` for each piece of its text,
        and `done` with all of it. After `reset`, what was told of memories and text comes anew.

        Raises `StreamBroken` where it ends before `done`.
        """
        body = Question(question=question, as_of=as_of or UNSET, best_guess=best_guess or UNSET)
        request = answer_question._get_kwargs(self.name, body=body)
        for sent in events_of(self.client.get_httpx_client(), request):
            event = read_event(sent, ANSWER)
            if event is not None:
                yield event
            if isinstance(event, DoneEvent):
                return
        raise StreamBroken("The answer ended before its last event.")

    def follow(self, ingestion_id: UUID) -> Iterator[TurnProgress]:
        """Each turn of an ingestion once it is done or has failed, until none waits any more; a stream that breaks off
        is taken up where it was.
        """
        last: str | Unset = UNSET
        breaks = 0
        while True:
            request = follow_ingestion._get_kwargs(self.name, ingestion_id, last_event_id=last)
            ended = StreamBroken("The stream ended before its last event.")
            try:
                for sent in events_of(self.client.get_httpx_client(), request):
                    event = read_event(sent, INGESTION)
                    if isinstance(event, EndEvent):
                        return
                    if event is not None:
                        last, breaks = event.id, 0
                        yield event.data
            except StreamBroken as error:
                ended = error
            breaks += 1
            if breaks == MOST_BREAKS:
                raise ended

    def search(
        self, query: str, *, limit: int = 10, as_of: datetime | None = None, per_speaker: bool = False
    ) -> list[Candidate]:
        """The memories that fit a text best."""
        body = Search(query=query, limit=limit, as_of=as_of or UNSET, per_speaker=per_speaker)
        return (search_memories.sync(self.name, client=self.client, body=body)).candidates

    def memories(self, *, as_of: datetime | None = None) -> Iterator[Memory]:
        """All that the bank remembers, or remembered at a moment, oldest first."""
        moment = as_of or UNSET
        for page in pages(list_memories.sync, self.name, client=self.client, as_of=moment):
            for memory in page.memories:
                yield memory

    def turns(self, **filters: Any) -> Iterator[TurnProgress]:
        """All turns in order of arrival, with what became of each. `filters`: `state`, and `limit` for a page."""
        for page in pages(list_turns.sync, self.name, client=self.client, **filters):
            for turn in page.turns:
                yield turn

    def operations(self, **filters: Any) -> Iterator[OperationRecord]:
        """The log. `filters` as `list_operations` has them."""
        for page in pages(list_operations.sync, self.name, client=self.client, **filters):
            for operation in page.operations:
                yield operation

    def forget(self, memory_id: UUID) -> Edited:
        """Forget a memory; undoing the operation brings it back."""
        return remove_memory.sync(self.name, memory_id, client=self.client)

    def undo(self, number: int) -> Undone:
        """Undo an operation by its number in the log."""
        return undo_operation.sync(self.name, number, client=self.client)
