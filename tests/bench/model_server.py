"""A scripted model server in a process of its own: OpenAI-compatible chat completions after a fixed time."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from typing import Any

import uvicorn
from fastapi import FastAPI, Request

from app.core.values import Message, Prompt, Role
from tests.fixtures.doubles import add_everything, every_sentence, first_memory

CHARACTERS_PER_TOKEN = 4
REPLY = {Role.EXTRACTOR: every_sentence, Role.MANAGER: add_everything, Role.ANSWERER: first_memory}


def create_server(latency: float) -> FastAPI:
    """The server; `/latency` sets what a call takes, `/counts` tells what was asked since it was last read."""
    app = FastAPI()
    counts: dict[str, dict[str, float]] = {}
    state = {"latency": latency}

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> dict[str, Any]:
        started = time.perf_counter()
        body = await request.json()
        prompt = prompt_of(body)
        text = REPLY[prompt.role](prompt)
        usage = {
            "prompt_tokens": sum(len(m.content) for m in prompt.messages) // CHARACTERS_PER_TOKEN,
            "completion_tokens": len(text) // CHARACTERS_PER_TOKEN,
        }
        await asyncio.sleep(max(0.0, state["latency"] - (time.perf_counter() - started)))
        count = counts.setdefault(prompt.role.value, defaultdict(float))
        for name, value in (("calls", 1), ("seconds", time.perf_counter() - started), *usage.items()):
            count[name] += value
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage["total_tokens"] = sum(usage.values())
        head = {"id": "scripted", "object": "chat.completion", "created": 0, "model": body["model"]}
        return {**head, "choices": [choice], "usage": usage}

    @app.post("/latency/{milliseconds}")
    async def set_latency(milliseconds: float) -> None:
        state["latency"] = milliseconds / 1000

    @app.post("/counts")
    async def take_counts() -> dict[str, dict[str, float]]:
        taken = dict(counts)
        counts.clear()
        return taken

    return app


def prompt_of(body: dict[str, Any]) -> Prompt:
    """The prompt that a request was made from."""
    form = body["response_format"]["json_schema"]
    messages = tuple(Message(**message) for message in body["messages"])
    return Prompt(role=Role(form["name"]), messages=messages, reply_schema=form["schema"], version="")


if __name__ == "__main__":
    uvicorn.run(create_server(0.0), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
