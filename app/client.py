"""A small HTTP client of the service, for the command line and the demo."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx

BANK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")


class ServiceError(Exception):
    """The service answered with a problem, or not at all; the message says what to do."""


class Client:
    """Calls the service as any program would; raises `ServiceError`."""

    def __init__(self, url: str, key: str | None = None, timeout: float = 600) -> None:
        if key and not (key.isascii() and key.isprintable()):
            raise ServiceError("The API key holds characters that no key has.")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False)
        except (httpx.InvalidURL, ValueError) as error:
            raise ServiceError(f"{url!r} is not the URL of a service.") from error
        self._url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def post_turns(self, bank: str, turns: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return self._call("POST", f"{_path(bank)}/turns", json={"turns": list(turns)})

    def ingestion(self, bank: str, ingestion_id: str, wait: int = 0) -> dict[str, Any]:
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        return self._call("GET", f"{_path(bank)}/ingestions/{ingestion_id}", headers=headers)

    def turns(self, bank: str, cursor: str | None = None) -> dict[str, Any]:
        """A page of a bank's turns with what became of each."""
        params = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        return self._call("GET", f"/v1/banks/{bank}/turns", params=params)

    def memories(self, bank: str) -> list[dict[str, Any]]:
        """All memories of a bank."""
        return self._pages(f"{_path(bank)}/memories", "memories")

    def search(self, bank: str, query: str, **options: Any) -> list[dict[str, Any]]:
        body = {"query": query, **options}
        found: list[dict[str, Any]] = self._call("POST", f"{_path(bank)}/memories/search", json=body)["candidates"]
        return found

    def memory(self, bank: str, memory_id: str) -> dict[str, Any]:
        return self._call("GET", f"{_path(bank)}/memories/{memory_id}")

    def answer(self, bank: str, question: str) -> dict[str, Any]:
        return self._call("POST", f"{_path(bank)}/answer", json={"question": question})

    def banks(self) -> list[dict[str, Any]]:
        """All banks of the tenant."""
        return self._pages("/v1/banks", "banks")

    def delete_bank(self, bank: str) -> None:
        self._call("DELETE", _path(bank))

    def _pages(self, path: str, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        params: dict[str, Any] = {"limit": 200}
        while True:
            page = self._call("GET", path, params=params)
            found += page[name]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **options)
        except UnicodeEncodeError as error:
            raise ServiceError("What is to be sent holds characters that are no text.") from error
        except httpx.HTTPError as error:
            raise ServiceError(
                f"No answer from {self._url} ({type(error).__name__}). Is the service running? "
                "Start it with `memory-r1 serve --local`, or name another with --url."
            ) from error
        if response.status_code == httpx.codes.NO_CONTENT:
            return {}
        body = _object(response)
        if not response.is_success or body is None:
            raise ServiceError(_problem(response, body))
        return body


def _path(bank: str) -> str:
    if not BANK_NAME.fullmatch(bank):
        raise ServiceError(
            f"{bank!r} cannot name a bank: up to 128 letters, digits and . _ : @ - with a letter or digit first can. "
            "Choose one with --bank."
        )
    return f"/v1/banks/{bank}"


def _object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _problem(response: httpx.Response, problem: dict[str, Any] | None) -> str:
    if problem is None or "detail" not in problem:
        return f"The service answered with status {response.status_code}, and not as Memory-R1 does. Is the URL right?"
    faults = "".join(f"\n  {fault['at']}: {fault['detail']}" for fault in problem.get("errors", []))
    return f"{problem.get('title', 'Error')}: {problem['detail']}{faults}"
