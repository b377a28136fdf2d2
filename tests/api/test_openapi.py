"""The OpenAPI document: committed as it is, and complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.scopes import need_of
from app.main import create_app
from app.settings import Settings

COMMITTED = Path(__file__).parents[2] / "openapi" / "openapi.json"
OPERATIONS = {
    "post_turns",
    "list_turns",
    "get_ingestion",
    "follow_ingestion",
    "retry_ingestion",
    "list_memories",
    "get_memory",
    "search_memories",
    "add_memory",
    "revise_memory",
    "remove_memory",
    "list_answers_of_memory",
    "get_turn",
    "list_operations",
    "get_operation",
    "undo_operation",
    "undo_ingestion",
    "answer_question",
    "get_answer",
    "list_banks",
    "get_bank",
    "create_bank",
    "change_bank",
    "delete_bank",
    "erase_turn",
    "list_erasures",
    "get_erasure",
    "export_bank",
    "import_bank",
    "create_key",
    "list_keys",
    "get_key",
    "revoke_key",
    "rotate_key",
    "list_audit_events",
    "create_webhook",
    "list_webhooks",
    "get_webhook",
    "change_webhook",
    "delete_webhook",
    "rotate_webhook_secret",
    "test_webhook",
    "list_deliveries",
    "retry_delivery",
    "live",
    "ready",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(_env_file=None)).openapi()


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def takes_json(operation: dict[str, Any]) -> bool:
    """Whether an operation has a body, and not a file."""
    return "application/json" in operation.get("requestBody", {}).get("content", {})


def test_the_committed_document_is_the_apps(document: dict[str, Any]) -> None:
    assert json.loads(COMMITTED.read_text()) == document, "run: .venv/bin/memory-r1 openapi > openapi/openapi.json"


def test_operations_have_ids_that_stay(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert set(ids) == OPERATIONS


def test_every_route_documents_its_problems_and_only_as_problems(document: dict[str, Any]) -> None:
    for operation in operations(document):
        refusals = {status: r for status, r in operation["responses"].items() if int(status) >= 400}
        for response in refusals.values():
            assert list(response["content"]) == ["application/problem+json"]
            form = response["content"]["application/problem+json"]["schema"]
            assert form == {"$ref": "#/components/schemas/Problem"}
        expected = set()
        if operation["operationId"] != "live":
            expected |= {"503"}
        if "security" in operation:
            expected |= {"401", "503", "422"}
        if takes_json(operation):
            expected |= {"400", "413", "415", "422"}
        assert expected <= refusals.keys(), operation["operationId"]
        assert "500" not in refusals


def test_only_what_calls_a_model_documents_that_models_fail(document: dict[str, Any]) -> None:
    asking = {o["operationId"] for o in operations(document) if {"502", "504"} <= o["responses"].keys()}
    assert asking == {"answer_question", "search_memories", "add_memory", "revise_memory", "import_bank"}


def test_what_a_key_must_allow_is_said_for_each_route(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for operation in operations(document):
        need = need_of(operation["operationId"])
        if need is None:
            assert "security" not in operation
        else:
            assert operation["security"] == [{"HTTPBearer": [need.scope.value]}]
            assert f"the scope `{need.scope.value}`" in operation["description"]


def test_no_parameter_is_null(document: dict[str, Any]) -> None:
    for operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert {"type": "null"} not in parameter["schema"].get("anyOf", []), operation["operationId"]


def test_the_frameworks_own_form_of_errors_is_gone(document: dict[str, Any]) -> None:
    assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()
    assert {"Problem", "Fault"} <= document["components"]["schemas"].keys()


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    written = json.dumps(document)
    named = {part.partition('"')[0] for part in written.split('"#/components/schemas/')[1:]}
    assert named <= schemas.keys()
    assert schemas.keys() <= named


def test_request_bodies_have_an_example(document: dict[str, Any]) -> None:
    for operation in operations(document):
        if takes_json(operation):
            name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert document["components"]["schemas"][name]["examples"], operation["operationId"]


async def test_examples_of_request_bodies_are_accepted(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    known = {"bank": "alice"}
    for path, methods in document["paths"].items():
        if takes_json(methods.get("post", {})):
            name = methods["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            for example in document["components"]["schemas"][name]["examples"]:
                response = await client.post(path.format(**known), json=example)
                assert response.is_success, (path, response.text)
                # `/v1/keys` comes before `/v1/keys/{key_id}/rotate`.
                known[f"{path.rpartition('/')[2].removesuffix('s')}_id"] = response.json().get("id", "")


def test_every_field_of_a_body_is_described_or_has_an_example(document: dict[str, Any]) -> None:
    for name in ("PostedTurn", "PostTurns", "Search", "Question"):
        assert "additionalProperties" in document["components"]["schemas"][name]
    for field in document["components"]["schemas"]["PostedTurn"]["properties"].values():
        assert field["description"]


async def test_the_document_and_its_page_are_served(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    assert (await client.get("/openapi.json")).json() == document
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in page.text
