"""Evidence recall over a conversation's raw turns, with no model but the embedder: what retrieval alone can do.

python -m tests.bench.recall --file locomo10.json --conversation conv-26 conv-30
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from pathlib import Path

from app.core import retrieval
from app.core.in_memory import InMemoryBank
from app.core.ports import Embedder
from app.llm.embedder import ThreadEmbedder
from app.llm.embedding import embed_queries
from app.main import open_embedder
from app.settings import EmbeddingSettings
from training.data import locomo
from training.data.conversation import Conversation
from training.evaluation.turns import RECALL_AT, bank_of_turns, recall


async def measure(arguments: argparse.Namespace) -> None:
    """Print a table: a row for each conversation and mode."""
    embedder = await open_embedder(EmbeddingSettings())
    assert isinstance(embedder, ThreadEmbedder)
    print("| conversation | questions | recall |" + "".join(f" @{limit} |" for limit in RECALL_AT))
    print("|---|---|---|" + "---|" * len(RECALL_AT))
    for name in arguments.conversation:
        conversation = locomo.load_one(arguments.file, name)
        bank = await bank_of_turns(conversation, embedder)
        for mode in ("dense alone", "dense + lexical"):
            values = await recalls(bank, conversation, embedder, use_lexical=mode != "dense alone")
            cells = "".join(f" {statistics.fmean(column):.3f} |" for column in zip(*values, strict=True))
            print(f"| {name} | {len(values)} | {mode} |{cells}")
    await embedder.aclose()


async def recalls(
    bank: InMemoryBank, conversation: Conversation, embedder: Embedder, *, use_lexical: bool
) -> list[list[float]]:
    """For each question with evidence, categories 1 to 4: its recall at each limit."""
    asked = [question for question in conversation.questions if question.evidence]
    queries = await embed_queries(embedder, [question.text for question in asked], use_lexical=use_lexical)
    values = []
    for question, query in zip(asked, queries, strict=True):
        found = await retrieval.candidates(bank, query, max(RECALL_AT))
        values.append([recall(question.evidence, found[:limit]) or 0.0 for limit in RECALL_AT])
    return values


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, required=True, help="LoCoMo in its upstream form")
    parser.add_argument("--conversation", nargs="+", default=["conv-26"])
    asyncio.run(measure(parser.parse_args()))
