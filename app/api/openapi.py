"""The OpenAPI document: each route names the problems that it can answer, and all have one form."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from app.api.problems import RETRY_AFTER_SECONDS, Problem

_DESCRIBED = {
    400: "The body cannot be read as JSON.",
    401: "A valid key is required.",
    404: "There is no such thing.",
    409: "The request contradicts what is stored.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "The request is out of bounds; `errors` says where.",
    429: "Too much work waits; see `Retry-After`.",
    502: "The model gave no usable reply.",
    503: "The database or the model server is away; see `Retry-After`.",
    504: "The model server did not answer in time.",
}
_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}, "required": True}},
    429: {"Retry-After": {"schema": {"type": "integer", "const": RETRY_AFTER_SECONDS}, "required": True}},
    503: {"Retry-After": {"schema": {"type": "integer", "const": RETRY_AFTER_SECONDS}, "required": True}},
}
WITH_BODY = (400, 413, 415, 422)
OF_BANK = (404, 409, 422)
OF_MODEL = (502, 503, 504)
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
        return document
