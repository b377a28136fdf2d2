"""Lines of the log: with the request they belong to, and without what anybody said."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from app.core.errors import InvalidInput, ModelRefused
from app.core.values import Role
from app.db.engine import Sessions
from app.settings import LogSettings, Settings
from app.telemetry import logs
from tests.fixtures.doubles import HashEmbedder, ScriptedCompleter
from tests.fixtures.ingesting import FailingCompleter
from tests.fixtures.service import api
from tests.telemetry.observing import observing_settings, remembered, watched

CANARY = "zQcanaryQz"
PLAIN, JSON = LogSettings(), LogSettings(json_lines=True)


@contextmanager
def logged(settings: LogSettings) -> Iterator[io.StringIO]:
    """What the service logs, at the finest level, in the form that the settings ask for."""
    written, root, own = io.StringIO(), logging.getLogger(), logging.getLogger("app")
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.formatter(settings))
    # The client of this test is no part of the service.
    handler.addFilter(lambda record: record.name not in ("httpx", "httpcore", "asyncio"))
    levels = root.level, own.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    own.setLevel(logging.DEBUG)
    try:
        yield written
    finally:
        root.removeHandler(handler)
        root.setLevel(levels[0])
        own.setLevel(levels[1])


def lines_of(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


async def test_each_request_has_an_id_that_its_lines_name(settings: Settings) -> None:
    with logged(JSON) as written:
        async with watched(observing_settings(settings), ScriptedCompleter(), with_worker=False) as running:
            answered = await running.client.get("/v1/banks/nobody", headers={"X-Request-Id": "from-caller:1"})
            unnamed = await running.client.get("/v1/banks")
            spans = running.spans()
    assert answered.headers["x-request-id"] == "from-caller:1"
    assert len(unnamed.headers["x-request-id"]) == 32
    told = {line["request_id"]: line for line in lines_of(written) if "request_id" in line}
    line = told["from-caller:1"]
    assert line.pop("at").endswith("Z") and line.pop("seconds") >= 0 and line.pop("span_id")
    context = spans[0].context
    assert context is not None and line.pop("trace_id") == f"{context.trace_id:032x}"
    assert line == {
        "message": "answered a request",
        "level": "info",
        "logger": "app.requests",
        "request_id": "from-caller:1",
        "method": "GET",
        "route": "/v1/banks/{bank}",
        "status": 404,
    }
    assert told[unnamed.headers["x-request-id"]]["route"] == "/v1/banks"


HOSTILE: dict[str, str | bytes] = {
    "long": "a" * 129,
    "spaces": "a b",
    "forged line": "a\\nlevel=critical",
    "bytes": b"caf\xc3\xa9",
    "quotes": 'a"b',
    "escape": b"\x1b[31m",
    "empty": "",
    "dash": "-a",
}


async def test_a_hostile_id_is_replaced(client: httpx.AsyncClient) -> None:
    for name, given in HOSTILE.items():
        response = await client.get("/v1/health/live", headers=[(b"x-request-id", as_bytes(given))])
        assert response.status_code == 200, name
        assert response.headers["x-request-id"] != given
        assert len(response.headers["x-request-id"]) == 32, name


def as_bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


async def test_refusals_and_faults_have_an_id_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, completer: ScriptedCompleter, embedder: HashEmbedder
) -> None:
    def fails(*arguments: Any) -> Any:
        raise RuntimeError(f"someone said {CANARY}")

    tight = settings.model_copy(update={"server": settings.server.model_copy(update={"max_requests": 1})})
    with logged(JSON) as written:
        async with api(tight, completer, embedder, with_worker=False) as client:
            given = {"X-Request-Id": "abc"}
            assert (await client.get("/nowhere", headers=given)).headers["x-request-id"] == "abc"
            refused = await client.post(
                "/v1/banks/a/turns", content=b"{", headers={**given, "content-type": "application/json"}
            )
            assert (refused.status_code, refused.headers["x-request-id"]) == (400, "abc")
            monkeypatch.setattr(Sessions, "begin", fails)
            failed = await client.get("/v1/banks/a", headers=given)
            assert (failed.status_code, failed.headers["x-request-id"]) == (500, "abc")
            monkeypatch.undo()
    (line,) = [line for line in lines_of(written) if line.get("status") == 500]
    assert (line["request_id"], line["route"]) == ("abc", "/v1/banks/{bank}")
    assert CANARY not in written.getvalue()


@pytest.mark.parametrize("settings_of_log", [PLAIN, JSON], ids=["plain", "json"])
def test_an_exception_is_told_by_type_and_place(settings_of_log: LogSettings) -> None:
    def fault() -> None:
        try:
            int(CANARY)
        except ValueError as error:
            raise InvalidInput(f"about {CANARY}") from error

    shown = settings_of_log.model_copy(update={"user_text": True})
    for chosen, is_told in ((settings_of_log, False), (shown, True)):
        with logged(chosen) as written:
            try:
                fault()
            except InvalidInput:
                logging.getLogger("app.test").exception("it failed")
        assert (CANARY in written.getvalue()) == is_told
        assert "ValueError" in written.getvalue() and "InvalidInput" in written.getvalue()
        assert __file__ in written.getvalue() and "it failed" in written.getvalue()


def test_lines_of_other_libraries_have_the_same_form_and_nothing_of_their_own() -> None:
    record = logging.getLogger("other").makeRecord(
        "other", logging.WARNING, "f", 1, "low on %s", ("disk",), None, extra={"color_message": CANARY, "status": 7}
    )
    line = json.loads(logs.formatter(JSON).format(record))
    assert line.pop("at")
    assert line == {"message": "low on disk", "level": "warning", "logger": "other", "status": 7}
    assert logs.formatter(PLAIN).format(record).endswith("WARNING other: low on disk status=7")


def test_a_plain_line_cannot_be_forged() -> None:
    with logs.about(request_id="a\nb"):
        record = logging.getLogger("other").makeRecord("other", logging.INFO, "f", 1, "x", (), None)
        assert "\n" not in logs.formatter(PLAIN).format(record)


def canary_texts() -> list[str]:
    return [f"I keep {n} {CANARY} cats." for n in range(3)]


async def converse(client: httpx.AsyncClient, key: str) -> None:
    """Texts wherever a client can put one; a path that does not exist, a body that is refused."""
    headers = {"authorization": f"Bearer {key}", "user-agent": CANARY, "baggage": f"said={CANARY}"}
    bank = f"bank-{CANARY}"
    await remembered(client, bank, *canary_texts(), **headers)
    turn = {"speaker": CANARY, "text": CANARY, "external_id": CANARY, "session": CANARY, "metadata": {CANARY: CANARY}}
    paths: list[tuple[str, str, Any]] = [
        ("POST", f"/v1/banks/{bank}/turns", {"turns": [turn]}),
        ("POST", f"/v1/banks/{bank}/turns", {"turns": [{**turn, "text": f"not {CANARY}"}]}),
        ("POST", f"/v1/banks/{bank}/turns", {CANARY: CANARY}),
        ("POST", f"/v1/banks/{bank}/answer", {"question": f"What of {CANARY}?"}),
        ("POST", f"/v1/banks/{bank}/memories/search", {"query": CANARY}),
        ("GET", f"/v1/banks/{bank}/turns?cursor={CANARY}", None),
        ("GET", f"/{CANARY}?q={CANARY}", None),
    ]
    for method, path, body in paths:
        response = await client.request(method, path, json=body, headers=headers)
        assert response.status_code < 500


@pytest.mark.parametrize("is_asked_for", [False, True], ids=["by default", "asked for"])
async def test_what_people_say_is_told_nowhere_unless_asked_for(settings: Settings, is_asked_for: bool) -> None:
    settings = observing_settings(settings, record_text=is_asked_for)
    settings = settings.model_copy(update={"log": LogSettings(json_lines=True, user_text=is_asked_for)})
    key = f"mr1-{CANARY}-secret"
    completer = FailingCompleter(None, Role.MANAGER)
    with logged(settings.log) as written:
        async with watched(settings, completer) as running:
            completer.error = ModelRefused(f"refused {CANARY}")
            await remembered(running.client, f"other-{CANARY}", f"I fear {CANARY}.")
            completer.error = ValueError(f"broken {CANARY}")
            await remembered(running.client, f"third-{CANARY}", f"I fear {CANARY}.")
            completer.error = None
            response = await running.client.get("/v1/banks", headers={"authorization": f"Bearer {key}"})
            assert response.status_code == 401
            await converse(running.client, await a_key(running.client))
            exposition = await asyncio.to_thread(running.exposition)
            spans = "".join(span.to_json() for span in running.spans())
    assert CANARY not in exposition
    assert "mr1_" not in f"{exposition}{spans}{written.getvalue()}"
    leaking = [line for line in written.getvalue().splitlines() if CANARY in line]
    assert bool(leaking) == is_asked_for, leaking
    assert (CANARY in spans) == is_asked_for
    assert spans.count("gen_ai.input.messages") == (len(spans.split('"chat ')) - 1 if is_asked_for else 0)


async def a_key(client: httpx.AsyncClient) -> str:
    """The secret of a new key."""
    made = await client.post("/v1/keys", json={"name": "key", "scope": "admin"})
    assert made.status_code == 201, made.text
    return str(made.json()["secret"])
