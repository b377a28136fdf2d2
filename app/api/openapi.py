"""The OpenAPI document: each route names the problems that it can answer, and all have one form."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from app.api.problems import RETRY_AFTER_SECONDS, TYPE_BASE, Problem, problem_types
from app.api.scopes import need_of
from app.api.streaming_schemas import event_schemas

_DESCRIBED = {
    400: "The body cannot be read as JSON.",
    401: "A valid key is required.",
    403: "The key does not allow this.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    409: "The request contradicts what is stored.",
    412: "The memory is not at a version that `If-Match` names.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "The request is out of bounds; `errors` says where.",
    429: "Too much work waits, or the key is at its limit; see `Retry-After`.",
    502: "The model gave no usable reply.",
    503: "The database or the model server is away; see `Retry-After`.",
    504: "The model server did not answer in time.",
}
_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}, "required": True}},
    429: {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "required": True}},
    503: {"Retry-After": {"schema": {"type": "integer", "const": RETRY_AFTER_SECONDS}, "required": True}},
}
WITH_BODY = (400, 408, 413, 415, 422)
OF_BANK = (404, 409, 422)
OF_MODEL = (502, 503, 504)
_EXAMPLE = {
    "type": TYPE_BASE + "unknown-bank",
    "title": "Not Found",
    "status": 404,
    "detail": "There is no such bank.",
}
Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """The problems of a route, for its `responses`."""
    return {status: _documented(status) for status in sorted(set(statuses))}


def _documented(status: int) -> dict[str, Any]:
    form = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    headers = {"headers": _HEADERS[status]} if status in _HEADERS else {}
    return {"description": _DESCRIBED[status], "content": form, **headers}


class Api(FastAPI):
    """FastAPI, with the form of problems among its schemas."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        schemas = document["components"]["schemas"]
        if "Problem" not in schemas:
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= problem.pop("$defs") | {"Problem": problem}
            document["components"]["schemas"] = event_schemas() | schemas
            problem["examples"] = [_EXAMPLE]
            # What generators make classes of errors from; a plain enum would shut clients out of later types.
            problem["properties"]["type"]["x-problem-types"] = {
                TYPE_BASE + slug: about for slug, about in sorted(problem_types().items())
            }
            for path in document["paths"].values():
                for operation in path.values():
                    _name_scope(operation)
                    _without_null(operation)
        return document


def _without_null(operation: dict[str, Any]) -> None:
    """A parameter that may be left out is a string or a number; nobody can send null as one."""
    for parameter in operation.get("parameters", []):
        schema = parameter["schema"]
        kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
        if len(kinds) == 1:
            parameter["schema"] = {name: value for name, value in schema.items() if name != "anyOf"} | kinds[0]


def _name_scope(operation: dict[str, Any]) -> None:
    """Note the scope that an operation asks for, and what the guard before every route may answer."""
    need = need_of(operation["operationId"])
    if need is not None and "security" in operation:
        takes = f"Takes a key of the scope `{need.scope.value}`."
        operation["description"] = f"{operation.get('description', '')}\n\n{takes}".strip()
        operation["security"] = [{name: [need.scope.value] for name in one} for one in operation["security"]]
        for status, documented in problems(403, 429).items():
            operation["responses"].setdefault(str(status), documented)
