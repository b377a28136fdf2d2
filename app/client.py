"""A small HTTP client of the service, for the command line and the demo."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx


class ServiceError(Exception):
    """The service answered with a problem, or not at all; the message says what to do."""


class Client:
    """Calls the service as any program would; raises `ServiceError`."""

    def __init__(self, url: str, key: str | None = None, timeout: float = 600) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False)
        self._url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def post_turns(self, bank: str, turns: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return self._call("POST", f"/v1/banks/{bank}/turns", json={"turns": list(turns)})

    def ingestion(self, bank: str, ingestion_id: str, wait: int = 0) -> dict[str, Any]:
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        return self._call("GET", f"/v1/banks/{bank}/ingestions/{ingestion_id}", headers=headers)

    def memories(self, bank: str) -> list[dict[str, Any]]:
        """All memories of a bank."""
        found: list[dict[str, Any]] = []
        params: dict[str, Any] = {"limit": 200}
        while True:
            page = self._call("GET", f"/v1/banks/{bank}/memories", params=params)
            found += page["memories"]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    def search(self, bank: str, query: str, **options: Any) -> list[dict[str, Any]]:
        body = {"query": query, **options}
        found: list[dict[str, Any]] = self._call("POST", f"/v1/banks/{bank}/memories/search", json=body)["candidates"]
        return found

    def memory(self, bank: str, memory_id: str) -> dict[str, Any]:
        return self._call("GET", f"/v1/banks/{bank}/memories/{memory_id}")

    def answer(self, bank: str, question: str) -> dict[str, Any]:
        return self._call("POST", f"/v1/banks/{bank}/answer", json={"question": question})

    def banks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("GET", "/v1/banks", params={"limit": 200})["banks"]
        return found

    def delete_bank(self, bank: str) -> None:
        self._call("DELETE", f"/v1/banks/{bank}")

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ServiceError(
                f"No answer from {self._url} ({type(error).__name__}). Is the service running? "
                "Start it with `memory-r1 serve --local`, or name another with --url."
            ) from error
        if response.is_error:
            raise ServiceError(_problem(response))
        body: dict[str, Any] = response.json() if response.content else {}
        return body


def _problem(response: httpx.Response) -> str:
    try:
        problem = response.json()
    except ValueError:
        return f"The service answered with status {response.status_code}."
    faults = "".join(f"\n  {fault['at']}: {fault['detail']}" for fault in problem.get("errors", []))
    return f"{problem.get('title', 'Error')}: {problem.get('detail', '')}{faults}"
