"""The guides as a reader follows them: their commands and programs run as they are written, on a live service."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.client import Client
from app.db.engine import Sessions
from app.local.postgres_setup import installed_programs
from app.services import keys
from tests.docs.pages import ROOT, blocks_of
from tests.fixtures.console import ingested, url
from tests.sdk.node import TYPESCRIPT, built_typescript, run_node

__all__ = ["url"]

WRITTEN, WRITTEN_KEY = "http://127.0.0.1:8080", "mr1_..."
POSTGRES = installed_programs() / "bin"


class Reader:
    """Somebody in a folder of their own, whose service is at another address."""

    def __init__(self, folder: Path, url: str, database_url: str, key: str) -> None:
        self.folder, self.url, self.key = folder, url, key
        path = os.pathsep.join([str(Path(sys.executable).parent), str(POSTGRES), os.environ["PATH"]])
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MEMORY_R1_")}
        self.environment = kept | {
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "MEMORY_R1_URL": url,
            "MEMORY_R1_DATABASE__URL": database_url,
            "ADMIN_URL": database_url.replace("+psycopg", ""),
        }

    def adapted(self, text: str) -> str:
        return text.replace(WRITTEN, self.url).replace(WRITTEN_KEY, self.key)

    def bash(self, script: str, **more: str) -> str:
        """What a script printed; no command of it may fail, nor any reply be a problem."""
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.adapted(script)],
            cwd=self.folder,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "memory-r1.dev/problems" not in ran.stdout, ran.stdout
        return ran.stdout

    def page(self, name: str, **more: str) -> str:
        """What all commands of a page printed that are not left out for a reason."""
        found = blocks_of(name, "bash")
        assert found
        return self.bash("\n".join(block.text for block in found), **more)


@pytest.fixture
def reader(tmp_path: Path, url: str, database_url: str, sessions: Sessions) -> Reader:
    key = asyncio.run(_key(sessions))
    return Reader(tmp_path, url, database_url, key)


async def _key(sessions: Sessions) -> str:
    secret = (await keys.create(sessions, "readers", "reader")).secret
    await sessions.engine.dispose()
    assert secret is not None
    return secret


def memories(url: str, bank: str) -> list[dict[str, Any]]:
    with Client(url) as client:
        return client.memories(bank)


def test_the_quickstart(reader: Reader, url: str) -> None:
    printed = reader.page("docs/quickstart.md")
    assert "Buddy" in printed and "Scout" in printed
    left = {memory["text"] for memory in memories(url, "alice")}
    assert len(left) == 2 and not any("Buddy" in text for text in left), "the first operation was undone"


def test_connecting_by_http_and_python(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    assert '"answer"' in reader.page("docs/connect.md")
    [program] = blocks_of("docs/connect.md", "python")
    exec(compile(reader.adapted(program.text), "guide", "exec"), {"__name__": "__main__"})
    assert "Buddy" in capsys.readouterr().out


def test_the_programs_of_the_readme(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    for program in blocks_of("README.md", "python"):
        exec(compile(reader.adapted(program.text), "readme", "exec"), {"__name__": "__main__"})
        assert "Buddy" in capsys.readouterr().out


def test_connecting_by_typescript(reader: Reader) -> None:
    built_typescript()
    [program] = blocks_of("docs/connect.md", "ts")
    (reader.folder / "node_modules").mkdir()
    (reader.folder / "node_modules/memory-r1-client").symlink_to(TYPESCRIPT)
    (reader.folder / "guide.mts").write_text(reader.adapted(program.text))
    ran = run_node(["node", "guide.mts"], reader.folder, {})
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Buddy" in ran.stdout


def test_streams(reader: Reader, url: str) -> None:
    ingestion = ingested(url, "alice", "I adopted a dog named Buddy.")
    printed = reader.page("docs/streaming.md", ID=ingestion["id"])
    assert "event: done" in printed and "event: end" in printed


def test_backing_up_and_restoring(reader: Reader, url: str, empty_database_url: str) -> None:
    ingested(url, "alice", "I adopted a dog named Buddy.", "I like tea.")
    dump, restore, move = blocks_of("docs/upgrade.md", "bash")
    reader.bash(dump.text)
    libpq = empty_database_url.replace("+psycopg", "")
    reader.bash(restore.text, MEMORY_R1_DATABASE__URL=empty_database_url, ADMIN_URL=libpq)
    with psycopg.connect(libpq) as connection:
        rows = connection.execute("SELECT text FROM memories WHERE live ORDER BY seq").fetchall()
    assert [text for (text,) in rows] == [memory["text"] for memory in memories(url, "alice")]
    reader.bash(move.text)
    assert len(memories(url, "alice-restored")) == 2


def test_sizing(reader: Reader) -> None:
    printed = reader.page("docs/scaling.md")
    page = (ROOT / "docs/scaling.md").read_text()
    table = page.partition("<!-- sizing -->\n")[2].partition("<!-- /sizing -->")[0]
    assert table and printed.startswith(table), "paste what `python -m tests.bench.sizing` prints"
    assert "| turns/s | 9.3 |" in printed.removeprefix(table)
