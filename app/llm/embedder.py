"""Embedding: sentence-transformers in a worker thread, or an OpenAI-compatible `/v1/embeddings` server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import openai
from numpy.typing import NDArray
from openai import AsyncOpenAI
from pydantic import SecretStr

from app.core import errors
from app.core.values import Vector

Encode = Callable[[list[str]], NDArray[np.float32]]


class _Waiting(NamedTuple):
    texts: list[str]
    done: asyncio.Future[list[Vector]]


class ThreadEmbedder:
    """Implements `app.core.ports.Embedder`: one thread encodes what concurrent callers ask for, as micro-batches."""

    def __init__(self, model: str, dimension: int, encode: Encode, *, batch: int = 32, gather_ms: float = 2.0) -> None:
        self.model, self.dimension = model, dimension
        self._encode, self._batch, self._gather = encode, batch, gather_ms / 1000
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedder")
        self._waiting: list[_Waiting] = []
        self._running: asyncio.Task[None] | None = None

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        if not texts:
            return []
        waiting = _Waiting(list(texts), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._drain())
        return await waiting.done

    async def aclose(self) -> None:
        """Let the thread end."""
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
        self._thread.shutdown(wait=False)

    async def _drain(self) -> None:
        await asyncio.sleep(self._gather)
        while self._waiting:
            group = self._take_group()
            texts = [text for waiting in group for text in waiting.texts]
            try:
                vectors = await asyncio.get_running_loop().run_in_executor(self._thread, self._encode, texts)
                if len(vectors) != len(texts):
                    raise ValueError("not one vector a text")
            except Exception as error:
                _fail(group, error)
            else:
                _deliver(group, list(vectors))

    def _take_group(self) -> list[_Waiting]:
        """Whole requests, at least one, up to the batch size."""
        group = [self._waiting.pop(0)]
        size = len(group[0].texts)
        while self._waiting and size + len(self._waiting[0].texts) <= self._batch:
            group.append(self._waiting.pop(0))
            size += len(group[-1].texts)
        return group


def _deliver(group: list[_Waiting], vectors: list[Vector]) -> None:
    start = 0
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_result(vectors[start : start + len(waiting.texts)])
        start += len(waiting.texts)


def _fail(group: list[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_exception(errors.ModelOverloaded(f"The embedding model failed: {type(error).__name__}."))


def sentence_transformer(
    name: str, path: str, *, batch: int = 32, gather_ms: float = 2.0, offline: bool = False
) -> ThreadEmbedder:
    """Load a model by folder or hub name (slow: call it in a thread); `name` is what the rows remember."""
    if offline:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Read once, when OpenMP is loaded with torch: threads that wait must sleep, since the cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(path, device="cpu")
    dimension: int = model.get_embedding_dimension() or 0

    def encode(texts: list[str]) -> NDArray[np.float32]:
        return np.asarray(
            model.encode(texts, batch_size=batch, normalize_embeddings=True, show_progress_bar=False), dtype=np.float32
        )

    return ThreadEmbedder(name, dimension, encode, batch=batch, gather_ms=gather_ms)


class HttpEmbedder:
    """Implements `app.core.ports.Embedder` on an OpenAI-compatible server."""

    def __init__(
        self, base_url: str, model: str, dimension: int, *, api_key: SecretStr | None, timeout: float, batch: int
    ) -> None:
        self.model, self.dimension = model, dimension
        self._batch = batch
        key = api_key.get_secret_value() if api_key else "none"
        self._client = AsyncOpenAI(base_url=base_url, api_key=key, timeout=timeout, max_retries=2)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        vectors: list[Vector] = []
        for start in range(0, len(texts), self._batch):
            vectors += await self._embed(list(texts[start : start + self._batch]))
        return vectors

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _embed(self, texts: list[str]) -> list[Vector]:
        try:
            response = await self._client.embeddings.create(model=self.model, input=texts, encoding_format="float")
            rows = sorted(response.data, key=lambda row: row.index)
            if [row.index for row in rows] != list(range(len(texts))):
                raise errors.BrokenReply("The embedding server did not answer one vector for each text.")
            return [self._unit(np.asarray(row.embedding, dtype=np.float32)) for row in rows]
        except openai.APITimeoutError as error:
            raise errors.ModelTimedOut("The embedding server did not answer in time.") from error
        except openai.APIConnectionError as error:
            raise errors.ModelUnreachable("Cannot reach the embedding server.") from error
        except openai.APIStatusError as error:
            overloaded = error.status_code in (408, 409, 429) or error.status_code >= 500
            kind = errors.ModelOverloaded if overloaded else errors.ModelRefused
            raise kind(f"Status {error.status_code} from the embedding server.") from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise errors.BrokenReply("The embedding server answered in an unknown form.") from error

    def _unit(self, vector: Vector) -> Vector:
        if vector.ndim != 1:
            raise errors.BrokenReply("The embedding server answered what is no vector.")
        norm = float(np.linalg.norm(vector))
        if vector.shape != (self.dimension,):
            stored = f"{self.model} with {vector.size} dimensions"
            raise errors.EmbeddingMismatch(stored, f"{self.dimension} dimensions (embedding.dimension)")
        if not np.isfinite(norm) or norm == 0:
            raise errors.BrokenReply("The embedding server answered a vector without direction.")
        return (vector / norm).astype(np.float32)
