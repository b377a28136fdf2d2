from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.core import errors
from app.llm.embedder import HttpEmbedder, ThreadEmbedder
from tests.fixtures.model_servers import free_port

Matrix = NDArray[np.float32]


class Encoder:
    """Encodes a text as its number; remembers its batches, and can be held."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.fails: Callable[[list[str]], bool] = lambda texts: False

    def __call__(self, texts: list[str]) -> Matrix:
        self.batches.append(texts)
        self.go_on.wait(30)
        if self.fails(texts):
            raise RuntimeError("out of memory")
        return np.array([[float(text), 1.0] for text in texts], dtype=np.float32)


@asynccontextmanager
async def threaded(encode: Callable[[list[str]], Any], **options: Any) -> AsyncIterator[ThreadEmbedder]:
    embedder = ThreadEmbedder("numbers", 2, encode, **options)
    try:
        yield embedder
    finally:
        await embedder.aclose()


def numbers(vectors: Sequence[Matrix]) -> list[float]:
    return [float(vector[0]) for vector in vectors]


async def test_requests_at_once_are_gathered_into_few_batches_and_each_gets_its_own_vectors() -> None:
    encoder = Encoder()
    async with threaded(encoder, batch=32, gather_ms=50) as embedder:
        asked = [[str(10 * n + k) for k in range(n % 3 + 1)] for n in range(12)]
        answered = await asyncio.gather(*(embedder.embed(texts) for texts in asked))
    assert [numbers(vectors) for vectors in answered] == [[float(text) for text in texts] for texts in asked]
    assert [len(batch) for batch in encoder.batches] == [24]


async def test_a_batch_holds_whole_requests_up_to_its_size_and_a_larger_request_goes_alone() -> None:
    encoder = Encoder()
    async with threaded(encoder, batch=4, gather_ms=50) as embedder:
        sizes = [3, 2, 2, 9, 1]
        await asyncio.gather(*(embedder.embed(["1"] * size) for size in sizes))
    assert [len(batch) for batch in encoder.batches] == [3, 4, 9, 1]


async def test_requests_that_come_while_a_batch_runs_form_the_next_one() -> None:
    encoder = Encoder()
    encoder.go_on.clear()
    async with threaded(encoder, gather_ms=0) as embedder:
        first = asyncio.create_task(embedder.embed(["1"]))
        while not encoder.batches:
            await asyncio.sleep(0.005)
        later = [asyncio.create_task(embedder.embed([str(n)])) for n in (2, 3, 4)]
        await asyncio.sleep(0.02)
        encoder.go_on.set()
        answered = await asyncio.gather(first, *later)
    assert [numbers(vectors) for vectors in answered] == [[1.0], [2.0], [3.0], [4.0]]
    assert encoder.batches == [["1"], ["2", "3", "4"]]


async def test_nothing_to_embed_asks_nothing() -> None:
    encoder = Encoder()
    async with threaded(encoder) as embedder:
        assert await embedder.embed([]) == []
    assert encoder.batches == []


async def test_a_failing_batch_is_a_model_error_and_the_next_one_works() -> None:
    encoder = Encoder()
    encoder.fails = lambda texts: "13" in texts
    async with threaded(encoder, batch=1, gather_ms=0) as embedder:
        bad, good = await asyncio.gather(embedder.embed(["13"]), embedder.embed(["14"]), return_exceptions=True)
        assert isinstance(bad, errors.ModelError)
        assert "RuntimeError" in str(bad)
        assert not isinstance(good, BaseException)
        assert numbers(good) == [14.0]
        assert numbers(await embedder.embed(["15"])) == [15.0]


@pytest.mark.parametrize("answer", [None, np.zeros((1, 2), np.float32), np.zeros((9, 2), np.float32), 7])
async def test_an_encoder_that_gives_other_than_one_vector_a_text_is_a_model_error(answer: Any) -> None:
    async with threaded(lambda texts: answer, gather_ms=20) as embedder:
        answered = await asyncio.wait_for(
            asyncio.gather(embedder.embed(["1"]), embedder.embed(["2", "3"]), return_exceptions=True), 30
        )
    assert [isinstance(one, errors.ModelError) for one in answered] == [True, True]


async def test_a_cancelled_request_does_not_disturb_the_others() -> None:
    encoder = Encoder()
    encoder.go_on.clear()
    async with threaded(encoder, gather_ms=0) as embedder:
        tasks = [asyncio.create_task(embedder.embed([str(n)])) for n in range(4)]
        while not encoder.batches:
            await asyncio.sleep(0.005)
        late = asyncio.create_task(embedder.embed(["9"]))
        await asyncio.sleep(0)
        tasks[1].cancel()
        late.cancel()
        encoder.go_on.set()
        answered = await asyncio.gather(*tasks, late, return_exceptions=True)
        assert isinstance(answered[1], asyncio.CancelledError)
        assert isinstance(answered[4], asyncio.CancelledError)
        assert [numbers(answered[n]) for n in (0, 2, 3)] == [[0.0], [2.0], [3.0]]  # type: ignore[arg-type]
        assert numbers(await embedder.embed(["5"])) == [5.0]


Answer = Callable[[list[str]], tuple[int, Any]]


@contextmanager
def embedding_server(answer: Answer) -> Iterator[tuple[str, list[list[str]]]]:
    """A server that answers `/v1/embeddings` as it is told: its URL, and the batches that it was sent."""
    sent: list[list[str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            sent.append(texts)
            status, body = answer(texts)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", sent
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@asynccontextmanager
async def over_http(url: str, **options: Any) -> AsyncIterator[HttpEmbedder]:
    embedder = HttpEmbedder(url, "numbers", 2, api_key=None, timeout=options.pop("timeout", 20), batch=3, **options)
    try:
        yield embedder
    finally:
        await embedder.aclose()


def rows(vectors: Sequence[Any]) -> dict[str, Any]:
    data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    return {"object": "list", "model": "numbers", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}


async def test_texts_go_out_in_batches_and_come_back_in_order_as_unit_vectors() -> None:
    def backwards(texts: list[str]) -> tuple[int, Any]:
        body = rows([[3.0 * float(text), 4.0 * float(text)] for text in texts])
        return 200, {**body, "data": body["data"][::-1]}

    with embedding_server(backwards) as (url, sent):
        async with over_http(url) as embedder:
            vectors = await embedder.embed(["1", "-2", "3", "4"])
    assert sent == [["1", "-2", "3"], ["4"]]
    assert np.allclose(vectors, [[0.6, 0.8], [-0.6, -0.8], [0.6, 0.8], [0.6, 0.8]])


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, errors.ModelRefused),
        (401, errors.ModelRefused),
        (404, errors.ModelRefused),
        (408, errors.ModelOverloaded),
        (429, errors.ModelOverloaded),
        (500, errors.ModelOverloaded),
        (503, errors.ModelOverloaded),
    ],
)
async def test_a_status_of_the_server_is_a_typed_error(status: int, error: type[Exception]) -> None:
    with embedding_server(lambda texts: (status, {"error": {"message": "scripted"}})) as (url, _):
        async with over_http(url) as embedder:
            with pytest.raises(error, match=str(status)):
                await embedder.embed(["1"])


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"",
        b"[]",
        b"null",
        b'"text"',
        {},
        {"data": None},
        {"data": [{"index": 0}]},
        {"data": [{"index": 0, "embedding": None}]},
        {"data": [{"index": 0, "embedding": ["a", "b"]}]},
        rows([None, [1.0, 0.0]]),
        rows([[[1.0, 0.0]], [1.0, 0.0]]),
        rows([]),
        rows([[1.0, 0.0]]),
        rows([[1.0, 0.0]] * 3),
        {"data": [{"index": 1, "embedding": [1.0, 0.0]}, {"index": 1, "embedding": [0.0, 1.0]}]},
        rows([[0.0, 0.0], [1.0, 0.0]]),
        b'{"data": [{"index": 0, "embedding": [NaN, 1]}, {"index": 1, "embedding": [1, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [Infinity, 1]}, {"index": 1, "embedding": [1, 0]}]}',
    ],
)
async def test_an_answer_without_one_vector_a_text_is_a_broken_reply(body: Any) -> None:
    with embedding_server(lambda texts: (200, body)) as (url, _):
        async with over_http(url) as embedder:
            with pytest.raises(errors.BrokenReply):
                await embedder.embed(["1", "2"])


@pytest.mark.parametrize("vector", [[1.0], [1.0, 2.0, 3.0], []])
async def test_a_vector_of_another_size_is_a_mismatch_that_names_both(vector: list[Any]) -> None:
    with embedding_server(lambda texts: (200, rows([vector]))) as (url, _):
        async with over_http(url) as embedder:
            with pytest.raises(errors.EmbeddingMismatch, match=r"2 dimensions"):
                await embedder.embed(["1"])


async def test_a_server_that_is_away_or_silent_is_a_typed_error() -> None:
    async with over_http(f"http://127.0.0.1:{free_port()}/v1") as embedder:
        with pytest.raises(errors.ModelUnreachable):
            await embedder.embed(["1"])
    silent = threading.Event()

    def wait(texts: list[str]) -> tuple[int, Any]:
        silent.wait(30)
        return 200, rows([[1.0, 0.0]])

    with embedding_server(wait) as (url, _):
        async with over_http(url, timeout=0.05) as embedder:
            with pytest.raises(errors.ModelTimedOut):
                await embedder.embed(["1"])
        silent.set()
