"""The service behind a real PgBouncer, as in docs/scaling.md. Runs where MEMORY_R1_PGBOUNCER names the program."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import URL, make_url

from app.client import Client
from app.db import migrate
from app.local.postgres_server import free_port
from app.settings import DatabaseSettings, Settings
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.live import live_in_thread

PAGE = Path(__file__).parents[2] / "docs/scaling.md"
PROGRAM = os.environ.get("MEMORY_R1_PGBOUNCER")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="MEMORY_R1_PGBOUNCER names no pgbouncer")


@pytest.fixture
def login(empty_database_url: str) -> Iterator[URL]:
    """A login of the service's own, with the defaults that the page gives it."""
    user = f"pooled_{uuid4().hex}"
    url = make_url(empty_database_url).set(username=user, password="pooled")
    owner = DatabaseSettings(
        url=SecretStr(url.render_as_string(hide_password=False)), owner_url=SecretStr(empty_database_url)
    )
    migrate.prepare(owner)
    script = block("sql").replace("service_login", user)
    with psycopg.connect(empty_database_url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement.encode())
        yield url
        connection.execute(f"DROP OWNED BY {user}".encode())
        connection.execute(f"DROP ROLE {user}".encode())


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    return found[1]


@contextmanager
def pooled(login: URL, mode: str, folder: Path) -> Iterator[URL]:
    """The same login by way of a PgBouncer with the page's configuration."""
    folder.chmod(0o755)
    port = free_port()
    users, config = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"{login.username}" "{login.password}"\n')
    text = block("ini").replace("host=10.0.0.5 port=5432 dbname=memory_r1", f"host={login.host} port={login.port}")
    text = re.sub(r"^memory_r1 =", f"{login.database} =", text, flags=re.MULTILINE)
    text = text.replace("pool_mode = transaction", f"pool_mode = {mode}").replace("6432", str(port))
    text = text.replace("/etc/pgbouncer/users.txt", str(users))
    config.write_text(text + "unix_socket_dir =\n")
    as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
    for parent in (folder, *folder.parents):
        if as_user and parent.owner() == "root" and parent != Path("/") and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([str(PROGRAM), *as_user, str(config)], stderr=log)
    try:
        url = login.set(host="127.0.0.1", port=port)
        for _ in range(600):
            try:
                psycopg.connect(url.render_as_string(hide_password=False).replace("+psycopg", "")).close()
                break
            except psycopg.OperationalError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_the_service_works_behind_a_pool(login: URL, mode: str, tmp_path: Path, settings: Settings) -> None:
    with pooled(login, mode, tmp_path) as url:
        database = settings.database.model_copy(update={"url": SecretStr(url.render_as_string(hide_password=False))})
        configured = settings.model_copy(update={"database": database})
        with live_in_thread(configured, ScriptedCompleter(), HashEmbedder()) as service, Client(service) as client:
            for bank in range(4):
                for n in range(5):  # more often than psycopg asks before it prepares
                    turns = [{"speaker": "Alice", "text": f"I like tea {n}.", "said_at": "2023-05-08T18:00:00Z"}]
                    posted = client.post_turns(f"b{bank}", turns)
                    assert client.ingestion(f"b{bank}", posted["ingestion_id"], wait=60)["state"] == "done"
            for n in range(10):
                assert len(client.memories(f"b{n % 4}")) == 5
                assert client.search(f"b{n % 4}", "tea")
            assert client.undo_operation("b0", 1)
            assert len(client.memories("b0")) == 4
