"""Requests made up from the OpenAPI document: what comes back is what the document says, and never a 500."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, strategies
from pydantic import SecretStr
from schemathesis import GenerationMode
from schemathesis.config import ChecksConfig, GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.config import PositiveDataAcceptanceConfig as Accepted

from app.db.engine import Sessions, make_engine
from app.main import create_app
from app.services import keys
from app.settings import DatabaseSettings, ServerSettings, Settings
from tests.fixtures.database import _database as new_database
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.live import live_in_thread

EXAMPLES = 15
WITHOUT_INPUT = {"live", "ready", "list_webhooks"}
TAKES_A_FILE = {"import_bank"}
"""Spoiled and made up files are tested by themselves."""
TURNS = [{"speaker": "Alice", "text": "I adopted a dog named Buddy."}, {"speaker": "Bob", "text": "I like tea."}]


def on_the_wire(document: dict[str, Any]) -> dict[str, Any]:
    """The document tells what the data of an event holds as JSON; in the stream it is a line of text, and the last id
    stays.
    """
    told = copy.deepcopy(document)
    for schema in told["components"]["schemas"].values():
        properties = schema.get("properties", {})
        if "const" in properties.get("event", {}):
            properties["data"] = {"type": "string", "contentSchema": properties["data"]}
            properties.setdefault("id", {"type": "string"})
    return told


DOCUMENT = on_the_wire(create_app(Settings(_env_file=None)).openapi())
OPERATIONS = sorted(
    (operation["operationId"] for path in DOCUMENT["paths"].values() for operation in path.values()),
    key="delete_bank".__eq__,
)
DATES = strategies.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31), timezones=strategies.just(UTC))


@dataclass(frozen=True)
class Fuzzed:
    """A running service that wants a key, and its document."""

    schemas: dict[GenerationMode, Any]
    """For valid requests with names and ids that exist; for invalid ones as it is: what breaks a list of those alone is
    not invalid."""
    headers: dict[str, str]


@pytest.fixture(scope="module")
def fuzzed(postgres_url: str, template_database: str) -> Iterator[Fuzzed]:
    """A service with something in its one bank."""
    with contextmanager(new_database)(postgres_url, template_database) as database_url:
        database, server = DatabaseSettings(url=SecretStr(database_url)), ServerSettings(require_key=True)
        settings = Settings(_env_file=None).model_copy(update={"database": database, "server": server})
        yield from serve(settings)


def serve(settings: Settings) -> Iterator[Fuzzed]:
    headers = {"Authorization": f"Bearer {make_key(settings.database)}"}
    with live_in_thread(settings, ScriptedCompleter(), HashEmbedder()) as url:
        schemathesis.openapi.format("date-time", DATES.map(datetime.isoformat))
        known = with_known(DOCUMENT, known_values(url, headers))
        schemas = {}
        for mode, document in ((GenerationMode.POSITIVE, known), (GenerationMode.NEGATIVE, DOCUMENT)):
            schemas[mode] = schemathesis.openapi.from_dict(document, config=config())
            schemas[mode].config.update(base_url=url)
        yield Fuzzed(schemas, headers)


def config() -> SchemathesisConfig:
    """Every check; valid data may still be refused where a cursor is not ours, or an external id is taken."""
    accepted = Accepted(expected_statuses=["2xx", "304", "401", "404", "409", "412", "422"])
    checks = ChecksConfig(positive_data_acceptance=accepted)
    # The key is sent by the test; what a query has beyond what is known is ignored, as everywhere on the web.
    made = GenerationConfig(allow_x00=False, allow_extra_parameters=False, with_security_parameters=False)
    project = ProjectConfig(checks=checks, generation=made)
    return SchemathesisConfig(projects=ProjectsConfig(default=project))


def make_key(database: DatabaseSettings) -> str:
    async def make() -> str:
        engine = make_engine(database)
        try:
            return str((await keys.create(Sessions(engine), keys.DEFAULT_TENANT, "fuzz")).secret)
        finally:
            await engine.dispose()

    return asyncio.run(make())


def known_values(url: str, headers: dict[str, str]) -> dict[str, list[Any]]:
    """Path parameters that lead to something, and one id that does not."""
    with httpx.Client(base_url=f"{url}/v1/banks/alice", headers=headers, timeout=60, trust_env=False) as client:
        posted = client.post("/turns", json={"turns": TURNS}, headers={"prefer": "wait=30"}).json()
        assert posted["state"] == "done"
        answer = client.post("/answer", json={"question": "Which dog does Alice have?"}).json()
        memories = client.get("/memories").json()["memories"]
    ids = {"ingestion_id": posted["ingestion_id"], "answer_id": answer["id"], "memory_id": memories[0]["id"]}
    ids["turn_id"] = posted["turn_ids"][0]
    named: dict[str, list[Any]] = {name: [known, str(uuid4())] for name, known in ids.items()}
    return {**named, "bank": ["alice"], "number": [1, 2, 999]}


def with_known(document: dict[str, Any], known: dict[str, list[Any]]) -> dict[str, Any]:
    """The document with the values that a path parameter can have."""
    document = copy.deepcopy(document)
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in known:
                    parameter["schema"]["enum"] = known[parameter["name"]]
    return document


CASES = [
    (i, mode)
    for i in OPERATIONS
    for mode in GenerationMode
    if i not in TAKES_A_FILE and (i not in WITHOUT_INPUT or mode.is_positive)
]


@pytest.mark.parametrize(("operation_id", "mode"), CASES)
def test_replies_are_what_the_document_says(operation_id: str, mode: GenerationMode, fuzzed: Fuzzed) -> None:
    operation = fuzzed.schemas[mode].find_operation_by_id(operation_id)

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(headers=fuzzed.headers)

    check()
