"""The chatbots of `examples/`: what the first run is told, the second knows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.sdk.node import ROOT, TYPESCRIPT, built_typescript, run_node

EXAMPLES = ROOT / "examples"
MOST_LINES = 45
"""Of a chatbot, comments and blank lines left out."""


def test_the_python_chatbot_remembers_across_restarts(url: str, key: str) -> None:
    program = EXAMPLES / "python_chatbot.py"
    environment = os.environ | {"MEMORY_R1_URL": url, "MEMORY_R1_KEY": key, "CHAT_USER": "alice"}

    def chat(said: str) -> str:
        command = [sys.executable, str(program)]
        ran = subprocess.run(
            command, env=environment, input=said, capture_output=True, text=True, timeout=120, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout

    assert "not told me anything" in chat("Which dog do I have?\n")
    assert "I will remember" in chat("I adopted a dog named Buddy.\n")
    assert "User adopted a dog named Buddy." in chat("\nWhich dog do I have?\n")
    assert lines_of(program) <= MOST_LINES


def test_the_typescript_chatbot_remembers_across_restarts(url: str, key: str, tmp_path: Path) -> None:
    built_typescript()
    for name in ("typescript_chatbot.ts", "package.json"):
        shutil.copy(EXAMPLES / name, tmp_path)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/memory-r1-client").symlink_to(TYPESCRIPT)
    variables = {"MEMORY_R1_URL": url, "MEMORY_R1_KEY": key, "CHAT_USER": "alice"}

    def chat(said: str) -> str:
        ran = run_node(["node", "typescript_chatbot.ts"], tmp_path, variables, said)
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout

    assert "not told me anything" in chat("Which dog do I have?\n")
    assert "I will remember" in chat("I adopted a dog named Buddy.\n")
    assert "User adopted a dog named Buddy." in chat("\nWhich dog do I have?\n")
    assert lines_of(EXAMPLES / "typescript_chatbot.ts") <= MOST_LINES


def lines_of(program: Path) -> int:
    """Lines that are neither empty nor comments."""
    lines = [line.strip() for line in program.read_text().splitlines()]
    return sum(bool(line) and not line.startswith(("#", "//")) for line in lines)
