"""The programs in the guides to MCP and to chat completions run as they are written."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.fixtures.chat_model import chat_model
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.live import live_in_thread

DOCS = Path(__file__).parents[2] / "docs"
_PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)


def programs(page: str, url: str) -> list[str]:
    """The page's programs, at another address."""
    found = [program.replace("http://127.0.0.1:8080", url) for program in _PROGRAM.findall((DOCS / page).read_text())]
    assert found and all(url in program for program in found)
    return found


def run(program: str) -> None:
    exec(compile(program, "guide", "exec"), {"__name__": "__main__"})


async def test_the_mcp_guide(
    settings: Settings,
    completer: ScriptedCompleter,
    embedder: HashEmbedder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with live_in_thread(settings, completer, embedder) as url:
        for program in programs("mcp.md", url):
            await asyncio.to_thread(run, program)
    assert capsys.readouterr().out == "Alice adopted a dog named Buddy.\n"


async def test_the_chat_guide(
    settings: Settings,
    completer: ScriptedCompleter,
    embedder: HashEmbedder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with chat_model() as model:
        chat = settings.chat.model_copy(
            update={"base_url": model.url, "api_key": SecretStr("k"), "models": ["Qwen/Qwen2.5-7B-Instruct"]}
        )
        with live_in_thread(settings.model_copy(update={"chat": chat}), completer, embedder) as url:
            for program in programs("chat-proxy.md", url):
                await asyncio.to_thread(run, program)
        assert capsys.readouterr().out == f"{model.reply}\n"
