"""A service that cannot start says why in one line."""

from __future__ import annotations

import signal

import psycopg
import pytest

from tests.e2e.processes import Workplace, is_one_line_error
from tests.fixtures.model_servers import free_port

NOWHERE = "postgresql+psycopg://memory_r1@127.0.0.1:{port}/memory_r1"
BASE_URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("worker",)])
def test_without_a_model_server_the_setting_is_named(command: tuple[str, ...], workplace: Workplace) -> None:
    refused = workplace.run(*command)
    assert is_one_line_error(refused), refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "MEMORY_R1_LLM__BASE_URL" in refused.stderr


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("worker",), ("migrate",), ("keys", "list")])
def test_a_database_that_is_not_there_is_told(command: tuple[str, ...], workplace: Workplace) -> None:
    url = NOWHERE.format(port=free_port())
    refused = workplace.run(*command, database__url=url, llm__base_url=BASE_URL)
    assert is_one_line_error(refused), refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "MEMORY_R1_DATABASE__URL" in refused.stderr


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("worker",)])
def test_a_database_without_tables_asks_for_migrate(
    command: tuple[str, ...], empty_database_url: str, workplace: Workplace
) -> None:
    refused = workplace.run(*command, database__url=empty_database_url, llm__base_url=BASE_URL)
    assert is_one_line_error(refused), refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "memory-r1 migrate" in refused.stderr


def test_a_database_of_another_version_asks_for_migrate(database_url: str, workplace: Workplace) -> None:
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'another'")
    refused = workplace.run("serve", "--port", "0", database__url=database_url, llm__base_url=BASE_URL)
    assert is_one_line_error(refused), refused.stderr
    assert "memory-r1 migrate" in refused.stderr


def test_a_setting_out_of_bounds_is_named(workplace: Workplace) -> None:
    refused = workplace.run("serve", llm__timeout=-1)
    assert is_one_line_error(refused), refused.stderr
    assert "MEMORY_R1_LLM__TIMEOUT" in refused.stderr


def test_a_client_without_a_service_says_where_it_looked(workplace: Workplace) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    refused = workplace.run("ask", "Who is there?", "--bank", "alice", "--url", url)
    assert is_one_line_error(refused), refused.stderr
    assert url in refused.stderr


def test_a_worker_alone_ends_on_a_signal(database_url: str, workplace: Workplace) -> None:
    with workplace.started("worker", database__url=database_url, llm__base_url=BASE_URL) as worker:
        worker.wait_for("ready to work")
        assert worker.end(signal.SIGTERM) == 0
