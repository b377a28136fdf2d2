"""Reading server-sent events.

Made by sdk/generate.py from openapi/openapi.json; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
from httpx_sse import EventSource, ServerSentEvent
from memory_r1_client.errors import StreamBroken


def events_of(client: httpx.Client, request: dict[str, Any]) -> Iterator[ServerSentEvent]:
    """The events that a request is answered with. Raises `ProblemError`, `ServiceUnreachable`, `StreamBroken`."""
    headers = {**request.pop("headers", {}), "accept": "text/event-stream"}
    try:
        with client.stream(**request, headers=headers) as response:
            for event in EventSource(response).iter_sse():
                yield event
    except httpx.TransportError as error:
        raise StreamBroken(f"The stream broke off: {type(error).__name__}.") from error
