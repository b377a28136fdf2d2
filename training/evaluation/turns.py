"""Turns as candidates, for the systems that have no agents: a turn stands where a memory would."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

import bm25s
import numpy as np

from app.core import lexical, scoring
from app.core.agents import answerer
from app.core.agents.answerer import AnswererOptions
from app.core.changes import AddMemory, Changes
from app.core.ports import Embedder
from app.core.values import Candidate, Embedded, Memory, Prompt, Turn
from training.banks import TrainingBank
from training.data.conversation import Conversation

RECALL_AT = (10, 30, 60)
"""Candidates looked at where the recall of evidence is measured."""


def as_memory(turn: Turn) -> Memory:
    """What was said, as a memory with the turn's id."""
    return Memory(
        id=turn.id,
        version=1,
        text=turn.text,
        speaker=turn.speaker,
        said_at=turn.said_at,
        sources=(turn.id,),
        created_at=turn.said_at,
        updated_at=turn.said_at,
    )


async def bank_of_turns(conversation: Conversation, embedder: Embedder) -> TrainingBank:
    """A bank whose memories are the turns; they are found by "speaker: text"."""
    bank = TrainingBank()
    texts = [_searched(turn) for turn in conversation.turns]
    for turn, text, vector in zip(conversation.turns, texts, await embedder.embed(texts), strict=True):
        bank.add_turns([turn])
        said = as_memory(turn)
        memory = AddMemory(
            memory_id=said.id,
            text=said.text,
            speaker=said.speaker,
            said_at=said.said_at,
            sources=said.sources,
            embedded=Embedded(dense=vector, terms=lexical.document_terms(text)),
        )
        await bank.apply(Changes(adds=(memory,)))
    return bank


class Bm25:
    """Turns ranked by BM25 with idf over the conversation (bm25s, "lucene"), on the service's own words and stems.

    The lexical arm of `app.core` is no baseline of that name: its weights know no idf.
    """

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = tuple(turns)
        self._index = bm25s.BM25(method="lucene")
        self._index.index([lexical.stems(_searched(turn)) for turn in turns], show_progress=False)

    def candidates(self, question: str, limit: int) -> list[Candidate]:
        """The best turns that share a word with the question, best first; the earlier one where scores are equal."""
        asked = [stem for stem in dict.fromkeys(lexical.stems(question)) if stem in self._index.vocab_dict]
        if not asked:
            return []
        scores = self._index.get_scores(asked)
        best = [int(place) for place in np.argsort(-scores, kind="stable")[:limit]]
        return [Candidate(memory=as_memory(self._turns[i]), score=float(scores[i])) for i in best if scores[i] > 0]


def evidence(turns: Sequence[Turn], wanted: Collection[object]) -> list[Candidate]:
    """The turns of these ids, in their order."""
    return [Candidate(memory=as_memory(turn), score=1.0) for turn in turns if turn.id in wanted]


def newest_that_fit(question: str, turns: Sequence[Turn], options: AnswererOptions) -> list[Candidate]:
    """All turns in their order, without the oldest where the prompt's budget does not hold all."""
    everything = [Candidate(memory=as_memory(turn), score=1.0) for turn in turns]
    fits, too_many = 0, len(everything) + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        asked = answerer.render(question, everything[len(everything) - middle :], {}, options)
        fits, too_many = (middle, too_many) if shown(asked, middle) == middle else (fits, middle)
    return everything[len(everything) - fits :]


def shown(prompt: Prompt, candidates: int) -> int:
    """How many of the candidates stand in an answerer's prompt: the lowest ranked lose their place first."""
    ordinals: list[int] = prompt.reply_schema["properties"]["memories"]["items"]["enum"]
    return len(ordinals) if candidates else 0


def recall(evidence: Collection[UUID], candidates: Sequence[Candidate]) -> float | None:
    """The share of the evidence turns among the sources of the candidates; None where there is no evidence."""
    return scoring.evidence_recall({str(turn) for turn in evidence}, {str(turn) for turn in sources(candidates)})


def sources(candidates: Sequence[Candidate]) -> set[UUID]:
    """The turns that the candidates come from."""
    return {turn for candidate in candidates for turn in candidate.memory.sources}


def _searched(turn: Turn) -> str:
    return f"{turn.speaker}: {turn.text}"
