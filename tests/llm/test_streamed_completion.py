"""Completions that are heard while they are made, over HTTP, also from servers that fail in the middle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest

from app.core import errors
from app.core.ports import StreamingCompleter
from app.core.values import Completion, Prompt, Role
from app.llm.completer import HttpCompleter
from tests.fixtures.policies import a_policy
from tests.llm import scripted
from tests.llm.conftest import Engine
from tests.llm.scripted import Reply, ScriptedServer
from tests.llm.test_completer_contract import TEXT, a_prompt, closed

REPLY = {"memories": [1, 2], "answer": 'Žilina, 東京 🙂 "quoted" \\ and\nmore'}
SCHEMA = closed({"text": TEXT})
Connect = Callable[..., HttpCompleter]


class Heard:
    """A listener; an event tells that something was heard."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.restarts = 0
        self.something = asyncio.Event()

    def text(self, piece: str) -> None:
        self.pieces.append(piece)
        self.something.set()

    def restart(self) -> None:
        self.pieces.clear()
        self.restarts += 1


@pytest.fixture
async def connect(scripted_server: ScriptedServer) -> AsyncIterator[Connect]:
    made: list[HttpCompleter] = []

    def connect_with(**options: object) -> HttpCompleter:
        settings: dict[str, object] = {"timeout": 30.0, "max_retries": 0, **options}
        made.append(HttpCompleter(scripted_server.base_url, scripted_server.model, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield connect_with
    for completer in made:
        await completer.aclose()


def prompt() -> Prompt:
    return a_prompt(SCHEMA)


def same(one: Completion, other: Completion) -> bool:
    return one.model_copy(update={"seconds": 0.0}) == other.model_copy(update={"seconds": 0.0})


async def test_what_is_heard_is_the_reply_and_the_reply_is_that_of_a_plain_call(
    connect: Connect, scripted_server: ScriptedServer
) -> None:
    scripted_server.on(scripted.says(REPLY))
    completer, heard = connect(), Heard()
    streamed, plain = await completer.stream(prompt(), heard), await completer.complete(prompt())
    assert same(streamed, plain)
    assert "".join(heard.pieces) == streamed.text
    assert len(heard.pieces) > 5
    assert streamed.usage.prompt_tokens > 0


async def test_by_a_policy_that_the_server_has_to_load(connect: Connect, scripted_server: ScriptedServer) -> None:
    scripted_server.adapters = {}
    policy, heard = a_policy("one", weights="1"), Heard()
    streamed = await connect().stream(prompt(), heard, policy)
    assert (streamed.policy, "".join(heard.pieces)) == (policy.label, streamed.text)
    assert policy.model in scripted_server.adapters


async def test_a_reply_that_breaks_off_is_asked_for_anew(connect: Connect, scripted_server: ScriptedServer) -> None:
    scripted_server.on(scripted.says(REPLY))
    scripted_server.on(scripted.breaks_off(REPLY, 4), times=1)
    heard = Heard()
    streamed = await connect(max_retries=1).stream(prompt(), heard)
    assert json.loads(streamed.text) == REPLY
    assert (heard.restarts, heard.pieces) == (1, [])
    assert [call.body.get("stream") for call in scripted_server.calls] == [True, None]


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (scripted.breaks_off(REPLY, 4), errors.ModelUnreachable),
        (Reply(json.dumps(REPLY), pieces=4), errors.ModelOverloaded),
        (scripted.cut_off(), errors.ReplyCutOff),
        (scripted.says("I remember that you moved."), errors.BrokenReply),
        (scripted.says(""), errors.BrokenReply),
        (scripted.garbage(), errors.BrokenReply),
        (Reply(body=b""), errors.BrokenReply),
        (Reply(body=b'data: {"choices": [{"delta": {"content": ["x"]}}]}\n\ndata: [DONE]\n\n'), errors.BrokenReply),
        (Reply(body=b"data: {not json}\n\n"), errors.BrokenReply),
        (scripted.closes(), errors.ModelUnreachable),
        (scripted.fails(500), errors.ModelOverloaded),
        (scripted.fails(400), errors.ModelRefused),
    ],
    ids=[
        "broken off",
        "failing inside",
        "cut off",
        "prose",
        "empty",
        "html",
        "no body",
        "no text",
        "no JSON",
        "closed",
        "500",
        "400",
    ],
)
async def test_what_goes_wrong_is_named(
    connect: Connect, scripted_server: ScriptedServer, broken: Reply, error: type[errors.ModelError]
) -> None:
    scripted_server.on(broken)
    with pytest.raises(error) as raised:
        await connect().stream(prompt(), Heard())
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize("slow", [Reply(json.dumps(REPLY), pieces=3, hangs=True), Reply("x" * 4000, drips=0.05)])
async def test_a_reply_that_does_not_end_times_out(
    connect: Connect, scripted_server: ScriptedServer, slow: Reply
) -> None:
    scripted_server.on(slow)
    heard = Heard()
    with pytest.raises(errors.ModelTimedOut):
        await connect(timeout=0.5).stream(prompt(), heard)
    assert heard.pieces


async def test_who_goes_away_gives_the_place_back_and_ends_the_call(
    connect: Connect, scripted_server: ScriptedServer
) -> None:
    scripted_server.on(Reply(json.dumps(REPLY), pieces=3, hangs=True), times=1)
    completer, heard = connect(concurrency=1), Heard()
    hearing = asyncio.create_task(completer.stream(prompt(), heard))
    await heard.something.wait()
    assert scripted_server.open_calls == 1
    hearing.cancel()
    assert await completer.complete(prompt())
    async with asyncio.timeout(30):
        while scripted_server.open_calls:
            await asyncio.sleep(0.01)


@pytest.mark.vllm
async def test_a_real_server_is_heard_as_it_completes(vllm_engine: Engine) -> None:
    schema = closed({"city": {"const": "Žilina 東京 🙂 Ærø\u00a0"}, "text": TEXT})
    heard, completer = Heard(), vllm_engine.by_role[Role.EXTRACTOR]
    assert isinstance(completer, StreamingCompleter)
    streamed = await completer.stream(a_prompt(schema), heard)
    assert same(streamed, await completer.complete(a_prompt(schema)))
    assert "".join(heard.pieces) == streamed.text
    assert len(heard.pieces) > 1
