"""How the HTTP completer meets servers that fail; each failure is a named error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from pydantic import SecretStr

from app.core import errors
from app.core.values import Message, Prompt, Role
from app.llm.completer import HttpCompleter
from tests.fixtures.model_servers import free_port
from tests.llm import scripted
from tests.llm.scripted import Reply, ScriptedServer

SCHEMA = {
    "type": "object",
    "properties": {"facts": {"type": "array", "items": {"type": "string", "maxLength": 40}, "maxItems": 3}},
    "required": ["facts"],
    "additionalProperties": False,
}
Connect = Callable[..., HttpCompleter]


def a_prompt(said: str = "I moved.", role: Role = Role.EXTRACTOR) -> Prompt:
    messages = (Message(role="system", content="Read facts."), Message(role="user", content=said))
    return Prompt(role=role, messages=messages, reply_schema=SCHEMA, version="test")


@pytest.fixture
async def connect(scripted_server: ScriptedServer) -> AsyncIterator[Connect]:
    """Makes completers of the scripted server, closed at the end."""
    made: list[HttpCompleter] = []

    def connect_with(base_url: str | None = None, **options: object) -> HttpCompleter:
        settings: dict[str, object] = {"timeout": 10.0, "max_retries": 0, **options}
        made.append(HttpCompleter(base_url or scripted_server.base_url, scripted_server.model, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield connect_with
    for completer in made:
        await completer.aclose()


async def test_it_sends_messages_schema_sampling_and_key(connect: Connect, scripted_server: ScriptedServer) -> None:
    completer = connect(api_key=SecretStr("sk-1"), temperature=0.5, top_p=0.9, max_tokens=77)
    completion = await completer.complete(a_prompt("I moved to Žilina."))
    [call] = scripted_server.calls
    assert completion.text == '{"facts":[]}'
    assert call.messages[1] == {"role": "user", "content": "I moved to Žilina."}
    assert (call.schema, call.role, call.authorization) == (SCHEMA, "extractor", "Bearer sk-1")
    assert [call.body[name] for name in ("temperature", "top_p", "max_tokens", "model")] == [0.5, 0.9, 77, "scripted"]


async def test_a_server_that_nobody_runs_is_unreachable(connect: Connect) -> None:
    with pytest.raises(errors.ModelUnreachable):
        await connect(f"http://127.0.0.1:{free_port()}/v1").complete(a_prompt())


async def test_a_server_that_hangs_up_is_unreachable(connect: Connect, scripted_server: ScriptedServer) -> None:
    scripted_server.on(scripted.closes())
    with pytest.raises(errors.ModelUnreachable):
        await connect().complete(a_prompt())


async def test_a_server_that_hangs_times_out(connect: Connect, scripted_server: ScriptedServer) -> None:
    scripted_server.on(scripted.hangs())
    with pytest.raises(errors.ModelTimedOut):
        await connect(timeout=0.2).complete(a_prompt())


async def test_a_refusal_names_the_status_without_the_servers_words_and_is_not_retried(
    connect: Connect, scripted_server: ScriptedServer
) -> None:
    scripted_server.on(scripted.fails(400, "prompt too long: 'I keep SECRET cats.'"))
    with pytest.raises(errors.ModelRefused, match=r"^Status 400 from the model server \S+\.$"):
        await connect(max_retries=2).complete(a_prompt())
    assert len(scripted_server.calls) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 422])
async def test_other_client_errors_are_refusals(connect: Connect, scripted_server: ScriptedServer, status: int) -> None:
    scripted_server.on(scripted.fails(status))
    with pytest.raises(errors.ModelRefused):
        await connect().complete(a_prompt())


async def test_an_overloaded_server_is_tried_again_when_it_says(
    connect: Connect, scripted_server: ScriptedServer
) -> None:
    scripted_server.on(scripted.fails(429, retry_after=1.5), times=1)
    completion = await connect(max_retries=1).complete(a_prompt())
    first, second = scripted_server.calls
    assert completion.text == '{"facts":[]}'
    assert 1.5 <= second.at - first.at < 5


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_that_stays_broken_is_overloaded_after_the_retries(
    connect: Connect, scripted_server: ScriptedServer, status: int
) -> None:
    scripted_server.on(scripted.fails(status, retry_after=0.01))
    with pytest.raises(errors.ModelOverloaded, match=str(status)):
        await connect(max_retries=2).complete(a_prompt())
    assert len(scripted_server.calls) == 3


@pytest.mark.parametrize("broken", [scripted.fails(500), scripted.closes()], ids=["500", "closed"])
async def test_one_failure_is_retried(connect: Connect, scripted_server: ScriptedServer, broken: Reply) -> None:
    scripted_server.on(broken, times=1)
    completion = await connect(max_retries=1).complete(a_prompt())
    assert completion.text == '{"facts":[]}'
    assert len(scripted_server.calls) == 2


async def test_a_reply_at_the_length_limit_is_cut_off(connect: Connect, scripted_server: ScriptedServer) -> None:
    scripted_server.on(scripted.cut_off())
    with pytest.raises(errors.ReplyCutOff):
        await connect().complete(a_prompt())


@pytest.mark.parametrize(
    "broken",
    [
        scripted.says("I remember that you moved."),
        scripted.says(""),
        scripted.garbage(),
        Reply(body=b"{}"),
        Reply(body=b'{"choices": []}'),
        Reply(body=b"[]"),
        Reply(body=b""),
    ],
    ids=["prose", "empty", "html", "no choices", "empty choices", "a list", "no body"],
)
async def test_a_reply_of_another_form_is_broken(
    connect: Connect, scripted_server: ScriptedServer, broken: Reply
) -> None:
    scripted_server.on(broken)
    with pytest.raises(errors.BrokenReply):
        await connect().complete(a_prompt())


async def test_only_so_many_calls_are_open_at_once(connect: Connect, scripted_server: ScriptedServer) -> None:
    scripted_server.on(scripted.hangs())
    completer = connect(concurrency=3)
    calls = [asyncio.create_task(completer.complete(a_prompt())) for _ in range(8)]
    await asyncio.sleep(0.5)
    assert scripted_server.open_calls == len(scripted_server.calls) == 3
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_cancelled_call_gives_its_place_back(connect: Connect, scripted_server: ScriptedServer) -> None:
    scripted_server.on(scripted.hangs(), times=1)
    completer = connect(concurrency=1)
    hanging = asyncio.create_task(completer.complete(a_prompt()))
    await asyncio.sleep(0.2)
    hanging.cancel()
    assert (await completer.complete(a_prompt())).text == '{"facts":[]}'


async def test_replies_can_be_scripted_by_role_pattern_and_function(
    connect: Connect, scripted_server: ScriptedServer
) -> None:
    scripted_server.on(scripted.says({"facts": ["answer"]}), role=Role.ANSWERER)
    scripted_server.on(lambda messages: scripted.says({"facts": [messages[-1]["content"]]}), matching="^Zoë")
    completer = connect()
    prompts = [a_prompt(), a_prompt(role=Role.ANSWERER), a_prompt("Zoë moved.")]
    replies = [(await completer.complete(prompt)).text for prompt in prompts]
    assert replies == ['{"facts":[]}', '{"facts": ["answer"]}', '{"facts": ["Zoë moved."]}']
