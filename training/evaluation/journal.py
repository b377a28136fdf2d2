"""What models said, kept as JSON lines while an evaluation goes on, so that nothing is asked twice.

A reply is found again by its prompt, whole: where anything in front of it changed, it is asked anew.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.core import errors
from app.core.errors import ModelError
from app.core.ports import Completer, Embedder
from app.core.values import Completion, Prompt, Value, Vector

RETRIED = {kind.__name__ for kind in (errors.ModelUnreachable, errors.ModelTimedOut, errors.ModelOverloaded)}
"""Failures of the moment: a resumed evaluation asks again."""


class Failure(Value):
    """Why there is no reply; never the words of a prompt."""

    kind: str
    message: str


class NoReply(ModelError):
    """A model failed, now or in the run that is gone on with."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(f"{failure.kind}: {failure.message}")


class Line(Value):
    """One call of a model."""

    prompt: str
    """SHA-256 of the messages, the reply's schema and the version."""
    completion: Completion | None = None
    failure: Failure | None = None


class RecordingCompleter:
    """A `Completer` that asks each prompt once, and keeps replies and failures in a file."""

    def __init__(self, path: Path, completer: Completer) -> None:
        self._path, self._completer = path, completer
        self._known = _read_replies(path)
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def complete(self, prompt: Prompt) -> Completion:
        """The reply, asked now or before. Raises `NoReply`."""
        key = digest(prompt)
        async with self._asking[key]:
            line = self._known.get(key) or await self._ask(key, prompt)
        if line.completion is None:
            raise NoReply(line.failure or Failure(kind="ModelError", message="There is no reply."))
        return line.completion

    async def _ask(self, key: str, prompt: Prompt) -> Line:
        try:
            line = Line(prompt=key, completion=await self._completer.complete(prompt))
        except ModelError as error:
            line = Line(prompt=key, failure=Failure(kind=type(error).__name__, message=str(error)))
        self._known[key] = line
        append(self._path, line.model_dump(mode="json"))
        return line


class RecordingEmbedder:
    """An `Embedder` that embeds each text once and keeps the vectors in a file.

    An embedder's last bits can depend on what else is in its batch; a resumed run must find what the first one found.
    """

    def __init__(self, path: Path, embedder: Embedder) -> None:
        self.model, self.dimension = embedder.model, embedder.dimension
        self._path, self._embedder = path, embedder
        self._known = {line["text"]: _vector(line["vector"]) for line in read_lines(path)}
        self._embedding = asyncio.Lock()

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One vector for each text, in order. Raises a `ModelError`."""
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        async with self._embedding:
            missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
            vectors = await self._embedder.embed(list(missing.values())) if missing else []
            found = {key: np.asarray(vector, np.float32) for key, vector in zip(missing, vectors, strict=True)}
            self._known |= found
            append(self._path, *({"text": key, "vector": _text(vector)} for key, vector in found.items()))
        return [self._known[key] for key in keys]


def digest(prompt: Prompt) -> str:
    """What makes a prompt the same."""
    messages = [message.model_dump() for message in prompt.messages]
    return hashlib.sha256(json.dumps([prompt.version, messages, prompt.reply_schema]).encode()).hexdigest()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that may not exist; a last line that a kill cut short is taken off the file."""
    if not path.exists():
        return []
    held = path.read_bytes()
    whole = held[: held.rfind(b"\n") + 1]
    if len(whole) < len(held):
        os.truncate(path, len(whole))
    return [json.loads(line) for line in whole.decode().split("\n") if line]


def append(path: Path, *lines: Any) -> None:
    """Add lines to a file, whose folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(path.name + ".making")
    making.write_text(text, encoding="utf-8")
    os.replace(making, path)


def _read_replies(path: Path) -> dict[str, Line]:
    """What is kept of a file: failures of the moment are taken out of it, to be asked again."""
    lines = [Line.model_validate(line) for line in read_lines(path)]
    kept = {line.prompt: line for line in lines if line.failure is None or line.failure.kind not in RETRIED}
    if len(kept) < len(lines):
        write_whole(path, "".join(line.model_dump_json() + "\n" for line in kept.values()))
    return kept


def _text(vector: Vector) -> str:
    return base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()


def _vector(text: str) -> Vector:
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32)
