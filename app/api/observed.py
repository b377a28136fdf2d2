"""What is told of each request: its id, a line of the log, metrics by the template of its route, and its trace."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from fastapi.telemetry import TelemetryConfig
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.limits import HEALTH
from app.core import metrics
from app.core.telemetry import Telemetry
from app.services.service import Service
from app.settings import Settings
from app.telemetry import logs

log = logging.getLogger("app.requests")

REQUEST_ID = "X-Request-Id"
STATE = "request_id"
"""Where the request's state holds its id."""
UNMATCHED = "unmatched"
"""The route of a path that leads nowhere: clients choose paths, and a label must not grow with them."""
OTHER = "OTHER"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_ACCEPTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")


class Observed:
    """ASGI middleware: a request keeps the id that it comes with, where that is harmless, and gets one otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _ACCEPTED.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})[STATE] = request_id
        telemetry = _telemetry_of(scope)
        started, status = time.perf_counter(), 500

        async def telling(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        with logs.about(request_id=request_id, **telemetry.tracer.ids()):
            try:
                await self._app(scope, receive, telling)
            finally:
                _tell(scope, telemetry, status, time.perf_counter() - started)


def _tell(scope: Scope, telemetry: Telemetry, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else OTHER
    route = getattr(scope.get("route"), "path_format", UNMATCHED)
    if not telemetry.is_silent:
        telemetry.meter.count(metrics.HTTP_REQUESTS, method, route, str(status))
        telemetry.meter.observe(metrics.HTTP_REQUEST, seconds, method, route)
    level = logging.DEBUG if route.startswith(HEALTH) else logging.INFO
    told = {"method": method, "route": route, "status": status, "seconds": round(seconds, 4)}
    log.log(level, "answered a request", extra=told)


def _telemetry_of(scope: Scope) -> Telemetry:
    service: Service = scope["app"].state.service
    return service.telemetry


def http_tracing(settings: Settings, service: Callable[[], Service]) -> TelemetryConfig:
    """How the web framework traces requests: to where the settings say or not at all, whatever the environment says."""
    is_on = settings.telemetry.otlp_endpoint is not None
    provider: Any = _ProviderOf(service) if is_on else None
    return {
        "tracing": is_on,
        "tracer_provider": provider,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
        "exclude": lambda scope: scope.get("path", "").startswith(HEALTH),
    }


class _ProviderOf:
    """The tracer provider of a service that is opened later than the app is made."""

    def __init__(self, service: Callable[[], Service]) -> None:
        self._service = service

    def get_tracer(self, *arguments: Any, **options: Any) -> Any:
        tracer: Any = self._service().telemetry.tracer
        return tracer.provider.get_tracer(*arguments, **options)
