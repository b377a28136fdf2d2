"""`memory-r1 doctor`: each thing that can be wrong is found, named, and comes with what to do."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.doctor import configuration
from app.llm.embedder import ThreadEmbedder
from app.local.postgres import LocalPostgres
from app.settings import EmbeddingSettings
from tests.fixtures.console import Ran, Run, memory_r1
from tests.fixtures.doubles import HashEmbedder
from tests.llm.scripted import Reply, ScriptedServer, fails, says

__all__ = ["memory_r1"]

Doctor = Callable[..., tuple[Ran, dict[str, list[dict[str, Any]]]]]


class Telling(ScriptedServer):
    """Tells the length of its context, as vLLM does."""

    told: int | None = 32_768

    async def _respond(self, head: str, *rest: Any) -> Reply:
        if head.startswith("GET /v1/models ") and self.told is not None:
            served = [{"id": self.model, "object": "model", "max_model_len": self.told}]
            return Reply(body=json.dumps({"object": "list", "data": served}).encode())
        return await super()._respond(head, *rest)


@pytest.fixture
def server() -> Iterator[Telling]:
    server = Telling(max_context=32_768)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def doctor(database_url: str, server: Telling, memory_r1: Run, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Runs it on a deployment where all is well but for what a test sets; what it found, by check."""

    async def hashed(settings: EmbeddingSettings) -> HashEmbedder:
        return HashEmbedder()

    monkeypatch.setattr("app.main.open_embedder", hashed)
    well = {
        "MEMORY_R1_DATABASE__URL": database_url,
        "MEMORY_R1_LLM__BASE_URL": server.base_url,
        "MEMORY_R1_LLM__MODEL": server.model,
    }

    def run(*options: str, **wrong: str) -> tuple[Ran, dict[str, list[dict[str, Any]]]]:
        ran = memory_r1("doctor", "--json", *options, **{**well, **wrong})
        assert ran.stderr == "", ran
        report = json.loads(ran.stdout)
        found: dict[str, list[dict[str, Any]]] = {}
        for one in report["checks"]:
            found.setdefault(one["check"], []).append(one)
            assert (one["to_do"] is not None) is (one["level"] in ("warn", "fail")), one
        failed = any(one["level"] == "fail" for one in report["checks"])
        assert (report["ok"], ran.returncode) == (not failed, int(failed))
        return ran, found

    return run


def levels(found: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    return {check: one[0]["level"] for check, one in found.items()}


def test_where_all_is_well_all_is_ok(doctor: Doctor, memory_r1: Run, database_url: str, server: Telling) -> None:
    _, found = doctor()
    checks = ("settings", "disk", "database", "pgvector", "migrations", "role", "clock", "policies", "model server")
    assert levels(found) == dict.fromkeys((*checks, "guided decoding", "embedder"), "ok")
    assert "32768 tokens" in found["model server"][0]["found"]
    # Three roles that call one model are one check.
    assert len(found["model server"]) == 1
    own = {"MEMORY_R1_DATABASE__URL": database_url, "MEMORY_R1_LLM__BASE_URL": server.base_url}
    shown = memory_r1("doctor", **own, MEMORY_R1_LLM__MODEL="elsewhere")
    assert shown.returncode == 1 and "ok   database: Postgres" in shown.stdout
    assert "fail model server: " in shown.stdout and "→ Set MEMORY_R1_LLM__MODEL" in shown.stdout


def test_a_database_that_is_away_or_not_ready_is_told(doctor: Doctor, empty_database_url: str) -> None:
    _, found = doctor(MEMORY_R1_DATABASE__URL="postgresql+psycopg://a:hush@127.0.0.1:1/b")
    assert levels(found) | {"database": "fail", "migrations": "skip", "role": "skip", "clock": "skip"} == levels(found)
    assert "hush" not in json.dumps(found) and found["embedder"][0]["level"] == "ok"
    _, found = doctor(MEMORY_R1_DATABASE__URL="nonsense:hush")
    assert found["database"][0]["level"] == "fail" and "hush" not in json.dumps(found)
    _, found = doctor(MEMORY_R1_DATABASE__URL=empty_database_url)
    assert levels(found) | {"database": "ok", "pgvector": "fail", "migrations": "fail", "role": "skip"} == levels(found)
    assert "memory-r1 migrate" in found["migrations"][0]["to_do"]


def test_another_version_a_wrong_role_and_a_table_without_policy_are_told(doctor: Doctor, database_url: str) -> None:
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        _, found = doctor(MEMORY_R1_DATABASE__ROLE="postgres")
        assert found["role"][0]["level"] == "fail"
        connection.execute("ALTER TABLE turns DISABLE ROW LEVEL SECURITY")
        _, found = doctor()
        assert found["role"][0]["level"] == "fail" and "turns" in found["role"][0]["found"]
        connection.execute("UPDATE alembic_version SET version_num = 'later'")
        _, found = doctor()
        assert "another version" in found["migrations"][0]["to_do"] and found["role"][0]["level"] == "skip"


def test_a_model_server_that_does_not_serve_is_told(doctor: Doctor, server: Telling) -> None:
    server.on(says({"word": "hello"}))
    _, found = doctor()
    assert found["guided decoding"][0]["level"] == "fail" and "schema" in found["guided decoding"][0]["found"]
    for reply in (says("no json"), fails(400), fails(500)):
        server.on(reply)
        assert doctor()[1]["guided decoding"][0]["level"] == "fail"
    server.reset()
    for told, level in ((500, "fail"), (4000, "warn"), (None, "ok")):
        server.told = told
        assert doctor()[1]["model server"][0]["level"] == level, told
    _, found = doctor(MEMORY_R1_LLM__MANAGER__MODEL="adapter")
    assert [one["level"] for one in found["model server"]] == ["ok", "fail"]
    _, found = doctor(MEMORY_R1_LLM__BASE_URL="http://127.0.0.1:1/v1")
    assert levels(found) | {"model server": "fail", "guided decoding": "skip"} == levels(found)
    _, found = doctor(MEMORY_R1_LLM__BASE_URL="")
    assert "MEMORY_R1_LLM__BASE_URL" in found["model server"][0]["to_do"]


def test_an_embedder_beside_other_vectors_is_told(
    doctor: Doctor, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        connection.execute("INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'acme')")
        connection.execute(
            "INSERT INTO banks (tenant_id, name, embedding_model, embedding_dimension) "
            "SELECT id, 'alice', 'another', 768 FROM tenants"
        )
    _, found = doctor()
    assert found["embedder"][0]["level"] == "fail" and "another (768 dimensions)" in found["embedder"][0]["found"]

    async def missing(settings: EmbeddingSettings) -> ThreadEmbedder:
        raise OSError("nowhere/at/all is no model")

    monkeypatch.setattr("app.main.open_embedder", missing)
    assert "nowhere/at/all" in doctor()[1]["embedder"][0]["found"]


def test_settings_that_contradict_or_name_nothing_are_told(doctor: Doctor) -> None:
    wrong = {
        "MEMORY_R1_LLM_BASE_URL": "x",
        "MEMORY_R1_SERVER__HOST": "0.0.0.0",
        "MEMORY_R1_SERVER__REQUIRE_KEY": "false",
        "MEMORY_R1_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES": "true",
        "MEMORY_R1_EMBEDDING__BASE_URL": "http://127.0.0.1:1/v1",
        "MEMORY_R1_DATABASE__POOL_SIZE": "200",
    }
    _, found = doctor(**wrong)
    assert [one["level"] for one in found["settings"]] == ["warn"] * 4
    assert "Is MEMORY_R1_LLM__BASE_URL meant?" in found["settings"][0]["to_do"]
    assert found["connections"][0]["level"] == "warn"
    assert doctor(MEMORY_R1_EMBEDDING__KIND="http")[1]["settings"][0]["level"] == "fail"
    ran, found = doctor(MEMORY_R1_SERVER__PORT="70000")
    assert levels(found) == {"settings": "fail"} and "MEMORY_R1_SERVER__PORT" in ran.stdout


def test_a_full_disk_and_a_wrong_clock_are_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    for free, level in ((10, "fail"), (configuration.GIB, "warn")):
        with monkeypatch.context() as during:
            during.setattr(
                "app.doctor.configuration.shutil.disk_usage", lambda path, free=free: usage._replace(free=free)
            )
            assert doctor()[1]["disk"][0]["level"] == level
    real = time.time
    for seconds, level in ((10, "warn"), (-100, "fail")):
        with monkeypatch.context() as during:
            during.setattr("app.doctor.database.time.time", lambda seconds=seconds: real() + seconds)
            assert doctor()[1]["clock"][0]["level"] == level


def test_the_embedded_default_is_checked_stopped_served_and_before_it_is_made(doctor: Doctor, server: Telling) -> None:
    folder = Path(tempfile.mkdtemp(prefix="memory-r1-doctor-"))
    folder.chmod(0o755)
    local = {"MEMORY_R1_LOCAL__DATA_DIR": str(folder / "data"), "MEMORY_R1_DATABASE__URL": ""}
    try:
        _, found = doctor("--local", **local)
        assert found["embedded Postgres"][0]["level"] == "skip" and not (folder / "data").exists()
        with LocalPostgres(folder / "data") as postgres:
            _, found = doctor("--local", **local)
            assert "served from" in found["embedded Postgres"][0]["found"]
            assert levels(found) | {"database": "ok", "migrations": "warn"} == levels(found)
            assert "serve --local" in found["migrations"][0]["to_do"]
            assert postgres.running
        _, found = doctor("--local", **local)
        assert "starts in" in found["embedded Postgres"][0]["found"] and found["database"][0]["level"] == "ok"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
