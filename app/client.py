"""A small HTTP client of the service, for the command line and the demo."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn, Self

import httpx

BANK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
CONNECT_SECONDS = 10
PAGE = 200
_TYPES = "https://memory-r1.dev/problems/"
_HINTS = {401: " Give one with --key or MEMORY_R1_KEY."}
_RETRYABLE = {429, 503}

Json = dict[str, Any]


class ServiceError(Exception):
    """The service answered with a problem, or not at all; the message says what to do."""

    def __init__(
        self,
        message: str,
        *,
        slug: str = "command-failed",
        problem: Json | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.problem = problem or {"type": _TYPES + slug, "title": "Command failed", "detail": message}
        """As RFC 9457 has it: the service's own, or one of the same form."""
        self.status = status
        """The HTTP status, where there was one."""
        self.retry_after = retry_after
        """Seconds that the service asks to wait."""
        self.retryable = retryable
        """Whether the same request may be answered later."""


class Client:
    """Calls the service as any program would; raises `ServiceError`."""

    def __init__(self, url: str, key: str | None = None, timeout: float = 600) -> None:
        if key and not (key.isascii() and key.isprintable()):
            raise ServiceError("The API key holds characters that no key has.")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        patience = httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
        try:
            self._http = httpx.Client(base_url=url, headers=headers, timeout=patience, trust_env=False)
        except (httpx.InvalidURL, ValueError) as error:
            raise ServiceError(f"{url!r} is not the URL of a service.") from error
        self._url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def post_turns(self, bank: str, turns: Sequence[Json]) -> Json:
        return self._call("POST", f"{_path(bank)}/turns", json={"turns": list(turns)})

    def ingestion(self, bank: str, ingestion_id: str, wait: int = 0) -> Json:
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        return self._call("GET", f"{_path(bank)}/ingestions/{ingestion_id}", headers=headers)

    def turns(self, bank: str, cursor: str | None = None) -> Json:
        """A page of a bank's turns with what became of each."""
        params = {"limit": PAGE} | ({"cursor": cursor} if cursor else {})
        return self._call("GET", f"{_path(bank)}/turns", params=params)

    def memories(self, bank: str, as_of: str | None = None) -> list[Json]:
        """All memories of a bank."""
        return self._pages(f"{_path(bank)}/memories", "memories", as_of=as_of)

    def search(self, bank: str, query: str, **options: Any) -> list[Json]:
        body = {"query": query, **_given(options)}
        return _listed(self._call("POST", f"{_path(bank)}/memories/search", json=body), "candidates")

    def memory(self, bank: str, memory_id: str) -> Json:
        return self._call("GET", f"{_path(bank)}/memories/{memory_id}")

    def add_memory(self, bank: str, text: str, speaker: str, said_at: str | None = None) -> Json:
        body = _given({"text": text, "speaker": speaker, "said_at": said_at})
        return self._call("POST", f"{_path(bank)}/memories", json=body)

    def revise_memory(self, bank: str, memory_id: str, version: int | None, **changes: Any) -> Json:
        """Changes a memory; with a version, only while it is at that one."""
        path = f"{_path(bank)}/memories/{memory_id}"
        return self._call("PATCH", path, json=_given(changes), headers=_if_match(version))

    def remove_memory(self, bank: str, memory_id: str, version: int | None = None) -> Json:
        return self._call("DELETE", f"{_path(bank)}/memories/{memory_id}", headers=_if_match(version))

    def operations(self, bank: str, most: int, **filters: Any) -> list[Json]:
        """The newest lines of a bank's log, at most so many."""
        return self._pages(f"{_path(bank)}/operations", "operations", most, **filters)

    def undo_operation(self, bank: str, number: int) -> Json:
        return self._call("POST", f"{_path(bank)}/operations/{number}/undo")

    def undo_ingestion(self, bank: str, ingestion_id: str) -> Json:
        return self._call("POST", f"{_path(bank)}/ingestions/{ingestion_id}/undo")

    def answer(self, bank: str, question: str, as_of: str | None = None, *, best_guess: bool = False) -> Json:
        body = _given({"question": question, "as_of": as_of, "best_guess": best_guess or None})
        return self._call("POST", f"{_path(bank)}/answer", json=body)

    def banks(self) -> list[Json]:
        """All banks of the tenant."""
        return self._pages("/v1/banks", "banks")

    def bank(self, bank: str) -> Json:
        return self._call("GET", _path(bank))

    def create_bank(self, bank: str) -> Json:
        """The bank of that name, made where there is none."""
        return self._call("PUT", _path(bank))

    def change_bank(self, bank: str, on_failure: str) -> Json:
        return self._call("PATCH", _path(bank), json={"on_failure": on_failure})

    def delete_bank(self, bank: str) -> Json:
        """Erases a bank with everything in it; the receipt."""
        return self._call("DELETE", _path(bank))

    def turn(self, bank: str, turn_id: str) -> Json:
        return self._call("GET", f"{_path(bank)}/turns/{turn_id}")

    def erase_turn(self, bank: str, turn_id: str, derived: str) -> Json:
        """Erases a turn with what stands on it; the receipt."""
        return self._call("DELETE", f"{_path(bank)}/turns/{turn_id}", params={"derived": derived})

    @contextmanager
    def export(self, bank: str) -> Iterator[Iterator[bytes]]:
        """The bytes of a bank's export, as they come."""
        with self._reaching(), self._http.stream("GET", f"{_path(bank)}/export") as response:
            if not response.is_success:
                response.read()
                _refuse(response)
            yield response.iter_bytes()

    def import_(self, bank: str, content: Iterable[bytes], idempotency_key: str | None) -> Json:
        """Makes a bank from an exported file; sent again under the same key, it is made once."""
        headers = {"Content-Type": "application/x-ndjson"} | _given({"Idempotency-Key": idempotency_key})
        return self._call("POST", f"{_path(bank)}/import", content=content, headers=headers)

    def _pages(self, path: str, name: str, most: int | None = None, **filters: Any) -> list[Json]:
        found: list[Json] = []
        params: Json = {"limit": min(PAGE, most or PAGE), **_given(filters)}
        while True:
            page = self._call("GET", path, params=params)
            found += _listed(page, name)
            if page.get("next_cursor") is None or (most is not None and len(found) >= most):
                return found[:most]
            params["cursor"] = page["next_cursor"]

    def _call(self, method: str, path: str, **options: Any) -> Json:
        with self._reaching():
            response = self._http.request(method, path, **options)
        return _body(response)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            raise ServiceError("What is to be sent holds characters that are no text.") from error
        except httpx.HTTPError as error:
            raise ServiceError(
                f"No answer from {self._url} ({type(error).__name__}). Is the service running? "
                "Start it with `memory-r1 serve --local`, or name another with --url.",
                slug="service-unreachable",
                retryable=isinstance(error, httpx.TransportError),
            ) from error


def _given(options: Json) -> Json:
    return {name: value for name, value in options.items() if value is not None}


def _if_match(version: int | None) -> dict[str, str]:
    return {} if version is None else {"If-Match": f'"{version}"'}


def _path(bank: str) -> str:
    if not BANK_NAME.fullmatch(bank):
        raise ServiceError(
            f"{bank!r} cannot name a bank: up to 128 letters, digits and . _ : @ - with a letter or digit first can. "
            "Choose one with --bank."
        )
    return f"/v1/banks/{bank}"


def _body(response: httpx.Response) -> Json:
    """The object that a response holds. Raises `ServiceError`."""
    if response.status_code == httpx.codes.NO_CONTENT:
        return {}
    body = _object(response)
    if not response.is_success or body is None:
        _refuse(response)
    return body


def _listed(page: Json, name: str) -> list[Json]:
    """What a page lists. Raises `ServiceError` for a page of something else."""
    listed = page.get(name)
    if not isinstance(listed, list):
        raise ServiceError("The service answered, but not as Memory-R1 does. Is the URL right?", slug="not-the-service")
    return listed


def _object(response: httpx.Response) -> Json | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _refuse(response: httpx.Response) -> NoReturn:
    problem, status = _object(response), response.status_code
    if problem is None or not isinstance(problem.get("detail"), str):
        raise ServiceError(
            f"The service answered with status {status}, and not as Memory-R1 does. Is the URL right?",
            slug="not-the-service",
        )
    listed = [fault for fault in problem.get("errors") or [] if isinstance(fault, dict)]
    faults = "".join(f"\n  {fault.get('at')}: {fault.get('detail')}" for fault in listed)
    asked = response.headers.get("Retry-After", "")
    raise ServiceError(
        f"{problem.get('title', 'Error')}: {problem['detail']}{faults}{_HINTS.get(status, '')}",
        problem=problem,
        status=status,
        retry_after=float(asked) if asked.isdecimal() else None,
        retryable=status in _RETRYABLE,
    )
