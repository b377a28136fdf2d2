"""The completer in the service's own process: many callers, one thread."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.errors import ModelRefused, ModelUnreachable, ReplyCutOff
from app.core.values import Role
from app.local.engine import Hearing, LocalCompleter
from tests.local.prompts import a_prompt, closed, text

ENDLESS = a_prompt("Endless.", closed({"text": text(50_000, 60_000)}), role=Role.MANAGER)
"""A reply that takes far longer than any test waits."""
LIMITS = {Role.EXTRACTOR: 200, Role.MANAGER: 6000, Role.ANSWERER: 10}


@pytest.fixture
async def completer(tiny_model_dir: Path) -> AsyncIterator[LocalCompleter]:
    """One place in the batch, so that calls wait for each other."""
    completer = LocalCompleter(tiny_model_dir, name="tiny", max_batch=1, max_tokens=LIMITS)
    await completer.start()
    yield completer
    await completer.aclose()


async def test_more_calls_than_places_are_all_answered(tiny_model_dir: Path) -> None:
    completer = LocalCompleter(tiny_model_dir, max_batch=3, max_tokens=200)
    await completer.start()
    prompts = [a_prompt(f"Number {n}. " * n, closed({"number": {"const": n}, "text": text()})) for n in range(10)]
    completions = await asyncio.gather(*[completer.complete(prompt) for prompt in prompts])
    assert [json.loads(completion.text)["number"] for completion in completions] == list(range(10))
    await completer.aclose()


async def test_a_completion_tells_policy_usage_and_time(completer: LocalCompleter) -> None:
    completion = await completer.complete(a_prompt())
    assert completion.policy == "tiny"
    assert completion.usage.prompt_tokens > 100
    assert 0 < completion.usage.completion_tokens <= LIMITS[Role.EXTRACTOR]
    assert completion.seconds > 0


async def test_each_role_has_its_limit(completer: LocalCompleter) -> None:
    schema = closed({"text": text(100, 120)})
    await completer.complete(a_prompt(schema=schema))
    with pytest.raises(ReplyCutOff, match="10 tokens"):
        await completer.complete(a_prompt(schema=schema, role=Role.ANSWERER))


async def test_a_cancelled_call_leaves_its_place_to_the_next(completer: LocalCompleter) -> None:
    endless = asyncio.create_task(completer.complete(ENDLESS))
    await asyncio.sleep(0.2)
    endless.cancel()
    async with asyncio.timeout(20):
        assert await completer.complete(a_prompt())


async def test_a_call_cancelled_before_it_starts_is_skipped(completer: LocalCompleter) -> None:
    running = asyncio.create_task(completer.complete(ENDLESS))
    await asyncio.sleep(0.2)
    waiting = [asyncio.create_task(completer.complete(ENDLESS)) for _ in range(5)]
    last = asyncio.create_task(completer.complete(a_prompt()))
    await asyncio.sleep(0)
    for call in (*waiting, running):
        call.cancel()
    async with asyncio.timeout(20):
        assert await last


async def test_the_event_loop_stays_free(completer: LocalCompleter) -> None:
    call = asyncio.create_task(completer.complete(ENDLESS))
    loop, longest = asyncio.get_running_loop(), 0.0
    for _ in range(50):
        before = loop.time()
        await asyncio.sleep(0.01)
        longest = max(longest, loop.time() - before)
    call.cancel()
    assert longest < 0.5


async def test_one_refused_call_leaves_the_next_alone(completer: LocalCompleter) -> None:
    for refused in (a_prompt("word " * 9000), a_prompt(schema={"type": "object", "propertyNames": 3})):
        with pytest.raises(ModelRefused):
            await completer.complete(refused)
    assert await completer.complete(a_prompt())


async def test_closing_fails_what_runs_and_what_waits(tiny_model_dir: Path) -> None:
    completer = LocalCompleter(tiny_model_dir, max_batch=1, max_tokens=6000)
    await completer.start()
    calls = [asyncio.create_task(completer.complete(ENDLESS)) for _ in range(3)]
    await asyncio.sleep(0.2)
    async with asyncio.timeout(20):
        await completer.aclose()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [ModelUnreachable] * 3
    with pytest.raises(ModelUnreachable):
        await completer.complete(a_prompt())


async def test_a_call_before_the_start_is_unreachable(tiny_model_dir: Path) -> None:
    completer = LocalCompleter(tiny_model_dir)
    with pytest.raises(ModelUnreachable):
        await completer.complete(a_prompt())
    await completer.aclose()


async def test_a_folder_without_a_model_fails_the_start(tmp_path: Path) -> None:
    completer = LocalCompleter(tmp_path)
    with pytest.raises((OSError, ValueError)):
        await completer.start()
    await completer.aclose()


def test_importing_the_engine_does_not_import_torch() -> None:
    program = "import sys, app.local.engine; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


class Heard:
    """A listener."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.something = asyncio.Event()

    def text(self, piece: str) -> None:
        self.pieces.append(piece)
        self.something.set()

    def restart(self) -> None:
        raise AssertionError


async def test_a_reply_is_heard_as_it_is_decoded(completer: LocalCompleter) -> None:
    heard = Heard()
    streamed = await completer.stream(a_prompt(), heard)
    plain = await completer.complete(a_prompt())
    assert "".join(heard.pieces) == streamed.text == plain.text
    assert len(heard.pieces) > 1
    assert (streamed.usage, streamed.policy) == (plain.usage, plain.policy)


async def test_a_listener_that_goes_away_leaves_its_place_to_the_next(completer: LocalCompleter) -> None:
    heard = Heard()
    hearing = asyncio.create_task(completer.stream(ENDLESS, heard))
    async with asyncio.timeout(60):
        await heard.something.wait()
        hearing.cancel()
        assert await completer.complete(a_prompt())
    with pytest.raises(asyncio.CancelledError):
        await hearing


async def test_bytes_of_one_character_in_several_tokens_are_heard_as_one() -> None:
    text = '{"answer":"Žilina 東京 🙂"}'
    row: Any = SimpleNamespace(reply=[], grammar=SimpleNamespace(bytes_of=bytes))
    heard = Heard()
    hearing = Hearing(heard)
    for byte in text.encode():
        row.reply.append(byte)
        hearing.tell(row)
    await asyncio.sleep(0)
    assert heard.pieces == list(text)
