"""Evidence recall over a conversation's raw turns, with no model but the embedder: what retrieval alone can do.

python -m tests.bench.recall --file locomo10.json --conversation conv-26 conv-30
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from pathlib import Path
from uuid import UUID, uuid4

from app.core import locomo, retrieval, scoring
from app.core.changes import AddMemory, Changes
from app.core.in_memory import InMemoryBank
from app.core.locomo import Category, Conversation
from app.core.values import Turn
from app.llm.embedder import ThreadEmbedder
from app.llm.embedding import embed_memories, embed_queries
from app.main import open_embedder
from app.settings import EmbeddingSettings

RECALL_AT = (10, 30, 60)


async def measure(arguments: argparse.Namespace) -> None:
    """Print a table: a row for each conversation and mode."""
    embedder = await open_embedder(EmbeddingSettings())
    assert isinstance(embedder, ThreadEmbedder)
    print("| conversation | questions | recall |" + "".join(f" @{limit} |" for limit in RECALL_AT))
    print("|---|---|---|" + "---|" * len(RECALL_AT))
    for name in arguments.conversation:
        conversation = locomo.load(arguments.file, name)
        bank, names = await bank_of_turns(conversation, embedder)
        for mode in ("dense alone", "dense + lexical"):
            values = await recalls(bank, names, conversation, embedder, use_lexical=mode != "dense alone")
            cells = "".join(f" {statistics.fmean(column):.3f} |" for column in zip(*values, strict=True))
            print(f"| {name} | {len(values)} | {mode} |{cells}")
    await embedder.aclose()


async def bank_of_turns(conversation: Conversation, embedder: ThreadEmbedder) -> tuple[InMemoryBank, dict[UUID, str]]:
    """A bank whose memories are the turns as they were said; and the name of each turn in the file."""
    bank, names = InMemoryBank(), {}
    texts = [f"{turn.speaker}: {turn.text}" for turn in conversation.turns]
    for said, text, embedded in zip(conversation.turns, texts, await embed_memories(embedder, texts), strict=True):
        turn = Turn(id=uuid4(), speaker=said.speaker, text=said.text, said_at=said.said_at)
        names[turn.id] = said.dia_id
        bank.add_turns([turn])
        memory = AddMemory(
            memory_id=uuid4(),
            text=text,
            speaker=turn.speaker,
            said_at=turn.said_at,
            sources=(turn.id,),
            embedded=embedded,
        )
        await bank.apply(Changes(adds=(memory,)))
    return bank, names


async def recalls(
    bank: InMemoryBank,
    names: dict[UUID, str],
    conversation: Conversation,
    embedder: ThreadEmbedder,
    *,
    use_lexical: bool,
) -> list[list[float]]:
    """For each question with evidence, categories 1 to 4: its recall at each limit."""
    asked = [q for q in conversation.questions if q.category is not Category.ADVERSARIAL and q.evidence]
    queries = await embed_queries(embedder, [q.text for q in asked], use_lexical=use_lexical)
    values = []
    for question, query in zip(asked, queries, strict=True):
        found = [names[c.memory.sources[0]] for c in await retrieval.candidates(bank, query, max(RECALL_AT))]
        values.append([scoring.evidence_recall(question.evidence, found[:limit]) or 0.0 for limit in RECALL_AT])
    return values


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, required=True, help="LoCoMo in its upstream form")
    parser.add_argument("--conversation", nargs="+", default=["conv-26"])
    asyncio.run(measure(parser.parse_args()))
