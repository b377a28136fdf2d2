"""Texts to their two index forms: a dense vector, and hashed terms for the lexical arm."""

from __future__ import annotations

from collections.abc import Sequence

from app.core import lexical
from app.core.ports import Embedder
from app.core.values import Embedded, Query, Vector


async def embed_memories(embedder: Embedder, texts: Sequence[str]) -> list[Embedded]:
    """Index forms of texts that are stored."""
    vectors = await embedder.embed(texts)
    return [
        Embedded(dense=vector, terms=lexical.document_terms(text)) for vector, text in zip(vectors, texts, strict=True)
    ]


async def embed_queries(embedder: Embedder, texts: Sequence[str], *, use_lexical: bool) -> list[Query]:
    """Queries for texts that are looked for."""
    vectors = await embedder.embed(texts)
    return [query_of(text, vector, use_lexical=use_lexical) for vector, text in zip(vectors, texts, strict=True)]


def query_of(text: str, vector: Vector, *, use_lexical: bool) -> Query:
    """The query for a text whose vector is known."""
    return Query(dense=vector, terms=lexical.query_terms(text) if use_lexical else {})
