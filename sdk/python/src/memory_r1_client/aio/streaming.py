"""Reading server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
from httpx_sse import EventSource, ServerSentEvent

from memory_r1_client.errors import StreamBroken


async def events_of(client: httpx.AsyncClient, request: dict[str, Any]) -> AsyncIterator[ServerSentEvent]:
    """The events that a request is answered with. Raises `ProblemError`, `ServiceUnreachable`, `StreamBroken`."""
    headers = {**request.pop("headers", {}), "accept": "text/event-stream"}
    try:
        async with client.stream(**request, headers=headers) as response:
            async for event in EventSource(response).aiter_sse():
                yield event
    except httpx.TransportError as error:
        raise StreamBroken(f"The stream broke off: {type(error).__name__}.") from error
