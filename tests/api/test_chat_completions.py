"""The official OpenAI client talks to the service instead of its chat model: what it gets, and what is remembered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, OpenAI
from pydantic import SecretStr
from starlette.responses import JSONResponse, StreamingResponse

from app.core.errors import ModelUnreachable
from app.core.values import Vector
from app.db.engine import Sessions
from app.services import keys
from app.services.callers import Scope
from app.services.chat import Chat
from app.services.service import Service
from app.settings import Settings
from tests.fixtures.chat_model import ChatModel, chat_model, completion, events, streamed
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.live import live
from tests.fixtures.tenants import guarded, key_of

__all__ = ["guarded"]

BUDDY = "I adopted a dog named Buddy."
Open = Callable[..., Any]


@pytest_asyncio.fixture
async def model() -> AsyncIterator[ChatModel]:
    async with chat_model() as model:
        yield model


def chatting(settings: Settings, model: ChatModel, **chat: Any) -> Settings:
    """Settings that forward to the chat model."""
    update = {"base_url": model.url, "api_key": SecretStr("upstream-key"), "models": ["m", "org/n"], **chat}
    return settings.model_copy(update={"chat": settings.chat.model_copy(update=update)})


@pytest_asyncio.fixture
async def url(
    settings: Settings, model: ChatModel, completer: ScriptedCompleter, embedder: HashEmbedder
) -> AsyncIterator[str]:
    async with live(chatting(settings, model), completer, embedder) as url:
        yield url


def client_of(url: str, bank: str | None = "alice", key: str = "none", **headers: str) -> AsyncOpenAI:
    if bank is not None:
        headers["X-Memory-Bank"] = bank
    return AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, default_headers=headers)


def said(*texts: str) -> list[Any]:
    """A history: the user and the assistant take turns."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


async def turns(url: str, bank: str = "alice", headers: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """What was said in a bank, once all of it was worked on."""
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        while True:
            listed = (await client.get(f"/v1/banks/{bank}/turns")).json().get("turns", [])
            if all(turn["state"] in ("done", "failed") for turn in listed):
                return [(turn["speaker"], turn["text"]) for turn in listed]
            await asyncio.sleep(0.05)


async def chat(url: str, *texts: str, bank: str | None = "alice", **more: Any) -> Any:
    async with client_of(url, bank, **more.pop("headers", {})) as client:
        got: Any = await client.chat.completions.create(model="m", messages=said(*texts), **more)
        return [chunk async for chunk in got] if more.get("stream") else got


async def test_what_one_conversation_said_is_in_the_prompt_of_the_next(url: str, model: ChatModel) -> None:
    await chat(url, BUDDY)
    assert model.notes == ""
    assert await turns(url) == [("User", BUDDY), ("Assistant", "Noted, Alice.")]
    system = {"role": "system", "content": "Be brief."}
    question = {"role": "user", "content": [{"type": "text", "text": "Which dog did I adopt?"}]}
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    more = {"tools": tools, "temperature": 0.5, "seed": 7, "extra_body": {"top_k": 3, "odd": {"ü": [1.5, None]}}}
    async with client_of(url) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="m",
            messages=[system, question],
            user="someone else",
            **more,  # type: ignore[call-overload]
        )
    sent = model.bodies[-1]
    assert "adopted a dog named Buddy" in model.notes and "not an instruction" in model.notes
    assert sent["messages"] == [system, {"role": "system", "content": model.notes}, question]
    expected = {"tools": tools, "temperature": 0.5, "seed": 7, "top_k": 3, "odd": {"ü": [1.5, None]}}
    assert {name: sent[name] for name in expected} == expected and sent["user"] == "someone else"
    assert json.loads(raw.content) == completion({"content": model.reply})
    told = {
        name: raw.headers[name]
        for name in ("x-memory-bank", "x-memory-recalled", "x-memory-stored", "x-upstream-request-id")
    }
    assert told["x-memory-bank"] == "alice" and int(told["x-memory-recalled"]) >= 1
    assert (told["x-memory-stored"], told["x-upstream-request-id"]) == ("2", "r1")
    # The model's server gets its own key, and nothing that the client sent as a header.
    assert model.headers[-1]["authorization"] == "Bearer upstream-key"
    assert not [name for name in model.headers[-1] if name.startswith(("x-memory", "x-stainless"))]


def test_the_synchronous_client_streams(
    settings: Settings, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    async def run() -> None:
        async with chat_model() as model, live(chatting(settings, model), completer, embedder) as url:

            def ask() -> list[Any]:
                with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
                    options: Any = {"include_usage": True}
                    stream = client.chat.completions.create(
                        model="m", messages=said(BUDDY), stream=True, stream_options=options, user="alice"
                    )
                    return list(stream)

            chunks = await asyncio.to_thread(ask)
            text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
            assert text.strip() == model.reply and chunks[-1].usage.total_tokens == 5
            assert model.bodies[-1]["stream_options"] == {"include_usage": True}
            assert await turns(url) == [("User", BUDDY), ("Assistant", model.reply)]

    asyncio.run(run())


async def test_a_stream_is_the_models_byte_by_byte_and_is_stored_when_it_ends(url: str, model: ChatModel) -> None:
    model.reply = "Grüße an Büddy, 你好"
    body = {"model": "m", "messages": said(BUDDY), "stream": True}
    headers = {"x-memory-bank": "alice"}
    async with (
        httpx.AsyncClient(base_url=url) as client,
        client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as got,
    ):
        assert got.headers["content-type"].startswith("text/event-stream")
        received = b""
        async for chunk in got.aiter_bytes():
            received += chunk
            if received.endswith(b"data: [DONE]\n\n"):
                listed = (await client.get("/v1/banks/alice/turns")).json()["turns"]
                assert [turn["text"] for turn in listed] == [BUDDY, model.reply]
    assert received == model.sent


async def test_a_history_that_is_sent_again_stores_nothing_twice(url: str, model: ChatModel) -> None:
    history = [BUDDY]
    for reply, then in (("Lovely.", "He likes tea."), ("Really?", "Yes."), ("I see.", "")):
        model.reply = reply
        # The client's own retries, at once and later; the model says something else by then.
        await asyncio.gather(*(chat(url, *history) for _ in range(3)))
        model.reply = "Something else."
        await chat(url, *history)
        history += [reply, then]
    expected = [("User", BUDDY), ("Assistant", "Lovely."), ("User", "He likes tea."), ("Assistant", "Really?")]
    assert await turns(url) == [*expected, ("User", "Yes."), ("Assistant", "I see.")]
    # A message that was edited is another one.
    await chat(url, "I adopted a cat.")
    assert (await turns(url))[-2:] == [("User", "I adopted a cat."), ("Assistant", "Something else.")]


async def test_the_same_words_in_conversations_with_names_are_said_twice(url: str, model: ChatModel) -> None:
    for name in ("monday", "monday", "tuesday"):
        await chat(url, "I ran 5 km.", extra_headers={"X-Memory-Conversation": name})
    assert [text for speaker, text in await turns(url) if speaker == "User"] == ["I ran 5 km."] * 2


async def test_without_names_the_same_words_count_again_after_a_while(
    settings: Settings, model: ChatModel, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    # So short that every request falls two periods after the one before.
    async with live(chatting(settings, model, same_message_hours=1e-5), completer, embedder) as url:
        await chat(url, "I ran 5 km.")
        await asyncio.sleep(0.1)
        await chat(url, "I ran 5 km.")
        assert len(await turns(url)) == 4


async def test_a_retry_is_known_again_where_one_period_ends_and_the_next_begins(service: Service) -> None:
    caller = await keys.default_caller(service.sessions)
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    for hours, expected in ((0, 2), (0.99, 0), (1.01, 0), (-0.01, 0), (2.01, 2)):
        received = noon + timedelta(hours=hours)
        one = Chat(service, caller, "alice", said(BUDDY), None, stores=True, received=received)
        await one.store("Lovely.")
        assert (one.stored, one.failures) == (expected, []), hours


async def test_tools_are_called_and_the_turn_is_stored_once(url: str, model: ChatModel) -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    model.respond = lambda body: streamed(
        events([{"role": "assistant", "content": "Let me look."}, {"tool_calls": [{"index": 0, **call}]}], "tool_calls")
    )
    async with client_of(url) as client:
        stream = await client.chat.completions.create(model="m", messages=said(BUDDY), stream=True)
        calls = [c.choices[0].delta.tool_calls async for c in stream if c.choices and c.choices[0].delta.tool_calls]
        assert calls[0] and calls[0][0].function and calls[0][0].function.name == "look"
        assert await turns(url) == [("User", BUDDY)]
        model.respond = lambda body: None
        asked: list[Any] = [
            *said(BUDDY),
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "t1", "content": "It barks."},
        ]
        await client.chat.completions.create(model="m", messages=asked)
    assert model.messages[-3:] == asked
    assert await turns(url) == [("User", BUDDY), ("Assistant", model.reply)]


async def test_a_name_tells_who_speaks_and_long_messages_become_several_turns(url: str, model: ChatModel) -> None:
    model.reply = "word " * 9000
    long: Any = {"role": "user", "content": "tea " * 3000, "name": "Alice"}
    async with client_of(url) as client:
        await client.chat.completions.create(model="m", messages=[long])
        await client.chat.completions.create(model="m", messages=[long], extra_headers={"X-Memory-Mode": "read"})
    told = await turns(url)
    assert [speaker for speaker, _ in told] == ["Alice"] * 2 + ["Assistant"] * 4
    assert "".join(text for speaker, text in told if speaker == "Alice").count("tea") == 3000


async def test_where_only_reading_is_wanted_nothing_is_stored(url: str, model: ChatModel) -> None:
    await chat(url, BUDDY)
    await turns(url)
    await chat(url, "Make a title for: my dog Buddy", extra_headers={"X-Memory-Mode": "read"})
    assert "Buddy" in model.notes and len(await turns(url)) == 2


async def test_the_models_errors_are_passed_on_and_nothing_is_stored(url: str, model: ChatModel) -> None:
    fault = {"error": {"message": "too long", "type": "invalid_request_error", "param": "messages", "code": "long"}}
    model.respond = lambda body: JSONResponse(fault, 400)
    with pytest.raises(openai.BadRequestError) as refused:
        await chat(url, BUDDY)
    assert refused.value.body == fault["error"]
    model.respond = lambda body: JSONResponse({"object": "error", "message": "busy"}, 429, {"Retry-After": "7"})
    with pytest.raises(openai.RateLimitError, match="busy") as busy:
        await chat(url, BUDDY, stream=True)
    assert busy.value.response.headers["retry-after"] == "7"
    # A wrong key of the service's own is not the client's fault, nor its business.
    model.respond = lambda body: JSONResponse({"error": {"message": "wrong key upstream-key"}}, 401)
    with pytest.raises(openai.InternalServerError) as wrong:
        await chat(url, BUDDY)
    assert wrong.value.status_code == 502 and "upstream-key" not in str(wrong.value.body)
    for status in (302, 500, 503):
        model.respond = lambda body, status=status: JSONResponse("<html>", status)  # type: ignore[misc]
        with pytest.raises(openai.InternalServerError) as failed:
            await chat(url, BUDDY)
        assert failed.value.status_code == (502 if status == 302 else status)
        assert failed.value.body is not None
    assert await turns(url) == []


@pytest.mark.parametrize("after", [0, 3])
async def test_a_reply_that_breaks_off_is_not_stored_but_the_question_is(
    after: int, url: str, model: ChatModel
) -> None:
    model.breaks_after = after
    with pytest.raises(openai.APIError):
        await chat(url, BUDDY, stream=True)
    assert await turns(url) == [("User", BUDDY)]
    model.breaks_after = None
    await chat(url, BUDDY, stream=True)
    assert await turns(url) == [("User", BUDDY), ("Assistant", model.reply)]


async def test_a_whole_reply_that_breaks_off_leaves_its_question_too(url: str, model: ChatModel) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b'{"choices": [{"message": {"content": "No'
        raise ConnectionError("scripted")

    model.respond = lambda body: StreamingResponse(half(), media_type="application/json")
    with pytest.raises(openai.InternalServerError) as broken:
        await chat(url, BUDDY)
    assert broken.value.status_code == 503
    assert await turns(url) == [("User", BUDDY)]


async def test_a_client_that_goes_away_leaves_its_question_and_its_place(
    settings: Settings, model: ChatModel, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    model.hangs_after = 2
    body = {"model": "m", "messages": said(BUDDY), "stream": True, "user": "alice"}
    async with live(chatting(settings, model, concurrency=1), completer, embedder) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            async with client.stream("POST", "/v1/chat/completions", json=body) as got:
                chunks = got.aiter_bytes()
                await anext(chunks)
                with pytest.raises(openai.RateLimitError, match="as many chats"):
                    await chat(url, "He likes tea.")
            async with asyncio.timeout(30):
                while not (told := await turns(url)):
                    await asyncio.sleep(0.05)
        assert told == [("User", BUDDY)]
        await chat(url, BUDDY)
        assert await turns(url) == [("User", BUDDY), ("Assistant", model.reply)]


class FailingEmbedder(HashEmbedder):
    """Fails while it is told to."""

    fails = False

    async def embed(self, texts: Any) -> list[Vector]:
        if self.fails:
            raise ModelUnreachable()
        return await super().embed(texts)


@pytest.mark.parametrize("strict", [False, True])
async def test_a_memory_that_fails_never_breaks_a_chat_unless_that_is_wanted(
    strict: bool, settings: Settings, model: ChatModel, completer: ScriptedCompleter, sessions: Sessions
) -> None:
    embedder = FailingEmbedder()
    server = settings.server.model_copy(update={"require_key": True})
    chosen = chatting(settings.model_copy(update={"server": server}), model, strict=strict)
    secret = (await key_of(sessions, "acme", Scope.WRITE, ("alice",), turns_per_day=1))["authorization"][7:]
    async with live(chosen, completer, embedder) as url, client_of(url, None, secret) as client:
        create = client.chat.completions.with_raw_response.create
        # A turn a day: the user's is stored, and both together are too many.
        if strict:
            with pytest.raises(openai.RateLimitError):
                await create(model="m", messages=said(BUDDY))
            calls = len(model.bodies)
            embedder.fails = True
            with pytest.raises(openai.InternalServerError) as failed:
                await create(model="m", messages=said("And now?"))
            assert failed.value.status_code == 503
            assert len(model.bodies) == calls
            return
        full = await create(model="m", messages=said(BUDDY))
        assert (full.headers["x-memory-error"], full.headers["x-memory-stored"]) == ("store; quota-exceeded", "0")
        stream = await client.chat.completions.with_raw_response.create(model="m", messages=said(BUDDY), stream=True)
        received = b"".join([chunk async for chunk in stream.http_response.aiter_bytes()])
        assert b": X-Memory-Error: store; quota-exceeded\n\ndata: [DONE]\n\n" in received
        await create(model="m", messages=said("I run."), extra_headers={"X-Memory-Mode": "read"})
        async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {secret}"}) as http:
            await http.post("/v1/banks/alice/turns", json={"turns": [{"speaker": "A", "text": "x"}]})
        embedder.fails = True
        without = await create(model="m", messages=said("And now?"), extra_headers={"X-Memory-Mode": "read"})
        assert without.headers["x-memory-error"] == "recall; model-unreachable"
        assert json.loads(without.content)["choices"][0]["message"]["content"] == model.reply


async def test_keys_reach_their_own_banks_only(
    guarded: Settings, model: ChatModel, completer: ScriptedCompleter, embedder: HashEmbedder, sessions: Sessions
) -> None:
    async def key(tenant: str, *more: Any, **limits: Any) -> str:
        return (await key_of(sessions, tenant, *more, **limits))["authorization"][7:]

    async with live(chatting(guarded, model), completer, embedder) as url:
        acme, rival = await key("acme"), await key("rival")
        own = await key("acme", Scope.WRITE, ("alice",))
        await chat(url, BUDDY, headers={"key": acme})
        assert len(await turns(url, headers={"authorization": f"Bearer {acme}"})) == 2
        question = "Which dog named Buddy?"
        await chat(url, question, headers={"key": rival}, extra_headers={"X-Memory-Mode": "read"})
        assert model.notes == ""
        # A key for one bank needs to name none.
        await chat(url, question, bank=None, headers={"key": own})
        assert "Buddy" in model.notes
        calls = len(model.bodies)
        with pytest.raises(openai.PermissionDeniedError):
            await chat(url, question, bank="bob", headers={"key": own})
        with pytest.raises(openai.PermissionDeniedError):
            await chat(url, question, bank=None, user="bob", headers={"key": own})
        with pytest.raises(openai.BadRequestError, match="X-Memory-Bank"):
            await chat(url, question, bank=None, headers={"key": acme})
        with pytest.raises(openai.BadRequestError):
            await chat(url, question, bank="no such name!", headers={"key": acme})
        with pytest.raises(openai.PermissionDeniedError):
            await chat(url, question, headers={"key": await key("acme", Scope.READ)})
        with pytest.raises(openai.AuthenticationError) as unknown:
            await chat(url, question, headers={"key": "mr1_x"})
        assert isinstance(unknown.value.body, dict) and unknown.value.body["code"] == "unauthenticated"
        async with httpx.AsyncClient(base_url=f"{url}/v1") as http:
            for bearer in ({}, {"authorization": "Bearer none"}, {"authorization": "Bearer mr1_x"}):
                for method, path in (("POST", "chat/completions"), ("GET", "models"), ("GET", "models/m")):
                    refused = await http.request(method, path, json={"messages": said(question)}, headers=bearer)
                    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthenticated")
                    assert refused.headers["www-authenticate"] == "Bearer"
        few = await key("few", requests_per_minute=1)
        await chat(url, question, headers={"key": few})
        with pytest.raises(openai.RateLimitError) as limited:
            await chat(url, question, headers={"key": few})
        assert int(limited.value.response.headers["retry-after"]) >= 1
        asked = await key("asked", questions_per_day=1)
        await chat(url, question, headers={"key": asked})
        with pytest.raises(openai.RateLimitError):
            await chat(url, question, headers={"key": asked})
        assert len(model.bodies) == calls + 2


async def test_only_the_models_that_are_let_through_are_there(
    settings: Settings, model: ChatModel, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    chosen = chatting(settings, model, aliases={"gpt-4o": "m"})
    async with live(chosen, completer, embedder) as url, client_of(url) as client:
        assert [one.id async for one in client.models.list()] == ["m", "org/n", "gpt-4o"]
        assert (await client.models.retrieve("org/n")).id == "org/n"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("other")
        with pytest.raises(openai.NotFoundError, match="/v1/models"):
            await client.chat.completions.create(model="other", messages=said("Hi."))
        await client.chat.completions.create(model="gpt-4o", messages=said("Hi."))
    assert [body["model"] for body in model.bodies] == ["m"]


async def test_without_a_chat_model_it_says_what_is_needed(live_url: str) -> None:
    with pytest.raises(openai.BadRequestError, match="MEMORY_R1_CHAT__BASE_URL"):
        await chat(live_url, BUDDY)
    async with client_of(live_url) as client:
        assert [one async for one in client.models.list()] == []


async def test_a_chat_model_that_is_away_is_said_to_be(
    settings: Settings, model: ChatModel, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    away = chatting(settings, model, base_url="http://127.0.0.1:1/v1")
    async with live(away, completer, embedder) as url:
        with pytest.raises(openai.InternalServerError) as failed:
            await chat(url, BUDDY)
    assert failed.value.status_code == 503 and failed.value.response.headers["retry-after"]


async def test_hostile_bodies_are_refused_in_openais_words(
    settings: Settings, model: ChatModel, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    hello = '{"role": "user", "content": "Hi."}'
    bodies = [b"", b"{", b"[]", b"7", b"\xff", b'{"messages": ' + b"[" * 90_000, b'{"model": "m"}', b'{"messages": []}']
    no_messages: list[Any] = ["x", {}, [7], [{}], [{"role": 7}], [None]]
    bodies += [json.dumps({"messages": messages}).encode() for messages in no_messages]
    bodies += [f'{{"messages": [{hello}], {more}}}'.encode() for more in ('"t": NaN', '"t": Infinity', '"model": 7')]
    bodies += [
        f'{{"messages": [{hello}], "deep": {"[" * 700}{"]" * 700}}}'.encode(),
        b'{"a": "' + b"x" * 200_000 + b'"}',
    ]
    server = settings.server.model_copy(update={"max_body_bytes": 150_000})
    chosen = chatting(settings.model_copy(update={"server": server}), model)
    async with live(chosen, completer, embedder) as url, httpx.AsyncClient(base_url=f"{url}/v1") as client:
        headers = {"content-type": "application/json", "x-memory-bank": "alice"}
        for body in bodies:
            response = await client.post("/chat/completions", content=body, headers=headers)
            if response.status_code == 200:
                assert b"deep" in body
                continue
            assert response.status_code in (400, 404, 413, 415), (body[:60], response.text[:200])
            assert response.json()["error"].keys() == {"message", "type", "param", "code"}
        # What a web page could send without asking.
        page = await client.post(
            "/chat/completions",
            content=f'{{"messages": [{hello}]}}'.encode(),
            headers={**headers, "content-type": "text/plain"},
        )
        assert page.status_code == 415 and page.json()["error"]["code"] == "not-json"
        long = await client.post(
            "/chat/completions", json={"messages": said("Hi.")}, headers={**headers, "x-memory-conversation": "x" * 300}
        )
        assert long.status_code == 400
        odd: dict[str, Any] = {"messages": [{"role": "user", "content": "I like \x00 tea \ud800."}]}
        stored = await client.post("/chat/completions", content=json.dumps(odd).encode(), headers=headers)
        assert stored.headers["x-memory-stored"] == "2"
        assert model.messages[-1]["content"] == "I like \x00 tea \ud800."
        assert (await turns(url))[-2][1] == "I like  tea ?."
